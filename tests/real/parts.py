"""The real parts that the tests put together: a provider, a keyring, a browser, and a person who runs gauth."""
import contextlib
import functools
import glob
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid

import requests
import secretstorage
from jeepney.io.blocking import open_dbus_connection

PROJECT = pathlib.Path(__file__).resolve().parents[2]
TESTBED = PROJECT / "tests" / "testbed"
CERTS = TESTBED / "state" / "certs"
GAUTH = os.environ.get("GAUTH_UNDER_TEST") or str(PROJECT / "target" / "release" / "gauth")
OUTPUT = PROJECT / "target" / "real"  # screenshots and logs, kept
FIGURES = os.environ.get("GAUTH_TEST_FIGURES")

CHROMIUM = str(TESTBED / "browser.sh")
STAND_IN = str(TESTBED / "browser_http.py")  # no browser: the same pages by plain HTTP, in a fifth of a second

ALICE, BOB = "alice@example.test", "bob@example.test"

# What a command may need beyond its home: where programs are, and a locale. Nothing of the tester's own session.
PLAIN = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}


def wait_for(condition, what, seconds=20):
    """The first true value of condition(), asked for again and again until the deadline."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited %s s for %s" % (seconds, what)
        time.sleep(0.02)
    return value


def figure(what, count):
    """Adds to the figures that tests/run prints at its end: how many of what were met and came out right."""
    if FIGURES:
        with open(FIGURES, "a") as figures:
            figures.write("%d %s\n" % (count, what))


def http(method, url, **more):
    """One request straight to this machine, whatever proxy the tester's session names."""
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, timeout=5, **more)


