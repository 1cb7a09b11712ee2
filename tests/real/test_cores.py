"""A gauth that waits has secrets in its memory: neither a crash nor a debugger of the same user gets at them (L-19)."""
import ctypes
import multiprocessing
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import parts
import pytest

UNLIMITED = ("prlimit", "--core=unlimited", "--")  # whatever the limit of this session: a core file may be left
CORE_PATTERN = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
PTRACE_SEIZE = 0x4206


# ---------------------------------------------------------------- crashes --

def crashed(process, crash):
    """Whether the kernel wrote a core of it: the wait status says so, wherever the core went."""
    def is_over():
        os.kill(process.pid, crash)  # again if need be: Rust looks at the first SIGSEGV for an overflow, and goes on
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    end = parts.wait_for(is_over, "the crash")
    assert end.si_status == crash, end
    return end.si_code == os.CLD_DUMPED


def assert_another_program_leaves_a_core(folder, crash):
    """The control. Where cores go to another folder or to a program, they cannot be counted on."""
    before = set(folder.iterdir())
    sleep = subprocess.Popen([*UNLIMITED, "sleep", "60"], cwd=folder)
    parts.wait_for(lambda: parts.arguments(sleep.pid).startswith(b"sleep"), "the other program")
    is_dumped = crashed(sleep, crash)
    sleep.wait()
    cores = set(folder.iterdir()) - before
    if not CORE_PATTERN.startswith("|") and "/" not in CORE_PATTERN:
        assert is_dumped and cores, "no program leaves a core file here (core_pattern is %r)" % CORE_PATTERN
    for core in cores:
        core.unlink()


def waiting_refresh(person, provider):
    person.signs_in(provider)
    provider.fault("hang")
    running = person.start("token", "--force-refresh", wrapper=UNLIMITED)
    parts.wait_for(provider.refreshes, "the refresh request")
    return running


@pytest.mark.parametrize("crash", [signal.SIGABRT, signal.SIGSEGV], ids=lambda crash: crash.name)
@pytest.mark.parametrize("command", ["login", "token"])
def test_a_crash_of_a_waiting_gauth_leaves_no_core_file(person, provider, command, crash):
    if command == "login":
        running, _ = parts.waiting_login(person, provider, wrapper=UNLIMITED)
    else:
        running = waiting_refresh(person, provider)
    limits = parts.proc(running.pid, "limits").decode()
    assert re.search(r"(?m)^Max core file size +unlimited ", limits), limits
    assert_another_program_leaves_a_core(person.home, crash)

    before = sorted(person.files())
    assert not crashed(running.process, crash), "the kernel wrote a core"
    done = running.end()
    assert (done.code, done.out) == (-crash, ""), done
    assert sorted(person.files()) == before


# -------------------------------------------------------------- debuggers --

def become(user):
    """The user of the looking process; root may look into anything, so root becomes another."""
    if os.getuid() != user:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)


def is_let_in(attempt):
    try:
        attempt()
    except PermissionError:
        return False
    return True


def attach(pid):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(PTRACE_SEIZE, pid, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def look_into(command, home, words):
    """Starts a command, and when it says these words tries every way into it.

    As its parent, since some kernels let in no other.
    """
    process = subprocess.Popen(command, cwd=home, env={**parts.PLAIN, "HOME": home}, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if words in line:
                break
        else:
            raise AssertionError("%s: it never waited: %s" % (command, said))
        ways = {name: lambda name=name: open("/proc/%d/%s" % (process.pid, name), "rb").close()
                for name in ("mem", "environ", "maps", "auxv")}
        ways["ptrace"] = lambda: attach(process.pid)
        return {name: is_let_in(way) for name, way in ways.items()}
    finally:
        process.kill()
        process.wait()


def test_a_process_of_the_same_user_gets_into_another_program_but_not_into_a_waiting_gauth(provider):
    user = os.getuid() or 65534
    with tempfile.TemporaryDirectory() as folder, \
            multiprocessing.get_context("fork").Pool(1, become, (user,)) as pool:
        home = pathlib.Path(folder, "home")
        home.mkdir()
        files = [shutil.copy(parts.GAUTH, folder), shutil.copy(provider.client_secrets, home)]
        for path in (folder, home, *files):
            os.chown(path, user, -1)
        program, client_file = files

        def tried(*command, until):
            return pool.apply_async(look_into, (command, str(home), until)).get(30)
        other = tried("sh", "-c", "echo waiting >&2; exec sleep 60", until="waiting")
        assert all(other.values()), "this kernel lets nobody into any process: %s" % other
        gauth = tried(program, "login", "--no-browser", "--store", "file", "--client-secrets", client_file,
                      until="waiting for the browser")
    assert not any(gauth.values()), gauth
