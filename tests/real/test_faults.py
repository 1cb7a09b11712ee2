"""Every fault that the testbed's provider can have, at every endpoint that it can be put to (groups MD, MF and MG).

Each row ends with the exit code of the contract, in a bounded time, after a bounded number of requests, and without a
lost grant, unless the provider had replaced the refresh token in an answer that never came (T-8). The rows are
independent of each other and run side by side, since some of them wait for as long as gauth does.
"""
import concurrent.futures
import contextlib
import datetime
import re
import threading
import typing

import parts
import pytest

WORKING, WAITING = 8, 8  # rows at once: of those that keep a processor busy, and of those that only wait
LIMIT = 15 + 5  # seconds: all that gauth spends on one request, and the rest of the command on a busy machine
ALWAYS = -1
DONE, FAILED, CONFIGURATION, LOGIN_NEEDED, REFUSED, TRY_LATER = 0, 1, 3, 4, 5, 6


class Row(typing.NamedTuple):
    where: str
    name: str
    fault: dict
    requests: int
    code: int
    rotates: bool = True

    def __str__(self):
        return "%s, %s%s" % (self.where, self.name, "" if self.rotates else ", no rotation")

    @property
    def kind(self):
        return self.fault["kind"]

    @property
    def is_long(self):
        """gauth waits until its patience ends."""
        return self.kind in ("hang", "hang-after") or self.kind == "drip" and self.code != DONE

    @property
    def is_stray(self):
        """What comes back has not the right state: it is turned away, and the wait goes on (L-5)."""
        return "state" in [*self.fault.get("set", ()), *self.fault.get("drop", ())]

    @property
    def is_spent(self):
        """The provider replaced the refresh token and the new one never came: the protocol itself cannot save that."""
        is_cut = self.kind in ("lost", "hang-after", "truncate", "truncate-json", "drip")
        return is_cut and self.rotates and self.code != DONE


def fault(kind, **more):
    return dict(kind=kind, **more)