def in_background(*command, **more):
    """Starts a process that ends with this one."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "TERM", "--", *command], **more)


# --------------------------------------------------------------- provider --

class Provider:
    """A running provider: what it says about itself when ready, and its admin port."""

    def __init__(self, info):
        self.info = info
        self.issuer = info["issuer"]
        self.client_secrets = info["client_secrets"]
        self.verify = True

    def client_file(self, name):
        return self.client_secrets if not name else self.client_secrets.replace(".json", ".%s.json" % name)

    def client(self, name=""):
        return json.loads(pathlib.Path(self.client_file(name)).read_text())["installed"]

    # what it saw and handed out

    def _admin(self, method, path, **more):
        answer = http(method, self.info["admin"] + path, **more)
        answer.raise_for_status()
        return answer.json()

    def seen(self, endpoint):
        return self._admin("GET", "/requests?endpoint=" + endpoint)

    def refreshes(self):
        return [r for r in self.seen("token") if r["params"].get("grant_type") == "refresh_token"]

    def issued(self, kind=None):
        """Every secret it gave away, oldest first."""
        return [i["value"] for i in self._admin("GET", "/issued") if kind in (None, i["kind"])]

    def set(self, **settings):
        self._admin("POST", "/settings", json=settings)

    def fault(self, kind, **more):
        self._admin("POST", "/faults", json={"kind": kind, **more})

    def no_more_faults(self):
        self._admin("DELETE", "/faults")

    def withdraw_consent(self):
        self._admin("POST", "/revoke")

    # what the tokens are worth to it

    def userinfo(self, access_token):
        return http("GET", self.issuer + "/me", headers={"Authorization": "Bearer " + access_token}, verify=self.verify)

    def is_active(self, token):
        client = self.client()
        answer = http("POST", self.issuer + "/token/introspection", verify=self.verify, data={
            "client_id": client["client_id"], "client_secret": client["client_secret"], "token": token})
        answer.raise_for_status()
        return answer.json()["active"]


@contextlib.contextmanager
def started(command, **env):
    """A server that prints one line of JSON when it is ready, and ends on SIGTERM."""
    with tempfile.TemporaryDirectory(prefix="gauth-real-provider-") as folder:
        with open(folder + "/stderr", "w") as stderr:
            process = in_background(*command, cwd=TESTBED, text=True, stdout=subprocess.PIPE, stderr=stderr,
                                    stdin=subprocess.DEVNULL, env={**PLAIN, "HOME": folder, "STATE_DIR": folder, **env})
        giving_up = threading.Timer(30, process.kill)
        giving_up.start()
        try:
            line = process.stdout.readline()
            giving_up.cancel()
            assert line, "%s did not start: %s" % (command, pathlib.Path(folder + "/stderr").read_text())
            yield json.loads(line)
        finally:
            giving_up.cancel()
            process.terminate()
            process.wait(15)


@contextlib.contextmanager
def provider(**env):
    """npm oidc-provider on free ports, with tokens that live an hour unless told otherwise."""
    env = {"PORT": "0", "ADMIN_PORT": "0", "ACCESS_TOKEN_TTL": "3600", **env}
    with started(["node", "server.mjs"], **env) as info:
        yield Provider(info)


@contextlib.contextmanager
def https_provider(certificate="server", **env):
    """The same over https as localhost, with one of the certificates of certs.sh."""
    pair = {"TLS_CERT": str(CERTS / (certificate + ".pem")), "TLS_KEY": str(CERTS / (certificate + ".key"))}
    with provider(HOST="localhost", **pair, **env) as there:
        there.verify = str(CERTS / "ca.pem")
        yield there


# ---------------------------------------------------------------- keyring --

class Keyring:
    """A session of keyring.sh. `env` is what its commands see; `do` locks, unlocks, kills, freezes, thaws."""

    WANTED = re.compile(r"DBUS_SESSION_BUS_ADDRESS|XDG_RUNTIME_DIR|DISPLAY|NO_AT_BRIDGE|TESTBED_.*")
    TELL = "import json, os, sys; print(json.dumps(dict(os.environ)), flush=True); sys.stdin.read()"

    def __init__(self, mode, home):
        # the session's own environment is the one of a command in it: print it, and stay until told to go
        self.process = in_background(str(TESTBED / "keyring.sh"), "--" + mode, sys.executable, "-c", self.TELL,
                                     env={**PLAIN, "HOME": str(home)}, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line, "the keyring session (%s) did not start" % mode
        self.env = {k: v for k, v in json.loads(line).items() if self.WANTED.fullmatch(k)}

    def do(self, what):
        done = subprocess.run([str(TESTBED / "keyring.sh"), what], env={**PLAIN, **self.env}, timeout=30,
                              capture_output=True, text=True)
        assert done.returncode == 0, "keyring.sh %s: %s" % (what, done.stderr)
        return done.stdout.strip()

    def items(self):
        """What lies in the default collection: a dict of attributes and the secret's bytes for each item."""
        with contextlib.closing(open_dbus_connection(bus=self.env["DBUS_SESSION_BUS_ADDRESS"])) as bus:
            collection = secretstorage.get_default_collection(bus)
            assert not collection.is_locked(), "only an unlocked keyring can be looked into"
            return [(item.get_attributes(), item.get_secret()) for item in collection.get_all_items()]

    def unlock_if_it_crashed(self):
        """Whether it had to be. gnome-keyring 42 can abort when a client goes away at a bad moment, by a race of its own;
        the bus then starts another one, which is locked. The person unlocks it, and goes on."""
        with contextlib.closing(open_dbus_connection(bus=self.env["DBUS_SESSION_BUS_ADDRESS"])) as bus:
            if not secretstorage.get_default_collection(bus).is_locked():
                return False
        self.do("unlock")
        figure("crashes of gnome-keyring itself, met on the way", 1)
        return True

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


@contextlib.contextmanager
def keyring(mode, home):
    session = Keyring(mode, home)
    try:
        yield session
    finally:
        session.close()


# ----------------------------------------------------------------- person --

class Done:
    """How a gauth command ended."""

    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def hint(self):
        return "\n".join(re.findall(r"(?ms)^hint: .*", self.err))

    def __repr__(self):
        return "exit %s after %.2f s\n--- stdout\n%s--- stderr\n%s" % (self.code, self.seconds, self.out, self.err)


