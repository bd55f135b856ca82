"""backup.sh: what a backup holds, that a run counts whole or not at all, and each way in which one can fail."""

import contextlib
import datetime
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import time
from pathlib import Path

import pytest
from real.apps import KINDS, free_port, interrupt, listens, make_app, processes, running, sql, until
from real.backups import path_with, path_without, repository, restic, run_of, snapshots, variables, watching
from real.clock import DAY, ahead
from real.conftest import POSTGRES
from real.hosts import SSHD
from support import ROOT, files, git, require


@pytest.fixture(scope="module")
def app(render, tmp_path_factory):
    """A WuttaWeb app on SQLite that is set up, with data, logs and a night behind it; it has no backup yet."""
    require(shutil.which("restic"), "restic", "restic")
    app = make_app(render, tmp_path_factory.mktemp("backup") / "poser", **KINDS["wuttaweb"])
    app.setup()
    app.run("./overnight.sh")
    (app.dir / "data/batches/neworder/file").write_text("kept")
    with contextlib.closing(sqlite3.connect(app.dir / "luigi/history.sqlite")) as history:  # as luigid makes it
        history.execute("create table tasks (id)")
    for name in ("log/web.log", "sessions/data/session", "work/csv/table.csv"):
        (app.dir / name).write_text("left out")
    return app


@pytest.fixture(scope="module")
def backed_up(app):
    """The app with a repository; each test of this module leaves it sound."""
    app.run("./backup.sh", "--init")
    return app


@pytest.fixture(scope="module")
def on_postgresql(app_of):
    """A WuttaWeb app on PostgreSQL that has a repository."""
    app = app_of("wuttaweb", "postgresql")
    require(shutil.which("restic"), "restic", "restic")
    app.run("./backup.sh", "--init")
    return app


def listed(app, snapshot="latest"):
    """Return the paths in the newest backup of an app, or in another one."""
    return set(restic(app, "ls", "--tag=appdir", snapshot).splitlines()[1:])


def refused(app, *command, **environment):
    """Return the one line that a backup ends with, which must fail and make no backup."""
    before = snapshots(app)
    done = app.run(*(command or ["./backup.sh", "--quiet"]), check=False, **environment)
    assert done.returncode == 1, done.stdout
    assert len(done.stdout.splitlines()) == 1, done.stdout
    assert snapshots(app) == before
    line = done.stdout.strip()
    assert line.startswith("backup.sh: ")
    assert not (app.dir / "data/backup/sqlite").exists()
    return line


def test_first_backup_is_made_when_told(app):
    """Never by itself: a missing repository may be a disk that is not mounted."""
    done = app.run("./backup.sh", check=False)
    assert done.returncode == 1
    assert done.stdout.endswith("look whether its disk is mounted)\n")
    assert "create it, once, with: ./backup.sh --init" in done.stdout
    assert not repository(app).exists()
    *phases, done = app.run("./backup.sh", "--init").stdout.splitlines()
    assert phases == ["backup      copying databases", "backup      checking the repository"]
    assert re.fullmatch(r"backup +done: \d+ files, .* as \w+ in ../../backups/poser", done)
    assert app.run("./backup.sh", "--init", "--quiet").stdout == ""
    assert len(snapshots(app)) == 2
    assert "no errors were found" in restic(app, "check", "--read-data")
    assert stat.S_IMODE((app.dir / "restic.env").stat().st_mode) == 0o600
    assert stat.S_IMODE(repository(app).stat().st_mode) & 0o077 == 0


