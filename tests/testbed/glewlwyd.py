#!/usr/bin/env python3
"""Debian's glewlwyd as a second, independent provider, set up from nothing.

The package is unpacked in ./glewlwyd by install.sh, not installed: installed,
it would start a system service on all interfaces. It runs in a folder of its
own on 127.0.0.1, is configured through its own admin API, prints one JSON line
when ready, and is stopped with SIGTERM or SIGINT. Log in with browser_http.py
(its own login page, a JavaScript application, is not served here).

Unlike oidc-provider it compares redirect URIs to the letter, port included,
and answers some refusals with an empty body or with codes of its own.

Environment: PORT (9420), REDIRECT_PORTS (comma-separated, 50123,50124),
ACCESS_TOKEN_TTL (60), ROTATE (1), STATE_DIR (state), ISSUER_PATH (/api/oidc,
where its discovery document is; empty gives an issuer that has none, as its
sample configuration does).
"""
import http.cookiejar
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from gzip import decompress

HERE = os.path.dirname(os.path.abspath(__file__))
PORT = int(os.environ.get("PORT", 9420))
STATE = os.environ.get("STATE_DIR", os.path.join(HERE, "state"))
REDIRECT_PORTS = os.environ.get("REDIRECT_PORTS", "50123,50124").split(",")
ROTATE = os.environ.get("ROTATE", "1") not in ("", "0", "no", "off", "false")
ROOT = os.path.join(HERE, "glewlwyd")
DOC = ROOT + "/usr/share/doc/glewlwyd/"
BASE = "http://127.0.0.1:%d" % PORT
ISSUER = BASE + os.environ.get("ISSUER_PATH", "/api/oidc")
CLIENT_ID, CLIENT_SECRET = "testbed-installed", "testbed-secret-0123456789abcdef"

opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))


def api(method, path, body):
    request = urllib.request.Request(
        BASE + "/api" + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method)
    try:
        opener.open(request, timeout=10).read()
    except urllib.error.HTTPError as e:
        sys.exit("glewlwyd.py: %s %s: %d %s" % (method, path, e.code, e.read().decode()))


def configuration(folder):
    with open(DOC + "glewlwyd.conf.sample.gz", "rb") as f:
        text = decompress(f.read()).decode()
    for old, new in [
            ("port=4593", "port=%d" % PORT),
            ('#bind_address="127.0.0.1"', 'bind_address="127.0.0.1"'),
            ("http://localhost:4593", BASE),
            ("static_files_path=", "#static_files_path="),
            ("cookie_domain=", "#cookie_domain="),
            ("cookie_secure=1", "cookie_secure=0"),
            ("/var/cache/glewlwyd/glewlwyd.db", folder + "/db"),
            ("user_middleware_module_path=", "#user_middleware_module_path="),
            ('="/usr/lib/glewlwyd/', '="%s/usr/lib/glewlwyd/' % ROOT)]:
        assert old in text, old
        text = text.replace(old, new)
    with open(folder + "/conf", "w") as f:
        f.write(text)


def plugin(folder):
    def pem(*command):
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    key = pem("openssl", "genrsa", "2048")
    with open(folder + "/key", "w") as f:
        f.write(key)
    return {
        "module": "oidc", "name": "oidc", "display_name": "OIDC", "order_rank": 0, "readonly": False,
        "parameters": {
            "iss": ISSUER, "jwt-type": "rsa", "jwt-key-size": "256", "key": key,
            "cert": pem("openssl", "rsa", "-in", folder + "/key", "-pubout"),
            "access-token-duration": int(os.environ.get("ACCESS_TOKEN_TTL", 60)),
            "refresh-token-duration": 3600, "code-duration": 60, "refresh-token-rolling": False,
            "refresh-token-one-use": "always" if ROTATE else "never",
            "allow-non-oidc": True, "auth-type-code-enabled": True, "auth-type-code-revoke-replayed": True,
            "auth-type-token-enabled": False, "auth-type-id-token-enabled": True, "auth-type-none-enabled": False,
            "auth-type-password-enabled": False, "auth-type-client-enabled": False,
            "auth-type-device-enabled": True, "auth-type-refresh-enabled": True,
            "auth-type-implicit-enabled": False, "scope": [], "additional-parameters": [], "claims": [],
            "jwks-show": True, "jwks-x5c": [], "request-parameter-allow": False, "secret-type": "public",
            "address-claim": {"type": "no", "mandatory": False}, "name-claim": "on-demand",
            "name-claim-scope": [], "email-claim": "on-demand", "email-claim-scope": [], "scope-claim": "no",
            "allowed-scope": ["openid", "email", "read"], "pkce-allowed": True, "pkce-method-plain-allowed": False,
            "pkce-required": True, "introspection-revocation-allowed": True,
            "introspection-revocation-auth-scope": [], "introspection-revocation-allow-target-client": True,
            "register-client-allowed": False, "session-management-allowed": False,
            "device-authorization-expiration": 600, "device-authorization-interval": 5,
            "oauth-as-iss-id": True, "subject-type": "public"}}


def set_up(folder):
    api("POST", "/auth/", {"username": "admin", "password": "password"})  # its shipped default
    api("POST", "/mod/plugin/", plugin(folder))
    for scope in ("email", "read"):
        api("POST", "/scope/", {"name": scope, "display_name": scope, "description": scope,
                                "password_required": False, "scheme": {}})
    for user in ("alice", "bob"):
        api("POST", "/user/", {"username": user, "name": user, "email": user + "@example.test",
                               "password": user + "-password", "enabled": True,
                               "scope": ["openid", "g_profile", "email", "read"]})
    api("POST", "/client/", {
        "client_id": CLIENT_ID, "name": "Testbed installed app", "confidential": True, "enabled": True,
        "password": CLIENT_SECRET, "client_secret": CLIENT_SECRET, "scope": [],
        "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"],
        "authorization_type": ["code", "id_token", "refresh_token", "device_authorization"],
        "redirect_uri": ["http://%s:%s%s" % (host, port, path) for host in ("127.0.0.1", "localhost")
                         for port in REDIRECT_PORTS for path in ("", "/", "/callback")]})


def main():
    folder = tempfile.mkdtemp(prefix="testbed-glewlwyd-")
    configuration(folder)
    with open(DOC + "database/init.sqlite3.sql.gz", "rb") as f:
        database = sqlite3.connect(folder + "/db")
        database.executescript(decompress(f.read()).decode())
        database.close()
    with open(folder + "/log", "w") as log:
        server = subprocess.Popen([ROOT + "/usr/bin/glewlwyd", "-c", folder + "/conf"], stdout=log, stderr=log)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        for _ in range(100):
            try:
                opener.open(BASE + "/api/", timeout=1)
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.05)
        set_up(folder)
        os.makedirs(STATE, exist_ok=True)
        secrets = os.path.join(STATE, "client_secrets.glewlwyd.json")
        with open(os.open(secrets, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            json.dump({"installed": {
                "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "auth_uri": BASE + "/api/oidc/auth",
                "token_uri": BASE + "/api/oidc/token", "redirect_uris": ["http://localhost"]}}, f, indent=2)
        print(json.dumps({"ready": True, "pid": os.getpid(), "issuer": ISSUER, "client_secrets": secrets,
                          "log": folder + "/log"}), flush=True)
        server.wait()
    except KeyboardInterrupt:
        pass
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


main()
