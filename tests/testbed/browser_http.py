#!/usr/bin/env python3
"""A stand-in for the browser, without JavaScript and in a tenth of a second.

Walks through oidc-provider's development pages like browser.mjs, or through
the login of glewlwyd or of oidc-provider-mock, for tests which need many
logins. Standard library only. Usable as $BROWSER: it goes to the background at
once unless BROWSER_FOREGROUND is set.

usage: browser_http.py URL

Environment: BROWSER_ACTION (approve, deny, leave-login), BROWSER_LOGIN,
BROWSER_OUT (URL goes to browser.args there, answer of the loopback server to browser.json),
SSL_CERT_FILE (CA to trust), BROWSER_TIMEOUT (seconds, default 20).
"""
import http.cookiejar
import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

URL = sys.argv[1]
ACTION = os.environ.get("BROWSER_ACTION") or "approve"
LOGIN = os.environ.get("BROWSER_LOGIN") or "alice@example.test"
OUT = os.environ.get("BROWSER_OUT") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "state", "browser")
TIMEOUT = float(os.environ.get("BROWSER_TIMEOUT") or 20)


def main():
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(jar))

    def load(url, form=None, method=None, as_json=False):
        data = None
        if form is not None:
            data = (json.dumps(form) if as_json else urllib.parse.urlencode(form)).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"} if as_json else {}, method=method)
        try:
            answer = opener.open(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as e:
            answer = e
        return {"url": answer.geturl(), "status": answer.getcode(),
                "headers": dict(answer.headers), "text": answer.read(1 << 20).decode("utf-8", "replace")}

    page = load(URL)
    if "login.html?" in page["url"]:  # glewlwyd: its login page would make these calls
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page["url"]).query))
        api = page["url"].split("/login.html")[0].rstrip("/") + "/api/auth/"
        user = LOGIN.split("@")[0]
        if ACTION == "approve":
            load(api, {"username": user, "password": user + "-password"}, "POST", True)
            load(api + "grant/" + query["client_id"], {"scope": query["scope"]}, "PUT", True)
            page = load(query["callback_url"] + "&g_continue")
    elif 'name="sub"' in page["text"]:  # oidc-provider-mock
        page = load(URL, {"action": "deny"} if ACTION == "deny" else {"sub": LOGIN})
    for _ in range(10):
        prompt = re.search(r'name="prompt" value="(login|consent)"', page["text"])
        if not prompt or (ACTION == "leave-login" and prompt.group(1) == "login"):
            break
        if ACTION == "deny":
            page = load(re.search(r'href="([^"]*/abort)"', page["text"]).group(1))
        else:
            form = {"prompt": prompt.group(1)}
            if prompt.group(1) == "login":
                form.update(login=LOGIN, password="any")
            page = load(page["url"], form)
    report = os.path.join(OUT, "browser.json")
    with open(report + ".new", "w") as f:
        json.dump({"url": URL, "action": ACTION, "final_url": page["url"], "status": page["status"],
                   "headers": page["headers"], "final_text": page["text"][:65536]}, f, indent=2)
    os.rename(report + ".new", report)


os.makedirs(OUT, exist_ok=True)
with open(os.path.join(OUT, "browser.args"), "w") as f:
    f.write(URL + "\n")
if not os.environ.get("BROWSER_FOREGROUND"):
    if os.fork():
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
main()
