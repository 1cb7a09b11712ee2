"""A person signs in through a real browser: the page, the address bar, the exit code, the token."""
import re
import urllib.parse

import parts
import pytest


def loopback_answers(report, redirect_uri):
    """What the browser got from gauth, redirects included, in order."""
    return [v for v in report["visited"] if v["url"].startswith(redirect_uri)]


def redirect_uri(provider):
    return provider.seen("authorization")[-1]["params"]["redirect_uri"]


def test_an_approved_login_ends_with_0_and_a_page_that_names_the_account(person, provider):
    done = person.login(provider, "--json", BROWSER=parts.CHROMIUM)
    assert done.code == 0, done

    assert set(done.json) == {"profile", "issuer", "client_id", "email", "sub", "scopes", "missing_scopes", "store", "expires_at"}
    assert done.json["profile"] == "default"
    assert done.json["issuer"] == provider.issuer
    assert done.json["client_id"] == provider.client()["client_id"]
    assert (done.json["email"], done.json["sub"]) == (parts.ALICE, parts.ALICE)
    assert (sorted(done.json["scopes"]), done.json["missing_scopes"]) == (["email", "openid"], [])
    assert done.json["store"] == "keyring"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", done.json["expires_at"])

    report = person.browser()
    person.keep_screenshot("chromium-signed-in")
    assert report["ok"], report
    assert "signed in" in report["final_text"].lower()
    assert "not signed in" not in report["final_text"].lower()
    assert parts.ALICE in report["final_text"] and "gauth" in report["final_text"]
    parts.assert_no_code(report["final_url"])
    answers = loopback_answers(report, redirect_uri(provider))
    assert [a["status"] for a in answers] == [303, 200]
    for answer in answers:
        parts.assert_strict_headers(answer)

    assert provider.userinfo(person.token()).json()["email"] == parts.ALICE


@pytest.mark.parametrize("action", ["deny", "deny-consent"])
def test_a_denied_login_ends_with_5_and_a_page_that_says_so(person, provider, action):
    done = person.login(provider, "--json", BROWSER=parts.CHROMIUM, BROWSER_ACTION=action)
    assert (done.code, done.out) == (5, ""), done
    assert "access_denied" in done.err, done

    report = person.browser()
    person.keep_screenshot("chromium-" + action)
    assert report["ok"], report
    assert "not signed in" in report["final_text"].lower()
    assert parts.ALICE not in report["final_text"]
    parts.assert_no_code(report["final_url"])
    answers = loopback_answers(report, redirect_uri(provider))
    assert answers
    for answer in answers:
        parts.assert_strict_headers(answer)

    assert provider.seen("token") == []
    assert person.session.items() == []
    assert person.profiles() == []


def test_the_page_shows_no_success_when_the_token_endpoint_fails_after_consent(person, provider):
    provider.fault("oauth-error", error="invalid_grant", count=-1)
    done = person.login(provider, BROWSER=parts.CHROMIUM)
    assert done.code not in (0, 130) and done.out == "", done

    report = person.browser()
    person.keep_screenshot("chromium-exchange-failed")
    assert report["steps"] == ["login", "consent", "final"]
    assert "not signed in" in report["final_text"].lower()
    parts.assert_no_code(report["final_url"])
    assert person.session.items() == []
    assert person.profiles() == []


@pytest.mark.parametrize("action", ["approve", "deny"])
def test_the_page_fits_a_phone_in_the_dark(person, provider, action):
    person.login(provider, BROWSER=parts.CHROMIUM, BROWSER_ACTION=action, BROWSER_SCHEME="dark", BROWSER_PHONE="1")
    report = person.browser()
    person.keep_screenshot("chromium-%s-phone-dark" % action)
    assert report["ok"] and "final" not in report["too_wide"], report


def test_a_reloaded_callback_is_never_exchanged_again(person, provider):
    done = person.login(provider, BROWSER=parts.CHROMIUM, BROWSER_ACTION="approve-twice")
    assert done.code == 0, done
    second = person.browser()["second"]
    assert second != 200, "the replayed callback got status %s" % second
    assert len(provider.seen("token")) == 1


def test_two_logins_use_two_ports_and_fresh_secrets_on_a_literal_loopback_address(person, provider):
    for browser in (parts.CHROMIUM, parts.STAND_IN):
        person.signs_in(provider, BROWSER=browser)
    first, second = [r["params"] for r in provider.seen("authorization") if "state" in r["params"]][-2:]
    for name in ("redirect_uri", "state", "nonce", "code_challenge"):
        assert first[name] != second[name], name
    for params in (first, second):
        uri = urllib.parse.urlsplit(params["redirect_uri"])
        assert uri.scheme == "http" and uri.hostname in ("127.0.0.1", "::1"), uri
        assert params["code_challenge_method"] == "S256"
        assert len(params["state"]) >= 43


def test_a_provider_that_takes_two_logins_of_one_browser_for_one_grant_is_noticed_and_remembered(person, provider, tmp_path):
    """The browser stays signed in, so this provider hangs the second login on the first one's grant: ending the old
    one ends the new one too. That is said at once, and not done again."""
    browser = {"BROWSER": parts.CHROMIUM, "BROWSER_PROFILE": str(tmp_path / "browser")}
    codes = []
    for _ in range(3):
        person.forget_browser()
        done = person.login(provider, **browser)
        person.browser()
        parts.wait_for(lambda: not person.started_processes(), "the browser to let go of its profile")
        codes.append(done.code)
        if done.code == 4:
            assert "gauth login" in done.hint, done
            assert person.gauth("token", "--force-refresh").code == 4
    assert codes == [0, 4, 0]
    assert person.gauth("token", "--force-refresh").code == 0
