"""Proofs that the real software fills each folder of the app dir: tests that passed, and saw it change.

A test with the mark `proves(folder, ...)` fails unless each of these folders changes while it runs, in the app that
is its fixture `app`, or the one named by `of`.
After a run of all tests with --proofs, each folder to which the README of the app dir says that something
writes must have a proof, and docs/folders.md must tell of them all; and docs/failures.md of what `says` has kept.
"""

import os

import pytest
from support import generated

FRAMEWORKS = {"rattail": "Rattail", "wutta": "Wutta"}


def pytest_addoption(parser):
    """Add the option for runs of all tests."""
    parser.addoption("--proofs", action="store_true", help="all tests run: check that each folder has a proof")


def pytest_configure(config):
    """Add the mark, and what collects the proofs."""
    config.addinivalue_line("markers", "proves(folder, ..., of='app'): the test sees these folders of an app change")
    config.pluginmanager.register(Proofs(config), "proofs-collector")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a test; if it should prove folders, look at them before and after, and put the proof into its report."""
    mark = pyfuncitem.get_closest_marker("proves")
    if not mark:
        return (yield)
    app = pyfuncitem.funcargs[mark.kwargs.get("of", "app")]
    before = {name: contents(app.dir / name) for name in mark.args}
    result = yield
    same = [name for name in mark.args if contents(app.dir / name) == before[name]]
    assert not same, f"the test proves nothing of {', '.join(same)}: no file there changed while it ran"
    pyfuncitem.user_properties.append(("proof", proof(pyfuncitem, app, mark.args)))
    return result


def contents(folder):
    """Return what tells whether files below a folder have changed: size and time of each, by its path."""
    found = {}
    for path in folder.rglob("*"):
        if "__pycache__" not in path.parts and path.is_file():
            status = path.stat()
            found[path] = (status.st_size, status.st_mtime_ns)
    return found


def proof(item, app, folders):
    """Return the proof that a test (a pytest item) has made with an app."""
    summary = (item.function.__doc__ or item.originalname.removeprefix("test_").replace("_", " ")).splitlines()[0]
    return {
        "test": f"{item.path.name}::{item.originalname}",
        "shows": summary[0].upper() + summary[1:].rstrip("."),
        "framework": "wutta" if (app.dir / "wutta.conf").exists() else "rattail",
        "folders": list(folders),
    }


class Proofs:
    """Collects the proofs from the reports of the tests, also from those that other workers ran."""

    def __init__(self, config):
        self.checks = config.getoption("--proofs") and not hasattr(config, "workerinput")
        self.proofs, self.said = [], []
        self.written = {}  # the folders to which something writes, by framework
        self.skipped = set()
        self.problems = []

    def pytest_runtest_logreport(self, report):
        """Keep what a test that passed has put into its report."""
        if report.skipped and "proves" in report.keywords:
            self.skipped.add(report.nodeid)
        if report.when == "call" and report.passed:
            for name, value in report.user_properties:
                if name == "proof":
                    self.proofs.append(value)
                elif name == "said":
                    self.said.append(tuple(value))
                elif name == "written":
                    self.written |= value

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session, exitstatus):
        """Fail a run with --proofs whose tests passed, but in which proofs are missing."""
        if self.checks and exitstatus == pytest.ExitCode.OK:
            self.problems = [*self.missing(), *self.out_of_date()]
            if self.problems and (os.environ.get("CI") or not self.skipped):
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        """Tell what is missing."""
        if self.problems:
            terminalreporter.section("proofs of folders", red=True)
            terminalreporter.write_line("\n".join(self.problems))
            for test in sorted(self.skipped):
                terminalreporter.write_line(f"skipped: {test}")

    def missing(self):
        """Return what lacks a proof, in one line each; the proof of a folder is also that of those it lies in."""
        for framework in FRAMEWORKS:
            if framework not in self.written:
                yield f"{framework}: no test has told which folders there are"
                continue
            proved = {name for proof in self.proofs if proof["framework"] == framework for name in proof["folders"]}
            for name in self.written[framework]:
                if not any(f"{other}/".startswith(f"{name}/") for other in proved):
                    yield f"{framework}: no test has proved {name}"

    def out_of_date(self):
        """Return what is wrong with the pages made from tests, in a line each; or write them, with UPDATE_DOCS=1."""
        for name, text in {"folders": table(self.proofs), "failures": lines_said(self.said)}.items():
            try:
                generated(f"{name}.md", name, text)
            except AssertionError as error:
                yield str(error).splitlines()[0]


def lines_said(said):
    """Return the table of docs/failures.md: what was broken, and the line that a script said."""
    plain = {(what, line.replace("`", "'").replace("|", "\\|")) for what, line in said}
    rows = [f"| {what} | `{line}` |" for what, line in sorted(plain)]
    return "\n".join(["| broken on purpose | what was said |", "| --- | --- |", *rows])


def table(proofs):
    """Return the table of docs/folders.md."""
    rows = {}
    for proof in proofs:
        rows.setdefault((tuple(proof["folders"]), proof["shows"], proof["test"]), set()).add(proof["framework"])
    lines = ["| folder | with | what is proved | test in `tests/real/` |", "| --- | --- | --- | --- |"]
    for (names, shows, test), frameworks in sorted(rows.items()):
        titles = [title for key, title in FRAMEWORKS.items() if key in frameworks]
        lines.append(f"| `{'`, `'.join(names)}` | {', '.join(titles)} | {shows} | `{test}` |")
    return "\n".join(lines)
