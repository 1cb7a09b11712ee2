"""This machine's clock: wrong either way, set right, stepped half way through; and a sleep past a token's end."""
import datetime
import glob
import os
import signal
import time

import parts
import pytest

MINUTES = 60
HOURS = 60 * MINUTES


class Clock:
    """Faketime: the wall clock of gauth alone goes wrong by so many seconds, also while it runs."""

    def __init__(self, folder):
        [library] = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
        self.wrong_by, self.file = 0, folder / "faketime"
        browser = folder / "browser-with-the-right-clock"
        browser.write_text('#!/bin/sh\nunset LD_PRELOAD\nexec "%s" "$@"\n' % parts.STAND_IN)
        browser.chmod(0o700)
        self.env = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1", "BROWSER": str(browser)}
        self.set(0)

    def set(self, seconds):
        self.wrong_by = seconds
        new = self.file.with_suffix(".new")
        new.write_text("%+d\n" % seconds)
        os.replace(new, self.file)

    def assert_wrote(self, text, later=0):
        """That a time which gauth wrote is by this clock, and not by the right one."""
        written = datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
        assert abs(written - (time.time() + self.wrong_by + later)) < 30, (text, self.wrong_by)


@pytest.fixture
def clock(tmp_path, person):
    """The clock that this person's commands go by. It is right until it is set."""
    clock = Clock(tmp_path)
    env = person.env
    person.env = lambda **more: env(**{**clock.env, **more})
    return clock


def refreshed(person, clock, life, **env):
    """A new token by this clock, as it is now."""
    done = person.gauth("token", "--force-refresh", "--json", **env)
    assert done.code == 0, done
    clock.assert_wrote(done.json["expires_at"], later=life)
    return done.json["access_token"]


def assert_good(provider, token):
    assert provider.userinfo(token).status_code == 200, "a token that was over already"


def is_over(provider, token):
    return provider.userinfo(token).status_code == 401


def assert_refreshed(provider, times):
    """So often, and never with a refresh token that was spent."""
    assert [r["status"] for r in provider.refreshes()] == [200] * times
    assert len({r["params"]["refresh_token"] for r in provider.refreshes()}) == times


# ------------------------------------------------------------------ login --

def test_a_login_with_the_clock_ten_minutes_fast_works_and_so_does_what_comes_after(person, provider, clock):
    """The ID token lives for an hour: V-9 has no objection."""
    clock.set(10 * MINUTES)
    done = person.signs_in(provider)
    clock.assert_wrote(done.json["expires_at"], later=1 * HOURS)
    clock.assert_wrote(person.profiles()[0]["created_at"])
    warm = person.token()
    assert_good(provider, warm)
    assert provider.refreshes() == []

    clock.set(0)
    token = person.token()  # one "from the future" has an end that nobody can trust (L-28)
    assert token != warm
    assert_good(provider, token)
    assert person.token() == person.token() == token
    assert_refreshed(provider, times=1)


@pytest.mark.parametrize("wrong, words", [(-10 * MINUTES, "from the future"), (2 * HOURS, "has expired")],
                         ids=["slow", "fast"])
def test_a_login_with_a_clock_too_wrong_for_the_id_token_names_the_clock_and_leaves_all_as_it_was(
        person, provider, clock, wrong, words):
    """V-9 and V-10, with the error text of L-28."""
    person.signs_in(provider)
    before = [secret for _, secret in person.session.items()]
    person.forget_browser()
    clock.set(wrong)
    for profile in ("default", "new"):
        done = person.login(provider, "--profile", profile)
        assert (done.code, done.out) == (1, ""), done
        assert words in done.err and "clock" in done.err, done
        assert "check this machine's clock" in done.hint, done
        page = person.browser()["final_text"].lower()
        assert "not signed in" in page and "clock" in page
        person.forget_browser()
    assert [secret for _, secret in person.session.items()] == before
    assert [p["profile"] for p in person.profiles()] == ["default"]

    clock.set(0)
    assert_good(provider, person.token("--force-refresh"))
    person.signs_in(provider, "--profile", "new")


# ------------------------------------------------------------------ token --

@pytest.mark.parametrize("wrong, life", [(10 * MINUTES, 2), (4 * MINUTES, 2), (4, 4)],
                         ids=["ten-minutes", "four-minutes", "a-whole-life"])
