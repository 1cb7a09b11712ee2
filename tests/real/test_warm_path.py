"""A warm token costs a process and two reads: nothing is asked, locked, written or started."""
import re

import parts

TRACED = ("%network,%process,flock,fcntl,open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,"
          "unlink,unlinkat,link,linkat,symlink,symlinkat,truncate,ftruncate,chmod,fchmod,fchmodat")
HARMLESS = {"execve", "exit", "exit_group", "fcntl", "open", "openat", "openat2"}  # the rest by how it is called
WRITING = re.compile(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)")
LOCKING = re.compile(r"F_(OFD_)?SETLKW?\b")


def not_warm(person, *args):
    """How a command ended, and its system calls that have no place on the warm path."""
    done, lines = parts.traced(person, TRACED, *args)
    calls = [(re.match(r"\d+ +(\w+)\(", line).group(1), line) for line in lines]
    return done, [line for name, line in calls
                  if name not in HARMLESS or WRITING.search(line) or LOCKING.search(line)]


def test_a_warm_token_connects_to_nothing_locks_nothing_writes_nothing_and_starts_no_thread(person, provider):
    person.signs_in(provider)
    token = person.token()

    _, cold = not_warm(person, "token", "--force-refresh")  # the trace does see such things
    for expected in ("socket(", "connect(", "clone", "O_CREAT"):
        assert any(expected in line for line in cold), "a refresh without %s?" % expected
    assert any("flock(" in line or LOCKING.search(line) for line in cold)

    before = provider._admin("GET", "/counters")
    for args in (("token",), ("token", "--min-ttl", "10m"), ("token", "--format", "json"), ("token", "--format", "header")):
        done, warm = not_warm(person, *args)
        assert warm == [], "\n".join(warm)
        assert token not in done.out and provider.issued("access_token")[-1] in done.out
    assert provider._admin("GET", "/counters") == before


def test_a_warm_token_comes_with_the_keyring_the_bus_and_the_provider_gone(person):
    with parts.provider() as provider:
        person.signs_in(provider)
        token = person.token()
        person.session.do("freeze")
        assert person.token() == token
        person.session.do("thaw")
    for address in ("unix:path=/nonexistent/bus", None):
        done = person.gauth("token", DBUS_SESSION_BUS_ADDRESS=address)
        assert (done.code, done.out, done.err) == (0, token + "\n", ""), done


def test_without_a_cache_the_access_token_is_nowhere_but_in_the_store(person, provider):
    person.signs_in(provider, GAUTH_CACHE="off")
    token = person.token(GAUTH_CACHE="off")
    assert provider.userinfo(token).status_code == 200
    assert not any(token in path.read_text(errors="replace") for path in person.files())