class Running:
    """A gauth command that is still at it."""

    def __init__(self, person, args, process):
        self.person, self.args, self.process = person, args, process
        self.begun = time.monotonic()
        self.collected = {"stdout": "", "stderr": ""}
        self.readers = [threading.Thread(target=self._read, args=(n,), daemon=True) for n in self.collected]
        for reader in self.readers:
            reader.start()

    def _read(self, name):
        for line in getattr(self.process, name):
            self.collected[name] += line

    @property
    def pid(self):
        return self.process.pid

    def is_over(self):
        return self.process.poll() is not None

    def wait_until_it_says(self, words):
        def said():
            assert not self.is_over(), self.end()
            return words in self.collected["stderr"]
        wait_for(said, "%r on stderr" % words)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def end(self, seconds=60):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.person.note(self.args, "killed: no end within %s s\n%s" % (seconds, self.collected))
            raise AssertionError("gauth %s: no end within %s s, so far: %s" % (self.args, seconds, self.collected)) from None
        took = time.monotonic() - self.begun
        for reader in self.readers:
            reader.join(5)
        done = Done(self.process.returncode, self.collected["stdout"], self.collected["stderr"], took)
        self.person.note(self.args, repr(done))
        return done


class Person:
    """Somebody with a home of their own, a keyring session, and gauth."""

    def __init__(self, folder, session, name):
        self.session, self.name = session, name
        self.home, self.runtime, self.desk = (pathlib.Path(folder) / n for n in ("home", "run", "desk"))
        for path in (self.home, self.runtime, self.desk):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.running = []
        self.mark = uuid.uuid4().hex  # to know the processes that this person started
        self.log = OUTPUT / "logs" / (name + ".txt")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text("")

    def env(self, **more):
        own = {**PLAIN, "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / ".config"),
               "GAUTH_RUNTIME_DIR": str(self.runtime), "BROWSER": STAND_IN, "BROWSER_OUT": str(self.desk),
               "TESTBED_MARK": self.mark, **self.session.env, **more}
        return {k: v for k, v in own.items() if v is not None}

    def start(self, *args, wrapper=(), **env):
        process = subprocess.Popen([*wrapper, GAUTH, *args], env=self.env(**env), cwd=self.home, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.running.append(Running(self, args, process))
        return self.running[-1]

    def gauth(self, *args, seconds=60, **env):
        return self.start(*args, **env).end(seconds)

    def login(self, provider, *args, client="", **env):
        return self.gauth("login", "--client-secrets", provider.client_file(client), *args, **env)

    def signs_in(self, provider, *args, **env):
        """A login that has to work, for the tests that are about what comes after it."""
        self.forget_browser()
        done = self.login(provider, "--json", *args, **env)
        assert done.code == 0, done
        return done

    def token(self, *args, **env):
        """A token that has to come."""
        done = self.gauth("token", *args, **env)
        assert done.code == 0, done
        assert re.fullmatch(r"[\x21-\x7e]+\n", done.out), done
        return done.out.strip()

    def profiles(self, **env):
        done = self.gauth("list", "--json", **env)
        assert done.code == 0, done
        return done.json

    # the browser

    def browser(self, seconds=30):
        """What the browser saw, as soon as it is done."""
        def read():
            with contextlib.suppress(OSError, ValueError):
                return json.loads((self.desk / "browser.json").read_text())
        return wait_for(read, "the browser's report", seconds)

    def forget_browser(self):
        for file in self.desk.glob("browser.*"):
            file.unlink()

    def keep_screenshot(self, name):
        assert (self.desk / "browser.png").stat().st_size > 1000
        OUTPUT.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.desk / "browser.png", OUTPUT / (name + ".png"))

    def started_processes(self):
        """Those alive that this person's commands started, by the mark that they inherit."""
        return [pid for pid in processes() if ("TESTBED_MARK=" + self.mark).encode() in environment(pid)]

    def started_a_browser(self):
        return (self.desk / "browser.args").exists() or bool(self.started_processes())

    def leave(self):
        for running in self.running:
            if not running.is_over():  # a test that failed half way
                running.process.kill()
                running.process.wait()
        with contextlib.suppress(AssertionError):  # a browser puts its profile away first
            wait_for(lambda: not self.started_processes(), "the browser's end", 5)
        for pid in self.started_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # what lies around

    def files(self):
        """Every file in the home, the runtime folder and the session's runtime folder."""
        places = [self.home, self.runtime, self.session.env.get("XDG_RUNTIME_DIR")]
        return [path for place in places if place for path in sorted(pathlib.Path(place).rglob("*"))
                if stat.S_ISREG(path.lstat().st_mode)]

    def note(self, args, text):
        with open(self.log, "a") as log:
            log.write("$ gauth %s\n%s\n\n" % (" ".join(args), text))


