"""Machines with IPv4 alone, IPv6 alone, both, and none: the whole way from login to logout in each (N-5)."""
import contextlib
import json
import socket
import subprocess
import sys
import threading
import urllib.parse

import parts
import pytest
from test_disk import Namespace, assert_failed, secrets

V4, V6 = "127.0.0.1", "::1"
FAMILIES = pytest.mark.parametrize("setup, addresses", [
    ("true", [V4, V6]),
    ("sysctl -qw net.ipv6.conf.all.disable_ipv6=1", [V4]),
    ("ip addr del 127.0.0.1/8 dev lo", [V6]),
], ids=["both", "IPv4-only", "IPv6-only"])

LISTEN = """
import socket, sys
address, port, reply = sys.argv[1], int(sys.argv[2]), socket.socket(fileno=int(sys.argv[3]))
there = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
socket.send_fds(reply, [b"."], [there.fileno()])
"""


def literal(address):
    return "[%s]" % address if ":" in address else address


class Machine:
    """A network with nothing in it but its own loopback interface."""

    def __init__(self):
        self.namespace = Namespace("net")
        self.sockets = []

    def listens(self, address, port=0):
        """A listening socket of that machine, in our hands: a socket stays in the network in which it was made."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            command = [*self.namespace.enter, sys.executable, "-c", LISTEN, address, str(port), str(theirs.fileno())]
            subprocess.run(command, pass_fds=[theirs.fileno()], check=True, capture_output=True)
            _, [fd], _, _ = socket.recv_fds(ours, 1, 1)
        self.sockets.append(socket.socket(fileno=fd))
        return self.sockets[-1]

    def can_listen(self, address):
        with contextlib.suppress(subprocess.CalledProcessError):
            return bool(self.listens(address))

    def leads_to(self, address, port):
        """What connects there, on that machine, is led to the same port of this one."""
        listener = self.listens(address, port)

        def serve():
            with contextlib.suppress(OSError):  # closed: the machine is gone
                while True:
                    inside, _ = listener.accept()
                    outside = socket.create_connection((V4, port))
                    for pair in ((inside, outside), (outside, inside)):
                        threading.Thread(target=pump, args=pair, daemon=True).start()
        threading.Thread(target=serve, daemon=True).start()

    def close(self):
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self.namespace.close()


def pump(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def machine(person):
    with contextlib.closing(Machine()) as machine:
        machine.namespace.takes_in(person)
        yield machine


@contextlib.contextmanager
def provider_on(machine, address):
    """A provider that is at this address for those on the machine, and can be asked from here as well."""
    with parts.provider(HOST=literal(address)) as provider:
        port = urllib.parse.urlsplit(provider.issuer).port
        machine.leads_to(address, port)
        provider.issuer = "http://%s:%d" % (V4, port)
        yield provider


def bring_up(machine, setup, addresses):
    machine.namespace.do("ip link set lo up; " + setup)
    assert [a for a in (V4, V6) if machine.can_listen(a)] == addresses


@FAMILIES
def test_login_token_logout_and_a_chosen_port_work_with_the_literal_of_the_family_that_there_is(
        person, machine, setup, addresses):
    bring_up(machine, setup, addresses)
    with provider_on(machine, addresses[0]) as provider:
        uri = parts.printed_redirect_uri(person.signs_in(provider))
        assert uri.netloc == "%s:%d" % (literal(addresses[0]), uri.port)
        [asked] = provider.seen("authorization")
        assert asked["params"]["redirect_uri"] == uri.geturl()
        assert "signed in" in person.browser()["final_text"].lower()

        for args in ([], ["--force-refresh"]):
            assert provider.userinfo(person.token(*args)).json()["email"] == parts.ALICE
        refresh = provider.issued("refresh_token")[-1]
        assert person.gauth("logout").code == 0
        assert not provider.is_active(refresh)
        assert secrets(person) == [] and person.profiles() == []

        assert_an_occupied_port_is_an_error_before_any_address_is_shown(person, machine, provider, addresses[0])


def assert_an_occupied_port_is_an_error_before_any_address_is_shown(person, machine, provider, address):
    asked = len(provider.seen("authorization"))
    person.forget_browser()
    occupied = machine.listens(address)
    port = occupied.getsockname()[1]
    done = person.login(provider, "--port", str(port))
    assert_failed(done, 1, "--port")
    assert "port %d on %s is not free" % (port, address) in done.err, done
    assert "redirect_uri" not in done.err and "http" not in done.err, done
    assert len(provider.seen("authorization")) == asked and not person.started_a_browser()
    assert secrets(person) == [] and person.profiles() == []

    occupied.close()
    assert parts.printed_redirect_uri(person.signs_in(provider, "--port", str(port))).port == port


@FAMILIES
def test_the_demo_works_on_every_machine(person, machine, setup, addresses):
    bring_up(machine, setup, addresses)
    done = person.gauth("demo", "--no-browser")
    assert done.code == 0, done


@pytest.fixture
def google(tmp_path):
    """Its endpoints need no discovery, so that nothing can fail before the listener."""
    file = tmp_path / "google.json"
    file.write_text(json.dumps({"installed": {
        "client_id": "client", "client_secret": "secret", "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token"}}))
    return str(file)


@pytest.mark.parametrize("trouble, remedy", [
    ("true", "ip link set lo up"),
    ("ip link set lo up; ip link set lo down", "ip link set lo up"),
    ("ip link set lo up; ip addr flush dev lo", "ip addr add 127.0.0.1/8 dev lo"),
], ids=["never-up", "down", "without-addresses"])
def test_a_machine_without_a_loopback_says_so_before_any_address_is_shown(person, machine, google, trouble, remedy):
    """An address that no browser can come back to would only be waited for in vain."""
    machine.namespace.do(trouble)
    done = person.gauth("login", "--client-secrets", google, "--timeout", "1s")
    assert_failed(done, 1, "ip link set lo up")
    assert "loopback" in done.err and "redirect_uri" not in done.err, done
    assert not person.started_a_browser() and person.profiles() == [] and secrets(person) == []

    machine.namespace.do(remedy)
    done = person.gauth("login", "--client-secrets", google, "--no-browser", "--timeout", "1s")
    assert done.code == 5, done  # it listened, and nobody came
    assert parts.printed_redirect_uri(done).hostname == V4


def test_a_provider_that_nothing_reaches_was_not_asked_and_the_error_says_so(person, machine):
    """With the loopback down every packet to it is lost without a word: no connection, so no lost answer either."""
    bring_up(machine, "true", [V4, V6])
    with provider_on(machine, V4) as provider:
        person.signs_in(provider)
        token = person.token()
        machine.namespace.do("ip link set lo down")
        done = person.gauth("token", "--force-refresh")
        assert_failed(done, 6, "nothing was lost")
        assert "cannot be reached" in done.err, done
        assert person.token() == token
        machine.namespace.do("ip link set lo up")
        assert provider.refreshes() == []
        assert provider.userinfo(person.token("--force-refresh")).status_code == 200