def test_what_it_holds(backed_up):
    backed_up.run("./backup.sh")
    found = listed(backed_up)
    marker = next(path for path in backed_up.dir.glob("luigi/2*/**/*") if path.is_file())
    for name in (
        "wutta.conf", "secrets.conf", "restic.env", "setup.sh", "lib/run", ".git/HEAD", ".copier-answers.yml",
        "luigitasks/overnight_main.py", "data/batches/neworder/file", "data/templates/.gitkeep",
        ".backup/requirements.txt", "data/backup/sqlite/data/poser.sqlite", "luigi/luigi.cfg",
        "log/.gitkeep", "luigi/log/.gitkeep", "sessions/data/.gitkeep", "sessions/lock/.gitkeep", "work/csv/.gitkeep",
        marker.relative_to(backed_up.dir).as_posix(),
    ):  # fmt: skip
        assert f"/{name}" in found
    assert "/data/backup/sqlite/luigi/history.sqlite" in found
    assert "/luigi/history.sqlite" not in found
    for name in ("log/web.log", "luigi/log/luigi.log", "sessions/data/session", "work/csv/table.csv"):
        assert (backed_up.dir / name).exists()
        assert f"/{name}" not in found
    assert [*backed_up.dir.rglob("__pycache__")]
    assert not [name for name in found if "__pycache__" in name]
    assert "/data/poser.sqlite" not in found, "a copy of a database in use may be torn"
    assert not (backed_up.dir / "data/backup/sqlite").exists()
    frozen = backed_up.run("../bin/python", "-m", "pip", "freeze", "--all").stdout
    assert restic(backed_up, "dump", "--tag=appdir", "latest", "/.backup/requirements.txt") == (
        f"# Python 3.11\n{frozen}"
    )


def test_what_is_left_out_comes_when_asked(backed_up):
    backed_up.run("./backup.sh", "--with", "log", "--with", "work", "--quiet")
    found = listed(backed_up)
    assert {"/log/web.log", "/luigi/log/luigi.log", "/work/csv/table.csv"} <= found
    assert "/sessions/data/session" not in found


def test_copy_of_sqlite_is_sound(backed_up, tmp_path):
    """It has what is committed, wherever SQLite keeps that; a transaction that goes on is not in it, nor disturbed."""
    live = backed_up.dir / "data/poser.sqlite"
    with contextlib.closing(sqlite3.connect(live)) as database:
        database.execute("pragma journal_mode = wal")  # what is committed goes into another file first
        database.execute("insert into setting (name, value) values ('committed', 'yes')")
        database.commit()
        database.execute("insert into setting (name, value) values ('open', 'yes')")
        backed_up.run("./backup.sh")
        database.commit()
    assert not [name for name in listed(backed_up) if name.startswith("/data/poser.sqlite")]
    target = f"--target={tmp_path}"
    restic(backed_up, "restore", "--tag=appdir", "latest", target, "--include=/data/backup/sqlite/data/poser.sqlite")
    query = "select name from setting where name in ('committed', 'open') order by name"
    with contextlib.closing(sqlite3.connect(tmp_path / "data/backup/sqlite/data/poser.sqlite")) as copy:
        assert copy.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert copy.execute(query).fetchall() == [("committed",)]
    with contextlib.closing(sqlite3.connect(live)) as database:
        assert database.execute(query).fetchall() == [("committed",), ("open",)]
        database.execute("pragma journal_mode = delete")


def test_another_repository(backed_up, tmp_path):
    """By the environment, before restic.env, before the answer."""
    env = backed_up.dir / "restic.env"
    text = env.read_text()
    env.write_text(f"{text}RESTIC_REPOSITORY='{tmp_path}/by file' # as in a shell\n")
    by_file = backed_up.run("./backup.sh", "--init").stdout
    by_environment = backed_up.run("./backup.sh", "--init", RESTIC_REPOSITORY=f"{tmp_path}/by-environment").stdout
    env.write_text(text)
    assert f"in {tmp_path}/by file" in by_file
    assert f"in {tmp_path}/by-environment" in by_environment
    assert (tmp_path / "by file/config").exists()
    assert (tmp_path / "by-environment/config").exists()


