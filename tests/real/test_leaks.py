"""Every secret that the provider gave away, and those that gauth made: looked for where none may be (L-18, L-19)."""
import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import urllib.parse

import parts
import pytest


class Watch:
    """Looks at the arguments and the environment of gauth and its children while it runs."""

    def __init__(self, person, running):
        self.person, self.running = person, running
        self.seen = {}  # pid: every state of its arguments and environment
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        while not self.running.is_over():
            for pid in {self.running.pid, *self.person.started_processes()}:
                self.seen.setdefault(pid, set()).update({parts.arguments(pid), parts.environment(pid)})

    def texts(self):
        self.thread.join(10)
        return {pid: b"\0".join(seen).decode(errors="replace") for pid, seen in self.seen.items()}


def in_base64(value):
    """What every base64 text has that holds it, wherever it begins there; in both alphabets."""
    found = set()
    for before in range(3):
        text = base64.b64encode(b"\0" * before + value.encode()).decode().rstrip("=")[before + (before > 0):-1]
        found |= {text, text.replace("+", "-").replace("/", "_")}
    return found


class Hunt:
    """Runs commands at their most talkative, keeps all that they show and leave, and looks for the secrets in it."""

    def __init__(self, person, provider, client=""):
        self.person, self.provider, self.client = person, provider, client
        self.tmp = person.home / "tmp"  # beside the other files of the home, which is the working directory as well
        self.tmp.mkdir()
        self.addresses = []  # that the person was to open
        self.places = []  # where, what is there, and the kinds of secrets that may be there

    def run(self, *args, prints=(), **env):
        running = self.person.start("-vvv", *args, TMPDIR=str(self.tmp), RUST_LOG="trace", RUST_BACKTRACE="full", **env)
        watch = Watch(self.person, running)
        done, texts = running.end(), watch.texts()
        what = " ".join(args)
        for address in re.findall(r"(?m)^  (http\S+/auth\?\S+)$", done.err):
            self.addresses.append(address)
            self.add("the address of " + what, address, "state", "nonce")
        self.add("stderr of " + what, self.without_addresses(done.err))
        self.add("stdout of " + what, done.out, *prints)
        for text in texts.values():
            self.add("arguments or environment during " + what, self.without_addresses(text))
        self.look_at_files()
        return done, texts

    def without_addresses(self, text):
        """The address to open is shown on purpose, and handed to the browser, which may outlive its login."""
        for address in self.addresses:
            text = text.replace(address, "")
        return text

    def look_at_files(self):
        for path in self.person.files():
            self.add(str(path), path.read_bytes().decode(errors="replace"), *self.kinds_allowed_in(path))

    def kinds_allowed_in(self, path):
        return ["access_token"] if self.person.runtime in pathlib.Path(path).parents else []

    def add(self, where, text, *kinds):
        self.places.append((where, text, kinds))

    def secrets(self):
        """With its kind: what the provider gave away, the client's secret, what gauth made for requests and store."""
        found = [(i["kind"], i["value"]) for i in self.provider._admin("GET", "/issued")]
        found.append(("client secret", self.provider.client(self.client)["client_secret"]))
        for request in self.provider.seen("token"):
            found += [(k, v) for k, v in request["params"].items() if k in ("code_verifier", "code", "refresh_token")]
        for request in self.provider.seen("authorization"):
            found += [(k, v) for k, v in request["params"].items() if k in ("state", "nonce")]
        found += [("rescue key", json.loads(secret)["rescue_key"]) for _, secret in self.person.session.items()]
        return set(found)

    def where(self, kind, value):
        """The places where it is and may not be: as it is, as it would stand in a URL, or within base64."""
        forms = {value, urllib.parse.quote(value, safe=""), urllib.parse.quote_plus(value)} | in_base64(value)
        return {where for where, text, kinds in self.places
                if kind not in kinds and any(form in text for form in forms)}

    def assert_nothing_found(self, secrets):
        kinds = {kind for kind, _ in secrets}
        assert kinds >= {"access_token", "refresh_token", "id_token", "code", "code_verifier", "state", "nonce",
                         "client secret", "rescue key"}
        found = sorted((kind, where) for kind, value in secrets for where in self.where(kind, value))
        assert not found, found
        parts.figure("secrets hunted", len({value for _, value in secrets}))


