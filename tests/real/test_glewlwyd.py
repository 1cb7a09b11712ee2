"""A second provider, in C: compares the redirect URI with its port, gives JWT access tokens, writes `bearer` small."""
import json
import pathlib
import socket

import parts
import pytest

PORT = "50123"  # one of the two that its client is registered with


@pytest.fixture
def glewlwyd(request):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with parts.started(["python3", "glewlwyd.py"], PORT=str(port), ACCESS_TOKEN_TTL="3600", **getattr(request, "param", {})) as info:
        yield info


def introspect(glewlwyd, token):
    client = json.loads(pathlib.Path(glewlwyd["client_secrets"]).read_text())["installed"]
    answer = parts.http("POST", client["token_uri"].replace("/token", "/introspect"), data={"token": token},
                        auth=(client["client_id"], client["client_secret"]))
    answer.raise_for_status()
    return answer.json()["active"]


def stored_refresh_token(person):
    (_, secret), = person.session.items()
    return json.loads(secret)["refresh_token"]


def test_login_refresh_with_rotation_and_logout_at_glewlwyd(person, glewlwyd):
    done = person.gauth("login", "--issuer", glewlwyd["issuer"], "--client-secrets", glewlwyd["client_secrets"],
                        "--port", PORT, "--json")
    assert done.code == 0, done
    assert done.json["issuer"] == glewlwyd["issuer"]
    assert sorted(done.json["scopes"]) == ["email", "openid"]
    assert "signed in" in person.browser()["final_text"].lower()

    first, old = person.token(), stored_refresh_token(person)
    second, new = person.token("--force-refresh"), stored_refresh_token(person)
    assert second != first and new != old
    assert introspect(glewlwyd, second) and introspect(glewlwyd, new)
    assert not introspect(glewlwyd, old)

    done = person.gauth("logout")
    assert done.code == 0, done
    assert not introspect(glewlwyd, new)
    assert person.session.items() == []


@pytest.mark.parametrize("glewlwyd", [{"ISSUER_PATH": ""}], indirect=True, ids=["no-discovery"])
def test_the_client_file_alone_is_enough_for_login_and_refresh(person, glewlwyd):
    done = person.gauth("login", "--client-secrets", glewlwyd["client_secrets"], "--port", PORT, "--json")
    assert done.code == 0, done
    token = person.token("--force-refresh")
    assert introspect(glewlwyd, token)


def test_a_taken_port_is_an_error_before_anybody_is_asked(person, provider):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = person.login(provider, "--port", port)
    assert done.code == 1 and done.out == "", done
    assert port in done.err, done
    assert not person.started_a_browser()
    assert provider.seen("authorization") == []
