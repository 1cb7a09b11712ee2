#!/usr/bin/env python3
"""Proves the testbed: every part is started, used and stopped; one line per check.

usage: smoke.py [part...]     parts: provider faults tls browser device peer
                              keyring glewlwyd mock; default all of them
"""
import base64
import contextlib
import hashlib
import html
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = os.path.join(HERE, "venv", "bin", "python")
if sys.prefix == sys.base_prefix and os.path.exists(PYTHON):
    os.execv(PYTHON, [PYTHON, os.path.abspath(__file__), *sys.argv[1:]])

import requests  # noqa: E402

os.environ["PATH"] = os.path.dirname(PYTHON) + ":" + os.environ["PATH"]  # has a node if install.sh had to bring one
failed = []


def check(name, ok, detail=""):
    print("%-4s %s%s" % ("ok" if ok else "FAIL", name, "  [%s]" % (detail,) if detail != "" else ""), flush=True)
    if not ok:
        failed.append(name)


# ------------------------------------------------------------------ tools --

@contextlib.contextmanager
def running(*command, **env):
    """Starts a server which prints one JSON line when ready; stops it by its PID."""
    with tempfile.TemporaryDirectory(prefix="testbed-smoke-") as folder:
        env.setdefault("STATE_DIR", folder)
        process = subprocess.Popen(command, cwd=HERE, env={**os.environ, **env}, text=True,
                                   stdout=subprocess.PIPE, stderr=open(folder + "/stderr", "w"))
        line = process.stdout.readline()
        try:
            if not line:
                sys.exit("%s did not start: %s" % (command, open(folder + "/stderr").read()))
            yield Provider(json.loads(line))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def server(**env):
    return running("node", "server.mjs", **{"PORT": "0", "ADMIN_PORT": "0", **env})


class Provider:
    def __init__(self, info):
        self.__dict__.update(info)
        with open(info["client_secrets"]) as f:
            self.client = json.load(f)["installed"]

    def admin_get(self, path):
        return requests.get(self.admin + path, timeout=5).json()

    def admin_post(self, path, **body):
        answer = requests.post(self.admin + path, json=body, timeout=5)
        answer.raise_for_status()
        return answer.json()

    def fault(self, kind, **more):
        self.admin_post("/faults", kind=kind, **more)

    def token(self, timeout=5, auth="post", client=None, **form):
        c = client or self.client
        form["client_id"] = c["client_id"]
        basic = None
        if auth == "post":
            form["client_secret"] = c["client_secret"]
        elif auth == "basic":
            basic = (c["client_id"], c["client_secret"])
        return requests.post(c["token_uri"], data=form, auth=basic, timeout=timeout, allow_redirects=False)

    def refresh(self, token, **more):
        return self.token(grant_type="refresh_token", refresh_token=token, **more)

    def walk(self, login="alice@example.test", deny=False, pkce=True, client=None,
             redirect_uri="http://127.0.0.1:50999/", **more):
        """The browser's part by plain HTTP; returns the parameters sent to the redirect URI."""
        c = client or self.client
        self.verifier = secrets.token_urlsafe(48)
        self.redirect_uri = redirect_uri
        query = {"client_id": c["client_id"], "response_type": "code", "redirect_uri": redirect_uri,
                 "scope": "openid email", "state": "the-state", "access_type": "offline", **more}
        if pkce:
            digest = hashlib.sha256(self.verifier.encode()).digest()
            query.update(code_challenge=base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
                         code_challenge_method="S256")
        session = requests.Session()
        answer = session.get(self.issuer + "/auth", params=query, allow_redirects=False, timeout=5)
        for _ in range(12):
            location = answer.headers.get("location", "")
            if location.startswith(redirect_uri + "?"):
                return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))
            if location:
                answer = session.get(urllib.parse.urljoin(answer.url, location), allow_redirects=False, timeout=5)
                continue
            prompt = re.search(r'name="prompt" value="(login|consent)"', answer.text)
            if not prompt:
                return {"page": answer.status_code, "text": html.unescape(re.sub("<[^>]*>", " ", answer.text))[-300:]}
            if deny:
                answer = session.get(answer.url + "/abort", allow_redirects=False, timeout=5)
            else:
                answer = session.post(answer.url, data={"prompt": prompt.group(1), "login": login, "password": "x"},
                                      allow_redirects=False, timeout=5)
        raise AssertionError("no end to it")

    def exchange(self, code, verifier=None, **more):
        return self.token(grant_type="authorization_code", code=code, redirect_uri=self.redirect_uri,
                          code_verifier=verifier or self.verifier, **more)

    def login(self, **more):
        return self.exchange(self.walk(**more)["code"]).json()

    def userinfo(self, token):
        return requests.get(self.issuer + "/me", headers={"Authorization": "Bearer " + token}, timeout=5)