# What it is, the fault, the requests that the provider sees, and the exit code at a refresh and at a login's exchange.
TOKEN = [
    ("503 without end", fault("503", count=ALWAYS), 3, TRY_LATER, TRY_LATER),
    ("503 twice", fault("503", count=2), 3, DONE, DONE),
    ("503 for five seconds", fault("503", retry_after=5), 2, DONE, DONE),
    ("503 for six seconds", fault("503", retry_after=6), 1, TRY_LATER, TRY_LATER),
    ("503 for an hour", fault("503", retry_after=3600), 1, TRY_LATER, TRY_LATER),
    ("500 without end", fault("500", count=ALWAYS), 3, TRY_LATER, TRY_LATER),
    ("429 without end", fault("429", count=ALWAYS), 3, TRY_LATER, TRY_LATER),
    ("429 once", fault("429"), 2, DONE, DONE),
    ("status 408 without end", fault("status", status=408, count=ALWAYS), 3, TRY_LATER, TRY_LATER),
    ("status 404", fault("status", status=404, error="not_found"), 1, FAILED, FAILED),
    ("status 403", fault("status", status=403, error="access_denied"), 1, REFUSED, REFUSED),
    ("invalid_grant", fault("oauth-error"), 1, LOGIN_NEEDED, FAILED),
    ("invalid_client", fault("oauth-error", error="invalid_client", status=401), 1, CONFIGURATION, CONFIGURATION),
    ("invalid_request", fault("oauth-error", error="invalid_request"), 1, FAILED, FAILED),
    ("server_error", fault("oauth-error", error="server_error"), 1, TRY_LATER, TRY_LATER),
    ("a proxy's page without end", fault("html", count=ALWAYS), 3, TRY_LATER, TRY_LATER),
    ("a page with status 200", fault("html", status=200), 1, FAILED, FAILED),
    ("an array", fault("body", body="[]"), 1, FAILED, FAILED),
    ("an error with status 200", fault("body", body='{"error":"invalid_grant"}'), 1, LOGIN_NEEDED, FAILED),
    ("no access token", fault("body", body='{"token_type":"Bearer"}'), 1, FAILED, FAILED),
    ("nothing", fault("empty"), 1, FAILED, FAILED),
    ("garbage", fault("garbage"), 1, FAILED, FAILED),
    ("redirect 302", fault("redirect"), 1, FAILED, FAILED),
    ("redirect 307", fault("redirect", status=307), 1, FAILED, FAILED),
    ("redirect 308", fault("redirect", status=308), 1, FAILED, FAILED),
    ("reset", fault("reset"), 1, TRY_LATER, TRY_LATER),
    ("close", fault("close"), 1, TRY_LATER, TRY_LATER),
    ("hang", fault("hang"), 1, TRY_LATER, TRY_LATER),
    ("an endless answer", fault("huge"), 1, FAILED, FAILED),
    ("two seconds late", fault("slow"), 1, DONE, DONE),
    ("lost", fault("lost"), 1, TRY_LATER, TRY_LATER),
    ("hang after the work", fault("hang-after"), 1, TRY_LATER, TRY_LATER),
    ("cut off", fault("truncate"), 1, TRY_LATER, TRY_LATER),
    ("half of the JSON", fault("truncate-json"), 1, FAILED, FAILED),
    ("another token type", fault("patch", json={"token_type": "mac"}), 1, FAILED, FAILED),
    ("the access token left out", fault("patch", json={"access_token": None}), 1, FAILED, FAILED),
    ("a line end in the access token", fault("patch", json={"access_token": "a\nhost=evil"}), 1, FAILED, FAILED),
    ("a life in quotes", fault("patch", json={"expires_in": "3600"}), 1, DONE, DONE),
    ("dripping for ever", fault("drip", ms=100), 1, TRY_LATER, TRY_LATER),
    ("dripping fast", fault("drip", ms=1), 1, DONE, DONE),
]
# The same for the documents: requests and exit code at discovery, and at the keys. A GET may be made again.
DOCUMENTS = [
    ("503 without end", fault("503", count=ALWAYS), (3, TRY_LATER), (3, TRY_LATER)),
    ("503 twice", fault("503", count=2), (3, DONE), (3, DONE)),
    ("503 for an hour", fault("503", retry_after=3600), (1, TRY_LATER), (1, TRY_LATER)),
    ("500 without end", fault("500", count=ALWAYS), (3, TRY_LATER), (3, TRY_LATER)),
    ("429 once", fault("429"), (2, DONE), (2, DONE)),
    ("status 403", fault("status", status=403), (1, CONFIGURATION), (1, FAILED)),
    # a document may be in a second place (D-1)
    ("status 404 without end", fault("status", status=404, count=ALWAYS), (2, CONFIGURATION), (1, FAILED)),
    ("status 400", fault("oauth-error"), (1, CONFIGURATION), (1, FAILED)),
    ("a proxy's page without end", fault("html", count=ALWAYS), (3, TRY_LATER), (3, TRY_LATER)),
    ("a page with status 200", fault("html", status=200), (1, CONFIGURATION), (1, FAILED)),
    ("an array", fault("body", body="[]"), (1, CONFIGURATION), (1, FAILED)),
    ("nothing", fault("empty"), (1, CONFIGURATION), (1, FAILED)),
    ("garbage", fault("garbage"), (1, CONFIGURATION), (1, FAILED)),
    ("redirect", fault("redirect"), (1, CONFIGURATION), (1, FAILED)),
    ("reset without end", fault("reset", count=ALWAYS), (3, TRY_LATER), (3, TRY_LATER)),
    ("close once", fault("close"), (2, DONE), (2, DONE)),
    ("hang", fault("hang"), (1, TRY_LATER), (1, TRY_LATER)),
    ("an endless answer", fault("huge"), (1, CONFIGURATION), (1, FAILED)),
    ("two seconds late", fault("slow"), (1, DONE), (1, DONE)),
    ("lost without end", fault("lost", count=ALWAYS), (3, TRY_LATER), (3, TRY_LATER)),
    ("lost once", fault("lost"), (2, DONE), (2, DONE)),
    ("hang after the work", fault("hang-after"), (1, TRY_LATER), (1, TRY_LATER)),
    ("cut off without end", fault("truncate", count=ALWAYS), (3, TRY_LATER), (3, TRY_LATER)),
    ("half of the JSON", fault("truncate-json"), (1, CONFIGURATION), (1, FAILED)),
    ("dripping for ever", fault("drip", ms=100), (1, TRY_LATER), (1, TRY_LATER)),
]
DISCOVERY = [
    ("another issuer", fault("patch", json={"issuer": "https://other.example.test"}), 1, CONFIGURATION),
    ("no token endpoint", fault("patch", json={"token_endpoint": None}), 1, CONFIGURATION),
    ("plain PKCE only", fault("patch", json={"code_challenge_methods_supported": ["plain"]}), 1, CONFIGURATION),
]
KEYS = [
    ("no member for keys", fault("patch", json={"keys": None}), 1, FAILED),
    # the key of the ID token may be a new one: once more, and no more (V-8)
    ("no key", fault("patch", json={"keys": []}, count=ALWAYS), 2, FAILED),
]
# A revoked token is revoked, whatever the body says (RFC 7009 section 2.2). The provider's own has nothing to cut off.
REVOCATION = [
    ("503 without end", fault("503", count=ALWAYS), 3, TRY_LATER),
    ("503 twice", fault("503", count=2), 3, DONE),
    ("503 for an hour", fault("503", retry_after=3600), 1, TRY_LATER),
    ("500 without end", fault("500", count=ALWAYS), 3, TRY_LATER),
    ("429 once", fault("429"), 2, DONE),
    ("status 404", fault("status", status=404, error="not_found"), 1, FAILED),
    ("invalid_token", fault("oauth-error", error="invalid_token"), 1, DONE),  # gone already
    ("invalid_client", fault("oauth-error", error="invalid_client", status=401), 1, CONFIGURATION),
    ("a proxy's page without end", fault("html", count=ALWAYS), 3, TRY_LATER),
    ("an array", fault("body", body="[]"), 1, DONE),
    ("nothing", fault("empty"), 1, DONE),
    ("garbage", fault("garbage"), 1, DONE),
    ("redirect", fault("redirect", status=307), 1, FAILED),
    ("reset", fault("reset"), 1, TRY_LATER),
    ("close", fault("close"), 1, TRY_LATER),
    ("hang", fault("hang"), 1, TRY_LATER),
    ("an endless answer", fault("huge"), 1, FAILED),
    ("two seconds late", fault("slow"), 1, DONE),
    ("lost", fault("lost"), 1, TRY_LATER),
    ("hang after the work", fault("hang-after"), 1, TRY_LATER),
]
# The way back through the browser: the requests are those of the exchange.
CALLBACK = [
    ("another state", fault("callback", set={"state": "x" * 43}), 0, REFUSED),  # nobody finishes it
    ("no state", fault("callback", drop=["state"]), 0, REFUSED),
    ("another issuer", fault("callback", set={"iss": "https://other.example.test"}), 0, FAILED),  # I-1
    ("no issuer", fault("callback", drop=["iss"]), 0, FAILED),  # I-2
    ("another code", fault("callback", set={"code": "c" * 43}), 1, FAILED),
    ("denied", fault("callback", drop=["code"], set={"error": "access_denied"}), 0, REFUSED),
    ("in trouble", fault("callback", drop=["code"], set={"error": "server_error"}), 0, TRY_LATER),
]
NO_BODY = {"truncate", "truncate-json", "patch", "drip"}
REACHED = ("lost", "hang-after", "truncate", "truncate-json", "patch", "drip")  # the provider has done its work

