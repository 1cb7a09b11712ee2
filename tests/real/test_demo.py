"""The README's first command: everything, with whatever of it is real on this machine."""
import os
import re

import parts
import pytest


def real_parts(done):
    """Which parts the demo says were real."""
    found = re.search(r"(?m)^Real in this run: (.*)$", done.err)
    assert found, done
    return found.group(1)


def test_the_demo_uses_the_browser_and_the_keyring_that_are_there_and_cleans_up(person):
    done = person.gauth("demo", BROWSER=parts.CHROMIUM)
    assert done.code == 0, done
    assert "the browser" in real_parts(done) and "the keyring" in real_parts(done), done
    assert not re.search(r"memory|by itself", done.err), done

    report = person.browser()
    person.keep_screenshot("chromium-demo-signed-in")
    assert report["steps"] == ["sandbox-account", "sandbox-consent", "final"]
    assert "signed in" in report["final_text"].lower() and "not signed in" not in report["final_text"].lower()
    parts.assert_no_code(report["final_url"])
    for name in ("sandbox-account", "sandbox-consent"):
        (parts.OUTPUT / ("chromium-demo-%s.png" % name)).write_bytes((person.desk / ("browser.%s.png" % name)).read_bytes())

    assert person.session.items() == []
    assert person.profiles() == []


def test_a_demo_denied_in_the_browser_is_exit_5_and_cleans_up(person):
    done = person.gauth("demo", BROWSER=parts.CHROMIUM, BROWSER_ACTION="deny")
    assert done.code == 5, done
    assert "not signed in" in person.browser()["final_text"].lower()
    assert person.session.items() == []
    assert person.profiles() == []


@pytest.mark.parametrize("path", ["", os.environ["PATH"]], ids=["empty-path", "usual-path"])
def test_the_demo_works_on_a_machine_with_no_browser_and_no_keyring_and_says_so(tmp_path, persons, path):
    with parts.keyring("no-bus", tmp_path) as session:
        person = persons(session)
        done = person.gauth("demo", PATH=path, BROWSER=None, XDG_RUNTIME_DIR=None, GAUTH_RUNTIME_DIR=None)
        assert done.code == 0, done
        assert "browser" not in real_parts(done) and "keyring" not in real_parts(done), done
        assert re.search(r"browser.*by itself", done.err) and re.search(r"keyring.*memory", done.err), done
        assert done.seconds < 10, done
        assert person.started_processes() == []
        assert [path for path in person.files() if parts.ALICE in path.read_text(errors="replace")] == []
