"""kill -9 at every step: the next command works or says what to do, and a grant is lost only where nobody can keep it.

A step is a system call that the provider, the keyring or the next command can notice, or that leads to one. The kill
comes at its entry: all before it has happened, and it has not. strace can inject a kill as well, but counts for
each thread apart. Each call of the keyring has a thread of its own, so that the first message of the second one, which stores
the rotated refresh token, would never be reached; and the browser would be killed too. So there is a tracer here, which
counts the calls of all threads of gauth together. The binary is the released one: it has no fault points.
"""
import collections
import concurrent.futures
import contextlib
import inspect
import json
import os
import random
import shutil
import signal
import sys
import time
import tomllib

import parts
import pytest

CALLS = {"write": 1, "writev": 20, "connect": 42, "sendto": 44, "recvfrom": 45, "sendmsg": 46, "recvmsg": 47,
         "flock": 73, "fsync": 74, "rename": 82, "mkdir": 83, "unlink": 87, "openat": 257, "clone3": 435}  # of x86-64
DURABLE = ("rename", "fsync", "unlink")  # what a crash can fall between

SEED = int(os.environ.get("GAUTH_CRASH_SEED") or random.randrange(10**6))  # shown with a failure

REFRESH = ("token", "--force-refresh")


# ------------------------------------------------------------------ tracer --

