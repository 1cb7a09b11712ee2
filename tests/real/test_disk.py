"""A disk that is full or read-only, and damaged files and items: a true error, nothing overwritten, no grant lost."""
import contextlib
import errno
import functools
import itertools
import os
import pathlib
import re
import subprocess

import parts
import pytest
import secretstorage
from jeepney.io.blocking import open_dbus_connection


class Namespace:
    """Mounts or a network of their own, kept by a shell that does in there what it is told, as root would."""

    UNSHARE = ["unshare"] if os.geteuid() == 0 else ["unshare", "--user", "--map-current-user", "--keep-caps"]
    ENTER = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]

    def __init__(self, kind):
        self.shell = parts.in_background(*self.UNSHARE, "--" + kind, "--", "sh", text=True, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE)
        self.enter = ("nsenter", "--target", str(self.shell.pid), "--" + kind, *self.ENTER, "--")
        self.do("true")  # the shell is in there now, and so is who enters

    def do(self, script):
        self.shell.stdin.write("(set -e; %s) 2>&1; echo; echo \"ended: $?\"\n" % script)
        self.shell.stdin.flush()
        said = list(itertools.takewhile(lambda line: not line.startswith("ended: 0"), self._lines(script)))
        return "".join(said).strip()

    def _lines(self, script):
        said = ""
        for line in self.shell.stdout:
            said += line
            assert not re.match("ended: [^0]", line), "%s\n%s" % (script, said)
            yield line
        raise AssertionError("the namespace is gone: %s\n%s" % (script, said))

    def takes_in(self, person):
        """From now on this person's commands run in there."""
        person.start = functools.partial(person.start, wrapper=self.enter)

    def seen_from_outside(self, path):
        return pathlib.Path("/proc/%d/root%s" % (self.shell.pid, path))

    def close(self):
        self.shell.stdin.close()
        self.shell.wait(10)


class Disk:
    """A small disk of its own in the place of one folder."""

    def __init__(self, namespace, folder):
        self.namespace, self.folder = namespace, folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        namespace.do("mount -t tmpfs -o size=256k,mode=700 tmpfs '%s'" % folder)
        self.root = namespace.seen_from_outside(folder)
        self.ballast = self.root / "ballast"

    def fill(self):
        with open(self.ballast, "wb", buffering=0) as ballast:
            for size in (4096, 1):  # by the page, and then to the last byte
                with pytest.raises(OSError) as full:
                    while True:
                        ballast.write(b"x" * size)
                assert full.value.errno == errno.ENOSPC
        assert os.statvfs(self.root).f_bavail == 0

    def make_space(self):
        self.ballast.unlink()

    def make(self, mode):
        self.namespace.do("mount -o remount,%s '%s'" % (mode, self.folder))

    def content(self):
        """All that was ever written there. Locks are empty for ever, and so nothing that could be overwritten."""
        return {str(path.relative_to(self.root)): path.read_bytes() for path in sorted(self.root.rglob("*"))
                if path.is_file() and path.suffix != ".lock" and path != self.ballast}


@pytest.fixture
def disk_for(person):
    """Gives a person a disk for one folder, which only the person's commands see."""
    with contextlib.ExitStack() as stack:
        def make(folder):
            namespace = stack.enter_context(contextlib.closing(Namespace("mount")))
            namespace.takes_in(person)
            return Disk(namespace, folder)
        yield make


@pytest.fixture
def config_disk(person, disk_for):
    return disk_for(person.home / ".config" / "gauth")


def assert_failed(done, code, hint):
    """A failure of the contract: its code, nothing on stdout, the fact, and what to do."""
    assert (done.code, done.out) == (code, ""), done
    assert re.search(r"(?m)^error: ", done.err), done
    assert re.search(hint, done.hint), done


def secrets(person):
    """Of the keyring's items only this: the keyring adds an attribute of its own when it writes them down."""
    return [secret for _, secret in person.session.items()]


def assert_nobody_was_asked(person, provider, before=0):
    assert len(provider.seen("authorization")) == before
    assert not person.started_a_browser()


def assert_the_grant_lives(person, provider, *args):
    """A refresh token that was spent and lost, or used twice, would show here."""
    for _ in range(2):
        assert provider.userinfo(person.token("--force-refresh", *args)).json()["email"] == parts.ALICE
    used = [r["params"]["refresh_token"] for r in provider.refreshes()]
    assert len(set(used)) == len(used), "a refresh token was used twice"


