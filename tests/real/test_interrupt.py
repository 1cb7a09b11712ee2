"""Ctrl-C ends every wait with 130, prints nothing and loses nothing: at once, but where an answer may bring a new refresh
token, which the first one waits for and the second does not."""
import signal
import time

import parts
import pytest


def interrupted(running, soon=2):
    running.interrupt()
    asked = time.monotonic()
    done = running.end(30)
    assert (done.code, done.out) == (130, ""), done
    assert time.monotonic() - asked < soon, done
    return done


def test_ctrl_c_while_the_provider_is_silent_ends_the_wait_and_loses_nothing(person, provider):
    person.signs_in(provider)
    provider.fault("hang")
    running = person.start("token", "--force-refresh")
    parts.wait_for(provider.refreshes, "the refresh request")
    running.interrupt()
    running.wait_until_it_says("once more ends at once")
    interrupted(running)
    assert provider.userinfo(person.token("--force-refresh")).status_code == 200


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_a_slow_refresh_never_loses_a_rotated_token(person, provider, first):
    person.signs_in(provider)
    provider.fault("slow", ms=3000)
    running = person.start("token", "--force-refresh")
    parts.wait_for(provider.refreshes, "the refresh request")
    running.process.send_signal(first)
    done = running.end(30)
    assert (done.code, done.out) == (130, "") and "once more ends at once" in done.err, done
    assert person.token() == provider.issued("access_token")[-1], "the answer was kept"
    assert provider.userinfo(person.token("--force-refresh")).status_code == 200
    assert [request["status"] for request in provider.refreshes()] == [200, 200]


@pytest.mark.parametrize("ignored", ["HUP", "INT"])
def test_a_signal_that_is_ignored_from_the_start_stays_so(person, provider, ignored):
    """As with nohup, and in what a script puts into the background."""
    person.signs_in(provider)
    provider.fault("slow", ms=1500)
    running = person.start("token", "--force-refresh", wrapper=("env", "--ignore-signal=" + ignored))
    parts.wait_for(provider.refreshes, "the refresh request")
    for _ in range(2):
        running.process.send_signal(getattr(signal, "SIG" + ignored))
    done = running.end(30)
    assert done.code == 0 and "interrupted" not in done.err, done


def test_ctrl_c_while_the_discovery_document_does_not_come_ends_the_login(person, provider):
    provider.fault("hang", endpoint="discovery")
    running = person.start("login", "--client-secrets", provider.client_secrets)
    parts.wait_for(lambda: provider.seen("discovery"), "the request for the document")
    interrupted(running)
    assert not person.started_a_browser()
    assert person.profiles() == []


def test_ctrl_c_while_the_keyring_is_silent_ends_the_wait_and_loses_nothing(person, provider):
    person.signs_in(provider)
    person.session.do("freeze")
    running = person.start("token", "--force-refresh")
    running.wait_until_it_says("waiting for")
    interrupted(running)
    person.session.do("thaw")
    assert provider.refreshes() == []
    assert provider.userinfo(person.token("--force-refresh")).status_code == 200


def test_ctrl_c_while_the_refresh_is_answered_never_loses_a_rotated_token(person, provider):
    """The answer counts: whether the process ends with the token or with 130, the new refresh token is stored."""
    person.signs_in(provider)
    for ms in range(0, 120, 10):
        provider.fault("slow", ms=50)
        before = len(provider.refreshes())
        running = person.start("token", "--force-refresh")
        parts.wait_for(lambda: len(provider.refreshes()) > before, "the refresh request")
        time.sleep(ms / 1000)  # the moment of the signal, before, at and after the answer: no wait for anything
        if not running.is_over():
            running.interrupt()
        done = running.end(30)
        assert done.code in (0, 130), done
        parts.wait_for(lambda: "status" in provider.refreshes()[-1], "the provider's end of it")
    assert provider.userinfo(person.token("--force-refresh")).status_code == 200


def test_ctrl_c_at_the_consent_page_leaves_the_old_login_as_it_was(person, provider):
    person.signs_in(provider)
    before = person.session.items()
    person.forget_browser()
    running, params = parts.waiting_login(person, provider)
    interrupted(running)
    assert person.session.items() == before
    assert provider.userinfo(person.token("--force-refresh")).status_code == 200
