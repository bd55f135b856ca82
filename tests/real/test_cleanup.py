"""cleanup.sh: old files go, new ones and what links point to stay; each log has exactly one rotator."""

import gzip
import os
import re
import shutil
import subprocess
import time

import pytest
from real.apps import KINDS, make_app
from support import require

FOLDERS = ["data/uploads", "work/csv", "work/generated-projects", "work/user-files"]
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
from support import require
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


@pytest.fixture
def seconds(app):
    """The app, where a second counts for each day that cleanup.sh waits before it removes something."""
    script = app.dir / "cleanup.sh"
    text = script.read_text()
    script.write_text(re.sub(r"- - - \d+d", "- - - 1s", text))
    assert script.read_text().count("- 1s") == len(FOLDERS)
    yield app
    script.write_text(text)


def put(path):
    """Make a file with its folders, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


def test_nothing_new_is_touched(app):
    files = [put(app.dir / name / "below/new") for name in FOLDERS]
    for path in files:  # as a file of old that somebody copied here today, with its times
        os.utime(path, (0, 0))
    assert app.run("./cleanup.sh", "--quiet").stdout == ""
    assert [path for path in files if not path.exists()] == []


def test_old_files_go_and_what_links_point_to_stays(seconds, tmp_path):
    """A file that was read or changed lately stays; a link is at most removed itself."""
    old = [put(seconds.dir / name / "below/old") for name in FOLDERS]
    outside = [put(tmp_path / name / "kept") for name in ("folder", "csv")]
    (seconds.dir / "data/uploads/link").symlink_to(tmp_path / "folder")
    (seconds.dir / "data/uploads/file").symlink_to(outside[0])
    shutil.move(seconds.dir / "work/csv", tmp_path / "work-csv")
    (seconds.dir / "work/csv").symlink_to(tmp_path / "csv")
    other = [put(seconds.dir / name / "old") for name in ("data/batches/inventory", "data/templates", "work")]
    time.sleep(2)
    changed, read = (put(seconds.dir / "data/uploads" / name) for name in ("changed", "read"))
    soon = time.time() + 3600
    os.utime(changed, (0, soon))
    os.utime(read, (soon, 0))
    seconds.run("./cleanup.sh")
    (seconds.dir / "work/csv").unlink()
    shutil.move(tmp_path / "work-csv", seconds.dir / "work/csv")
    gone = {path.relative_to(seconds.dir).parts[:2] for path in old if not path.exists()}
    assert gone == {tuple(name.split("/")) for name in FOLDERS if name != "work/csv"}
    assert [path for path in (*outside, *other, changed, read) if not path.exists()] == []
    assert all((seconds.dir / name / ".gitkeep").exists() for name in FOLDERS)


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
    supervised = set(re.findall(r"(log/\S+\.(?:out|log))", (app.dir / "programs.conf").read_text()))
    supervised |= set(re.findall(r"logfile = %\(here\)s/(\S+)", (app.dir / "supervisor.conf").read_text()))
    assert supervised == ROTATED_BY_SUPERVISOR
    assert len(by_python) == 4
    assert not by_python & by_logrotate
    assert not supervised & (by_python | by_logrotate)


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