class Loopback:
    """What an installed app listens on."""

    def __init__(self):
        import http.server
        seen = self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path != "/favicon.ico":
                    seen.append(dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query)))
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<title>Done</title><h1>You may close this window</h1>")

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d/" % self.server.server_port


def outcome(f):
    started = time.monotonic()
    try:
        r = f()
        what = "%d %s" % (r.status_code, r.text[:40].replace("\n", " "))
    except requests.RequestException as e:
        what = type(e).__name__
    return what, time.monotonic() - started


# ------------------------------------------------------------------ parts --

def provider():
    with server(ACCESS_TOKEN_TTL="3") as p:
        meta = requests.get(p.issuer + "/.well-known/openid-configuration", timeout=5).json()
        check("discovery: S256 only, iss parameter, revocation, introspection, device flow",
              meta["code_challenge_methods_supported"] == ["S256"] and meta["authorization_response_iss_parameter_supported"]
              and all(k in meta for k in ("revocation_endpoint", "introspection_endpoint", "device_authorization_endpoint", "jwks_uri")))
        back = p.walk()
        check("authorization answer has code, state and iss", back.get("state") == "the-state" and back.get("iss") == p.issuer and "code" in back)
        check("wrong PKCE verifier refused", p.exchange(back["code"], verifier="x" * 50).json().get("error") == "invalid_grant")
        check("authorization without PKCE refused", p.walk(pkce=False).get("error") == "invalid_request")
        check("plain PKCE refused", p.walk(pkce=False, code_challenge="x" * 50, code_challenge_method="plain").get("error") == "invalid_request")
        check("any loopback port, 127.0.0.1, localhost and [::1]", all("code" in p.walk(redirect_uri=u) for u in (
            "http://127.0.0.1:1024/callback", "http://localhost:65000/", "http://[::1]:4711/")))
        check("foreign redirect URI: error page, no redirect", p.walk(redirect_uri="http://evil.example.test/").get("page") == 400)
        check("denied consent: access_denied with iss and state", (lambda b: b.get("error") == "access_denied" and b.get("iss") == p.issuer and b.get("state"))(p.walk(deny=True)))
        back = p.walk()
        tokens = p.exchange(back["code"]).json()
        check("code exchange", {"access_token", "refresh_token", "id_token", "expires_in"} <= set(tokens), "expires_in %s" % tokens.get("expires_in"))
        check("userinfo", p.userinfo(tokens["access_token"]).json().get("email") == "alice@example.test")
        check("code replay refused, and revokes the tokens", p.exchange(back["code"]).json().get("error") == "invalid_grant"
              and p.userinfo(tokens["access_token"]).status_code == 401)
        tokens = p.login()
        one = p.refresh(tokens["refresh_token"]).json()
        two = p.refresh(one["refresh_token"], auth="basic").json()
        check("rotation: new refresh token each time, client_secret_post and _basic", len({t["refresh_token"] for t in (tokens, one, two)}) == 3)
        check("reuse of a spent refresh token refused", p.refresh(one["refresh_token"]).json().get("error") == "invalid_grant")
        check("... and the newest one is dead too", p.refresh(two["refresh_token"]).json().get("error") == "invalid_grant")
        tokens, answers = p.login(), []
        threads = [threading.Thread(target=lambda: answers.append(p.refresh(tokens["refresh_token"]))) for _ in range(5)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        winner = [a.json()["refresh_token"] for a in answers if a.status_code == 200]
        check("five refreshes at once: one wins, and its token is dead", len(winner) == 1 and p.refresh(winner[0]).status_code == 400,
              sorted(a.status_code for a in answers))
        check("wrong client secret: 401 invalid_client", (lambda r: (r.status_code, r.json()["error"]))(p.refresh("x", client={**p.client, "client_secret": "no"})) == (401, "invalid_client"))
        p.admin_post("/settings", rotate=False)
        tokens = p.login()
        again = p.refresh(tokens["refresh_token"]).json()
        check("rotation off: same refresh token", again["refresh_token"] == tokens["refresh_token"])
        who = {"client_id": p.client["client_id"], "client_secret": p.client["client_secret"], "token": again["access_token"]}
        check("introspection", requests.post(p.issuer + "/token/introspection", data=who, timeout=5).json().get("active") is True)
        time.sleep(3.1)
        check("access token expires to the second", p.userinfo(again["access_token"]).status_code == 401)
        requests.post(p.issuer + "/token/revocation", data={**who, "token": tokens["refresh_token"]}, timeout=5)
        check("revocation", p.refresh(tokens["refresh_token"]).json().get("error") == "invalid_grant")
        tokens = p.login()
        p.admin_post("/revoke")
        check("user withdraws consent (admin)", p.refresh(tokens["refresh_token"]).json().get("error") == "invalid_grant")
        p.admin_post("/settings", refresh_policy="never")
        check("no refresh token if the provider does not like to", "refresh_token" not in p.login())
        p.admin_post("/settings", refresh_policy="auto", refresh_token_ttl=1)
        check("no refresh token without access_type=offline or offline_access", "refresh_token" not in p.login(access_type="online"))
        tokens = p.login(scope="openid offline_access", prompt="consent", access_type="online")
        check("offline_access with prompt=consent gives one", "refresh_token" in tokens)
        time.sleep(1.1)
        check("refresh token expires", p.refresh(tokens["refresh_token"]).json().get("error") == "invalid_grant")
        folder = os.path.dirname(p.client_secrets)
        public = json.load(open(folder + "/client_secrets.public.json"))["installed"]
        check("public client, no secret", "access_token" in p.exchange(p.walk(client=public)["code"], client=public, auth=None).json())
        odd = json.load(open(folder + "/client_secrets.odd-secret.json"))["installed"]
        check("secret with + / % & and space", "access_token" in p.exchange(p.walk(client=odd)["code"], client=odd).json())
        check("leak list", {"code", "access_token", "refresh_token", "id_token"} == {i["kind"] for i in p.admin_get("/issued")})


def faults():
    with server() as p:
        p.admin_post("/settings", rotate=False)
        good = p.login()["refresh_token"]
        refresh = lambda **k: p.refresh(good, timeout=1.5, **k)  # noqa: E731
        for kind, more, expected in [
                ("503", {"retry_after": 2}, "503 "), ("429", {"retry_after": 1}, "429 "), ("500", {}, "500 "),
                ("oauth-error", {}, "400 "), ("html", {}, "502 <!DOCTYPE"), ("html", {"status": 200}, "200 <!DOCTYPE"),
                ("body", {"body": "{}", "headers": {"X-Any": "1"}}, "200 {}"), ("empty", {}, "200 "), ("garbage", {}, "200 "),
                ("redirect", {}, "302 "), ("redirect", {"status": 307}, "307 "), ("reset", {}, "ConnectionError"),
                ("close", {}, "ConnectionError"), ("hang", {}, "ReadTimeout"), ("slow", {"ms": 700}, "200 "),
                ("lost", {}, "ConnectionError"), ("hang-after", {}, "ReadTimeout"),
                ("truncate", {}, "ChunkedEncodingError"), ("truncate-json", {}, "200 "),
                ("patch", {"json": {"expires_in": "soon", "refresh_token": None}}, "200 "),
                ("drip", {"ms": 1}, "200 "), ("huge", {"bytes": 8 << 20}, "200 ")]:
            p.fault(kind, **more)
            what, seconds = outcome(refresh)
            what2, _ = outcome(refresh)
            check("fault %s %s" % (kind, more or ""), what.startswith(expected) and what2.startswith("200 {\"access_token"),
                  "%s, %.2f s; next one fine" % (what, seconds))
        p.fault("429", count=2, retry_after=7)
        check("Retry-After is sent, count 2 means two", [refresh().headers.get("Retry-After") for _ in range(3)] == ["7", "7", None])
        p.fault("503", when={"grant_type": "refresh_token"})
        p.fault("redirect", endpoint="userinfo")
        check("faults by grant type and endpoint", p.exchange(p.walk()["code"]).status_code == 200 and refresh().status_code == 503)
        check("redirect trap counts those who follow", p.userinfo("x").status_code == 200 and p.admin_get("/counters")["trap"]["requests"] == 1)
        p.fault("callback", set={"state": "forged"}, drop=["iss"])
        back = p.walk()
        check("callback tampered with", back.get("state") == "forged" and "iss" not in back)
        p.fault("slow", ms=300, count=-1)
        threads = [threading.Thread(target=refresh) for _ in range(5)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        check("five at once are counted as such", p.admin_get("/counters")["token"]["max_in_flight"] == 5)
        p.admin_post("/reset")
        p.admin_post("/settings", rotate=True)
        rotating = p.login()["refresh_token"]
        p.fault("lost")
        first, _ = outcome(lambda: p.refresh(rotating))
        second = p.refresh(rotating).json()
        check("answer lost during rotation: the retry kills the grant", first == "ConnectionError" and second.get("error") == "invalid_grant")
        log = p.admin_get("/requests?endpoint=token")
        check("request log", log[-1]["params"]["grant_type"] == "refresh_token" and log[-1]["client_auth"] == "post" and log[-1]["error"] == "invalid_grant")


def tls():
    subprocess.run([HERE + "/certs.sh"], check=True)
    certs = HERE + "/state/certs/"
    for name, trusted, good in [("server", True, True), ("server", False, False), ("wrong-host", True, False),
                                ("expired", True, False), ("self-signed", True, False)]:
        with server(TLS_CERT=certs + name + ".pem", TLS_KEY=certs + name + ".key", HOST="localhost") as p:
            try:
                requests.get(p.issuer + "/jwks", verify=certs + "ca.pem" if trusted else True, timeout=5)
                what = "accepted"
            except requests.exceptions.SSLError as e:
                what = re.search(r"verify failed: ([^(']*)", str(e)).group(1).strip()
            check("certificate %s, CA %s" % (name, "trusted" if trusted else "unknown"), (what == "accepted") == good, what)
            if good:
                got = []
                for kind in ("reset", "close", "truncate", "hang", "503"):
                    p.fault(kind)
                    got.append(outcome(lambda: requests.post(p.client["token_uri"], {"grant_type": "x"}, timeout=1, verify=certs + "ca.pem"))[0][:10])
                check("faults over TLS", got == ["Connection", "Connection", "ChunkedEnc", "ReadTimeou", '503 {"erro'], got)


def browse(url, **env):
    with tempfile.TemporaryDirectory(prefix="testbed-smoke-") as out:
        subprocess.run([HERE + "/browser.sh", url], check=True, env={**os.environ, "BROWSER_OUT": out, **env})
        for _ in range(700):
            if os.path.exists(out + "/browser.json"):
                break
            time.sleep(0.1)
        with open(out + "/browser.json") as f:
            report = json.load(f)
        report["png"] = os.path.exists(out + "/browser.png")
        pid = int(open(out + "/browser.pid").read())
        for _ in range(100):  # until the browser has put itself away
            if not os.path.exists("/proc/%d" % pid) or open("/proc/%d/stat" % pid).read().split()[2] == "Z":
                break
            time.sleep(0.1)
        return report


def auth_url(p, loopback, **more):
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 50).digest()).rstrip(b"=").decode()
    return p.issuer + "/auth?" + urllib.parse.urlencode({
        "client_id": p.client["client_id"], "response_type": "code", "redirect_uri": loopback.url, "state": "s",
        "scope": "openid email", "code_challenge": challenge, "code_challenge_method": "S256", **more})


