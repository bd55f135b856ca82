"""Overnight automation: markers by date, only failed tasks again, with and without the scheduler's server."""

import contextlib
import datetime
import json
import re
import sqlite3
import stat
from urllib.parse import quote

import pytest
from real.apps import ADMIN, KINDS, make_app, scheduler_answers

DAY = "2026-01-31"
MARKERS = {
    "tailbone": {"problem-reports", "products-to-csv", "products-to-instacart"},
    "wuttaweb": {"problem-reports", "users-to-csv"},
}
IN_TABLE = {"tailbone": "description", "wuttaweb": "\nadmin,True\n"}  # no product yet, so the name of a column
TABLE = {"tailbone": "Product.csv", "wuttaweb": "User.csv"}


@pytest.fixture(scope="module", params=MARKERS)
def kind(request):
    """The kinds of apps with overnight tasks."""
    return request.param


@pytest.fixture(scope="module")
def app(render, tmp_path_factory, kind, request):
    """An app of its own for each kind, since its tasks are changed here; Rattail's is on PostgreSQL."""
    app = make_app(render, tmp_path_factory.mktemp("luigi") / "poser", **KINDS[kind])
    make_database = request.getfixturevalue("postgresql")
    app.setup(DATABASE_URL=make_database(f"luigi-{kind}"))
    return app


def markers(app, day):
    """Return the names of the tasks that are done for a day such as 2026-01-31."""
    folder = app.dir / "luigi" / day.replace("-", "/")
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def history(app, day, event):
    """Return the names of the tasks of a day that Luigi's server has recorded an event of, such as DONE."""
    query = """
        select tasks.name from tasks join task_events on task_events.task_id = tasks.id
        join task_parameters on task_parameters.task_id = tasks.id
        where event_name = ? and task_parameters.name = 'date' and value = ?
    """
    with contextlib.closing(sqlite3.connect(app.dir / "luigi/history.sqlite")) as database:
        return [name for (name,) in database.execute(query, (event, day))]


@pytest.mark.proves("luigi", "luigi/log", "work/csv")
def test_a_night_without_server(app, kind):
    """The starter tasks of a night leave a marker each by date, a table as CSV, and their log."""
    assert not scheduler_answers(app)
    assert "done" in app.run("./overnight.sh", "main", DAY).stdout
    assert markers(app, DAY) == MARKERS[kind]
    assert IN_TABLE[kind] in (app.dir / "work/csv" / TABLE[kind]).read_text()
    assert "main" in app.run("./overnight.sh", "--help").stdout
    assert (app.dir / "luigi/log/luigi.log").stat().st_size
    assert (app.dir / "log/cron.log").exists()
    if kind == "tailbone":
        assert list(app.dir.glob("data/exports/instacart_product_export/*/*/*.csv"))
    assert not list(app.env.glob("2026"))


def test_second_run_does_nothing(app, kind):
    app.run("./overnight.sh", "main", DAY)
    table = app.dir / "work/csv" / TABLE[kind]
    before = table.stat().st_mtime_ns
    assert app.run("./overnight.sh", "--quiet", "main", DAY).stdout == ""
    assert table.stat().st_mtime_ns == before


@pytest.mark.proves("luigitasks")
def test_failed_task_runs_again_and_only_it(app, kind):
    """A night runs the tasks as they are edited: a broken one fails, and once it is fixed, it alone runs again."""
    module = app.dir / "luigitasks/overnight_main.py"
    good = module.read_text()
    last = next(name for name in MARKERS[kind] if name.endswith("to-csv"))
    broken = re.sub(f'(filename = "{last}"\n\n    def run_command\\(self\\):\n)', r"\1        1 / 0\n", good)
    assert broken != good
    day = "2026-02-01"
    with app.scheduler():
        module.write_text(broken)
        failed = app.run("./overnight.sh", "--quiet", "main", day, check=False)
        module.write_text(good)
        assert failed.returncode == 30
        assert "luigi.log" in failed.stdout
        assert markers(app, day) == MARKERS[kind] - {last}
        times = {path: path.stat().st_mtime_ns for path in (app.dir / "luigi/2026/02/01").iterdir()}
        assert app.run("./overnight.sh", "--quiet", "main", day).stdout == ""
        assert markers(app, day) == MARKERS[kind]
        assert {path: path.stat().st_mtime_ns for path in times} == times
    assert len(history(app, day, "FAILED")) == 1
    assert len(history(app, day, "DONE")) == len(MARKERS[kind]) + 1  # and the wrapper of them all
    assert "Scheduler starting up" in (app.dir / "luigi/log/luigi.log").read_text()
    assert app.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.proves("luigi", "luigi/log")
