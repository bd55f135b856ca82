"""Rattail's daemons run from the rendered config, and do their work."""

import contextlib
import re
import sqlite3
import time

import pytest
from real.apps import ADMIN, KINDS, make_app, running, until

MAKE_TABLES = """
from rattail.config import make_config
config = make_config("silent.conf")
config.get_app().model.Base.metadata.create_all(config.appdb_engines["store"])
"""
ADD_VENDOR = """
from rattail.config import make_config
app = make_config("silent.conf").get_app()
with app.short_session(commit=True) as session:
    session.add(app.model.Vendor(id="77", name="KeHE"))
"""
# what a site puts in the place of the consumer that does nothing
NULL_CONSUMER = {
    "rattail.consumers.list = nothing": "rattail.consumers.list = store\nrattail.consumer.store.db = store",
    "rattail.consumer.nothing.spec = rattail.datasync.consumers:NullTestConsumer": (
        "rattail.consumer.store.spec = rattail.datasync.rattail:RattailConsumer"
    ),
}


@pytest.fixture(scope="module")
def app(render, tmp_path_factory, postgresql):
    """A Rattail app with both daemons, on PostgreSQL, since the queue of DataSync is not for SQLite."""
    app = make_app(
        render, tmp_path_factory.mktemp("daemons") / "poser", datasync=True, filemon=True, **KINDS["tailbone"]
    )
    app.setup(DATABASE_URL=postgresql("daemons"))
    return app


def daemon(app, name):
    """Run a daemon of Rattail as supervisor does, while the `with` lasts, from some seconds after it began its log."""
    ready = (app.dir / f"log/{name}.log").exists

    return running(app.program(name), app.env / f"{name}.out", lambda: ready() and not time.sleep(4), cwd=app.dir)


@pytest.fixture
def store(app):
    """The database of a store beside the app's own, to which DataSync is told to copy what changes."""
    database = app.dir / "data/store.sqlite"
    (app.dir / "local.conf").write_text(f"""
[rattail.db]
keys = default, store
store.url = sqlite:///{database}
default.record_changes = true
""")
    app.run("../bin/python", "-W", "ignore", "-c", MAKE_TABLES)
    config = app.dir / "datasync.conf"
    text = config.read_text()
    for old, new in NULL_CONSUMER.items():
        assert old in config.read_text()
        config.write_text(config.read_text().replace(old, new))
    yield database
    config.write_text(text)
    (app.dir / "local.conf").unlink()


@pytest.mark.proves("log")
def test_datasync_copies_a_row(app, store):
    """DataSync copies a new vendor into another database, and writes its log."""

    def copied():
        with contextlib.closing(sqlite3.connect(store)) as database:
            return database.execute("select id from vendor where name = 'KeHE'").fetchall() == [("77",)]

    with daemon(app, "datasync"):
        app.run("../bin/python", "-W", "ignore", "-c", ADD_VENDOR)
        limit = time.monotonic() + 60
        while not copied() and time.monotonic() < limit:
            time.sleep(0.5)
    log = (app.dir / "log/datasync.log").read_text()
    assert copied(), log
    assert "Traceback" not in log


@pytest.mark.proves("log", "work/user-files")
def test_dropped_file_becomes_a_batch(app):
    """The file monitor makes a batch of a file that a user drops, and writes its log.

    The rows are on the page of the batch; a file that cannot be read is put aside.
    """
    folder = app.dir / "work/user-files"
    (folder / "before.csv").write_text("upc,units\n074305001321,7\n")
    with daemon(app, "filemon"):
        (folder / "count.csv").write_text("upc,cases,units\n074305001321,1,2\n036000291452,0,41\n")
        (folder / "bad.csv").write_text("upc,units\n074305001321,many\n")
        until(lambda: len(list(folder.glob("done/*"))) == 2 and list(folder.glob("unreadable/*")))
    assert [path.name for path in folder.iterdir() if path.is_file()] == [".gitkeep"]
    log = (app.dir / "log/filemon.log").read_text()
    assert "line 2 is not a UPC with numbers of cases and units" in log
    (bad,) = folder.glob("unreadable/*-bad.csv")
    status, text = app.checks()["files"]
    assert (status, bad.name in text) == ("FAILED", True)
    with daemon(app, "filemon"):  # nothing becomes a batch again
        pass
    with app.serve() as web:
        web.login(*ADMIN)
        web.become_root()
        batches = set(re.findall(r"/batch/inventory/([0-9a-f-]{32,})", web.get("/batch/inventory/").text))
        assert len(batches) == 2
        pages = [web.get(f"/batch/inventory/{one}").text for one in batches]
    (page,) = (page for page in pages if "count.csv" in page)
    assert {"00036000291452", "00074305001321"} <= set(re.findall(r"\b\d{14}\b", page.replace("-", "")))
    bad.unlink()
    assert app.checks()["files"][0] == "ok"
