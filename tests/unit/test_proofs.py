"""A folder without a proof turns a full run red: the test that should prove it was emptied, skipped or removed."""

import os
import subprocess
import sys

import pytest
from support import ROOT

CONFTEST = """
import types
from pathlib import Path

import pytest
import support

support.ROOT = Path(__file__).parent


@pytest.fixture
def app(tmp_path):
    (tmp_path / "log").mkdir()
    return types.SimpleNamespace(dir=tmp_path)
"""
TESTS = """
import pytest


@pytest.mark.proves("log")
def test_log(app):
    {body}


def test_broken(record_property):
    record_property("said", ["it is broken", "setup.sh: this | that"])


def test_folders(record_property):
    record_property("written", {{"rattail": ["log"], "wutta": []}})
"""
WORKS = "(app.dir / 'log/web.log').touch()"
ROW = """
| folder | with | what is proved | test in `tests/real/` |
| --- | --- | --- | --- |
| `log` | Rattail | Log | `test_logs.py::test_log` |
"""
LINE = """
| broken on purpose | what was said |
| --- | --- |
| it is broken | `setup.sh: this \\| that` |
"""
PAGES = {"folders": ROW, "failures": LINE}


@pytest.fixture
def run(tmp_path):
    """A function that runs the test of a log, with a body and more options; gives the process."""
    (tmp_path / "docs").mkdir()
    for name, table in PAGES.items():
        (tmp_path / f"docs/{name}.md").write_text(f"<!-- {name} -->{table}")
    (tmp_path / "conftest.py").write_text(CONFTEST)

    def run(body, *options, **environment):
        (tmp_path / "test_logs.py").write_text(TESTS.format(body=body))
        command = [sys.executable, "-m", "pytest", "-p", "real.proofs", "-p", "no:cacheprovider", *options, tmp_path]
        ours = {name: value for name, value in os.environ.items() if name != "UPDATE_DOCS"}
        environment = ours | {"PYTHONPATH": str(ROOT / "tests"), "CI": "true"} | environment
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)

    return run


@pytest.mark.parametrize("options", [[], ["--proofs"], ["--proofs", "--numprocesses=1"]])
def test_proof_is_taken(run, options):
    done = run(WORKS, *options)
    assert done.returncode == 0, done.stdout


def test_emptied_test_fails(run):
    done = run("pass")
    assert done.returncode == 1
    assert "the test proves nothing of log: no file there changed while it ran" in done.stdout


@pytest.mark.parametrize("options", [["--proofs"], ["--proofs", "--numprocesses=1"]])
def test_skipped_test_turns_a_full_run_red(run, options):
    assert run("pytest.skip()").returncode == 0
    done = run("pytest.skip()", *options)
    assert done.returncode == 1
    assert "rattail: no test has proved log" in done.stdout


@pytest.mark.parametrize("name", PAGES)
def test_old_table_turns_a_full_run_red(run, tmp_path, name):
    page = tmp_path / f"docs/{name}.md"
    page.write_text(f"<!-- {name} -->\nnothing\n")
    assert run(WORKS).returncode == 0
    done = run(WORKS, "--proofs")
    assert done.returncode == 1
    assert f"docs/{name}.md is out of date" in done.stdout
    assert run(WORKS, "--proofs", UPDATE_DOCS="1").returncode == 0
    assert page.read_text() == f"<!-- {name} -->{PAGES[name]}"