def browser():
    certs = HERE + "/state/certs/"
    with server() as p:
        for action, env, expected in [
                ("approve", {}, "code"), ("approve", {"BROWSER_LOGIN": "bob@example.test"}, "code"), ("deny", {}, "error"),
                ("deny-consent", {}, "error"), ("leave-login", {}, None), ("leave-consent", {}, None), ("approve-twice", {}, "code")]:
            loopback = Loopback()
            report = browse(auth_url(p, loopback), BROWSER_ACTION=action, **env)
            seen = [k for s in loopback.seen for k in ("code", "error") if k in s]
            check("chromium: %s %s" % (action, env.get("BROWSER_LOGIN", "")), report["ok"] and report["png"]
                  and seen == ([] if expected is None else [expected] * (2 if action == "approve-twice" else 1)),
                  "%s, %d ms" % (report["steps"], report["ms"]))
    subprocess.run([HERE + "/certs.sh"], check=True)
    with server(TLS_CERT=certs + "server.pem", TLS_KEY=certs + "server.key", HOST="localhost") as p:
        loopback = Loopback()
        check("chromium: https provider, own CA", browse(auth_url(p, loopback), BROWSER_CERT=certs + "server.pem")["ok"] and "code" in loopback.seen[0])
        loopback = Loopback()
        report = browse(auth_url(p, loopback))
        check("chromium: https provider, unknown CA", not report["ok"] and not loopback.seen, report.get("error", "")[:80])


