"""The keyring is locked, mute, gone or dies half way: exit 7 in time, a hint with both ways out, and nothing lost."""
import json
import os
import stat

import parts
import pytest


@pytest.fixture
def person_with(tmp_path, persons):
    """A person whose session is of one of keyring.sh's modes."""
    sessions = []

    def make(mode):
        sessions.append(parts.keyring(mode, tmp_path))
        return persons(sessions[-1].__enter__())
    yield make
    for session in reversed(sessions):
        session.__exit__(None, None, None)


def assert_nobody_was_asked(person, provider):
    """The store is proved writable before a browser is opened."""
    assert provider.seen("authorization") == []
    assert not person.started_a_browser()
    assert person.profiles() == []


# ------------------------------------------------------------------- login --

@pytest.mark.parametrize("mode", ["locked", "prompt", "no-collection", "no-service", "no-bus", "dead-bus"])
def test_a_login_without_a_usable_keyring_ends_before_anybody_is_asked(person_with, provider, mode):
    person = person_with(mode)
    parts.assert_store_said_no(person.login(provider))
    assert_nobody_was_asked(person, provider)


TROUBLE = {"lock": "unlock", "freeze": "thaw", "kill": "unlock"}  # and what ends it


@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_login_that_met_a_keyring_in_trouble_works_when_the_trouble_is_over(person, provider, trouble):
    person.session.do(trouble)
    parts.assert_store_said_no(person.login(provider))
    assert_nobody_was_asked(person, provider)

    person.session.do(TROUBLE[trouble])
    person.signs_in(provider)
    assert provider.userinfo(person.token("--force-refresh")).status_code == 200
    assert person.gauth("logout").code == 0
    assert person.session.items() == []


@pytest.fixture
def browser_that_first(tmp_path):
    """A browser that does something to the keyring before it goes to the provider: half way through a login."""
    def make(what):
        script = tmp_path / "browser-after"
        script.write_text('#!/bin/sh\n"%s" %s\nexec "%s" "$@"\n' % (parts.TESTBED / "keyring.sh", what, parts.STAND_IN))
        script.chmod(0o700)
        return str(script)
    return make


@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_keyring_that_fails_half_way_through_a_login_leaves_nothing_and_the_page_says_so(
        person, provider, browser_that_first, trouble):
    done = person.login(provider, BROWSER=browser_that_first(trouble))
    parts.assert_store_said_no(done, limit=8)  # the person's part is in it
    page = person.browser()
    assert "not signed in" in page["final_text"].lower()
    parts.assert_no_code(page["final_url"])
    assert person.profiles() == []

    person.session.do(TROUBLE[trouble])
    assert person.session.items() == []
    person.signs_in(provider)
    assert provider.userinfo(person.token()).status_code == 200


def test_the_file_store_that_the_hint_names_works_without_any_keyring(person_with, provider):
    person = person_with("no-bus")
    done = person.signs_in(provider, "--store", "file")
    assert done.json["store"] == "file"
    first = provider.issued("refresh_token")[-1]
    holders = [path for path in person.files() if first in path.read_text(errors="replace")]
    assert len(holders) == 1
    assert stat.S_IMODE(holders[0].stat().st_mode) == 0o600
    assert stat.S_IMODE(holders[0].parent.stat().st_mode) == 0o700

    assert provider.userinfo(person.token("--force-refresh")).status_code == 200
    second = provider.issued("refresh_token")[-1]
    texts = [path.read_text(errors="replace") for path in person.files()]
    assert sum(second in text for text in texts) == 1 and not any(first in text for text in texts)

    assert person.gauth("logout").code == 0
    assert not provider.is_active(second)
    assert not any(second in path.read_text(errors="replace") for path in person.files())


def test_the_keyring_is_never_replaced_by_a_file_unasked(person_with, provider):
    person = person_with("no-service")
    parts.assert_store_said_no(person.login(provider, GAUTH_STORE="keyring"))
    assert provider.issued() == []
    assert not any("refresh_token" in path.read_text(errors="replace") for path in person.files())


# ------------------------------------------------------------------- token --

@pytest.mark.parametrize("args", [("--min-ttl", "2h"), ("--force-refresh",)], ids=["min-ttl", "force-refresh"])
@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_refresh_with_the_keyring_in_trouble_loses_nothing(person, provider, trouble, args):
    person.signs_in(provider)
    person.session.do(trouble)
    parts.assert_store_said_no(person.gauth("token", *args))
    assert provider.refreshes() == []
    assert [p["profile"] for p in person.profiles()] == ["default"]  # needs no keyring

    person.session.do(TROUBLE[trouble])
    assert provider.userinfo(person.token(*args)).status_code == 200
    assert [r["status"] for r in provider.refreshes()] == [200]


