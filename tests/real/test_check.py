"""check.sh: each thing that breaks is named; nothing is changed."""

import contextlib
import datetime
import os
import shutil
import sqlite3
import subprocess
import time

import copier
import pytest
from real.apps import KINDS, make_app, taken_port
from support import files, git, release, require

WELL = {"config", "database", "permissions", "disk", "services", "web", "overnight", "backup", "alerts", "template"}


@pytest.fixture(scope="module")
def versions(template, tmp_path_factory):
    """The template, of which a newer version may come."""
    repo = tmp_path_factory.mktemp("versions") / "template"
    git("clone", "--quiet", template, repo, cwd="/")
    return repo


@pytest.fixture(scope="module")
def app(versions, tmp_path_factory):
    """A WuttaWeb app with its servers running, whose overnight automation and backup have run."""
    require(shutil.which("restic"), "restic", "restic")

    def render(folder, **answers):
        copier.run_copy(str(versions), folder, data=answers, defaults=True, quiet=True)

    app = make_app(render, tmp_path_factory.mktemp("check") / "poser", **KINDS["wuttaweb"])
    app.setup()
    app.run("./overnight.sh")
    app.run("./backup.sh", "--init")
    with app.supervise():
        yield app


@pytest.fixture
def kept(app, request):
    """The app; the files that a test may change, named by a mark, are as before after it."""
    paths = [app.dir / name for name in request.param]
    before = {path: path.read_bytes() for path in paths}
    yield app
    for path, data in before.items():
        path.write_bytes(data)


def changes(*names):
    """Mark a test that changes files of the app dir."""
    return pytest.mark.parametrize("kept", [names], indirect=True, ids=["app"])


def stable(app):
    """Return the files of the app dir that neither the server nor Python writes by itself."""
    theirs = ("log/", "sessions/", "data/poser.sqlite")
    kept = {name: found for name, found in files(app.dir).items() if not name.startswith(theirs)}
    return {name: found for name, found in kept.items() if "__pycache__" not in name}


def bad(found):
    """Return the names of the checks that are not ok in what App.checks() found."""
    return {name for name, (status, _) in found.items() if status != "ok"}


def found_wrong(app, name):
    """Return what check.sh says about the one thing that must be wrong."""
    found = app.checks()
    assert bad(found) == {name}, found
    assert found[name][0] == "FAILED"
    return found[name][1]


def test_all_is_well(app):
    before = stable(app)
    found = app.checks()
    assert (found.keys(), bad(found)) == (WELL, set()), found
    assert "overnight   main for " in app.run("./check.sh").stdout
    assert app.run("./check.sh", "--quiet").stdout == ""
    assert stable(app) == before


@changes("cron.conf")
def test_config_that_does_not_load(kept):
    (kept.dir / "cron.conf").write_text("[handler")
    assert found_wrong(kept, "config").startswith("cron.conf: ")


@changes("data/poser.sqlite")
def test_old_schema(kept):
    with contextlib.closing(sqlite3.connect(kept.dir / "data/poser.sqlite")) as database:
        database.execute("update alembic_version set version_num = 'older'")
        database.commit()
    assert "run ./setup.sh" in found_wrong(kept, "database")


@changes("cron.conf")
def test_config_that_is_missing(kept):
    (kept.dir / "cron.conf").unlink()
    assert "cron.conf is missing; bring it back with: git checkout" in found_wrong(kept, "config")


@changes("data/poser.sqlite")
def test_database_that_is_damaged(kept):
    (kept.dir / "data/poser.sqlite").write_bytes(b"damaged" * 1000)
    status, text = kept.checks()["database"]
    assert (status, "is damaged; restore it from a backup, see" in text) == ("FAILED", True)


@changes("supervisor.conf")
def test_server_that_supervisor_does_not_know_yet(kept):
    path = kept.dir / "supervisor.conf"
    path.write_text(path.read_text() + "\n[program:poser-new]\ncommand = sleep 1000\n")
    assert "poser:poser-new is not started; " in found_wrong(kept, "services")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("web.conf", "web was started before web.conf changed; run ./services.sh restart"),
        ("secrets.conf", "web was started before secrets.conf changed; run ./services.sh restart"),
        ("luigi/luigi.cfg", "luigid was started before luigi/luigi.cfg changed; run ./services.sh restart"),
        ("lib/appdir/web/__init__.py", "web was started before code changed; run ./services.sh restart"),
        ("../lib/python3.11/site-packages", "web was started before packages changed; run ./services.sh restart"),
    ],
)
def test_server_that_uses_what_it_loaded_before(app, name, found):
    path = app.dir / name
    before = path.stat().st_mtime
    os.utime(path)
    assert found_wrong(app, "services") == found
    os.utime(path, (before, before))