STORES = pytest.mark.parametrize("store", ["keyring", "file"])
FOLDER_CODE = {"keyring": 1, "file": 7}  # a folder of the index that fails has no code of its own; a store has
FOLDER_HINT = r"check .*(space|folder)"


CACHES = pytest.mark.parametrize("cache", ["on", "off"])


def assert_refreshes_without_writing(person, provider, disk, trouble, cache):
    """Tokens and refresh tokens are kept elsewhere, so the disk has no say."""
    person.signs_in(provider, GAUTH_CACHE=cache)
    trouble()
    before = disk.content()
    for count in (1, 2, 3):
        provider.set(access_token_ttl=3600 + 60 * count)  # another end, for whoever writes it down
        token = person.token("--force-refresh", GAUTH_CACHE=cache)
        assert provider.userinfo(token).status_code == 200
        assert person.token(GAUTH_CACHE=cache) == token
        assert [r["status"] for r in provider.refreshes()] == [200] * count
    assert disk.content() == before


# ------------------------------------------------------------------- full --

@STORES
def test_a_login_on_a_full_disk_ends_before_anybody_is_asked_and_works_when_there_is_space(
        person, provider, config_disk, store):
    for logins in (0, 1):  # the first one, and one that would replace it
        config_disk.fill()
        before = config_disk.content(), secrets(person), provider.issued("refresh_token")
        done = person.login(provider, "--store", store)
        assert_failed(done, done.code, FOLDER_HINT)
        assert done.code in {1, FOLDER_CODE[store]}, done  # index and file store are on one disk: either is the truth
        assert (config_disk.content(), secrets(person), provider.issued("refresh_token")) == before
        assert_nobody_was_asked(person, provider, before=logins)

        config_disk.make_space()
        if logins == 0:
            person.signs_in(provider, "--store", store)
            person.forget_browser()
        assert_the_grant_lives(person, provider)


@CACHES
def test_a_refresh_into_the_keyring_does_not_care_for_a_full_disk(person, provider, config_disk, cache):
    assert_refreshes_without_writing(person, provider, config_disk, config_disk.fill, cache)


def test_a_refresh_into_a_file_on_a_full_disk_spends_no_refresh_token(person, provider, config_disk):
    person.signs_in(provider, "--store", "file")
    warm = person.token()
    config_disk.fill()
    before = config_disk.content()
    for args in (["--force-refresh"], ["--min-ttl", "2h"]):
        assert_failed(person.gauth("token", *args), 7, FOLDER_HINT)
    assert provider.refreshes() == []
    assert config_disk.content() == before
    assert person.token() == warm

    config_disk.make_space()
    assert_the_grant_lives(person, provider)


@STORES
def test_a_disk_that_fills_up_while_a_rotated_token_is_on_its_way_loses_no_grant(person, provider, config_disk, store):
    """The old one is spent by then (T-8). With the keyring locked as well, only the runtime folder is left."""
    person.signs_in(provider, "--store", store)
    provider.fault("slow", ms=1000, when={"grant_type": "refresh_token"})
    running = person.start("token", "--force-refresh")
    parts.wait_for(provider.refreshes, "the refresh request")
    before = config_disk.content()
    config_disk.fill()
    if store == "keyring":
        person.session.do("lock")
    assert_failed(running.end(), 7, "unlock" if store == "keyring" else FOLDER_HINT)
    assert config_disk.content() == before
    newest = provider.issued("refresh_token")[-1]
    assert not any(newest in path.read_text(errors="replace") for path in person.files()), "a refresh token in clear"

    config_disk.make_space()
    if store == "keyring":
        person.session.do("unlock")
    assert_the_grant_lives(person, provider)
    assert [r["params"]["refresh_token"] for r in provider.refreshes()][1] == newest


@STORES
def test_a_logout_on_a_full_disk_ends_the_grant_and_is_over_when_there_is_space(person, provider, config_disk, store):
    person.signs_in(provider, "--store", store)
    refresh = provider.issued("refresh_token")[-1]
    config_disk.fill()
    index = config_disk.content()["profiles.toml"]
    done = person.gauth("logout")
    assert not provider.is_active(refresh)
    if store == "file":  # the one that held the refresh token has left room for the new index
        assert done.code == 0, done
    else:
        assert_failed(done, 1, FOLDER_HINT)
        assert config_disk.content() == {"profiles.toml": index}
        config_disk.make_space()
        assert person.gauth("token", "--force-refresh").code == 4
        assert person.gauth("logout").code == 0
    assert person.profiles() == [] and secrets(person) == []
    assert list(config_disk.content()) == ["profiles.toml"]


