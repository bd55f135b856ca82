"""restore.sh: from a backup alone, by the two commands of the docs, env, packages, database and app dir are back."""

import contextlib
import os
import pty
import re
import shutil
import subprocess
import tempfile
import time

import pytest
from real import wheels
from real.apps import ADMIN, KINDS, free_port, interrupt, listens, make_app, running
from real.backups import SCRIPTS, command_lines, path_with, records, repository, snapshots, variables, watching, writing
from real.envs import uv
from real.users import PYTHON, SERVICE_USER, open_folder
from support import ROOT, git, require

SURVIVOR = """
from appdir.core import load_config
app = load_config().get_app()
with app.short_session(commit=True) as session:
    app.get_auth_handler().make_user(session=session, username="survivor")
"""
DROP = """
import sqlalchemy as sa
from appdir.core import load_config
engine = load_config().appdb_engine
if engine.dialect.name == "postgresql":
    engine.dispose()
    server = sa.create_engine(engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f'drop database "{engine.url.database}" with (force)')
"""
KILLED_AT = [  # when this is there in the env, and so many seconds are over
    (".restore", 0),
    (".restore/plan.json", 0),
    (".restore/app/wutta.conf", 0),
    (".restore/app/.backup/requirements.txt", 0.1),
    ("app", 0),
    ("bin/python", 0),
    ("lib/python3.11/site-packages/pip/__init__.py", 0),
    (".restore/requirements.txt", 0.5),
    ("lib/python3.11/site-packages/wuttaweb", 0),
]
KILLED_LATE = [  # with the env complete
    (".restore/env", 0),
    (".restore/env", 1),
    (".restore/env", 2),
    (".restore/database", 0),
    (".restore/database", 1),
]


@pytest.fixture(autouse=True)
def tools():
    """What the new machine needs."""
    require(shutil.which("restic"), "restic", "restic")
    done = subprocess.run(["python3", "-c", "import ensurepip"], capture_output=True)
    require(not done.returncode, "python3-venv", "python3-venv")


def script(app, code):
    """Run Python code by the env of an app."""
    app.run(app.env / "bin/python", "-W", "ignore", "-c", code, **SCRIPTS)


def back_up(app):
    """Make a record that is to survive, then a backup while a writer writes; return what was acknowledged before."""
    script(app, SURVIVOR)
    app.run("./backup.sh", "--init", "--quiet")
    wheels.keep(app)
    with writing(app) as acknowledged:
        time.sleep(1)
        before = set(acknowledged)
        app.run("./backup.sh", "--quiet")
        assert len(acknowledged) > len(before), "the writer stood still"
    return before


def commands(app):
    """Return the documented commands that restore an app, with its paths."""
    block = re.search(
        r"<!-- restore -->\n```sh\n(.*?)```", (ROOT / "docs/backup-and-restore.md").read_text(), re.DOTALL
    )[1]
    assert len(block.splitlines()) == 2
    return block.replace("/mnt/backups/poser", str(repository(app))).replace("/srv/envs/poser", str(app.env))


def modes(app):
    """Return mode, owner, group and content of all that a backup must bring back as it was."""
    left_out = re.compile(
        r"(log|sessions|work|luigi/log|data/uploads|data/backup)/(?!.*\.gitkeep)|.*(__pycache__|\.sqlite)"
    )
    return {
        name: (path.stat().st_mode, path.owner(), path.group(), path.is_file() and path.read_bytes())
        for name, path in ((path.relative_to(app.dir).as_posix(), path) for path in app.dir.rglob("*"))
        if not left_out.match(name) and not name.startswith((".git/", ".backup/", "data/batches/writer/"))
    }


def pins(frozen):
    """Return the lines that pip prints of an env; it may give a name that it built itself with _ instead of -."""
    return {line.replace("_", "-") for line in frozen.splitlines()}


