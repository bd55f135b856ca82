"""Rattail's daemons run from the rendered config, and do their work."""

import time

import pytest
from real.apps import KINDS, make_app, running


@pytest.fixture(scope="module")
def app(render, tmp_path_factory):
    """A Rattail app with both daemons."""
    app = make_app(
        render, tmp_path_factory.mktemp("daemons") / "poser", datasync=True, filemon=True, **KINDS["tailbone"]
    )
    app.setup()
    return app


def daemon(app, name):
    """Run a daemon of Rattail for as long as the `with` lasts, from some seconds after it began its log."""
    command = [app.env / "bin/rattail", "-c", f"{name}.conf", name, "--pidfile", f"log/{name}.pid", "start"]
    ready = (app.dir / f"log/{name}.log").exists

    return running(command, app.env / f"{name}.out", lambda: ready() and not time.sleep(4), cwd=app.dir)


@pytest.mark.proves("log", framework="rattail")
def test_datasync(app):
    """DataSync runs, and writes its log."""
    with daemon(app, "datasync") as process:
        time.sleep(2)
        assert process.poll() is None
    assert "Traceback" not in (app.dir / "log/datasync.log").read_text()


@pytest.mark.proves("log", "work/user-files", framework="rattail")
def test_dropped_file_becomes_a_batch(app):
    """The file monitor makes a batch of a file that a user drops, and writes its log."""
    batches = app.dir / "data/batches/inventory"
    with daemon(app, "filemon"):
        (app.dir / "work/user-files/count.csv").write_text("upc,cases,units\n074305001321,1,2\n")
        limit = time.monotonic() + 30
        while not list(batches.glob("*/*/count.csv")) and time.monotonic() < limit:
            time.sleep(0.5)
        text = (app.dir / "log/filemon.log").read_text()
    assert list(batches.glob("*/*/count.csv")), text