def test_setup_keeps_the_password_and_what_is_written_beside_it(backed_up):
    env = backed_up.dir / "restic.env"
    text = env.read_text()
    env.write_text("AWS_ACCESS_KEY_ID=mine\n")
    assert "keep a copy elsewhere" in backed_up.setup()
    made = env.read_text()
    assert re.fullmatch(r"AWS_ACCESS_KEY_ID=mine\nRESTIC_PASSWORD=\S{32}\n", made)
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    backed_up.setup()
    assert env.read_text() == made
    env.write_text(text)


def test_wrong_password(backed_up, tmp_path, says):
    (tmp_path / "password").write_text("wrong")
    line = refused(backed_up, RESTIC_PASSWORD_FILE=str(tmp_path / "password"))
    assert says("the password is wrong: `backup.sh`", backed_up, line).endswith("wrong password or no key found")
    last = (backed_up.dir / ".backup/last").read_text()
    assert re.fullmatch(r"\S+ FAILED: restic unlock: wrong password or no key found\n", last)


def test_restic_env_that_is_missing_or_broken(backed_up):
    env = backed_up.dir / "restic.env"
    text = env.read_text()
    env.write_text("RESTIC_PASSWORD='\n")
    broken = backed_up.run("./backup.sh", check=False).stdout
    env.unlink()
    missing = backed_up.run("./backup.sh", check=False).stdout
    env.write_text(text)
    env.chmod(0o600)
    assert broken == "backup.sh: restic.env cannot be read, fix it by hand: No closing quotation\n"
    assert missing.startswith("backup.sh: restic.env, which has")


def test_repository_inside_the_env(backed_up):
    assert "would be lost with it" in refused(backed_up, RESTIC_REPOSITORY="../backups")
    assert "would be lost with it" in refused(backed_up, RESTIC_REPOSITORY=f"local:{backed_up.dir}/data/backups")


def test_restic_that_is_missing(backed_up, tmp_path):
    line = refused(backed_up, PATH=path_without(tmp_path, "restic"))
    assert line.endswith("restic is missing; install it with: apt-get install restic")


def overwrite(path):
    """Overwrite 40 KB in the middle of a file."""
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 2 & ~4095)
        file.write(os.urandom(40_000))


@pytest.mark.parametrize(
    ("breaks", "reason"),
    [
        (overwrite, "poser.sqlite is damaged"),
        (lambda path: os.truncate(path, 0), "poser.sqlite is missing or empty; restore it from a backup"),
        (Path.unlink, "poser.sqlite is missing or empty; restore it from a backup"),
    ],
    ids=["damaged", "empty", "missing"],
)
def test_broken_database_is_not_backed_up(backed_up, breaks, reason, request, says):
    """Else each backup of it would let a good one expire."""
    database = backed_up.dir / "data/poser.sqlite"
    kept = database.read_bytes()
    breaks(database)
    try:
        state = request.node.callspec.id
        line = refused(backed_up)
        assert reason in line
        if state != "damaged":  # of which SQLite says different things
            says(f"the SQLite file is {state}: `backup.sh`", backed_up, line)
        assert "FAILED" in (backed_up.dir / ".backup/last").read_text()
        assert backed_up.checks()["backup"][0] == "FAILED"
        assert database.exists() is (breaks is not Path.unlink)
    finally:
        database.write_bytes(kept)
    backed_up.run("./backup.sh")


def test_result_on_a_full_disk(backed_up):
    """The old one said done, and must not stay."""
    require(os.getuid() == 0, "root, to mount a disk", "sudo")
    fill = "mount -t tmpfs -o size=64k none .backup && cp {} .backup/last && (cat /dev/zero > .backup/full || true)"
    last = backed_up.dir / ".backup/last"
    backed_up.run("./backup.sh")
    (backed_up.env / "last").write_text(last.read_text())
    script = f"{fill.format(backed_up.env / 'last')}; RESTIC_PASSWORD=wrong ./backup.sh; cat .backup/last"
    done = backed_up.run("unshare", "--mount", "sh", "-c", f"{script}; ./check.sh --json", check=False)
    assert "No space left on device" in done.stdout
    assert re.search(r"^\S+ FAILED: ", done.stdout, re.MULTILINE), done.stdout
    assert " done: " not in done.stdout