def is_back(app, before, written):
    """Assert that an app is what it was, and runs: what `modes` gave before, and records that had been acknowledged."""
    found = records(app)
    assert written <= found
    assert found == set(range(1, max(found) + 1)), "the database is not that of one moment"
    for number in found:
        assert (app.dir / f"data/batches/writer/{number}").read_text() == str(number)
    assert modes(app) == before
    assert not (app.env / ".restore").exists()
    assert git("status", "--porcelain", cwd=app.dir) == ""
    frozen = app.run("../bin/python", "-m", "pip", "freeze", "--all").stdout
    assert pins(frozen) == pins((app.dir / ".backup/requirements.txt").read_text().partition("\n")[2])
    with app.serve() as web:
        web.login(*ADMIN)
        web.become_root()
        assert "survivor" in web.page("/users/", "Users").text


def destroy(app):
    """Destroy the env with the app dir in it, and the database."""
    script(app, DROP)
    shutil.rmtree(app.env)


def run(command, folder, check=True, **environment):
    """Run a command with more environment variables, and return the process, with its output as text in one."""
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=os.environ | wheels.settings() | environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stdout
    return done


@pytest.mark.xdist_group("tailbone-sqlite-3.11")  # with other tests of this app
def test_rattail_on_sqlite_with_data_on_another_volume(app_of, tmp_path):
    """All volumes are destroyed; the password is typed, as by a person."""
    app = app_of("tailbone")
    volume = tmp_path / "volume"
    volume.mkdir()
    for name in ("data", "log"):
        (app.dir / name).rename(volume / name)
        (app.dir / name).symlink_to(volume / name)
    written = back_up(app)
    for name in ("data", "log"):
        (app.dir / name).unlink()
    (volume / "data").rename(app.dir / "data")
    (app.dir / "log").mkdir(0o750)
    before, password = modes(app), variables(app)["RESTIC_PASSWORD"]
    shutil.rmtree(volume)
    destroy(app)
    shown = type_answers(commands(app), tmp_path, *[("password", password)] * 2)
    assert password not in shown
    is_back(app, before, written)


