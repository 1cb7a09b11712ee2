"""KeePassXC as the keyring: another Secret Service with ideas of its own."""
import parts
import pytest


@pytest.fixture
def keyring(tmp_path):
    with parts.keyring("keepassxc", tmp_path) as session:
        yield session


def test_login_refresh_and_logout_with_keepassxc(person, provider):
    assert person.signs_in(provider).json["store"] == "keyring"
    newest = person.token("--force-refresh")
    assert provider.userinfo(newest).status_code == 200
    assert any(provider.issued("refresh_token")[-1].encode() in secret for _, secret in person.session.items())

    assert person.gauth("logout").code == 0
    assert provider.userinfo(newest).status_code == 401
    assert not any(b"refresh" in secret for _, secret in person.session.items())


def test_a_locked_keepassxc_is_exit_7_for_a_refresh_and_the_cached_token_still_comes(person, provider):
    person.signs_in(provider)
    token = person.token()
    person.session.do("lock")
    parts.assert_store_said_no(person.gauth("token", "--force-refresh"))
    assert provider.refreshes() == []
    assert person.token() == token
