"""Fifty processes of one user at once: whatever sessions and containers they are in, they agree on the lock (B-7)."""
import collections
import contextlib
import itertools
import os

import parts
import pytest
from test_disk import Namespace

FIGURE = "processes in parallel on expired tokens"
CAROL = "carol@example.test"
MANY = 50


def sign_in_and_wait_for_the_end(person, provider, accounts, **env):
    """Each profile's token is over; the next one lives for an hour, and takes so long that nobody comes too late."""
    provider.set(access_token_ttl=2)  # the login itself shows it to userinfo, and a second may be over at once
    for profile, account in accounts.items():
        person.signs_in(provider, "--profile", profile, BROWSER_LOGIN=account, **env)
    for token in provider.issued("access_token"):
        parts.wait_for(lambda: provider.userinfo(token).status_code == 401, "the token's end")
    provider.set(access_token_ttl=3600)
    provider.fault("slow", ms=700, count=-1, when={"grant_type": "refresh_token"})


def assert_refreshed(provider, at_most):
    """With rotation and reuse detection on, a refresh token that is used twice ends its grant."""
    refreshes = provider.refreshes()
    assert {r["status"] for r in refreshes} == {200}
    assert len({r["params"]["refresh_token"] for r in refreshes}) == len(refreshes) <= at_most


def assert_the_grant_lives(person, provider, account=parts.ALICE, *args, **env):
    assert provider.userinfo(person.token("--force-refresh", *args, **env)).json()["email"] == account


def ended_well(running):
    done = running.end()
    assert done.code == 0, done
    return done


# ----------------------------------------------------------- one home, many sessions --

@pytest.fixture
def machine():
    """One with a runtime folder for this user, whether or not the tester's has one."""
    with contextlib.closing(Namespace("mount")) as machine:
        machine.do("mount -t tmpfs -o mode=755 tmpfs /run; mkdir /run/user; mkdir -m 700 /run/user/%d" % os.geteuid())
        yield machine


@pytest.fixture
def container(person):
    """Another /tmp and another /run, and the home in its own place and in a second one, /mnt/home."""
    with contextlib.closing(Namespace("mount")) as container:
        container.do("mount -t tmpfs tmpfs /mnt; mkdir /mnt/home; mount --bind '%s' /mnt/home" % person.home)
        container.do("touch /mnt/gauth; mount --bind '%s' /mnt/gauth" % parts.GAUTH)
        container.do("mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /tmp")
        container.do("mkdir -p '%s'; mount --bind /mnt/home '%s'" % (person.home, person.home))  # it was below /tmp?
        yield container


def test_fifty_processes_in_sessions_that_share_nothing_but_the_home_use_no_refresh_token_twice(
        person, provider, machine, container):
    here, there = machine.enter, (*container.enter, "sh", "-c", 'exec /mnt/gauth "$@"')
    bare = (*container.enter, "env", "-i", "HOME=/mnt/home", "/bin/sh", "-c", 'exec /mnt/gauth "$@"')
    bus = {name: None for name in person.session.env}  # the keyring is not what they share
    plain = {**bus, "GAUTH_RUNTIME_DIR": None, "XDG_CONFIG_HOME": None}
    sessions = [  # and in which cache each of them looks
        ("run", here, {"XDG_RUNTIME_DIR": "/run/user/%d" % os.geteuid()}),
        ("run", here, {}),
        ("run", here, {"XDG_RUNTIME_DIR": "/nowhere"}),
        ("run", (*here, "env", "-i", "HOME=%s" % person.home), {}),
        ("a", here, {"GAUTH_RUNTIME_DIR": str(person.runtime / "a")}),
        ("b", here, {"GAUTH_RUNTIME_DIR": str(person.runtime / "b")}),
        ("store", here, {"GAUTH_CACHE": "off"}),
        ("store", there, {}),
        ("store", bare, {}),
    ]
    sign_in_and_wait_for_the_end(person, provider, {"default": parts.ALICE}, wrapper=here, GAUTH_STORE="file", **plain)

    started = [(cache, person.start("token", wrapper=wrapper, **{**plain, **env}))
               for cache, wrapper, env in itertools.islice(itertools.cycle(sessions), MANY)]
    tokens = collections.defaultdict(set)
    for cache, running in started:
        tokens[cache].add(ended_well(running).out.strip())
    # one for each cache, and whoever comes after the one in the store takes that
    assert set(tokens) == {"run", "a", "b", "store"} and all(len(those) <= 2 for those in tokens.values()), tokens
    assert all(provider.userinfo(token).status_code == 200 for token in set().union(*tokens.values()))
    assert_refreshed(provider, at_most=len(tokens))
    provider.no_more_faults()
    for _, wrapper, env in sessions:
        assert_the_grant_lives(person, provider, wrapper=wrapper, **{**plain, **env})
    parts.figure(FIGURE, MANY)