@pytest.mark.parametrize("kind", ["tailbone"], scope="module")
def test_rattail_launches_it(app, kind):
    """The command overnight runs the tasks of a night by Luigi's server, which records them; again, it does nothing.

    It counts for check.sh as a night that overnight.sh ran.
    """
    day = str(datetime.date.today() - datetime.timedelta(days=1))
    last = app.dir / "luigi/log/last-main"
    last.unlink(missing_ok=True)
    assert app.checks()["overnight"] == ("unknown", "main has not run yet")
    command = ["../bin/rattail", "-c", "cron.conf", "overnight", "-k", "main", "--date", day, "--wait"]
    table = app.dir / "work/csv" / TABLE[kind]
    with app.scheduler():
        assert "WARN" not in app.run(*command).stdout
        assert markers(app, day) == MARKERS[kind]
        before = table.stat().st_mtime_ns
        app.run(*command)
        assert table.stat().st_mtime_ns == before
    assert len(history(app, day, "DONE")) == len(MARKERS[kind]) + 1  # and the wrapper of them all
    assert app.checks()["overnight"] == ("ok", f"main for {day} is done")


def test_the_scheduler_has_a_socket_and_no_port(app):
    """Only its own user can open the socket; no port is open, by which any user of the machine could come in."""
    with app.scheduler() as scheduler:
        assert stat.S_IMODE((app.dir / "luigi/luigid.sock").stat().st_mode) == 0o600
        assert f"pid={scheduler.pid}," not in app.run("ss", "-Hltnp").stdout
        app.run("lib/run", "stop-luigid")
        scheduler.wait(timeout=30)
    done = app.run("lib/run", "stop-luigid", check=False)
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    assert "scheduler is down" in done.stdout


def test_admins_see_the_scheduler(app, kind):
    """Its pages are for admins, in the web app, and only to look: what changes something is refused."""
    day = "2026-02-03"
    with app.scheduler(), app.serve() as web:
        app.run("./overnight.sh", "--quiet", "main", day)
        api = "/luigi/scheduler/api/"
        everything = "task_list?data=" + quote('{"status": "DONE", "upstream_status": ""}')
        assert day not in web.get(api + everything).text  # nobody has logged in
        web.login(*ADMIN)
        if kind == "tailbone":
            web.become_root()
            page = web.page("/luigi/", "View / Launch Tasks").text
            assert 'href="/luigi/scheduler/"' in page
            assert 'href="/luigi/scheduler/history"' in page
        start = web.get("/luigi/scheduler/")
        assert (start.status, start.url) == (200, f"{web.base}/luigi/scheduler/static/visualiser/index.html")
        assert "Luigi Task Visualiser" in start.text
        tasks = json.loads(web.get(api + everything).text)["response"].values()
        assert len([task for task in tasks if day in task["display_name"]]) == len(MARKERS[kind]) + 1
        history = web.get("/luigi/scheduler/history").text
        (link, *_) = re.findall(r'href="(/luigi/scheduler/history/by_id/\d+)"', history)
        assert "date" in web.get(link).text
        assert not [name for name in ("pause", "prune") if '"response"' in web.get(api + name).text]
    with app.serve() as web:
        web.login(*ADMIN)
        assert web.get("/luigi/scheduler/history").status == 503


@pytest.mark.parametrize(("name", "day"), [("nothing", DAY), ("main", "yesterday"), ("../main", DAY)])
def test_bad_use(app, name, day):
    done = app.run("./overnight.sh", name, day, check=False)
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 1
    assert done.stdout.startswith("overnight.sh: ")
