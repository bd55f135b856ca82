"""cleanup.sh: old files go, new ones and what links point to stay; each log has exactly one rotator."""

import gzip
import itertools
import os
import re
import shutil
import subprocess
import time

import pytest
from real.apps import ADMIN, KINDS, make_app
from real.clock import DAY, HOUR, ahead
from real.web import Web
from support import require

# days for which a file stays that nobody reads or changes
DAYS = {"data/uploads": 7, "work/csv": 90, "work/generated-projects": 90, "work/user-files": 90}
ROTATED_BY_SUPERVISOR = {
    "log/supervisord.log",
    *(f"log/{name}.out" for name in ("web", "webapi", "luigid", "datasync", "filemon")),
}
WRITER = """
import logging, sys, time
from rattail.config import make_config
make_config("cron.conf")
print("ready", flush=True)
for number in range(3000):
    logging.getLogger("writer").info("line %s", number)
    time.sleep(0.001)
"""
HANDLERS = """
import logging, sys
from rattail.config import make_config
make_config(sys.argv[1])
for handler in logging.getLogger().handlers:
    if hasattr(handler, "baseFilename"):
        print("handler", type(handler).__name__, handler.baseFilename)
"""


@pytest.fixture(scope="module")
def app(render, tmp_path_factory):
    """A Rattail app with all parts, set up."""
    for program, package in {"logrotate": "logrotate", "systemd-tmpfiles": "systemd"}.items():
        require(shutil.which(program, path="/usr/sbin:/usr/bin"), program, package)
    parts = {"filemon": True, "datasync": True, "web_api": True}
    app = make_app(render, tmp_path_factory.mktemp("cleanup") / "poser", **parts, **KINDS["tailbone"])
    app.setup()
    return app