# ------------------------------------------------------------- one keyring, many processes --

@pytest.mark.parametrize("cache", ["on", "off"])
def test_fifty_processes_with_the_keyring_as_their_store_refresh_once_and_print_the_same_token(
        person, provider, cache):
    sign_in_and_wait_for_the_end(person, provider, {"default": parts.ALICE}, GAUTH_CACHE=cache)
    running = [person.start("token", GAUTH_CACHE=cache) for _ in range(MANY)]
    [answer] = {ended_well(one).out for one in running}
    assert provider.userinfo(answer.strip()).json()["email"] == parts.ALICE
    assert len(provider.refreshes()) == 1
    provider.no_more_faults()
    assert_the_grant_lives(person, provider, GAUTH_CACHE=cache)
    assert_refreshed(provider, at_most=2)
    parts.figure(FIGURE, MANY)


def start_many(person, profiles, count):
    return [(profile, person.start("token", "--json", "--profile", profile))
            for profile in itertools.islice(itertools.cycle(profiles), count)]


def test_fifty_processes_over_three_profiles_refresh_each_once_and_mix_nothing_up(person, provider):
    accounts = {"default": parts.ALICE, "work": parts.BOB, "home": CAROL}
    sign_in_and_wait_for_the_end(person, provider, accounts)
    answers = {(profile, answer["email"], answer["access_token"]) for profile, running in
               start_many(person, accounts, MANY) for answer in [ended_well(running).json]}
    assert sorted((profile, email) for profile, email, _ in answers) == sorted(accounts.items())
    for profile, account, token in answers:
        assert provider.userinfo(token).json()["email"] == account
    assert_refreshed(provider, at_most=3)
    provider.no_more_faults()
    for profile, account in accounts.items():
        assert_the_grant_lives(person, provider, account, "--profile", profile)
    parts.figure(FIGURE, MANY)


def test_fifty_processes_with_a_logout_and_a_login_in_the_middle_neither_bring_back_nor_lose_a_grant(person, provider):
    accounts = {"default": parts.ALICE, "work": parts.BOB, "leaving": parts.ALICE, "again": CAROL}
    sign_in_and_wait_for_the_end(person, provider, accounts)
    person.forget_browser()
    started = start_many(person, accounts, MANY // 2)
    logout = person.start("logout", "--profile", "leaving")
    login = person.start("login", "--profile", "again", "--json", BROWSER_LOGIN=CAROL)
    started += start_many(person, accounts, MANY - MANY // 2)
    ended_well(logout)
    ended_well(login)

    tokens = collections.defaultdict(set)
    for profile, running in started:
        done = running.end()
        if profile == "leaving" and done.code == 4:
            assert done.out == "", done
        else:
            assert done.code == 0, done
            assert done.json["email"] == accounts[profile]
            tokens[profile].add(done.json["access_token"])
    assert len(tokens["default"]) == len(tokens["work"]) == 1
    assert len(tokens["leaving"]) <= 1
    assert 1 <= len(tokens["again"]) <= 2  # of the old grant, and of the new one
    assert_refreshed(provider, at_most=4)

    provider.no_more_faults()
    assert [p["profile"] for p in person.profiles()] == ["again", "default", "work"]
    assert len(person.session.items()) == 3
    for profile in ("again", "default", "work"):
        assert_the_grant_lives(person, provider, accounts[profile], "--profile", profile)
    assert person.gauth("token", "--profile", "leaving").code == 4
    for token in tokens["leaving"]:
        assert provider.userinfo(token).status_code == 401
    parts.figure(FIGURE, MANY)