def test_another_default_profile_on_a_full_disk_is_an_error_and_the_old_one_stays(person, provider, config_disk):
    for name in ("default", "work"):
        person.signs_in(provider, "--profile", name)
    config_disk.fill()
    before = config_disk.content()
    assert_failed(person.gauth("use", "work"), 1, FOLDER_HINT)
    assert config_disk.content() == before

    config_disk.make_space()
    assert person.gauth("use", "work").code == 0
    assert [p["profile"] for p in person.profiles() if p["default"]] == ["work"]
    assert_the_grant_lives(person, provider)


def test_with_a_full_runtime_folder_the_store_keeps_the_token_and_no_older_one_comes_back(person, provider, disk_for):
    runtime = disk_for(person.runtime)
    runtime.fill()
    person.signs_in(provider)
    tokens = [person.token() for _ in range(3)]
    assert len(set(tokens)) == len(provider.refreshes()) == 1
    assert provider.userinfo(tokens[0]).status_code == 200
    assert runtime.content() == {}, "a file was left half written"

    runtime.make_space()
    assert person.token() == person.token() == tokens[0]
    assert len(provider.refreshes()) == 1 and len(runtime.content()) == 1
    runtime.fill()
    forced = person.token("--force-refresh")
    assert forced != tokens[0] and runtime.content() == {}
    assert person.token() == forced, "the older one came back"
    assert person.gauth("logout").code == 0
    assert runtime.content() == {} and secrets(person) == []


# -------------------------------------------------------------- read-only --

@CACHES
def test_a_refresh_into_the_keyring_does_not_care_for_a_read_only_config_folder(person, provider, config_disk, cache):
    """In a container the folder may well be mounted so, with no runtime folder either: as with the cache off."""
    assert_refreshes_without_writing(person, provider, config_disk, lambda: config_disk.make("ro"), cache)


def test_a_refresh_into_a_file_in_a_read_only_folder_spends_no_refresh_token(person, provider, config_disk):
    person.signs_in(provider, "--store", "file")
    config_disk.make("ro")
    before = config_disk.content()
    assert_failed(person.gauth("token", "--force-refresh"), 7, FOLDER_HINT)
    assert provider.refreshes() == []
    assert config_disk.content() == before

    config_disk.make("rw")
    assert_the_grant_lives(person, provider)


@STORES
def test_a_read_only_config_folder_serves_what_is_there_and_refuses_what_would_change_it(
        person, provider, config_disk, store):
    person.signs_in(provider, "--store", store)
    person.forget_browser()
    commands = [("token",), ("list", "--json"), ("list",), ("status", "--json"), ("status",)]
    answers = [person.gauth(*command) for command in commands]
    config_disk.make("ro")
    before = config_disk.content(), secrets(person)
    for command, answer in zip(commands, answers):
        done = person.gauth(*command)
        assert (done.code, done.err) == (answer.code, answer.err) == (0, ""), done
        assert done.out == answer.out or (command == ("status",) and parts.ALICE in done.out)  # it counts the seconds
    for name in ("default", "new"):
        assert_failed(person.login(provider, "--profile", name, "--store", store), 1, FOLDER_HINT)
    assert_failed(person.gauth("use", "default"), 1, FOLDER_HINT)
    assert_nobody_was_asked(person, provider, before=1)
    assert provider.refreshes() == []
    assert (config_disk.content(), secrets(person)) == before

    config_disk.make("rw")
    assert_the_grant_lives(person, provider)
    person.signs_in(provider, "--profile", "new", "--store", store)


@STORES
def test_a_logout_in_a_read_only_folder_ends_the_grant_and_is_over_when_it_can_be_written(
        person, provider, config_disk, store):
    person.signs_in(provider, "--store", store)
    refresh = provider.issued("refresh_token")[-1]
    config_disk.make("ro")
    before = config_disk.content()
    assert_failed(person.gauth("logout"), FOLDER_CODE[store], FOLDER_HINT)
    assert not provider.is_active(refresh)
    assert config_disk.content() == before
    assert person.gauth("token", "--force-refresh").code == (4 if store == "keyring" else 7)

    config_disk.make("rw")
    assert person.gauth("token", "--force-refresh").code == 4
    assert person.gauth("logout").code == 0
    assert person.profiles() == [] and secrets(person) == []
    assert list(config_disk.content()) == ["profiles.toml"]