@pytest.mark.parametrize("address", [None, "unix:path=/nonexistent/bus"], ids=["no-bus", "dead-bus"])
def test_a_refresh_from_a_session_without_a_bus_loses_nothing(person, provider, address):
    person.signs_in(provider)
    parts.assert_store_said_no(person.gauth("token", "--force-refresh", DBUS_SESSION_BUS_ADDRESS=address))
    assert provider.refreshes() == []
    assert provider.userinfo(person.token("--force-refresh")).status_code == 200


def refresh_while(person, provider, trouble):
    """A refresh during which, with the answer on its way, the keyring gets into trouble."""
    provider.fault("slow", ms=1500, when={"grant_type": "refresh_token"})
    running = person.start("token", "--force-refresh")
    parts.wait_for(provider.refreshes, "the refresh request")
    person.session.do(trouble)
    return running.end()


@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_keyring_that_fails_half_way_through_a_refresh_loses_no_grant_that_stays_the_same(person, provider, trouble):
    provider.set(rotate=False)
    person.signs_in(provider)
    done = refresh_while(person, provider, trouble)
    if done.code == 0:  # there was nothing to store: the token is as good as any
        assert provider.userinfo(done.out.strip()).status_code == 200
    else:
        parts.assert_store_said_no(done, limit=7.5)

    person.session.do(TROUBLE[trouble])
    assert provider.userinfo(person.token("--force-refresh")).status_code == 200


def rotation_during(person, provider, trouble):
    """A refresh whose new refresh token the keyring would not take. The old one is spent by then."""
    parts.assert_store_said_no(refresh_while(person, provider, trouble), limit=7.5)
    newest = provider.issued("refresh_token")[-1]
    assert provider.is_active(newest)
    assert not any(newest in path.read_text(errors="replace") for path in person.files()), "a refresh token in clear"
    return newest


@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_keyring_that_fails_half_way_through_a_rotation_loses_no_grant(person, provider, trouble):
    person.signs_in(provider)
    files = person.files()
    newest = rotation_during(person, provider, trouble)

    person.session.do(TROUBLE[trouble])
    assert provider.userinfo(person.token()).status_code == 200
    assert provider.userinfo(person.token("--force-refresh")).status_code == 200
    assert provider.refreshes()[-1]["params"]["refresh_token"] == newest
    assert person.files() == files, "something was left behind"


def test_a_logout_after_a_rotation_that_could_not_be_stored_revokes_the_new_token_and_leaves_nothing(person, provider):
    person.signs_in(provider)
    newest = rotation_during(person, provider, "lock")
    person.session.do("unlock")
    assert person.gauth("logout").code == 0
    assert not provider.is_active(newest)
    assert person.session.items() == []
    left = [path.name for path in person.files() if path.suffix != ".lock"]  # locks are never deleted
    assert left == ["profiles.toml"]


@pytest.mark.parametrize("trouble", TROUBLE)
def test_logout_with_the_keyring_in_trouble_says_so_and_works_later(person, provider, trouble):
    person.signs_in(provider)
    refresh = provider.issued("refresh_token")[-1]
    person.session.do(trouble)
    done = person.gauth("logout")
    assert done.code == 7 and done.seconds < 6, done

    person.session.do(TROUBLE[trouble])
    assert person.gauth("logout").code == 0
    assert not provider.is_active(refresh)
    assert person.session.items() == []
    assert person.profiles() == []


def test_list_and_status_need_no_unlocked_keyring(person, provider):
    person.signs_in(provider)
    person.session.do("freeze")
    for command in (("list", "--json"), ("status", "--json")):
        done = person.gauth(*command)
        assert done.code == 0 and done.seconds < 1, done
        assert parts.ALICE in json.dumps(done.json)
    person.session.do("thaw")


def test_no_keyring_trouble_is_waited_out_by_a_child_that_stays_behind(person, provider):
    person.signs_in(provider)
    person.session.do("freeze")
    running = person.start("token", "--force-refresh")
    pid = running.pid
    parts.assert_store_said_no(running.end())
    assert not os.path.exists("/proc/%d" % pid)
    assert person.started_processes() == []
    person.session.do("thaw")
