"""setup.sh: each step does only what is missing, keeps secrets, and says plainly what is wrong."""

import os
import pty
import re
import select
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from real.apps import ADMIN, KINDS, interrupt, make_app, sql
from support import files, git, require


@pytest.fixture(scope="module")
def app(render, tmp_path_factory):
    """A WuttaWeb app that is rendered, with its packages, but not set up."""
    return make_app(render, tmp_path_factory.mktemp("setup") / "poser", **KINDS["wuttaweb"])


def remove_setup(app):
    """Remove what setup.sh made."""
    for name in ("secrets.conf", ".git", "data/poser.sqlite"):
        path = app.dir / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    (app.dir / "log/wutta.log").unlink(missing_ok=True)


@pytest.fixture
def fresh(app):
    """The same app, with nothing of an earlier setup left in it."""
    remove_setup(app)
    return app


def mode(path):
    """Return the permission bits of a path."""
    return stat.S_IMODE(path.stat().st_mode)


def read_until(terminal, word):
    """Return what a terminal shows (bytes) until `word` comes, or until its program ends."""
    shown = b""
    while word not in shown:
        assert select.select([terminal], [], [], 60)[0], f"nothing more came after: {shown.decode()}"
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # how Linux says that the program has closed its terminal
            break
    return shown


def test_second_run_changes_nothing(fresh):
    assert "Ready" in fresh.setup()
    before = {name: found for name, found in files(fresh.dir).items() if not name.startswith("log/")}
    commit = git("rev-parse", "HEAD", cwd=fresh.dir)
    assert fresh.setup("--quiet") == ""
    assert {name: found for name, found in files(fresh.dir).items() if not name.startswith("log/")} == before
    assert git("rev-parse", "HEAD", cwd=fresh.dir) == commit
    assert git("status", "--porcelain", cwd=fresh.dir) == ""


def test_app_dir_is_closed_to_others(fresh):
    fresh.dir.chmod(0o755)
    fresh.setup()
    assert mode(fresh.dir) & 0o007 == 0
    assert mode(fresh.dir / "secrets.conf") == 0o600


def test_first_commit_has_no_secret_and_no_data(fresh):
    output = fresh.setup(ADMIN_PASSWORD="")
    password = re.search(r"with password (\S+)", output)[1]
    secret = re.search(r"secret = (\w+)", (fresh.dir / "secrets.conf").read_text())[1]
    tracked = git("ls-files", cwd=fresh.dir).split()
    assert {"wutta.conf", "setup.sh", ".copier-answers.yml"} <= set(tracked)
    assert not [name for name in tracked if re.match("data|log|sessions|work|secrets", name)]
    history = git("log", "--patch", cwd=fresh.dir)
    logs = "".join(path.read_text() for path in (fresh.dir / "log").glob("*.log"))
    for word in (password, secret):
        assert word not in history + logs


def test_made_password_opens_the_app(fresh):
    password = re.search(r"with password (\S+)", fresh.setup(ADMIN_PASSWORD=""))[1]
    with fresh.serve() as web:
        web.login_is_refused(ADMIN[0], "wrong")
        web.login(ADMIN[0], password)


STEPS = [("secretsconf", "complete"), ("assets", "complete"), ("database", "migrate"), ("database", "create_admin")]
STEPS += [("git", "settle_identity")]


@pytest.mark.parametrize(("module", "step"), STEPS)
def test_goes_on_after_an_interrupted_step(fresh, module, step):
    """Each step may end half way: what it made so far is there, the rest comes on the next run."""
    script = fresh.dir / f"lib/appdir/{module}.py"
    text = script.read_text()
    script.write_text(f"{text}\n\ndef {step}(*_):\n    raise SystemExit(1)\n")
    assert fresh.run("./setup.sh", check=False).returncode == 1
    script.write_text(text)
    assert "Ready" in fresh.setup()
    assert git("status", "--porcelain", cwd=fresh.dir) == ""


def test_machine_that_does_not_find_its_own_name(render, tmp_path, says):
    """On which Rattail can change nothing."""
    require(os.getuid() == 0, "root, to give a process another host name", "sudo")
    app = make_app(render, tmp_path / "poser", **KINDS["tailbone"])
    nameless = ["unshare", "--uts", "sh", "-c", "hostname no-such-name && ./setup.sh --quiet"]
    done = app.run(*nameless, check=False)
    assert done.returncode == 1
    assert says("the machine does not find its own name: `setup.sh`, Rattail", app, done.stdout) == (
        "setup.sh: this machine does not know its own name; add a line to /etc/hosts: 127.0.1.1 no-such-name"
    )
    assert "user admin created" in app.setup()