# ---------------------------------------------------------------- damaged --

@contextlib.contextmanager
def the_item(person):
    """The one item that gauth made in the keyring, to be changed."""
    with contextlib.closing(open_dbus_connection(bus=person.session.env["DBUS_SESSION_BUS_ADDRESS"])) as bus:
        [item] = secretstorage.get_default_collection(bus).get_all_items()
        yield item


def damaged(secret):
    """What a keyring or a disk could give back one day in the place of these bytes."""
    return {"nothing": b"", "half": secret[:len(secret) // 2], "noise": bytes(range(256)), "text": b"canary",
            "newer": secret.replace(b'"v":1', b'"v":2')}


def test_a_corrupt_item_in_the_keyring_is_exit_7_stays_as_it_is_and_no_reason_to_spend_anything(person, provider):
    person.signs_in(provider)
    warm = person.token()
    with the_item(person) as item:
        secret = item.get_secret()
    for what, bad in damaged(secret).items():
        assert bad != secret, what
        with the_item(person) as item:
            item.set_secret(bad)
        for command, hint in ((["token", "--force-refresh"], "gauth login"), (["logout"], "--local-only")):
            done = person.gauth(*command)
            assert_failed(done, 7, hint)
            assert "canary" not in done.err and provider.issued("refresh_token")[-1] not in done.err
        assert secrets(person) == [bad], what
        assert person.token() == warm
        assert len(person.profiles()) == 1
    assert provider.refreshes() == [] and provider.seen("revocation") == []

    with the_item(person) as item:
        item.set_secret(secret)
    assert_the_grant_lives(person, provider)

    with the_item(person) as item:  # and if it does not come right by itself, the hint mends it
        item.set_secret(b"canary")
    line = parts.login_line(person.gauth("token", "--force-refresh"))
    person.forget_browser()
    again = person.gauth(*line)
    assert again.code == 0 and "lives on" in again.err, again
    assert len(secrets(person)) == 1
    assert_the_grant_lives(person, provider)


INDEX_COMMANDS = [["token"], ["token", "--force-refresh"], ["list"], ["status"], ["use", "default"], ["logout"],
                  ["logout", "--all"], ["login"]]


def test_a_corrupt_or_newer_index_is_exit_3_for_every_command_and_is_never_overwritten(person, provider):
    person.signs_in(provider)
    person.forget_browser()
    index = person.home / ".config" / "gauth" / "profiles.toml"
    good, kept = index.read_bytes(), secrets(person)
    indexes = {"newer": good.replace(b"version = 1", b"version = 2"), "half": good[:len(good) // 2],
               "nothing": b"", "noise": bytes(range(256))}
    for what, bad in indexes.items():
        assert bad != good
        index.write_bytes(bad)
        for command in INDEX_COMMANDS:
            done = person.gauth(*command)
            assert_failed(done, 3, "newer" if what == "newer" else re.escape(str(index)))
            assert what != "newer" or "version 2" in done.err, done
            assert index.read_bytes() == bad, (what, command)
    assert secrets(person) == kept
    assert provider.refreshes() == [] and provider.seen("revocation") == []
    assert_nobody_was_asked(person, provider, before=1)

    index.write_bytes(good)
    assert_the_grant_lives(person, provider)


def test_a_corrupt_cache_file_is_as_good_as_none_and_the_next_refresh_mends_it(person, provider):
    person.signs_in(provider)
    [cached] = (person.runtime / "gauth").iterdir()
    good = cached.read_bytes()
    bad_ones = {**damaged(good), "types": re.sub(rb'"expires_at":\d+', b'"expires_at":"soon"', good)}
    del bad_ones["newer"]  # a cache file has no version
    for count, (what, bad) in enumerate(bad_ones.items(), 1):
        assert bad != good
        cached.write_bytes(bad)
        token = person.token()
        assert provider.userinfo(token).status_code == 200, what
        assert person.token() == token
        assert len(provider.refreshes()) == count, what
    assert list(cached.parent.iterdir()) == [cached]
    assert_the_grant_lives(person, provider)