def test_full_repository(backed_up, tmp_path):
    alone = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    require(not subprocess.run([*alone, "true"], capture_output=True).returncode, "unshare", "util-linux")
    noise = backed_up.dir / "data/batches/neworder/noise"
    noise.write_bytes(os.urandom(4_000_000))
    mount = 'mount -t tmpfs -o size=4m none "$2" && cp -r "$1/." "$2"'
    command = [*alone, f"{mount} && exec ./backup.sh --quiet", "sh", repository(backed_up), tmp_path]
    line = refused(backed_up, *command, RESTIC_REPOSITORY=str(tmp_path))
    noise.unlink()
    assert "no space left on device" in line


def test_damaged_repository(backed_up, tmp_path):
    shutil.copytree(repository(backed_up), tmp_path / "copy")
    max((path for path in (tmp_path / "copy/data").rglob("*") if path.is_file()), key=os.path.getsize).unlink()
    done = backed_up.run("./backup.sh", "--quiet", check=False, RESTIC_REPOSITORY=str(tmp_path / "copy"))
    assert done.returncode == 1
    assert "repository contains errors" in done.stdout.splitlines()[-1]


def test_file_that_cannot_be_read(backed_up, tmp_path):
    """The rest is in a backup, but the run fails; one that vanishes meanwhile is none of ours."""
    path = backed_up.dir / "data/batches/neworder/private"
    path.touch(0o000)
    path.chmod(0)
    weak = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"]
    done = backed_up.run(*weak, "./backup.sh", "--quiet", check=False)
    code = f'RESTIC "$@"; code=$?\n[ "$1" != backup ] || rm -f {path}\nexit $code'
    vanished = backed_up.run(*weak, "./backup.sh", "--quiet", check=False, PATH=path_with(tmp_path, "restic", code))
    assert not path.exists()
    assert (vanished.returncode, vanished.stdout) == (0, "")
    assert done.returncode == 1
    assert done.stdout == f"backup.sh: cannot read {path}; the backup has all but that\n"
    assert "/data/batches/neworder/file" in listed(backed_up)


def test_two_never_run_at_once(backed_up):
    lock = os.open(backed_up.dir, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert refused(backed_up).endswith("another update, upgrade or backup is running")
    os.close(lock)


def test_waits_for_another_restic(backed_up, tmp_path):
    """Such as that of another machine; a lock of one that was killed is none."""
    command = ["restic", "backup", "--quiet", "--stdin"]
    environment = os.environ | variables(backed_up)
    other = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE)
    while not restic(backed_up, "list", "locks"):
        assert other.poll() is None
    calls = tmp_path / "calls"
    calls.touch()
    path = path_with(tmp_path, "restic", f'echo "$1" >> {calls}\nexec RESTIC "$@"')
    own = subprocess.Popen(["./backup.sh", "--quiet"], cwd=backed_up.dir, env=os.environ | {"PATH": path})
    until(lambda: calls.read_text().split().count("list") > 2 or own.poll() is not None)
    assert own.poll() is None
    assert "backup" not in calls.read_text().split()
    other.kill()
    other.communicate()
    assert own.wait(60) == 0
    assert restic(backed_up, "list", "locks") == ""


def test_sqlite_outside_the_app_dir(backed_up, tmp_path):
    secrets = backed_up.dir / "secrets.conf"
    text = secrets.read_text()
    shutil.copy(backed_up.dir / "data/poser.sqlite", tmp_path)
    secrets.write_text(text.replace("%(here)s/data", str(tmp_path)))
    line = refused(backed_up)
    secrets.write_text(text)
    assert f"sqlite:///{tmp_path}/poser.sqlite is not in the app dir; move it into data/" in line


