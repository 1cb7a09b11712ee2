"""Every secret that the provider gave away, and those that gauth made: looked for where none may be."""
import contextlib
import os
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


@contextlib.contextmanager
def slowly(provider):
    """The token endpoint takes its time, so that there is something to look at."""
    provider.fault("slow", ms=400, count=-1)
    yield
    provider.no_more_faults()


def watched(person, *args, **env):
    running = person.start(*args, **env)
    watch = Watch(person, running)
    done = running.end()
    return done, watch.texts()


def assert_was_watched(texts):
    """A command that asks no provider may be over before the first look; the others are not."""
    assert any(parts.GAUTH in text for text in texts.values()), "nothing was watched"


def forms(secret):
    """As it is, and as it would stand in a URL."""
    return {secret, urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret)}


def assert_absent(secrets, text, where):
    found = sorted(name for name, value in secrets if any(form in text for form in forms(value)))
    assert not found, "%s in %s" % (found, where)


def secrets_so_far(provider, client):
    """Named secrets: what the provider gave away, the client's secret, and what gauth made for its requests."""
    named = [(i["kind"], i["value"]) for i in provider._admin("GET", "/issued")]
    named.append(("client secret", client["client_secret"]))
    for request in provider.seen("token"):
        named += [(k, v) for k, v in request["params"].items() if k in ("code_verifier", "code", "refresh_token")]
    for request in provider.seen("authorization"):
        named += [(k, v) for k, v in request["params"].items() if k in ("state", "nonce")]
    assert {"access_token", "refresh_token", "id_token", "code", "code_verifier", "state", "nonce"} <= {n for n, _ in named}
    return named


@pytest.mark.parametrize("client", ["", "odd-secret"])
def test_no_secret_is_in_stderr_files_arguments_or_environments(person, provider, client):
    runs = []
    with slowly(provider):
        runs.append(watched(person, "-v", "login", "--client-secrets", provider.client_file(client), "--json"))
        runs.append(watched(person, "-v", "token", "--force-refresh"))
        files = {path: path.read_bytes().decode(errors="replace") for path in person.files()}
        runs.append(watched(person, "-v", "token"))
        runs.append(watched(person, "-v", "token", "--force-refresh", "--format", "json"))
        runs.append(watched(person, "-v", "status", "--json"))
        files.update({path: files.get(path, "") + path.read_bytes().decode(errors="replace") for path in person.files()})
        runs.append(watched(person, "-v", "logout"))
    assert [done.code for done, _ in runs] == [0] * 6, runs
    for number in (0, 1, 3):  # those that asked the slow token endpoint
        assert_was_watched(runs[number][1])
    files.update({path: files.get(path, "") + path.read_bytes().decode(errors="replace") for path in person.files()})
    secrets = secrets_so_far(provider, provider.client(client))

    url = person.desk.joinpath("browser.args").read_text().strip()
    for number, (done, texts) in enumerate(runs):
        # the address to open is shown on purpose, and handed to the browser: state and nonce are in it, no more
        assert_absent(secrets, done.err.replace(url, ""), "stderr of run %d" % number)
        for pid, text in texts.items():
            assert_absent(secrets, text.replace(url, ""), "arguments or environment of process %d, run %d" % (pid, number))
    assert_absent([s for s in secrets if s[0] not in ("state", "nonce")], url, "the address that the browser was given")
    login, token, warm, as_json, status, logout = [done for done, _ in runs]
    for done in (login, status, logout):
        assert_absent(secrets, done.out, "an answer that has no token in it")
    for done in (token, warm, as_json):
        assert_absent([s for s in secrets if s[0] != "access_token"], done.out, "an answer that has the access token in it")

    assert files
    for path, text in files.items():
        allowed = ("access_token",) if person.runtime in path.parents else ()
        assert_absent([s for s in secrets if s[0] not in allowed], text, path)
    assert any(person.runtime in path.parents for path in files), "the cache was never seen"


@pytest.mark.parametrize("trouble, code", [
    (dict(kind="oauth-error", error="invalid_client", status=401), None), (dict(kind="503", count=-1), 6),
    (dict(kind="garbage"), None), (dict(kind="truncate-json"), None), (dict(kind="html", status=200), None),
    (dict(kind="redirect"), None), (dict(kind="patch", json={"token_type": "mac"}), None)],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "")
def test_no_secret_is_in_the_message_of_a_refresh_that_failed(person, provider, trouble, code):
    person.signs_in(provider)
    provider.fault(**trouble)
    done = person.gauth("-v", "token", "--force-refresh")
    assert done.code not in (0, 130) and done.code == (code or done.code) and done.out == "", done
    assert_absent(secrets_so_far(provider, provider.client()), done.err, "stderr")


def test_the_watch_would_see_a_secret(person, provider):
    """The hunt itself: a planted value is found in the arguments of gauth and in the environment of its child."""
    provider.fault("slow", ms=400)
    done, texts = watched(person, "login", "--client-secrets", provider.client_secrets, "--login-hint", parts.ALICE,
                          TESTBED_CANARY="the-planted-value")
    assert done.code == 0, done
    assert any("--login-hint\0" + parts.ALICE in text for text in texts.values())
    assert any("the-planted-value" in text for text in texts.values())


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