# --------------------------------------------------------- /proc, loopback --

def processes():
    return [int(os.path.basename(path)) for path in glob.glob("/proc/[0-9]*")]


def proc(pid, name):
    try:
        return pathlib.Path("/proc/%d/%s" % (pid, name)).read_bytes()
    except OSError:  # gone, or not ours to read
        return b""


environment = functools.partial(proc, name="environ")
arguments = functools.partial(proc, name="cmdline")


def listening(port):
    """The addresses on which somebody listens at this TCP port."""
    found = []
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for line in pathlib.Path("/proc/net/" + table).read_text().splitlines()[1:]:
            fields = line.split()
            address, number = fields[1].split(":")
            if fields[3] == "0A" and int(number, 16) == port:
                words = [int(address[i:i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(address), 8)]
                found.append(socket.inet_ntop(family, b"".join(words)))
    return found


def is_refused(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(5)
        return client.connect_ex((address, port)) != 0


def traced(person, calls, *args, **env):
    """A command that has to work, under strace: how it ended, and the lines of these system calls."""
    trace = person.desk / "trace"
    done = person.start(*args, wrapper=("strace", "-f", "-qq", "-o", str(trace), "-e", "trace=execve," + calls), **env).end()
    assert done.code == 0, done
    lines = [line for line in trace.read_text().splitlines() if re.match(r"\d+ +\w+\(", line)]
    assert any(" execve(" in line for line in lines), "nothing was traced"
    return done, lines


def printed_redirect_uri(done):
    """The redirect URI in the address that a login printed."""
    found = re.search(r"[?&]redirect_uri=([^&\s]+)", done.err)
    assert found, "no address to open: %r" % done
    return urllib.parse.urlsplit(urllib.parse.unquote(found.group(1)))


def waiting_login(person, provider, *args, **env):
    """A login whose browser stays on the sign-in page. Also gives the parameters of its authorization request."""
    earlier = len(provider.seen("authorization"))
    running = person.start("login", "--client-secrets", provider.client_secrets, *args, BROWSER_ACTION="leave-login", **env)

    def asked():
        assert not running.is_over(), running.end()
        return provider.seen("authorization")[earlier:]
    return running, wait_for(asked, "the authorization request")[-1]["params"]


# ---------------------------------------------------------- what must hold --

DIRECTIVES = {"default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"}


def assert_strict_headers(answer):
    """Requirements L-13 and L-14, for one answer of the loopback listener."""
    headers = {k.lower(): v for k, v in answer["headers"].items()}
    assert headers.get("cache-control") == "no-store", answer
    assert headers.get("referrer-policy") == "no-referrer", answer
    assert headers.get("x-content-type-options") == "nosniff", answer
    policy = {part.strip() for part in headers.get("content-security-policy", "").split(";")}
    assert DIRECTIVES <= policy, answer
    assert not any("unsafe" in part or "http" in part or part.startswith("script-src") for part in policy), answer
    assert not any(name.startswith("access-control-") for name in headers), answer
    if headers.get("content-length") != "0":
        assert headers.get("content-type") == "text/html; charset=utf-8", answer


def assert_no_code(url):
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    assert not query, "the last address still has %s" % sorted(query)


def assert_store_said_no(done, limit=6):
    """The contract's exit 7: quick, nothing on stdout, and a hint with both ways out."""
    assert done.code == 7, done
    assert done.out == "", done
    assert done.seconds < limit, done
    assert re.search(r"(?m)^error: ", done.err), done
    assert re.search(r"unlock", done.hint, re.I), done
    assert "--store file" in done.hint, done


def login_line(done):
    """The exact line that the hint names, as arguments for gauth."""
    found = re.search(r"\bgauth (login[^\n`'\"]*)", done.hint)
    assert found, "no gauth login line in the hint: %r" % done
    return found.group(1).split()