def test_dump_that_fails_half_way(on_postgresql, tmp_path):
    """Half of it went into restic's pipe already: there is no backup, nor half a dump."""
    half = f'{POSTGRES[-1]}/pg_dump "$@" | head -c 20000\necho "pg_dump: lost" >&2\nexit 1'
    before = snapshots(on_postgresql, "database")
    line = refused(on_postgresql, PATH=path_with(tmp_path, "pg_dump", half))
    assert line == "backup.sh: pg_dump: pg_dump: lost"
    assert snapshots(on_postgresql, "database") == before
    on_postgresql.run("./backup.sh", "--quiet")


def test_dump_tool_that_is_missing(on_postgresql, tmp_path):
    line = refused(on_postgresql, PATH=path_without(tmp_path, "pg_dump"))
    assert line.endswith("pg_dump is missing; install it with: apt-get install postgresql-client")


def test_secrets_are_in_no_process_list(on_postgresql):
    secrets = (on_postgresql.dir / "secrets.conf").read_text()
    password = re.search(r"poser:(\S+)@", secrets)[1].replace("%%", "%")
    with watching(password, "p@ss/w%r'd\"41", variables(on_postgresql)["RESTIC_PASSWORD"]) as seen:
        on_postgresql.run("./backup.sh")
    assert [line for line in seen if line.startswith(b"pg_dump") or b"/pg_dump\0" in line]
    assert [line for line in seen if line.startswith(b"restic\0backup")]


def test_killed_backup_is_made_good_by_the_next(on_postgresql):
    """Wherever it is killed: what counts as a backup is whole, and the next run succeeds."""
    took = []
    for _ in range(2):
        begin = time.monotonic()
        on_postgresql.run("./backup.sh")
        took.append(time.monotonic() - begin)
    for point in range(10):
        (on_postgresql.dir / "data/batches/neworder/noise").write_bytes(os.urandom(500_000))
        interrupt(["./backup.sh"], on_postgresql.dir, min(took) * (point + 0.5) / 14)
        if point % 2:  # two killed runs, and a whole one
            assert on_postgresql.run("./backup.sh", "--quiet").stdout == ""
    dumps = {run_of(dump) for dump in snapshots(on_postgresql, "database")}
    assert {run_of(snapshot) for snapshot in snapshots(on_postgresql)} == dumps
    (on_postgresql.dir / "data/batches/neworder/noise").unlink()
    assert "no errors were found" in restic(on_postgresql, "check", "--read-data")


def test_killed_init_is_made_good_by_the_next(backed_up, tmp_path):
    """Restic itself can't open a repository whose init was interrupted between key and config."""
    half = tmp_path / ".half.new"
    backed_up.run("restic", "init", RESTIC_REPOSITORY=str(half), RESTIC_PASSWORD="lost")
    (half / "config").unlink()
    backed_up.run("./backup.sh", "--init", RESTIC_REPOSITORY=f"{tmp_path}/half")
    assert not half.exists()


def test_only_python_killed(on_postgresql, tmp_path):
    """Restic goes on for a while, and holds the lock as long."""
    begun = tmp_path / "begun"
    slow = path_with(tmp_path, "restic", f'[ "$1" != backup ] || {{ touch {begun}; sleep 5; }}\nexec RESTIC "$@"')
    process = subprocess.Popen(["./backup.sh", "--quiet"], cwd=on_postgresql.dir, env=os.environ | {"PATH": slow})
    until(lambda: begun.exists() or process.poll() is not None)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    busy = "backup.sh: another update, upgrade or backup is running\n"
    assert on_postgresql.run("./backup.sh", check=False).stdout == busy
    done = until(lambda: (done := on_postgresql.run("./backup.sh", check=False)).stdout != busy and done)
    assert done.returncode == 0, done.stdout