ROWS = [
    *(Row("refresh", name, how, requests, code) for name, how, requests, code, _ in TOKEN),
    *(Row("refresh", name, how, requests, code, False) for name, how, requests, code, _ in TOKEN
      if how["kind"] in REACHED),
    *(Row("exchange", name, how, requests, code) for name, how, requests, _, code in TOKEN),
    *(Row("callback", name, how, requests, code) for name, how, requests, code in CALLBACK),
    *(Row("discovery", name, how, *discovery) for name, how, discovery, _ in DOCUMENTS),
    *(Row("discovery", name, how, requests, code) for name, how, requests, code in DISCOVERY),
    *(Row("keys", name, how, *keys) for name, how, _, keys in DOCUMENTS),
    *(Row("keys", name, how, requests, code) for name, how, requests, code in KEYS),
    *(Row("revocation", name, how, requests, code) for name, how, requests, code in REVOCATION),
]


# ---------------------------------------------------------------- one row --

def refreshed(row, provider, person):
    """`gauth token` meets the fault, and once the provider is well again the grant is as good as before."""
    person.signs_in(provider)
    provider.fault(**row.fault)
    done = person.gauth("token", "--force-refresh")
    provider.no_more_faults()
    assert_met(row, done, provider, provider.refreshes())
    if row.code == DONE:
        assert done.out == provider.issued("access_token")[-1] + "\n", done
    after = person.gauth("token", "--force-refresh")
    if row.is_spent:  # all that is left is to say so, and to name the line that mends it
        assert (after.code, after.out) == (LOGIN_NEEDED, ""), (done, after)
        person.forget_browser()
        again = person.gauth(*parts.login_line(after))
        assert again.code == DONE, again
        after = person.gauth("token")
    assert after.code == DONE, "the grant is lost: %r, then %r" % (done, after)
    assert provider.userinfo(after.out.strip()).status_code == 200


def signed_in(row, provider, person):
    """`gauth login` meets the fault: either it works, or it leaves nothing behind and the page says so (L-15)."""
    kept = secrets(person)
    place = {"exchange": "token", "keys": "jwks"}.get(row.where, row.where)
    provider.fault(**{"endpoint": place, **row.fault})
    patience = "2s" if row.is_stray else "60s"
    done = person.login(provider, "--issuer", provider.issuer, "--json", "--timeout", patience)
    provider.no_more_faults()
    assert_met(row, done, provider, provider.seen({"callback": "token"}.get(place, place)))
    if row.code == DONE:
        assert provider.userinfo(person.token()).status_code == 200
        return
    assert secrets(person) == kept
    assert person.profiles() == []
    if row.where == "discovery":
        assert not person.started_a_browser()
    elif row.is_stray:
        assert "nobody finished" in done.err, done
    else:
        assert "You are not signed in" in person.browser()["final_text"], person.browser()
        parts.assert_no_code(person.browser()["final_url"])


