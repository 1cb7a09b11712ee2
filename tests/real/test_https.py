"""A provider over https whose certificate comes from an authority of its own."""
import parts
import pytest

CA = str(parts.CERTS / "ca.pem")


def test_the_own_authority_is_trusted_when_it_is_named(person):
    with parts.https_provider() as provider:
        done = person.signs_in(provider, SSL_CERT_FILE=CA)
        assert done.json["issuer"].startswith("https://localhost:")
        token = person.token("--force-refresh", SSL_CERT_FILE=CA)
        assert provider.userinfo(token).json()["email"] == parts.ALICE
        assert person.gauth("logout", SSL_CERT_FILE=CA).code == 0
        assert provider.userinfo(token).status_code == 401


@pytest.mark.parametrize("certificate, authority", [
    ("server", None), ("wrong-host", CA), ("expired", CA), ("self-signed", CA)],
    ids=["unknown-authority", "wrong-host", "expired", "self-signed"])
def test_a_certificate_that_does_not_hold_ends_the_login_before_anything_is_sent(person, certificate, authority):
    with parts.https_provider(certificate) as provider:
        done = person.login(provider, SSL_CERT_FILE=authority)
        assert done.code in (3, 6) and done.out == "", done
        assert "certificate" in done.err.lower(), done
        assert not person.started_a_browser()
        assert provider.seen("token") == provider.seen("discovery") == []
    assert person.session.items() == []
    assert person.profiles() == []


def test_a_refresh_token_is_not_sent_to_a_server_whose_certificate_expired(person):
    with parts.https_provider() as provider:
        port = provider.issuer.rsplit(":", 1)[1]
        person.signs_in(provider, SSL_CERT_FILE=CA)
    before = person.session.items()
    with parts.https_provider("expired", PORT=port) as provider:
        done = person.gauth("token", "--force-refresh", SSL_CERT_FILE=CA)
        assert done.code in (3, 6) and done.out == "", done
        assert provider.seen("token") == []
    assert person.session.items() == before