def stays(times):
    """Return those times (in order) whose backups stay: all of two days, and the last of 7 days, 5 weeks, 12 months."""
    keep = {one for one in times if one > times[-1] - datetime.timedelta(2)}
    for period, number in (("%F", 7), ("%G week %V", 5), ("%Y-%m", 12)):
        last = {one.strftime(period): one for one in times}
        keep |= set(list(last.values())[-number:])
    return keep


def test_rehearsal(on_postgresql, postgresql, tmp_path):
    """A real restore, of which nothing is left but what it says."""
    app, before = on_postgresql, files(on_postgresql.dir)
    own = re.search(r"default.url = .*/(\S+)", (app.dir / "secrets.conf").read_text())[1]
    values = "gen_random_uuid(), '2026-01-31 12:34', uuid, 'the newest', false, 'PENDING'"
    columns = "uuid, created, created_by_uuid, description, executing, status"
    postgresql.run_sql(f'insert into upgrade ({columns}) select {values} from "user"', database=own)
    app.run("./backup.sh", "--quiet")
    said = app.run("./backup.sh", "--rehearse", TMPDIR=str(tmp_path)).stdout.splitlines()[-1]
    today = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    assert re.fullmatch(
        rf"rehearsal   the backup of {today}T\d\d:\d\d works: the login page answers, "
        r"the newest record is of 2026-01-31 12:34; it took \d+\.\d minutes",
        said,
    ), said
    changed = {name for name, found in files(app.dir).items() if found != before.get(name)}
    assert {name.partition("/")[0] for name in changed} <= {".backup", "log", "data"}
    assert list(tmp_path.iterdir()) == []
    postgresql.run_sql("select 1", database=own)
    with pytest.raises(subprocess.CalledProcessError):
        postgresql.run_sql("select 1", database=f"{own}_rehearsal")