def signed_out(row, provider, person):
    """`gauth logout` meets the fault: forgotten here in any case, and the truth about the grant."""
    kept = secrets(person)
    person.signs_in(provider)
    provider.fault(endpoint="revocation", **row.fault)
    done = person.gauth("logout")
    provider.no_more_faults()
    assert_met(row, done, provider, provider.seen("revocation"))
    assert secrets(person) == kept
    assert person.profiles() == []


def secrets(person):
    return {secret for _, secret in person.session.items()}


def assert_met(row, done, provider, requests):
    assert done.code == row.code, done
    assert len(requests) == row.requests, (done, requests)
    assert done.seconds < LIMIT, done
    assert provider.seen("trap") == [], "a redirect was followed (L-22)"
    if row.code != DONE:
        assert done.out == "", done
        if row.where == "revocation":
            assert re.search(r"(?m)^warning: .*lives on", done.err), done
        else:
            assert re.search(r"(?m)^error: ", done.err) and done.hint, done
    if "retry_after" in row.fault and row.code != DONE:
        assert done.seconds < row.fault["retry_after"], "it was waited for: %r" % done
    elif "retry_after" in row.fault or row.kind == "429":
        times = [datetime.datetime.fromisoformat(request["time"]) for request in requests]
        gaps = [(later - earlier).total_seconds() for earlier, later in zip(times, times[1:])]
        assert all(gap >= row.fault.get("retry_after", 1) - 0.01 for gap in gaps), gaps
    if row.kind == "huge":
        def sent():
            return [request["sent"] for request in provider.seen(requests[0]["endpoint"]) if "sent" in request]
        assert max(parts.wait_for(sent, "the end of the endless answer")) < 16 << 20, "much more was read (L-23)"


PLACES = {"refresh": refreshed, "exchange": signed_in, "callback": signed_in, "discovery": signed_in, "keys": signed_in,
          "revocation": signed_out}


# --------------------------------------------------------------- all rows --

@pytest.fixture(scope="module")
def under_way(request, tmp_path_factory):
    """All rows that are to be tested, under way: a provider and a keyring for each of those that run at once."""
    rows = [item.callspec.params["row"] for item in request.session.items if "under_way" in item.fixturenames]
    folder, own = tmp_path_factory.mktemp("faults"), threading.local()

    def run(number, row):
        if not hasattr(own, "parts"):
            own.parts = ends.enter_context(parts.provider()), ends.enter_context(parts.keyring("unlocked", folder))
        provider, keyring = own.parts
        provider._admin("POST", "/reset")
        provider.set(rotate=row.rotates)
        try:
            meet(number, row, provider, keyring)
        except AssertionError:
            if not keyring.unlock_if_it_crashed():
                raise
            provider._admin("POST", "/reset")
            meet(str(number) + "-again", row, provider, keyring)

    def meet(number, row, provider, keyring):
        person = parts.Person(folder / str(number), keyring, "fault_" + re.sub(r"[^\w-]+", "_", str(row)))
        try:
            PLACES[row.where](row, provider, person)
        finally:
            person.leave()

    pool = concurrent.futures.ThreadPoolExecutor
    with pool(WORKING) as working, pool(WAITING) as waiting, contextlib.ExitStack() as ends:
        futures = {str(row): (waiting if row.is_long else working).submit(run, number, row)
                   for number, row in enumerate(rows)}
        yield futures
        for future in futures.values():  # a test run that was broken off
            future.cancel()
        concurrent.futures.wait(futures.values())


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_fault_of_the_provider_ends_as_promised(row, under_way):
    under_way[str(row)].result()
    parts.figure("provider faults met", 1)


def test_the_tables_have_every_fault_that_there_is_and_no_row_twice(provider):
    refused = parts.http("POST", provider.info["admin"] + "/faults", json={"kind": "none"}).json()["error"]
    known = set(refused.split(": ")[1].split()) - {"callback"}
    assert "truncate-json" in known
    for where in ("refresh", "exchange", "discovery", "keys", "revocation"):
        possible = known - NO_BODY if where == "revocation" else known
        assert {row.kind for row in ROWS if row.where == where} == possible, where
    assert {row.kind for row in ROWS if row.where == "callback"} == {"callback"}
    assert len({str(row) for row in ROWS}) == len(ROWS)
