"""Fixtures, and the count that tests/run prints as its last line."""
import os
import pathlib
import re

import parts
import pytest

SUMMARY = os.environ.get("GAUTH_REAL_SUMMARY")


@pytest.fixture
def provider():
    with parts.provider() as there:
        yield there


@pytest.fixture
def persons(tmp_path, request):
    """Makes persons, each with a home of their own; their processes end with the test."""
    made = []

    def person(session, name="person"):
        title = re.sub(r"[^\w-]+", "_", request.node.name)
        made.append(parts.Person(tmp_path / name, session, title if name == "person" else title + "_" + name))
        return made[-1]
    yield person
    for one in made:
        one.leave()


@pytest.fixture
def keyring(tmp_path):
    """gnome-keyring, unlocked."""
    with parts.keyring("unlocked", tmp_path) as session:
        yield session


@pytest.fixture
def person(persons, keyring):
    return persons(keyring)


class Count:
    """Passed and failed so far, written down after each test: a run that is cut off has a count as well.

    There is nothing in between: an error is a failure, and so is a skipped test.
    """

    def __init__(self):
        self.passed = self.failed = 0

    def pytest_collectreport(self, report):
        self.failed += report.outcome != "passed"
        self.write()

    def pytest_runtest_logreport(self, report):
        self.failed += report.outcome != "passed" or hasattr(report, "wasxfail")
        self.passed += report.outcome == "passed" and report.when == "call"
        self.write()

    def write(self):
        pathlib.Path(SUMMARY).write_text("%d %d\n" % (self.passed, self.failed))


def pytest_configure(config):
    if SUMMARY:
        config.pluginmanager.register(Count())