def test_rehearsal_of_an_app_that_cannot_start(backed_up, says):
    """As it has come into the backup, though all else of it is sound."""
    config = backed_up.dir / "web.conf"
    kept = config.read_text()
    config.write_text(kept.replace("pyramid.includes = ", "pyramid.includes = no_such_module "))
    backed_up.run("./backup.sh", "--quiet")
    config.write_text(kept)
    done = backed_up.run("./backup.sh", "--rehearse", "--quiet", check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("backup.sh: the backup is restored, but the app does not start: ")
    assert "no_such_module" in says(
        "the app of the backup cannot start: `backup.sh --rehearse`", backed_up, done.stdout
    )
    assert done.stdout.count("\n") == 1
    backed_up.run("./backup.sh", "--quiet")


def test_parts_come_back_into_an_app_that_runs(backed_up):
    """A file, a folder and the database, each with a way back; what is not in the backup changes nothing."""
    app, data = backed_up, backed_up.dir / "data"
    (data / "batches/neworder/[1]*").write_text("odd")
    app.run("./backup.sh", "--quiet")
    first = snapshots(app)[-1]["short_id"]
    (app.dir / "quiet.conf").write_text("broken")
    shutil.rmtree(data / "batches/neworder")
    (data / "batches/mine").write_text("mine")
    sql(data / "poser.sqlite", "insert into setting (name, value) values ('later', 'x')")
    app.run("./backup.sh", "--quiet")
    for name in ("quiet.conf", "data/batches/neworder"):
        assert f"restored    {name} of " in app.run("./backup.sh", "--restore", name, "--snapshot", first).stdout
    assert git("status", "--porcelain", cwd=app.dir).splitlines()[0].startswith("?? quiet.conf.before-")
    assert (data / "batches/neworder/[1]*").read_text() == "odd"
    assert (data / "batches/mine").read_text() == "mine"
    with app.supervise():
        until(lambda: "web" in processes(app))
        web = processes(app)["web"]
        said = app.run("./backup.sh", "--restore", "database", "--snapshot", first).stdout
        assert processes(app)["web"] != web
    aside = re.search("what was there is now (.*)", said)[1]
    later = "select value from setting where name = 'later'"
    assert (sql(data / "poser.sqlite", later), sql(app.dir / aside, later)) == ([], [("x",)])
    before = files(app.dir)
    for name, reason in {"data/none": "is not in that backup", "../x": "is not a path in the app dir"}.items():
        done = app.run("./backup.sh", "--restore", name, check=False)
        assert (done.returncode, reason in done.stdout, done.stdout.count("\n")) == (1, True, 1)
    assert files(app.dir) == before
    for path in [*app.dir.glob("*.before-*"), *data.glob("**/*.before-*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_database_on_postgresql_comes_back_alone(on_postgresql, postgresql):
    app = on_postgresql
    own = re.search(r"default.url = .*/(\S+)", (app.dir / "secrets.conf").read_text())[1]
    postgresql.run_sql("insert into setting (name, value) values ('part', 'kept')", database=own)
    app.run("./backup.sh", "--quiet")
    postgresql.run_sql("create table appdir_test as select 1", "delete from setting", database=own)
    said = app.run("./backup.sh", "--restore", "database").stdout
    aside = app.dir / re.search(r"what was there is now (\S+)", said)[1]
    there = "(select value from setting where name = 'part') = 'kept'"
    postgresql.run_sql(f"do $$ begin assert {there}; end $$", database=own)
    assert "appdir_test" in app.run("pg_restore", "--list", aside).stdout
    aside.unlink()
    postgresql.run_sql("drop table appdir_test", database=own)


@pytest.fixture
def vault(app, tmp_path):
    """Another machine with a key with which it may only read: what runs commands there, and `ssh` in them."""
    require(Path(SSHD).exists(), "sshd", "openssh-server")
    os.makedirs("/run/sshd", exist_ok=True)
    port = free_port()
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    (tmp_path / "keys").write_text(f'command="internal-sftp -R",restrict {(tmp_path / "key.pub").read_text()}')
    (tmp_path / "known").write_text(f"[127.0.0.1]:{port} {(tmp_path / 'host.pub').read_text()}")
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        "Subsystem sftp internal-sftp",
        f"HostKey {tmp_path}/host",
        "StrictModes no",
        "PidFile none",
    ]
    (tmp_path / "sshd").write_text("\n".join([*lines, f"AuthorizedKeysFile {tmp_path}/keys"]))
    to = f"-p {port} -i {tmp_path}/key -o UserKnownHostsFile={tmp_path}/known -o HostName=127.0.0.1"
    (tmp_path / "password-of-poser").write_text(variables(app)["RESTIC_PASSWORD"])
    (tmp_path / "password-of-vault").write_text("of the vault")
    path = path_with(tmp_path, "ssh", f'exec {shutil.which("ssh")} -F none {to} "$@"')
    with running([SSHD, "-D", "-e", "-f", tmp_path / "sshd"], tmp_path / "out", lambda: listens(port)):
        yield lambda *command, **options: app.run(*command, HOME=str(tmp_path), PATH=path, **options)


def test_copy_that_nobody_here_can_delete(backed_up, vault, tmp_path):
    """By the commands of the docs: the copy has all backups, also later ones; the key can change nothing here."""
    require(os.getuid() == 0, "root, to log in as root", "sudo")
    block = re.search(r"<!-- vault -->\n```sh\n(.*?)```", (ROOT / "docs/backup-and-restore.md").read_text(), re.DOTALL)
    places = {"/srv/vault/poser": tmp_path / "vault", "/srv/backups/poser": repository(backed_up)}
    commands = block[1]
    for name, place in places.items():
        commands = commands.replace(name, str(place))
    vault("sh", "-eu", "-c", commands)
    backed_up.run("./backup.sh", "--quiet")
    exported, _, copy = commands.splitlines()
    vault("sh", "-eu", "-c", f"{exported}\n{copy}")

    def in_vault(*args):
        own = {"RESTIC_REPOSITORY": str(tmp_path / "vault"), "RESTIC_PASSWORD": "of the vault"}
        return backed_up.run("restic", *args, **own).stdout

    kept = {(one["time"], *one["tags"]) for one in json.loads(in_vault("snapshots", "--json"))}
    assert {(one["time"], *one["tags"]) for one in snapshots(backed_up)} <= kept
    assert in_vault("dump", "--tag=poser,appdir", "latest", "/restore.sh") == (backed_up.dir / "restore.sh").read_text()
    assert "no errors were found" in in_vault("check", "--read-data")
    for command in (
        f"rm {repository(backed_up)}/config",
        f"put {tmp_path}/key {tmp_path}/new",
        f"rename {tmp_path}/key x",
    ):
        refused = vault("sftp", "-b", "-", "-S", f"{tmp_path}/ssh", "root@poser", input=command, check=False)
        assert (refused.returncode, "ermission denied" in refused.stdout) == (1, True), refused.stdout
    assert vault("ssh", "root@poser", "touch", tmp_path / "new", check=False).returncode != 0
    assert not (tmp_path / "new").exists()


def test_old_backups_are_forgotten(on_postgresql):
    """By day, week and month, each with its dump; never those of others, and never a dump of a run that counts."""
    noon = datetime.datetime.now().replace(hour=12, minute=0, second=0, microsecond=0)
    days = [*range(1, 10), *range(14, 60, 7), *range(70, 470, 30)]  # each day, then each week, then each month or so
    old = [noon - datetime.timedelta(day) for day in [1.1, 3.1, *days]]

    def fake(moment, *tags, host=None):
        options = [f"--time={moment:%F %T}", f"--tag={','.join(tags)}", f"--host={host or socket.gethostname()}"]
        restic(on_postgresql, "backup", "--quiet", *options, on_postgresql.dir / "web.conf")

    for moment in old:
        fake(moment, "poser", "appdir", f"run-{moment}")
    for moment in old[::5]:
        fake(moment, "poser", "database", f"run-{moment}")
    fake(noon, "poser", "database", "run-interrupted")
    fake(old[-1], "other", "appdir", "run-other")
    fake(old[-1], "other", "database", "run-other")
    fake(old[-1], "poser", "database", "run-elsewhere", host="elsewhere")
    on_postgresql.run("./backup.sh")
    apps = {run_of(snapshot) for snapshot in snapshots(on_postgresql)}
    dumps = {run_of(snapshot) for snapshot in snapshots(on_postgresql, "database")}
    kept = {f"run-{moment}" for moment in stays(sorted([*old, datetime.datetime.now()]))}
    for found, made in ((apps, old), (dumps, old[::5])):
        made = {f"run-{moment}" for moment in made}
        assert found & made == kept & made
    assert "run-other" in apps
    assert dumps >= {"run-other", "run-elsewhere"}
    assert dumps <= apps | {"run-elsewhere"}
    assert "no errors were found" in restic(on_postgresql, "check")


def test_a_thirtieth_of_the_data_is_read_each_day(backed_up, tmp_path):
    """A file whose bytes rot is found on the day on which its part is read, and only then."""
    shutil.copytree(repository(backed_up), tmp_path / "copy")
    pack = max((path for path in (tmp_path / "copy/data").rglob("*") if path.is_file()), key=os.path.getsize)
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(data)
    today = datetime.datetime.now(datetime.UTC).toordinal()
    wait = (int(pack.name[:2], 16) - today) % 30  # restic's part is the rest of the first byte
    for days, found in ((wait, True), (wait + 1, False)):
        clock = ahead(days * DAY)
        done = backed_up.run("./backup.sh", "--quiet", check=False, RESTIC_REPOSITORY=str(tmp_path / "copy"), **clock)
        assert ("repository contains errors" in done.stdout, done.returncode) == (found, found), done.stdout