def test_killed_setup_runs_again(fresh):
    """Kill the whole setup at many points of time; then it must come to a good end."""
    fresh.setup()
    begin = time.monotonic()
    fresh.setup()
    idle = time.monotonic() - begin  # no run is shorter
    remove_setup(fresh)
    for point in range(10):
        interrupt(["./setup.sh"], fresh.dir, idle * (point + 0.5) / 11, ADMIN_PASSWORD=ADMIN[1])
    assert "Ready" in fresh.setup()
    assert "Ready" in fresh.setup()
    assert git("status", "--porcelain", cwd=fresh.dir) == ""
    assert git("fsck", cwd=fresh.dir) == ""
    with fresh.serve() as web:
        web.login(*ADMIN)


def test_database_url_with_traps_is_asked_for_without_echo(fresh, postgresql):
    """The URL comes by a prompt, as it would from a person, and is not shown."""
    url = postgresql("asked")
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(fresh.dir)
        os.execve("./setup.sh", ["./setup.sh", "--ask-database"], os.environ | {"ADMIN_PASSWORD": ADMIN[1]})
    shown = read_until(terminal, b"not shown")
    os.write(terminal, url.encode() + b"\n")
    shown += read_until(terminal, b"Ready")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown.decode()
    assert b"Ready" in shown
    password = url.split(":")[2].rsplit("@", 1)[0]
    assert password.encode() not in shown
    assert password not in "".join(path.read_text() for path in (fresh.dir / "log").glob("*.log"))
    with fresh.serve() as web:
        web.login(*ADMIN)


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "postgresql://poser:S3cret@127.0.0.1:1/poser",
        "oracle://poser:S3cret@127.0.0.1/poser",
        "postgresql://poser:S3cret@127.0.0.1:port/poser",
    ],
)
def test_bad_database_url_writes_nothing(fresh, url):
    done = fresh.run("./setup.sh", check=False, DATABASE_URL=url)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("setup.sh: ")
    assert "S3cret" not in done.stdout
    assert "Traceback" not in done.stdout
    assert not (fresh.dir / "secrets.conf").exists()


def test_broken_secrets_are_left_alone(fresh, says):
    (fresh.dir / "secrets.conf").write_text("no section\n")
    done = fresh.run("./setup.sh", check=False)
    assert done.returncode == 1
    assert "secrets.conf" in says("`secrets.conf` is broken: `setup.sh`", fresh, done.stdout)
    assert (fresh.dir / "secrets.conf").read_text() == "no section\n"


def test_secrets_keep_what_is_there(fresh):
    fresh.setup()
    text = (fresh.dir / "secrets.conf").read_text()
    (fresh.dir / "secrets.conf").write_text(re.sub("beaker.session.secret.*\n", "", text) + "[mine]\nkey = value\n")
    fresh.setup()
    again = (fresh.dir / "secrets.conf").read_text()
    assert "[mine]\nkey = value\n" in again
    assert again.count("beaker.session.secret") == again.count("default.url") == 1


@pytest.mark.parametrize("script", ["./setup.sh", "./upgrade.sh"])
@pytest.mark.parametrize("breaks", [Path.unlink, lambda path: os.truncate(path, 0)], ids=["missing", "empty"])
def test_lost_database_is_not_created_again(fresh, script, breaks, request, says):
    """An empty one would hide that it is lost; check.sh leaves no file either."""
    fresh.setup()
    database = fresh.dir / "data/poser.sqlite"
    breaks(database)
    status, text = fresh.checks()["database"]
    assert (status, "restore it from a backup" in text) == ("FAILED", True)
    done = fresh.run(script, check=False)
    assert done.returncode == 1
    state = "missing" if "missing" in request.node.callspec.id else "empty"
    line = says(f"the SQLite file is {state}: `{script[2:]}`", fresh, done.stdout)
    assert "poser.sqlite is missing or empty; restore it from a backup" in line
    assert not database.exists() or database.stat().st_size == 0
    assert "user admin created" in fresh.setup("--new-database")


def test_lost_secrets_are_not_created_again(fresh, postgresql, says):
    """Else the app would change to SQLite without a word."""
    fresh.setup(DATABASE_URL=postgresql("secrets"))
    (fresh.dir / "secrets.conf").unlink()
    before = set(files(fresh.dir))
    done = fresh.run("./setup.sh", check=False)
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 1)
    line = says("`secrets.conf` is missing: `setup.sh`", fresh, done.stdout)
    assert line.startswith("setup.sh: secrets.conf is missing; restore it from a backup")
    assert set(files(fresh.dir)) == before
    assert "user admin created" in fresh.setup("--new-database", DATABASE_URL=postgresql("found"))