def device():
    with server() as p:
        for action, expected in (("approve", "access_token"), ("deny", "access_denied")):
            start = requests.post(p.issuer + "/device/auth", timeout=5, data={
                "client_id": p.client["client_id"], "client_secret": p.client["client_secret"], "scope": "openid email"}).json()
            poll = lambda: p.token(grant_type="urn:ietf:params:oauth:grant-type:device_code", device_code=start["device_code"]).json()  # noqa: E731
            pending = poll().get("error")
            if action == "approve":
                report = browse(start["verification_uri"], BROWSER_USER_CODE=start["user_code"])
            else:
                report = browse(start["verification_uri_complete"], BROWSER_ACTION=action)
            answer = poll()
            check("device flow: %s" % action, pending == "authorization_pending" and report["ok"]
                  and (expected in answer or answer.get("error") == expected), report["steps"])


def peer():
    certs = HERE + "/state/certs/"
    subprocess.run([HERE + "/certs.sh"], check=True)
    for name, env, provider_env in [
            ("http, chromium", {"BROWSER": HERE + "/browser.sh"}, {}),
            ("http, fast stand-in", {"BROWSER": HERE + "/browser_http.py"}, {}),
            ("https, chromium", {"BROWSER": HERE + "/browser.sh", "BROWSER_CERT": certs + "server.pem", "REQUESTS_CA_BUNDLE": certs + "ca.pem"},
             {"TLS_CERT": certs + "server.pem", "TLS_KEY": certs + "server.key", "HOST": "localhost"})]:
        with server(**provider_env) as p:
            r = subprocess.run([PYTHON, HERE + "/client_oauthlib.py", p.client_secrets], env={**os.environ, **env},
                               capture_output=True, text=True, timeout=90)
            check("google-auth-oauthlib: " + name, r.returncode == 0, r.stdout.split("\n")[0] if r.returncode == 0 else r.stderr[-300:])


