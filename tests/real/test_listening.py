"""The loopback listener: only on loopback, only while a login waits, strict in every answer."""
import http.client
import ipaddress
import urllib.parse

import parts
import pytest


def ask(params, path, method="GET", **headers):
    """One request to the waiting listener, by itself and with these headers over the usual ones."""
    uri = urllib.parse.urlsplit(params["redirect_uri"])
    connection = http.client.HTTPConnection(uri.hostname, uri.port, timeout=10)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Host": uri.netloc, **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return {"status": answer.status, "headers": dict(answer.getheaders()), "text": body}


def test_a_waiting_login_listens_on_loopback_only_and_nothing_listens_after_ctrl_c(person, provider):
    running, params = parts.waiting_login(person, provider)
    uri = urllib.parse.urlsplit(params["redirect_uri"])
    assert parts.listening(uri.port) == [uri.hostname]
    assert ipaddress.ip_address(uri.hostname).is_loopback
    assert not parts.is_refused(uri.hostname, uri.port)

    running.interrupt()
    done = running.end(5)
    assert (done.code, done.out) == (130, ""), done
    assert parts.listening(uri.port) == []
    assert parts.is_refused(uri.hostname, uri.port)
    assert person.session.items() == []
    assert person.profiles() == []
    assert provider.seen("token") == []


def test_a_login_binds_one_loopback_port_and_token_and_logout_bind_none(person, provider):
    _, calls = parts.traced(person, "bind,listen", "login", "--client-secrets", provider.client_secrets)
    own = [line for line in calls if "execve(" not in line and "AF_UNIX" not in line and "AF_NETLINK" not in line]
    binds, listens = [[line for line in own if name in line] for name in (" bind(", " listen(")]
    assert len(binds) == len(listens) == 1, own
    assert '"127.0.0.1"' in binds[0] or '"::1"' in binds[0], binds
    for command in (("token", "--force-refresh"), ("logout",)):
        _, calls = parts.traced(person, "bind,listen", *command)
        assert [line for line in calls if "listen(" in line or "AF_INET" in line] == []


def test_the_port_is_closed_after_a_login_that_worked_and_after_one_that_timed_out(person, provider):
    worked = parts.printed_redirect_uri(person.signs_in(provider))
    done = person.login(provider, "--timeout", "1s", BROWSER_ACTION="leave-login")
    assert (done.code, done.out) == (5, ""), done
    timed_out = parts.printed_redirect_uri(done)
    assert worked.port != timed_out.port
    for uri in (worked, timed_out):
        assert parts.is_refused(uri.hostname, uri.port), uri


def test_every_answer_has_the_strict_headers_and_no_stranger_ends_the_login(person, provider):
    running, params = parts.waiting_login(person, provider, "--json")
    path = urllib.parse.urlsplit(params["redirect_uri"]).path
    state, wrong = params["state"], "x" * 43
    strangers = [
        ask(params, path),
        ask(params, path + "?code=c&state=" + wrong),
        ask(params, path + "?error=access_denied"),
        ask(params, path + "?error=access_denied&state=" + wrong),
        ask(params, path + "?code=c&state=%s&state=%s" % (state, state)),
        ask(params, path + "?code=c&code=d&state=" + state),
        ask(params, "/favicon.ico"),
        ask(params, "/somewhere/else?state=" + state),
        ask(params, path + "?code=c&state=" + state, "HEAD"),
        ask(params, path + "?code=c&state=" + state, "POST"),
        ask(params, path + "?code=c&state=" + state, "OPTIONS"),
        ask(params, path + "?code=c&state=" + state, Host="evil.example.test"),
        ask(params, path + "?code=c&state=" + state, Host="127.0.0.1"),
        ask(params, path + "?error=<script>alert(1)</script>&state=" + wrong),
    ]
    for answer in strangers:
        assert 400 <= answer["status"] < 500 or answer["status"] == 204, answer
        parts.assert_strict_headers(answer)
        assert "<script" not in answer["text"].lower() and state not in answer["text"]
    assert not running.is_over()
    assert provider.seen("token") == []

    last = ask(params, path + "?" + urllib.parse.urlencode({
        "error": "access_denied", "error_description": "<script>alert(1)</script>", "state": state, "iss": provider.issuer}))
    parts.assert_strict_headers(last)
    assert "<script" not in last["text"].lower() and state not in last["text"]
    assert running.end(10).code == 5


@pytest.mark.parametrize("tampering", [{"set": {"iss": "https://evil.example.test"}}, {"drop": ["iss"]}], ids=["other", "none"])
def test_a_callback_from_another_issuer_stores_nothing(person, provider, tampering):
    """This provider announces `iss` (RFC 9207): another one, or none, is not its answer."""
    provider.fault("callback", **tampering)
    done = person.login(provider)
    assert done.code not in (0, 130) and done.out == "", done
    assert provider.seen("token") == []
    assert person.session.items() == []


def test_a_callback_with_a_forged_state_leaves_the_login_waiting(person, provider):
    provider.fault("callback", set={"state": "x" * 43})
    done = person.login(provider, "--timeout", "2s")
    assert (done.code, done.out) == (5, ""), done
    assert person.browser()["status"] == 400
    assert provider.seen("token") == []


@pytest.mark.parametrize("where", [{"BROWSER": None, "DISPLAY": None}, {"SSH_CONNECTION": "192.0.2.7 50022 192.0.2.9 22"}],
                         ids=["no-display", "ssh"])
def test_a_person_whose_browser_is_elsewhere_gets_the_line_that_forwards_the_port(person, provider, where):
    done = person.login(provider, "--no-browser", "--timeout", "1s", **where)
    assert done.code == 5, done
    port = parts.printed_redirect_uri(done).port
    assert "ssh -L %d:127.0.0.1:%d " % (port, port) in done.err, done
    assert not person.started_a_browser()


def test_pages_need_nothing_from_elsewhere(person, provider):
    person.signs_in(provider)
    signed_in = person.browser()["final_text"]
    person.forget_browser()
    person.login(provider, "--login-hint", parts.ALICE, BROWSER_LOGIN=parts.BOB)
    not_signed_in = person.browser()["final_text"]
    for page in (signed_in, not_signed_in):
        low = page.lower()
        assert low.lstrip().startswith("<!doctype html>")
        for word in ("<script", "src=", "url(", "@import", "<link", "<iframe", "javascript:", " onload", " onclick"):
            assert word not in low, word
        assert 'name="viewport"' in low and "prefers-color-scheme" in low