def traced(calls, call, number, log, command):
    """Runs a command, writes down its steps, and kills it at this one. Ends as it ended. A process of its own."""
    import collections
    import ctypes
    import os
    import signal
    traceme, syscall, setoptions, get_syscall_info, all_threads = 0, 24, 0x4200, 0x420E, 0x40000000
    options = 0x01 | 0x08 | 0x10 | 0x100000  # mark system calls, follow threads, tell of exec, end with the tracer
    exec_event, entry, system_call = 4, 1, signal.SIGTRAP | 0x80
    libc = ctypes.CDLL(None)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    pid = os.fork()
    if pid == 0:
        libc.ptrace(traceme, 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execv(command[0], command)
    os.waitpid(pid, 0)
    libc.ptrace(setoptions, pid, None, options)
    libc.ptrace(syscall, pid, None, None)
    names, seen, steps = {n: name for name, n in calls.items()}, collections.Counter(), []
    info, is_running = ctypes.create_string_buffer(88), False
    while True:
        thread, status = os.waitpid(-1, all_threads)
        if not os.WIFSTOPPED(status):
            if thread == pid:  # the last to be told of
                break
            continue
        event, stop = status >> 16, os.WSTOPSIG(status)
        is_running = is_running or event == exec_event
        if is_running and stop == system_call:
            libc.ptrace(get_syscall_info, thread, len(info), info)
            name = names.get(int.from_bytes(info.raw[24:32], "little")) if info.raw[0] == entry else None
            if name:
                seen[name] += 1
                steps.append([name, seen[name]])
                if steps[-1] == [call, number]:
                    os.kill(pid, signal.SIGKILL)
        is_ours = event or stop in (system_call, signal.SIGTRAP, signal.SIGSTOP)
        libc.ptrace(syscall, thread, None, None if is_ours else stop)
    with open(log, "w") as file:
        file.write("\n".join("%s %d" % tuple(step) for step in steps))
    if os.WIFSIGNALED(status):
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


TRACER = inspect.getsource(traced) + "\nimport json, sys\ntraced(*json.loads(sys.argv[1]), sys.argv[2:])\n"


def under_tracer(person, step, *args, **env):
    log = person.desk / "steps"
    wrapper = (sys.executable, "-I", "-S", "-c", TRACER, json.dumps([CALLS, *step, str(log)]))
    done = person.start(*args, wrapper=wrapper, **env).end()
    return done, [(name, int(n)) for name, n in map(str.split, log.read_text().splitlines())]


def steps_of(person, *args, **env):
    """The steps of a command that is left alone, in their order: (call, how many of its name)."""
    done, steps = under_tracer(person, ("", 0), *args, **env)
    assert done.code == 0, done
    assert {"rename", "fsync", "writev", "recvfrom", "flock"} <= {name for name, _ in steps}, steps
    return steps


def sampled(steps, one_of):
    """All of those between which a crash can fall, and of the rest one of so many."""
    chosen = random.Random(SEED)
    return [step for step in steps if step[0] in DURABLE or chosen.randrange(one_of) == 0]


def is_killed(person, step, *args, **env):
    """The steps that it came to, if this was one of them. It is not if it makes a call less than before; then it works."""
    done, steps = under_tracer(person, step, *args, **env)
    assert done.code == (-signal.SIGKILL if step in steps else 0), done
    if has_keyring(person):
        person.session.unlock_if_it_crashed()
    return steps if step in steps else []


# ------------------------------------------------------------------- places --

@pytest.fixture
def two(request, persons, tmp_path):
    """Two persons, each with a provider: two workers that share nothing. A file store each, if not told otherwise."""
    with contextlib.ExitStack() as stack:
        places = []
        for n, store in enumerate(getattr(request, "param", FILES)):
            mode = "unlocked" if store == "keyring" else "no-bus"
            session = stack.enter_context(parts.keyring(mode, tmp_path))
            # one root certificate: to read the system's is a hundred and fifty steps that change nothing
            session.env.update(GAUTH_STORE=store, SSL_CERT_FILE=str(parts.CERTS / "ca.pem"))
            places.append((persons(session, "person-%d" % n), stack.enter_context(parts.provider())))
        yield places


LOST = "grants lost between the provider's rotation and the save, which no client can keep"

FILES, KEYRINGS, MIXED = ("file", "file"), ("keyring", "keyring"), ("file", "keyring")
both_stores = pytest.mark.parametrize("two", [FILES, KEYRINGS], indirect=True, ids=["files", "keyrings"])


def in_two(two, work, *halves):
    """The work done in both places at once, on one half each; the sums of what both counted."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(work, *place, half) for place, half in zip(two, halves)]
        return sum((job.result() for job in jobs), collections.Counter())


def at_steps(two, work, steps):
    """The work done for each step, and nearly all of them came to a kill."""
    tally = in_two(two, work, steps[::2], steps[1::2])
    assert tally["killed"] >= len(steps) - 3, (tally, SEED)
    return tally


def survived(tally):
    parts.figure("kills survived", tally["killed"] - tally["lost"])
    if tally["lost"]:
        parts.figure(LOST, tally["lost"])


@contextlib.contextmanager
def after(what):
    try:
        yield
    except Exception as error:
        error.add_note("after a kill at %s (GAUTH_CRASH_SEED=%d)" % (what, SEED))
        raise


# ----------------------------------------------------------- what must hold --

def has_keyring(person):
    return person.session.env["GAUTH_STORE"] == "keyring"


def stored_refresh_token(person):
    """The one in the item that the index names."""
    folder = person.home / ".config" / "gauth"
    item = tomllib.loads((folder / "profiles.toml").read_text())["profiles"]["default"]["item"]
    if not has_keyring(person):
        return json.loads((folder / "secrets" / (item + ".json")).read_text())["refresh_token"]
    [secret] = [secret for attributes, secret in person.session.items() if attributes["username"] == item]
    return json.loads(secret)["refresh_token"]


def kept_here(person, secrets):
    """Which of these lie in any file, whatever its name, or in the keyring."""
    places = [path.read_bytes() for path in person.files()]
    if has_keyring(person):
        places += [secret for _, secret in person.session.items()]
    return {secret for secret in secrets if any(secret.encode() in place for place in places)}


def whose(provider, token):
    answer = provider.userinfo(token)
    assert answer.status_code == 200, answer.text
    return answer.json()["email"]


def refresh_statuses(provider, refresh_token):
    """What the provider made of this token, as often as it came, once all that the dead asked for is done."""
    provider.userinfo("nobody's")  # came after theirs
    parts.wait_for(lambda: all("status" in request for request in provider.seen("token")), "the provider's end of it")
    return [r["status"] for r in provider.refreshes() if r["params"]["refresh_token"] == refresh_token]


def is_kept(person, provider):
    """Whether the next commands work. If not, the grant is lost, and only because the provider has replaced the stored
    refresh token in an answer that nobody lived to save (T-8); then the line of the hint works."""
    stored = stored_refresh_token(person)
    # of two commands the second may have been told already that the grant is lost, and nothing cached is of use then
    if 400 not in refresh_statuses(provider, stored):
        assert whose(provider, person.token()) == parts.ALICE
    done = person.gauth(*REFRESH)
    if done.code == 0:
        assert whose(provider, done.out.strip()) == parts.ALICE
        return True
    assert (done.code, done.out, parts.login_line(done)) == (4, "", ["login"]), done
    statuses = refresh_statuses(provider, stored)
    assert statuses[0] == 200 and set(statuses[1:]) == {400}, statuses
    assert stored_refresh_token(person) == stored
    again = person.gauth(*parts.login_line(done))
    assert again.code == 0, again
    assert whose(provider, person.token("--force-refresh")) == parts.ALICE
    return False


def entry_works(person, accounts):
    """The cached token and a fresh one are of the account and issuer that the index names. Gives the issuer."""
    [entry] = person.profiles()
    provider, account = accounts[entry["issuer"]]
    assert (entry["email"], entry["sub"]) == (account, account)
    for args in ((), ("--force-refresh",)):
        assert whose(provider, person.token(*args)) == account, args
    return entry["issuer"]


def of_alice(provider):
    return {provider.issuer: (provider, parts.ALICE)}


def assert_only_the_newest_is_kept(person, provider):
    assert kept_here(person, provider.issued("refresh_token")) == {stored_refresh_token(person)}


# ------------------------------------------------------------------ refresh --

def refresh_killed_at(person, provider, steps):
    tally = collections.Counter()
    for step in steps:
        with after(step):
            provider._admin("POST", "/reset")  # its log begins anew, its grants stay
            came_to = is_killed(person, step, *REFRESH)
            tally["killed"] += bool(came_to)
            if not is_kept(person, provider):
                tally["lost"] += 1
                # the request had gone out; how much came after it differs, since the keyring is asked beside it
                assert any(name == "writev" for name, _ in came_to), came_to
    assert_only_the_newest_is_kept(person, provider)
    return tally


@both_stores
def test_a_refresh_killed_at_any_step_loses_the_grant_only_between_the_rotation_and_the_save(two):
    for person, provider in two:
        person.signs_in(provider)
    steps = steps_of(two[0][0], *REFRESH)
    tally = at_steps(two, refresh_killed_at, steps)
    # over after a few steps; none at all would mean that nothing was tested
    assert 0 < tally["lost"] < 16, tally
    survived(tally)


def test_without_rotation_a_refresh_killed_at_any_step_loses_nothing(two):
    for person, provider in two:
        provider.set(rotate=False)
        person.signs_in(provider)
    tally = at_steps(two, refresh_killed_at, steps_of(two[0][0], *REFRESH))
    assert tally["lost"] == 0, tally
    survived(tally)


# -------------------------------------------------------------------- login --

@both_stores
def test_a_login_of_the_same_account_killed_at_its_steps_leaves_a_login_that_works(two):
    def work(person, provider, steps):
        tally = collections.Counter()
        for step in steps:
            with after(step):
                tally["killed"] += bool(is_killed(person, step, "login"))
                entry_works(person, of_alice(provider))
        person.signs_in(provider)
        assert_only_the_newest_is_kept(person, provider)
        return tally

    for person, provider in two:
        person.signs_in(provider)
    survived(at_steps(two, work, sampled(steps_of(two[0][0], "login"), 3)))


def test_a_login_of_another_account_killed_at_its_steps_never_serves_one_as_the_other(two):
    """The other account is at another provider, since gauth refuses it at the same one: from here to there and back."""
    accounts = {provider.issuer: (provider, account) for (_, provider), account in zip(two, (parts.ALICE, parts.BOB))}
    here, there = accounts

    def login_at(issuer):
        provider, account = accounts[issuer]
        return ("login", "--client-secrets", provider.client_secrets), {"BROWSER_LOGIN": account}

    def work(person, _, steps):
        tally = collections.Counter()
        for step in steps:
            with after(step):
                before = entry_works(person, accounts)
                args, env = login_at(there if before == here else here)
                tally["killed"] += bool(is_killed(person, step, *args, **env))
                tally["stayed" if entry_works(person, accounts) == before else "moved"] += 1
        return tally

    for person, _ in two:
        for issuer in accounts:
            args, env = login_at(issuer)
            steps = steps_of(person, *args, **env)
    tally = at_steps(two, work, sampled(steps, 2))
    assert tally["stayed"] and tally["moved"], tally  # kills on both sides of the switch
    survived(tally)


def test_a_first_login_killed_at_its_steps_leaves_a_working_login_or_none_and_the_hint_works(two):
    login = ("login", "--client-secrets", "client_secrets.json")

    def begins_anew(person, provider):
        for folder in (person.home, person.runtime):
            shutil.rmtree(folder)
            folder.mkdir(mode=0o700)
        shutil.copy(provider.client_secrets, person.home / "client_secrets.json")  # where the hint has it

    def work(person, provider, steps):
        tally = collections.Counter()
        for step in steps:
            with after(step):
                begins_anew(person, provider)
                tally["killed"] += bool(is_killed(person, step, *login))
                if person.profiles():
                    tally["kept"] += 1
                    entry_works(person, of_alice(provider))
                else:
                    done = person.gauth("token")
                    assert (done.code, done.out, parts.login_line(done)) == (4, "", list(login)), done
                done = person.gauth(*login)
                assert done.code == 0, done
                entry_works(person, of_alice(provider))
                assert_only_the_newest_is_kept(person, provider)
        return tally

    begins_anew(*two[0])
    tally = at_steps(two, work, sampled(steps_of(two[0][0], *login), 3))
    assert 0 < tally["kept"] < tally["killed"], tally
    survived(tally)


# ------------------------------------------------------------------- logout --

@both_stores
def test_a_logout_killed_at_its_steps_can_be_repeated_and_leaves_nothing(two):
    def work(person, provider, steps):
        tally = collections.Counter()
        for step in steps:
            with after(step):
                person.signs_in(provider)
                refresh_token = stored_refresh_token(person)
                tally["killed"] += bool(is_killed(person, step, "logout"))
                was_done = person.profiles() == []
                done = person.gauth("token")
                assert done.code == 4 or whose(provider, done.out.strip()) == parts.ALICE, done  # no dead one
                again = person.gauth("logout")
                assert again.code == (4 if was_done else 0), again
                assert person.profiles() == [] and person.gauth("token").code == 4
                assert kept_here(person, provider.issued()) == set()
                assert not provider.is_active(refresh_token)
        return tally

    person, provider = two[0]
    person.signs_in(provider)
    survived(at_steps(two, work, sampled(steps_of(person, "logout"), 2)))


# ----------------------------------------------------------- random moments --

def length(person, *args):
    """How long a command takes that is left alone: by the end of its output, since end() looks only now and then."""
    running = person.start(*args)
    running.readers[0].join(60)
    took = time.monotonic() - running.begun
    done = running.end()
    assert done.code == 0, done
    return took



@pytest.mark.parametrize("two", [MIXED], indirect=True, ids=["file-and-keyring"])
def test_two_hundred_kills_at_random_moments_lose_nothing_that_could_be_kept(two):
    def work(person, provider, chance):
        """Refreshes and logins, sometimes two at once, each killed at a moment of its length or a little later."""
        lengths = {args: length(person, *args) for args in (REFRESH, ("login",))}
        tally = collections.Counter()
        while tally["killed"] < 100:
            provider._admin("POST", "/reset")
            commands = chance.choices(list(lengths), (3, 1), k=chance.choice((1, 1, 2)))
            moments = sorted((chance.uniform(0, 1.5 * lengths[args]), n) for n, args in enumerate(commands))
            with after("%s of %s" % (moments, commands)):
                begun = time.monotonic()
                runs = [person.start(*args) for args in commands]
                for moment, n in moments:
                    time.sleep(max(0, begun + moment - time.monotonic()))  # waits for nothing: this is the moment
                    runs[n].process.kill()
                codes = [run.end().code for run in runs]
                is_locked = has_keyring(person) and person.session.unlock_if_it_crashed()
                kept = is_kept(person, provider)
                assert set(codes) <= {0, -signal.SIGKILL} | (set() if kept else {4}) | ({7} if is_locked else set()), codes
                tally += {"killed": codes.count(-signal.SIGKILL), "lost": not kept, "rounds": 1}
            assert tally["rounds"] < 500, tally
        return tally

    for person, provider in two:
        person.signs_in(provider)
    survived(in_two(two, work, *(random.Random(SEED + n) for n in range(2))))