LIFE = [  # of a login: commands that work, and whether they are to print an access token
    (("token", "--force-refresh"), True),
    (("token",), True),
    (("token", "--force-refresh", "--format", "json"), True),
    (("token", "--format", "header"), True),
    (("token", "--format", "curl"), True),
    (("token", "--scope", "openid"), True),
    (("token", "--scope", "openid", "--force-refresh", "--json"), True),
    (("status", "--json"), False),
    (("list", "--json"), False),
    (("use", "default"), False),
]


@pytest.mark.parametrize("client", ["", "odd-secret"])
def test_no_secret_is_in_anything_that_gauth_shows_or_leaves_from_login_to_logout(person, provider, client):
    hunt = Hunt(person, provider, client)
    provider.fault("slow", ms=200, count=-1)  # so that there is something to watch
    runs = [hunt.run("login", "--client-secrets", provider.client_file(client), "--json")]
    runs += [hunt.run(*command, prints=["access_token"] * prints) for command, prints in LIFE]
    secrets = hunt.secrets()
    runs.append(hunt.run("logout"))
    assert {done.code for done, _ in runs} == {0}, runs

    asking = [(done, texts) for done, texts in runs if "POST" in done.err and "status 200" in done.err]
    assert len(asking) == len(provider.seen("token") + provider.seen("revocation")) == 6, "not talkative"
    for _, texts in asking[:-1]:  # the provider is slow to give tokens, and quick to revoke them
        assert any(parts.GAUTH in text for text in texts.values()), "nothing was watched"
    for (done, _), (command, prints) in zip(runs[1:], LIFE):
        assert prints == any(token in done.out for token in provider.issued("access_token")), (command, done)
    for folder in (person.runtime, person.home / ".config"):
        assert any(where.startswith(str(folder)) for where, _, _ in hunt.places), folder
    hunt.assert_nothing_found(secrets | hunt.secrets())


FAILURES = [  # the command, its exit code, and what the provider or the person does
    (("token", "--force-refresh"), 3, dict(kind="oauth-error", error="invalid_client", status=401)),
    (("token", "--force-refresh"), 6, dict(kind="503", count=-1)),
    (("token", "--force-refresh"), 6, dict(kind="truncate")),
    (("token", "--force-refresh"), 6, dict(kind="lost")),
    (("token", "--force-refresh"), 1, dict(kind="truncate-json")),
    (("token", "--force-refresh"), 1, dict(kind="garbage")),
    (("token", "--force-refresh"), 1, dict(kind="html", status=200)),
    (("token", "--force-refresh"), 1, dict(kind="redirect")),
    (("token", "--force-refresh"), 1, dict(kind="patch", json={"token_type": "mac"})),
    (("token", "--force-refresh"), 1, dict(kind="patch", json={"access_token": "a\nb"})),
    (("token", "--force-refresh"), 1, dict(kind="patch", json={"id_token": "no.token.really"})),
    (("token", "--scope", "https://api.example.test/auth/read"), 4, None),
    (("token", "--profile", "nobody"), 4, None),
    (("login", "--timeout", "soon"), 2, None),
    (("login", "--timeout", "1s"), 5, "leave-login"),
    (("login",), 5, "deny"),
    (("login", "--login-hint", parts.BOB), 5, None),
    (("login",), 6, dict(kind="lost")),
    (("login",), 1, dict(kind="patch", json={"id_token": None})),
    (("login",), 1, dict(kind="garbage", endpoint="jwks")),
    (("login",), 1, dict(kind="callback", set={"iss": "https://other.example.test"})),
    (("logout",), 6, dict(kind="503", count=-1, endpoint="revocation")),
    (("token",), 4, None),
]