def test_role_that_may_not_create_tables(fresh, postgresql, says):
    """The cure that is shown works."""
    admin, owner = postgresql("narrow"), "postgresql://narrow:pw@127.0.0.1"
    port = admin.rsplit(":", 1)[1]
    as_admin = ["psql", "--quiet", "-h", "127.0.0.1", "-p", port.split("/")[0], "-U", "poser", "-d", "narrow", "-c"]
    password = {"PGPASSWORD": "p@ss/w%r'd\"41"}
    fresh.run(*as_admin, "create role narrow login password 'pw'", **password)
    done = fresh.run("./setup.sh", check=False, DATABASE_URL=f"{owner}:{port}")
    assert (done.returncode, "Traceback" in done.stdout) == (1, False), done.stdout
    line = says("the PostgreSQL role may not create tables: `setup.sh`", fresh, done.stdout)
    cure = re.search("let its user change it: sudo -u postgres psql -c '(.*)'$", line)[1]
    fresh.run(*as_admin, cure, **password)
    assert "user admin created" in fresh.setup()


def test_admin_who_is_no_administrator(fresh):
    fresh.setup()
    sql(fresh.dir / "data/poser.sqlite", "delete from user_x_role")
    done = fresh.run("./setup.sh", "--quiet", check=False)
    assert (done.returncode, done.stdout) == (
        1, "setup.sh: the user admin is no administrator, and no other is; give somebody the role Administrator\n",
    )  # fmt: skip


def test_git_that_refuses_is_told(fresh):
    fresh.setup()
    shutil.rmtree(fresh.dir / ".git")
    (fresh.dir / ".git").write_text("gitdir: /nowhere\n")
    done = fresh.run("./setup.sh", check=False)
    (fresh.dir / ".git").unlink()
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("setup.sh: git init: ")
    assert "Traceback" not in done.stdout


def test_outside_an_env(fresh, tmp_path):
    shutil.copytree(fresh.dir, tmp_path / "app", symlinks=True)
    done = subprocess.run([tmp_path / "app/setup.sh"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("setup.sh: ")
    assert "virtualenv" in done.stderr


def test_path_that_upstream_cannot_read(render, tmp_path):
    (tmp_path / "two words/bin").mkdir(parents=True)
    (tmp_path / "two words/bin/python").symlink_to(sys.executable)
    app = render(tmp_path / "two words/app", app_name="poser")
    done = subprocess.run([app / "setup.sh"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"setup.sh: upstream cannot read config in {app}; ")
    assert not (app / "secrets.conf").exists()


def test_damaged_asset_is_replaced(fresh):
    fresh.setup()
    (fresh.dir / "data/libcache/vue-2.6.14.min.js").write_text("damaged")
    assert "1 files put" in fresh.setup()
    assert (fresh.dir / "data/libcache/vue-2.6.14.min.js").stat().st_size > 90_000


def test_assets_without_network_say_what_to_do(fresh, tmp_path, says):
    shutil.rmtree(fresh.dir / "data/libcache")
    done = fresh.run("./setup.sh", check=False, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 1
    assert "PIP_FIND_LINKS" in says("the network is down, and assets are missing: `setup.sh`", fresh, done.stdout)
    fresh.setup()


def test_moved_app_dir_runs(render, tmp_path):
    """Two envs of the same kind: an app dir moves from one to the other, with its users."""
    old = make_app(render, tmp_path / "old", **KINDS["wuttaweb"])
    old.setup()
    new = make_app(render, tmp_path / "new", **KINDS["wuttaweb"])
    shutil.rmtree(new.dir)
    old.dir.rename(new.dir)
    new.port = old.port
    assert new.setup("--quiet").startswith("packages    appdir.pth created in the env")
    assert new.setup("--quiet") == ""
    with new.serve() as web:
        web.login(*ADMIN)


def test_bare_env_gets_its_packages(render, tmp_path):
    """From an env that holds only pip: setup.sh installs, and the app runs; no env is active."""
    app = make_app(render, tmp_path / "poser", packages=False, framework="wutta", luigi=False, app_name="poser")
    assert "packages    installing, " in app.setup(PATH="/usr/bin:/bin")
    with app.serve() as web:
        web.login(*ADMIN)