def test_port_that_another_process_has(app):
    """Another has the port of the web API; no server of the app does, whose supervisor has none for it."""
    conf = app.dir / "webapi.conf"
    with taken_port(app) as (taken, other):
        conf.write_text((app.dir / "web.conf").read_text().replace(f"port = {app.port}", f"port = {taken}"))
        found = app.checks()["services"]
    conf.unlink()
    assert found == ("FAILED", f"process {other.pid} has port {taken} of webapi; stop it, or answer another port")


def test_full_disk(app):
    alone = ["unshare", "--map-root-user", "--mount"]
    require(not subprocess.run([*alone, "true"], capture_output=True).returncode, "unshare", "util-linux")
    fill = "mount -t tmpfs -o size=1m none log && { head -c 2000000 /dev/zero > log/full || :; } 2>/dev/null && exec"
    found = app.checks(*alone, "sh", "-c", f'{fill} "$@"', "sh")
    assert found["disk"][0] == "FAILED"
    assert f"only 0.0 GB (0%) free on the volume of {app.dir}/log; make room" in found["disk"][1]


@changes("luigitasks/overnight_main.py")
def test_overnight_that_failed(kept):
    path = kept.dir / "luigitasks/overnight_main.py"
    path.write_text(path.read_text().replace('"problems"]', '"no-such-command"]'))
    day = f"{datetime.date.today() - datetime.timedelta(3)}"
    kept.run("./overnight.sh", "main", day, check=False)
    assert f"main for {day} ended with code 30" in found_wrong(kept, "overnight")
    path.write_text(path.read_text().replace('"no-such-command"]', '"problems"]'))
    kept.run("./overnight.sh", "main", day)
    assert kept.checks()["overnight"] == ("ok", f"main for {day} is done")  # it was made up for today
    os.utime(kept.dir / "luigi/log/last-main", (0, time.time() - 4 * 86400))
    assert "main ran last on " in found_wrong(kept, "overnight")
    kept.run("./overnight.sh")
    assert not bad(kept.checks())


@changes(".backup/last")
def test_backup_that_failed_or_is_old(kept):
    last = kept.dir / ".backup/last"
    assert kept.run("./backup.sh", check=False, RESTIC_PASSWORD="wrong").returncode == 1
    assert "FAILED: restic unlock: wrong password or no key found" in found_wrong(kept, "backup")
    kept.run("./backup.sh")
    assert not bad(kept.checks())
    _, _, text = last.read_text().partition(" ")
    young, old = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=hours) for hours in (47, 49))
    last.write_text(f"{young:%Y-%m-%dT%H:%M:%S+00:00} {text}")
    assert not bad(kept.checks())
    last.write_text(f"{old:%Y-%m-%dT%H:%M:%S+00:00} {text}")
    assert f"the last is of {old:%Y-%m-%dT%H:%M:%S+00:00}, 2 days ago; " in found_wrong(kept, "backup")
    last.unlink()
    found = kept.checks()
    assert bad(found) == {"backup"}
    assert found["backup"] == ("unknown", "none yet; take the first with ./backup.sh --init")


def test_mode_that_is_too_open(app):
    (app.dir / "secrets.conf").chmod(0o644)
    assert found_wrong(app, "permissions") == "secrets.conf has mode 0644, not 0640; ./setup.sh corrects that"
    (app.dir / "secrets.conf").chmod(0o600)


def test_server_that_was_stopped(app):
    supervisorctl = ["../bin/supervisorctl", "-c", "supervisor.conf"]
    app.run(*supervisorctl, "stop", "poser:poser-luigid")
    assert "poser:poser-luigid is STOPPED; see log/NAME.out" in found_wrong(app, "services")
    app.run(*supervisorctl, "start", "poser:poser-luigid")


def test_newer_version_of_the_template(app, versions):
    (versions / "new").touch()
    release(versions, "v1.1.0")
    found = app.checks()
    assert bad(found) == {"template"}
    assert found["template"] == ("unknown", "version 1.1.0 is available, this is 1.0.0; run ./update.sh")


def test_server_that_is_down(tmp_path, app):
    shutil.copytree(app.dir, tmp_path / "poser/app", symlinks=True, ignore=shutil.ignore_patterns("*.sock"))
    web = tmp_path / "poser/app/web.conf"
    web.write_text(web.read_text().replace(f"port = {app.port}", "port = 1"))
    (tmp_path / "poser/bin").symlink_to(app.env / "bin")
    done = app.run(tmp_path / "poser/app/check.sh", check=False)
    assert done.returncode == 1
    assert "FAILED: http://127.0.0.1:1/login: <urlopen error [Errno 111] Connection refused>" in done.stdout