def test_no_secret_is_in_anything_that_a_failing_command_shows_or_leaves(person, provider):
    hunt = Hunt(person, provider)
    provider.set(rotate=False)  # a lost answer loses nothing, and the next command has a grant to fail with
    assert hunt.run("login", "--client-secrets", provider.client_secrets)[0].code == 0
    secrets = hunt.secrets()
    for command, code, trouble in FAILURES:
        if isinstance(trouble, dict):
            provider.fault(**trouble)
        done, _ = hunt.run(*command, BROWSER_ACTION=trouble if isinstance(trouble, str) else None)
        provider.no_more_faults()
        assert (done.code, done.out) == (code, ""), (command, trouble, done)
    hunt.assert_nothing_found(secrets | hunt.secrets())


def test_no_secret_is_written_to_a_file_even_for_a_moment(person, provider):
    hunt, trace = Hunt(person, provider), person.desk / "trace"
    strace = ("strace", "-f", "-y", "-s", "65536", "-o", str(trace), "-e", "trace=write,writev,pwrite64,pwritev")
    written, secrets = {}, set()
    for command in (("login", "--client-secrets", provider.client_secrets), ("token", "--force-refresh"),
                    ("token", "--scope", "openid"), ("use", "default"), ("logout",)):
        done = person.start(*command, wrapper=strace, TMPDIR=str(hunt.tmp)).end()
        assert done.code == 0, done
        secrets |= hunt.secrets()
        for path, what in re.findall(r"(?m)^\d+ +\w+\(\d+<(/(?!dev/)[^>]*)>, (.*)", trace.read_text(errors="replace")):
            if person.desk not in pathlib.Path(path).parents:  # the browser's own
                written[path] = written.get(path, "") + what
    assert any("profiles.toml" in path for path in written), written.keys()
    assert any(token in what for token in provider.issued("access_token") for what in written.values()), "no cache"
    for path, what in written.items():
        hunt.add(path, what, *hunt.kinds_allowed_in(path))
    hunt.assert_nothing_found(secrets)


def test_the_hunt_would_find_a_secret(person, provider):
    """Planted values are found: in an argument, in an environment, on stdout, in the address, and in files."""
    hunt, canary = Hunt(person, provider), "the-planted/value"
    provider.fault("slow", ms=400)
    for folder in (person.home, hunt.tmp, person.runtime):
        (folder / "canary").write_text("a line with " + urllib.parse.quote(canary, safe=""))
    for before in range(3):
        pair = "x" * before + canary + "yz"
        (hunt.tmp / ("in base64 %d" % before)).write_bytes(b"Basic " + base64.b64encode(pair.encode()))
    done, _ = hunt.run("login", "--client-secrets", provider.client_secrets, "--login-hint", parts.ALICE, "--json",
                       TESTBED_CANARY=canary)
    assert done.code == 0, done
    during = "arguments or environment during"
    found = hunt.where("refresh_token", canary)
    assert {str(folder / "canary") for folder in (person.home, hunt.tmp, person.runtime)} < found
    assert {str(hunt.tmp / ("in base64 %d" % before)) for before in range(3)} < found
    assert any(where.startswith(during) for where in found)
    assert {where.split(" of ")[0] for where in hunt.where("refresh_token", parts.ALICE)} >= {"stdout", "the address"}
    assert any(where.startswith(during) for where in hunt.where("state", parts.ALICE))
    with pytest.raises(AssertionError):
        hunt.assert_nothing_found(hunt.secrets() | {("refresh_token", canary)})


def test_nobody_but_root_may_look_into_a_running_gauth():
    """Requirements L-19: not dumpable, so its memory and its environment are closed even to the same user.

    Root may look into anything, so as root it is somebody else's gauth that is looked at.
    """
    user = os.getuid() or 65534
    other = [] if os.getuid() else ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        program = shutil.copy(parts.GAUTH, folder)
        running = subprocess.Popen([*other, program, "sandbox"], env=parts.PLAIN, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            def is_closed():
                assert running.poll() is None, "gauth sandbox ended with %s" % running.returncode
                status = parts.proc(running.pid, "status").decode()
                return (parts.arguments(running.pid).startswith(program.encode())
                        and re.search(r"(?m)^Uid:\s+%d\b" % user, status)
                        and os.stat("/proc/%d/mem" % running.pid).st_uid == 0)
            parts.wait_for(is_closed, "a gauth that is closed to its own user", 5)
        finally:
            running.kill()
            running.wait()