def keyring():
    script = HERE + "/keyring.sh"
    store = "printf my-secret | secret-tool store --label=t app testbed user a"
    lookup = "secret-tool lookup app testbed user a"

    def run(mode, command, **env):
        started = time.monotonic()
        r = subprocess.run([script, "--" + mode, "bash", "-c", command], capture_output=True, text=True, timeout=60,
                           env={**os.environ, "K": script, **env})
        return r.stdout.split(), r.returncode, time.monotonic() - started, r.stderr.strip()
    for mode in ("unlocked", "keepassxc"):
        out, status, _, err = run(mode, "$K state; %s && %s; secret-tool clear app testbed user a; %s || echo gone" % (store, lookup, lookup))
        check(mode + ": store, lookup, clear", out == ["unlocked", "my-secretgone"] or out == ["unlocked", "my-secret", "gone"], out or err)
    out, *_ = run("keepassxc", "%s; $K lock; $K state; timeout 3 %s; echo status=$?" % (store, lookup))
    check("keepassxc locked: lookup waits for an answer", out == ["locked", "status=124"], out)
    out, status, _, _ = run("unlocked", "%s; $K lock; $K state; %s || echo locked-out; $K unlock; %s" % (store, lookup, lookup))
    check("lock: lookup fails at once; unlock: it works again", out == ["locked", "locked-out", "my-secret"], out)
    out, status, seconds, _ = run("prompt", "$K unlock; %s; $K lock; timeout 3 %s; echo status=$?" % (store, lookup))
    check("locked with a display: lookup waits for an answer", out[-1] == "status=124", "%s %.1f s" % (out, seconds))
    out, status, _, _ = run("unlocked", "%s; $K freeze; timeout 3 %s; echo status=$?; $K thaw; %s" % (store, lookup, lookup))
    check("frozen service: lookup hangs; thawed: it works", out == ["status=124", "my-secret"], out)
    out, status, _, _ = run("unlocked", "%s; $K kill; sleep 0.2; $K state; %s || echo locked-out; $K state; $K unlock; %s" % (store, lookup, lookup))
    check("killed: the bus starts it anew, locked; unlock: nothing lost", out == ["absent", "locked-out", "locked", "my-secret"], out)
    for mode, message in (("no-collection", "does not exist"), ("no-service", "not provided by any .service"),
                          ("no-bus", "Cannot autolaunch"), ("dead-bus", "Could not connect")):
        out, status, seconds, err = run(mode, store)
        check(mode + ": store fails", status != 0 and message in err, err.splitlines()[0] if err else "")
    with tempfile.TemporaryDirectory() as data:
        run("unlocked", store, KEYRING_DATA=data)
        out, *_ = run("unlocked", lookup, KEYRING_DATA=data)
        check("KEYRING_DATA keeps the keyring", out == ["my-secret"], out)


