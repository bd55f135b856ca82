"""Which tests prove a folder: those with the mark `proves`, collected from all files beside this one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from real.apps import KINDS

HERE = Path(__file__).parent


def collect():
    """Return all proofs, as dicts of the test, what it shows, its framework and its folders.

    If pytest cannot collect the tests, that is a RuntimeError that shows why.
    """
    command = [sys.executable, "-m", "real.proofs"]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def proof(item, mark):
    """Return the proof that a test (a pytest item) and its mark are."""
    summary = (item.function.__doc__ or item.originalname.removeprefix("test_").replace("_", " ")).splitlines()[0]
    return {
        "test": f"{item.path.name}::{item.originalname}",
        "shows": summary[0].upper() + summary[1:].rstrip("."),
        "framework": mark.kwargs.get("framework") or framework(item),
        "folders": mark.args,
    }


def framework(item):
    """Return which framework a test runs: by its parameters, else by the name of its file."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if "framework" in parameters:
        return parameters["framework"]
    if "kind" in parameters:
        return KINDS[parameters["kind"]]["framework"]
    return item.path.stem.rpartition("_")[2]


class Collector:
    """A plugin of pytest that keeps the proofs among the tests it finds."""

    def __init__(self):
        self.proofs = []

    def pytest_itemcollected(self, item):
        self.proofs += [proof(item, mark) for mark in item.iter_markers("proves")]


if __name__ == "__main__":
    collector = Collector()
    code = pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", str(HERE)], [collector])
    print(json.dumps(collector.proofs))
    sys.exit(code)