def test_no_clock_that_was_or_is_wrong_makes_a_dead_token_come_out(person, provider, clock, wrong, life):
    """L-28. Each pair is the error at the refresh and the error now; each has a cache of its own.

    The last row is what becomes of the first one when nobody asks for a token until ten minutes later: by the wall
    clock nothing is amiss then, and only a clock that is never set (`CLOCK_BOOTTIME`) tells how old the token is.
    """
    person.signs_in(provider)
    provider.set(access_token_ttl=life)
    pairs = [(wrong, 0), (-wrong, 0), (0, wrong), (0, -wrong), (wrong, -wrong), (-wrong, wrong)]
    caches = {pair: {"GAUTH_RUNTIME_DIR": str(person.runtime / ("%+d%+d" % pair))} for pair in pairs}
    last = None
    for pair in pairs:
        clock.set(pair[0])
        last = refreshed(person, clock, life, **caches[pair])
    parts.wait_for(lambda: is_over(provider, last), "the end of the last token")
    provider.set(access_token_ttl=3600)

    dead = []
    for pair in pairs:
        clock.set(pair[1])
        if is_over(provider, person.token(**caches[pair])):
            dead.append(pair)
    assert dead == [], "these came out dead"
    assert_good(provider, person.token("--force-refresh"))


@pytest.mark.parametrize("step", [-1 * HOURS, -10 * MINUTES, 1 * HOURS], ids=["back", "back-a-little", "asleep"])
def test_after_a_step_of_the_clock_or_a_sleep_past_its_end_a_token_is_refreshed_once_and_then_kept(
        person, provider, clock, step):
    """Stepped back, the token is from the future; after a sleep the clock is right and the token over."""
    person.signs_in(provider)
    old = person.token()
    clock.set(step)
    done = person.gauth("token", "--json")
    assert done.code == 0, done
    clock.assert_wrote(done.json["expires_at"], later=1 * HOURS)
    token = done.json["access_token"]
    assert token != old
    assert_good(provider, token)
    assert person.token() == person.token() == token
    assert_refreshed(provider, times=1)


def refresh_with_the_answer_on_its_way(person, provider, ms):
    provider.fault("slow", ms=ms, when={"grant_type": "refresh_token"})
    before = len(provider.refreshes())
    running = person.start("token", "--force-refresh")
    parts.wait_for(lambda: provider.refreshes()[before:], "the refresh request")
    return running


def test_a_refresh_that_slept_until_its_token_was_over_prints_one_that_is_not(person, provider):
    """The laptop's lid is closed with the answer on its way, and opened when the token's life is over."""
    person.signs_in(provider)
    provider.set(access_token_ttl=1)
    running = refresh_with_the_answer_on_its_way(person, provider, ms=1000)
    os.kill(running.pid, signal.SIGSTOP)
    parts.wait_for(lambda: "status" in provider.refreshes()[0], "the answer")
    over = provider.issued("access_token")[-1]
    parts.wait_for(lambda: is_over(provider, over), "the token's end")
    assert not running.is_over()
    provider.set(access_token_ttl=3600)
    os.kill(running.pid, signal.SIGCONT)

    done = running.end()
    assert done.code == 0, done
    assert done.out.strip() != over
    assert_good(provider, done.out.strip())
    assert person.token() == done.out.strip()
    assert_good(provider, person.token("--force-refresh"))
    assert_refreshed(provider, times=3)


def test_a_refresh_that_was_stopped_for_longer_than_it_would_wait_gets_its_answer_all_the_same(person, provider):
    """Ctrl-Z, or a paused container: the answer lies in the socket, and with it the new refresh token."""
    person.signs_in(provider)
    running = refresh_with_the_answer_on_its_way(person, provider, ms=1000)
    os.kill(running.pid, signal.SIGSTOP)
    time.sleep(17)  # the length of the stop: longer than the 15 s of a request
    assert provider.refreshes()[0]["status"] == 200
    os.kill(running.pid, signal.SIGCONT)
    done = running.end()
    assert done.code == 0, done
    assert_good(provider, done.out.strip())
    assert_good(provider, person.token("--force-refresh"))


@pytest.mark.parametrize("step", [-10 * MINUTES, 10 * MINUTES], ids=["back", "forward"])
def test_a_clock_that_is_stepped_while_the_answer_is_on_its_way_does_no_harm(person, provider, clock, step):
    person.signs_in(provider)
    provider.set(access_token_ttl=5 * MINUTES)
    running = refresh_with_the_answer_on_its_way(person, provider, ms=1000)
    clock.set(step)
    parts.wait_for(lambda: "status" in provider.refreshes()[0], "the answer")
    done = running.end()
    assert done.code == 0, done
    assert_good(provider, done.out.strip())
    assert person.token() == done.out.strip()  # its end is by the clock as it is now
    assert_refreshed(provider, times=2)