def type_answers(command, folder, *answers, **environment):
    """Run a shell command on a terminal and type answers, pairs of (question, text); return all that it shows."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(folder)
        os.execve("/bin/sh", ["sh", "-euc", command], os.environ | wheels.settings() | environment)
    shown, answers = b"", list(answers)
    with contextlib.suppress(OSError):  # that is how a terminal says that the program ended
        while part := os.read(terminal, 10000):
            shown += part
            if answers and re.search(rf"{answers[0][0]}[^\n]*: *$".encode(), shown, re.IGNORECASE):
                time.sleep(0.3)  # what is typed is hidden only after the question is there
                os.write(terminal, answers.pop(0)[1].encode() + b"\n")
                shown += b"\n"
    shown, code = shown.decode(errors="replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert (code, answers) == (0, []), shown
    return shown


@pytest.mark.xdist_group("tailbone-postgresql-3.11")
def test_rattail_into_another_database(app_of, postgresql, tmp_path, says):
    """A database that holds tables is refused, and stays as it is; one that is empty takes all.

    Of two extensions, the role there may create one itself, and is told how to get the other.
    """
    app = app_of("tailbone", "postgresql")
    own = re.search(r"default.url = .*/(\S+)", (app.dir / "secrets.conf").read_text())[1]
    postgresql.run_sql("create extension hstore", "create extension dblink", database=own)
    written = back_up(app)
    before, kept = modes(app), variables(app)
    shutil.rmtree(app.env)
    refused = run(["sh", "-euc", commands(app)], tmp_path, check=False, **kept)
    assert refused.returncode == 1
    line = says("the database holds tables: `restore.sh`", app, refused.stdout)
    assert "holds tables, and nothing is ever overwritten" in line
    assert "p@ss" not in refused.stdout
    assert "p%40ss" not in refused.stdout
    assert written <= records(app)
    url = postgresql("elsewhere").replace("//poser:", "//clerk:")
    login = url.split(":")[2].rpartition("@")[0]
    quoted = login.replace("'", "''")
    postgresql.run_sql(f"create role clerk login password '{quoted}'", "alter database elsewhere owner to clerk")
    password = re.search("RESTIC_PASSWORD=(.*)", (app.dir / "restic.env").read_text())[1]
    with watching(password, login, "p%40ss") as seen:
        stopped = run(["sh", "-euc", commands(app)], tmp_path, check=False, DATABASE_URL=url, **kept)
        assert stopped.returncode == 1
        said = (
            r"the extension dblink is missing: .*; run sudo -u postgres psql -c '(.*)' elsewhere and then this again\n$"
        )
        says("an extension of PostgreSQL is missing, and its role may not create it: `restore.sh`", app, stopped.stdout)
        postgresql.run_sql(re.search(said, stopped.stdout)[1], database="elsewhere")
        run(["sh", "-euc", commands(app)], tmp_path, **kept)
    assert [line for line in seen if b"pg_restore" in line]
    assert "/elsewhere\n" in (app.dir / "secrets.conf").read_text()
    assert modes(app).pop("secrets.conf")[0] == before["secrets.conf"][0]
    before["secrets.conf"] = modes(app)["secrets.conf"]
    is_back(app, before, written)


def test_wutta_on_sqlite_with_a_service_user(render):
    """Root brings it back, for the user as whom the servers run."""
    with open_folder() as folder:
        app = make_app(render, folder / "poser", PYTHON, **KINDS["wuttaweb"], service_user=SERVICE_USER)
        app.setup()
        written = back_up(app)
        before, kept = modes(app), variables(app)
        assert {owner for _, owner, _, _ in before.values()} == {"root", SERVICE_USER}
        destroy(app)
        run(["sh", "-euc", commands(app)], folder, **kept, PATH=os.defpath)
        is_back(app, before, written)


def test_database_that_only_the_service_user_may_enter(render, postgresql):
    """PostgreSQL without passwords, where each user is the role of that name: root is none."""
    with open_folder() as folder:
        app = make_app(render, folder / "poser", PYTHON, **KINDS["wuttaweb"], service_user=SERVICE_USER, luigi=False)
        postgresql.run_sql(f'create role "{SERVICE_USER}" login', f'create database peer owner "{SERVICE_USER}"')
        app.setup(DATABASE_URL=postgresql.by_peer("peer"))
        app.run("./backup.sh", "--init", "--quiet")
        wheels.keep(app)
        before, kept = modes(app), variables(app)
        shutil.rmtree(app.env)
        postgresql.run_sql("drop database peer", f'create database peer owner "{SERVICE_USER}"')
        run(["sh", "-euc", commands(app)], folder, **kept, PATH=os.defpath)
        assert modes(app) == before
        app.run("./upgrade.sh", "--preview", **wheels.settings())
        assert app.checks()["database"][0] == "ok"


@pytest.fixture(scope="module")
def trinket(tmp_path_factory):
    """A package in a file of this machine."""
    folder = tmp_path_factory.mktemp("trinket")
    wheels.wheel(folder, "trinket", "1")
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def lost(render, postgresql, tmp_path_factory, trinket):
    """A WuttaWeb app on PostgreSQL whose env and database are destroyed, what it was, and what of it was kept."""
    app = make_app(render, tmp_path_factory.mktemp("lost") / "poser", **KINDS["wuttaweb"])
    app.setup(DATABASE_URL=postgresql("lost"))
    app.run("../bin/python", "-m", "pip", "install", "--quiet", trinket)
    written = back_up(app)
    before, kept = modes(app), variables(app)
    destroy(app)
    return app, before, written, kept


@pytest.mark.parametrize(
    ("options", "environment", "code", "reason"),
    [
        ([], {"RESTIC_PASSWORD": "wrong"}, 1, "wrong password or no key found"),
        (["--snapshot", "0000"], {}, 1, "restic cannot read the backup"),
        (["--snapshot"], {}, 2, "name the repository and the folder of the new env"),
        (["one"], {}, 2, "is one too many"),
        ([], {}, 2, "upstream cannot read config in"),
    ],
)
def test_what_is_wrong_writes_nothing(lost, tmp_path, options, environment, code, reason):
    app, _, _, kept = lost
    (tmp_path / "restore.sh").write_text(
        run(["restic", "dump", "--tag=appdir", "latest", "/restore.sh"], "/", **kept).stdout
    )
    folder = "two words" if "upstream" in reason else "env"
    command = ["sh", "restore.sh", *options, *([] if options == ["--snapshot"] else [repository(app), folder])]
    (tmp_path / "ensurepip.py").write_text("raise SystemExit('the current folder has no say')")
    done = run(command, tmp_path, check=False, **kept | environment)
    assert done.returncode == code
    assert reason in done.stdout
    assert "Traceback" not in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"restore.sh", "ensurepip.py"}


def test_folder_that_is_not_empty(lost, tmp_path):
    app, _, _, kept = lost
    app.env.mkdir()
    (app.env / "mine").touch()
    done = run(["sh", "-euc", commands(app)], tmp_path, check=False, **kept)
    assert done.returncode == 1
    assert done.stdout.endswith("is not empty, and nothing is ever overwritten; name a new folder\n")
    assert [path.name for path in app.env.iterdir()] == ["mine"]
    shutil.rmtree(app.env)


def test_machine_without_venv(lost, tmp_path):
    """As a bare Debian, whose Python lacks ensurepip."""
    app, _, _, kept = lost
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    command = commands(app).splitlines()[-1].replace("restore.sh", str(tmp_path / "restore.sh"))
    run(["sh", "-euc", commands(app).splitlines()[0]], tmp_path, **kept)
    done = run(["sh", "-euc", command], tmp_path, check=False, **kept, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert done.stdout == "restore.sh: python3 cannot make an env; install: apt-get install python3 python3-venv\n"
    assert not app.env.exists()


def test_backup_of_another_user(lost, tmp_path):
    """Root would make files that this user cannot change."""
    require(os.getuid() == 0, "root", "sudo")
    *_, kept = lost
    dump = "restic dump --tag=appdir latest"
    run(["sh", "-euc", f"{dump} /restore.sh > restore.sh; {dump} /lib | tar -x; chmod -R a+rX lib"], tmp_path, **kept)
    kept = {"RESTIC_REPOSITORY": "repository", "RESTIC_PASSWORD": "other"}
    as_other = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    tmp_path.chmod(0o777)
    run([*as_other, "restic", "--no-cache", "init"], tmp_path, **kept)
    run([*as_other, "restic", "--no-cache", "backup", "--tag=poser,appdir,run-1,owner-nobody", "lib"], tmp_path, **kept)
    done = run(["sh", "restore.sh", "repository", "env"], tmp_path, check=False, **kept)
    assert "the app dir belonged to nobody" in done.stdout.splitlines()[-1]
    assert not (tmp_path / "env").exists()


def test_killed_restore_goes_on(lost, trinket, postgresql, tmp_path):
    """Wherever it is killed, and whatever comes late: the next run goes on, and all is there in the end."""
    app, before, written, kept = lost

    def kill_at(name, delay):
        interrupt(["sh", "-euc", commands(app)], tmp_path, delay, (app.env / name).exists, **wheels.settings() | kept)

    def stops():
        return run(["sh", "-euc", commands(app)], tmp_path, check=False, **kept).stdout

    for name, delay in KILLED_AT:
        kill_at(name, delay)
    away = trinket.rename(tmp_path / trinket.name)
    assert f"cannot install trinket @ file://{trinket}" in stops()
    away.rename(trinket)
    assert "does not answer" in stops()
    database = postgresql("lost").rpartition("@")[2].encode()

    def loads():
        return any(b"pg_restore\0" in line and database in line for line in command_lines())

    interrupt(["sh", "-euc", commands(app)], tmp_path, reached=loads, **wheels.settings() | kept)
    for name, delay in KILLED_LATE:
        kill_at(name, delay)
    run(["sh", "-euc", commands(app)], tmp_path, **kept)
    is_back(app, before, written)
    assert "is not empty" in stops()


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory):
    """A function that makes a database of MariaDB and returns its URL, with a password full of traps."""
    require(shutil.which("mariadbd"), "MariaDB", "mariadb-server")
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        user = ["--no-defaults", f"--datadir={name}/data"]
        if os.getuid() == 0:
            shutil.chown(name, "mysql")
            user.append("--user=mysql")
        install = ["mariadb-install-db", *user, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(install, check=True, capture_output=True)
        server = ["mariadbd", *user, f"--socket={name}/socket", f"--port={port}", "--bind-address=127.0.0.1"]

        def make_database(database, more="select 1"):
            user = """poser@'%' identified by 'p@ss/w%r"\\\\#4'"""
            sql = f"create database {database}; grant all on {database}.* to {user}; use {database}; {more}"
            client = ["mariadb", "--no-defaults", "--user=root", f"--socket={name}/socket", "-e", sql]
            subprocess.run(client, check=True, capture_output=True)
            return f'mysql+pymysql://poser:p@ss/w%r"\\#4@127.0.0.1:{port}/{database}'

        with running(server, tmp_path_factory.mktemp("mariadb") / "out", lambda: listens(port), cwd="/"):
            yield make_database


def test_older_backup_into_another_mariadb(render, mariadb, tmp_path, monkeypatch):
    """Of the two backups the one that is named, into the database whose URL is typed, after some killed tries."""
    app = make_app(render, tmp_path / "poser", **KINDS["wuttaweb"], luigi=False)
    uv("pip", "install", "--quiet", "--python", app.env / "bin/python", "PyMySQL")
    app.setup(DATABASE_URL=mariadb("shop"))
    slow = f'{shutil.which("mariadb-dump")} "$@"; code=$?; sleep 1; exit $code'  # to be seen on a busy machine, too
    with watching("p@ss/w%r", "p%40ss") as seen, monkeypatch.context() as patch:
        patch.setenv("PATH", path_with(tmp_path, "mariadb-dump", slow))
        written = back_up(app)
    assert [line for line in seen if b"--defaults-extra-file=/dev/fd/" in line]
    before, kept, older = modes(app), variables(app), snapshots(app)[-1]["short_id"]
    (app.dir / "data/batches/neworder/later").touch()
    with writing(app):
        app.run("./backup.sh", "--quiet")
    latest = records(app)
    shutil.rmtree(app.env)
    fetch, restore = commands(app).splitlines()
    run(["sh", "-euc", fetch], tmp_path, **kept)
    restore = restore.replace("restore.sh ", f"restore.sh --snapshot {older} ")
    assert "holds tables" in run(["sh", "-euc", restore], tmp_path, check=False, **kept).stdout
    assert records(app) == latest
    interrupted_at_once = "create table appdir_restore (token varchar(64))"
    url = mariadb("elsewhere", interrupted_at_once)
    for name in (".restore/plan.json", "app", "bin/python"):  # all of them before the database is asked for
        interrupt(["sh", "-euc", restore], tmp_path, 0.1, (app.env / name).exists, DATABASE_URL=url, **kept)
    command = restore.replace("restore.sh ", "restore.sh --ask-database ")
    shown = type_answers(command, tmp_path, ("URL", url), **kept)
    assert "p@ss" not in shown
    assert "/elsewhere\n" in (app.dir / "secrets.conf").read_text()
    assert modes(app).pop("secrets.conf")[0] == before["secrets.conf"][0]
    before["secrets.conf"] = modes(app)["secrets.conf"]
    is_back(app, before, written)
    assert records(app) < latest
