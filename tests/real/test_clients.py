"""Other clients and other people: public, an odd secret, no refresh token, the wrong account."""
import parts
import pytest


@pytest.mark.parametrize("client", ["public", "odd-secret"])
def test_a_client_with_no_secret_or_an_odd_one_signs_in_refreshes_and_signs_out(person, provider, client):
    done = person.signs_in(provider, client=client)
    assert done.json["client_id"] == "testbed-" + client
    token = person.token("--force-refresh")
    assert provider.userinfo(token).json()["email"] == parts.ALICE
    assert [r["status"] for r in provider.seen("token")] == [200, 200]

    assert person.gauth("logout").code == 0
    assert provider.userinfo(token).status_code == 401
    assert [r["status"] for r in provider.seen("revocation")] == [200] * len(provider.seen("revocation")) != []


def test_a_login_without_a_refresh_token_fails_with_the_remedy_and_stores_nothing(person, provider):
    done = person.login(provider, client="no-refresh")
    assert (done.code, done.out) == (5, ""), done
    assert "refresh token" in done.err, done
    assert "--prompt consent" in done.hint or "offline" in done.hint, done
    assert "not signed in" in person.browser()["final_text"].lower()
    assert person.session.items() == []
    assert person.profiles() == []


def test_somebody_else_signing_in_is_exit_5_and_stores_nothing(person, provider):
    done = person.login(provider, "--login-hint", parts.ALICE, BROWSER_LOGIN=parts.BOB)
    assert (done.code, done.out) == (5, ""), done
    assert parts.ALICE in done.err and parts.BOB in done.err, done
    assert "not signed in" in person.browser()["final_text"].lower()
    assert person.session.items() == []
    assert person.profiles() == []


def test_two_profiles_are_two_people_and_logout_ends_one(person, provider):
    person.signs_in(provider, "--profile", "a")
    person.signs_in(provider, "--profile", "b", BROWSER_LOGIN=parts.BOB)
    alice, bob = person.token("--profile", "a"), person.token("--profile", "b")
    assert provider.userinfo(alice).json()["email"] == parts.ALICE
    assert provider.userinfo(bob).json()["email"] == parts.BOB
    assert len(person.session.items()) == 2

    assert person.gauth("logout", "--profile", "b").code == 0
    assert provider.userinfo(bob).status_code == 401
    assert provider.userinfo(person.token("--profile", "a", "--force-refresh")).status_code == 200