def put(path):
    """Make a file with its folders, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


def test_files_go_after_their_days(app):
    """Not before, though they came here with times of long ago; a file that was read or changed since stays."""
    old = {name: put(app.dir / name / "below/old") for name in DAYS}
    for path in old.values():  # as a file of old that somebody copied here today, with its times
        os.utime(path, (0, 0))
    changed, read = (put(app.dir / "data/uploads" / name) for name in ("changed", "read"))
    later = time.time() + DAY
    os.utime(changed, (0, later))
    os.utime(read, (later, 0))
    other = [put(app.dir / name / "old") for name in ("data/batches/inventory", "data/templates", "work")]
    for days in sorted(set(DAYS.values())):
        for hours in (-1, 1):
            assert app.run("./cleanup.sh", "--quiet", **ahead(days * DAY + hours * HOUR)).stdout == ""
            left = {name for name, path in old.items() if path.exists()}
            assert left == {name for name in DAYS if DAYS[name] * DAY > days * DAY + hours * HOUR}
            assert [path.exists() for path in (changed, read)] == [days == 7] * 2
    assert [path for path in other if not path.exists()] == []
    assert all((app.dir / name / ".gitkeep").exists() for name in DAYS)


def test_what_links_point_to_stays(app, tmp_path):
    """A link is at most removed itself."""
    outside = [put(tmp_path / name / "kept") for name in ("folder", "csv")]
    (app.dir / "data/uploads/link").symlink_to(tmp_path / "folder")
    (app.dir / "data/uploads/file").symlink_to(outside[0])
    shutil.move(app.dir / "work/csv", tmp_path / "work-csv")
    (app.dir / "work/csv").symlink_to(tmp_path / "csv")
    old = put(app.dir / "data/uploads/old")
    app.run("./cleanup.sh", **ahead(91 * DAY))
    (app.dir / "work/csv").unlink()
    shutil.move(tmp_path / "work-csv", app.dir / "work/csv")
    assert not old.exists()
    assert [path for path in outside if not path.exists()] == []


def test_login_ends_after_30_days_without_use(app):
    with app.serve() as web:
        used, unused = Web(web.base), Web(web.base)
        for session in (used, unused):
            session.login(*ADMIN)
    for session, hours, known in ((used, -1, True), (unused, 1, False)):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in ahead(30 * DAY + hours * HOUR).items():
                patch.setenv(name, value)
            with app.serve():
                assert session.user() == (ADMIN[0] if known else None)


def test_each_log_has_one_rotator(app):
    """Python, logrotate and supervisor share the logs among them; what each names is what it would rotate."""
    by_python, watched = set(), set()
    for path in app.dir.glob("*.conf"):
        if "handler_file" in path.read_text():
            shown = app.run("../bin/python", "-W", "ignore", "-c", HANDLERS, path.name).stdout
            for kind, log in re.findall(r"^handler (\w+) (.+)$", shown, re.MULTILINE):
                name = os.path.relpath(log, app.dir)
                by_python.add(name) if kind == "RotatingFileHandler" else watched.add(name)
    watched.add(f"luigi/{re.search('log/luigi.log', (app.dir / 'luigi/logging.conf').read_text())[0]}")
    done = app.run("logrotate", "--debug", "system/logrotate.conf")
    assert not re.search("error|warning: (?!logrotate in debug mode)", done.stdout), done.stdout
    by_logrotate = set(re.findall(r"^considering log (\S+)$", done.stdout, re.MULTILINE))
    assert by_logrotate == watched
    supervised = set(re.findall(r"(log/\S+\.(?:out|log))", (app.dir / "supervisor.conf").read_text()))
    supervised |= set(re.findall(r"logfile = %\(here\)s/(\S+)", (app.dir / "supervisor.conf").read_text()))
    assert supervised == ROTATED_BY_SUPERVISOR
    assert len(by_python) == 4
    assert not by_python & by_logrotate
    assert not supervised & (by_python | by_logrotate)


def test_logs_rotate_weekly_and_eight_are_kept(app):
    log = app.dir / "log/rattail.log"
    begun = []
    for day in range(70):
        with log.open("a") as file:
            file.write(f"day {day}\n")
        before = log.stat().st_ino
        command = ["logrotate", "--state", "log/state-of-weeks", "system/logrotate.conf"]
        app.run(*command, **ahead(day * DAY), PATH=f"{os.environ['PATH']}:/usr/sbin")
        if not log.exists() or log.stat().st_ino != before:
            begun.append(day)
    assert {later - day for day, later in itertools.pairwise(begun)} == {7}
    assert {path.name for path in log.parent.glob("rattail.log.*")} == {
        "rattail.log.1", *(f"rattail.log.{number}.gz" for number in range(2, 9))
    }  # fmt: skip


def test_no_line_is_lost(app):
    """A command logs while its log is rotated, some times."""
    for path in (app.dir / "log").glob("cron.log*"):
        path.unlink()
    command = ["../bin/python", "-W", "ignore", "-c", WRITER]
    with subprocess.Popen(command, cwd=app.dir, stdout=subprocess.PIPE, text=True) as writer:
        while writer.stdout.readline() != "ready\n":
            assert writer.poll() is None
        for _ in range(3):
            time.sleep(0.5)
            app.run("logrotate", "--force", "--state", "log/logrotate.state", "system/logrotate.conf")
    assert writer.returncode == 0
    parts = sorted((app.dir / "log").glob("cron.log*"))
    assert len(parts) == 4
    text = "".join((gzip.open if path.suffix == ".gz" else open)(path, "rt").read() for path in parts)
    assert sorted(map(int, re.findall(r": line (\d+)$", text, re.MULTILINE))) == list(range(3000))


def test_failure_is_told(app, tmp_path):
    config = app.dir / "system/logrotate.conf"
    shutil.move(config, tmp_path / "away")
    done = app.run("./cleanup.sh", check=False)
    shutil.move(tmp_path / "away", config)
    assert done.returncode == 1
    assert "cleanup.sh: not cleaned up: logs; see above" in done.stdout