def glewlwyd():
    with running(sys.executable, "glewlwyd.py", PORT="9420") as p:
        code = ("import os,sys,google.auth.transport.requests as t\nos.environ['OAUTHLIB_INSECURE_TRANSPORT']='1'\n"
                "from google_auth_oauthlib.flow import InstalledAppFlow as F\n"
                "c=F.from_client_secrets_file(sys.argv[1],scopes=['read','email']).run_local_server(host='127.0.0.1',port=50123,timeout_seconds=20)\n"
                "o=c.refresh_token\nc.refresh(t.Request())\nprint('rotated',c.refresh_token!=o,o,c.refresh_token)")
        r = subprocess.run([PYTHON, "-c", code, p.client_secrets], capture_output=True, text=True, timeout=60,
                           env={**os.environ, "BROWSER": HERE + "/browser_http.py"})
        out = r.stdout.split()[-4:]
        check("glewlwyd: login and refresh by google-auth-oauthlib", out[:2] == ["rotated", "True"], r.stderr[-200:])
        reused, newest = p.refresh(out[2]), p.refresh(out[3])
        check("glewlwyd: reuse refused, family revoked, empty error body", (reused.status_code, reused.text, newest.status_code) == (400, "", 400))


def mock():
    port = socket.create_server(("127.0.0.1", 0))
    number = port.getsockname()[1]
    port.close()
    process = subprocess.Popen([HERE + "/venv/bin/oidc-provider-mock", "-p", str(number), "-e", "60", "--user", "alice@example.test"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        issuer = "http://127.0.0.1:%d" % number
        for _ in range(100):
            with contextlib.suppress(OSError):
                requests.get(issuer + "/jwks", timeout=1)
                break
            time.sleep(0.1)
        loopback = Loopback()
        url = issuer + "/oauth2/authorize?" + urllib.parse.urlencode({
            "client_id": "any", "response_type": "code", "redirect_uri": loopback.url, "scope": "openid email", "state": "s"})
        subprocess.run([HERE + "/browser_http.py", url], check=True, env={**os.environ, "BROWSER_FOREGROUND": "1"})
        form = {"grant_type": "authorization_code", "code": loopback.seen[0]["code"], "redirect_uri": loopback.url}
        tokens = requests.post(issuer + "/oauth2/token", data=form, auth=("any", "any"), timeout=5).json()
        again = requests.post(issuer + "/oauth2/token", auth=("any", "any"), timeout=5, data={
            "grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}).json()
        check("oidc-provider-mock: login and refresh; no refresh token in the second answer", "access_token" in again and "refresh_token" not in again)
    finally:
        process.terminate()
        process.wait(10)


PARTS = [provider, faults, tls, browser, device, peer, keyring, glewlwyd, mock]
wanted = sys.argv[1:] or [f.__name__ for f in PARTS]
begun = time.monotonic()
for part in PARTS:
    if part.__name__ in wanted:
        print("--- " + part.__name__)
        part()
print("%s in %.0f s" % ("all good" if not failed else "FAILED: %s" % failed, time.monotonic() - begun))
sys.exit(1 if failed else 0)
