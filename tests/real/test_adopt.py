"""adopt.py with app dirs that upstream's own commands made, and one made by hand: each runs on as it was."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from real.apps import App, free_port
from real.envs import UV, uv
from real.pythons import find_python
from real.web import Web
from support import files, git, release, require

USER = ("fred", "fred-Passw0rd")
PASSWORD = "shop-pass-1"  # of PostgreSQL; upstream's install commands take no character that a URL must encode
SECRET = "lite%%ral-secret"
PACKAGES = {"rattail": ["Tailbone"], "wutta": ["wutta-demo", "WuttaWeb", "psycopg[binary]"]}

MAKE_TABLES = """
import importlib, sys
from alembic import command
from alembic.config import Config
config = importlib.import_module(sys.argv[1]).make_config(sys.argv[2])
if sys.argv[1] == "rattail.config":
    importlib.import_module("rattail.db.config").configure_versioning(config, force=True)
config.get_app().model.Base.metadata.create_all(bind=config.appdb_engine)
command.stamp(Config(sys.argv[2]), "heads")
"""
# prints each table with its number of rows, and the revisions of the schema
DATABASE = """
import importlib, json, sys
import sqlalchemy as sa
engine = importlib.import_module(sys.argv[1]).make_config(sys.argv[2]).appdb_engine
with engine.connect() as connection:
    names = sorted({*sa.inspect(engine).get_table_names()} - {"user_event"})  # our logins
    found = {name: connection.execute(sa.text(f'select count(*) from "{name}"')).scalar() for name in names}
    found["revisions"] = sorted(connection.execute(sa.text("select version_num from alembic_version")).scalars())
print(json.dumps(found))
"""
NIGHTS = """
import luigi
class Nights(luigi.Task):
    date = luigi.DateParameter()
    def output(self):
        return luigi.LocalTarget("mine-is-done")
    def run(self):
        with self.output().open("w"):
            pass
"""
MAKE_USER = """
import importlib, sys
config = importlib.import_module(sys.argv[1]).make_config(sys.argv[2])
app = config.get_app()
auth = app.get_auth_handler()
with app.short_session(commit=True) as session:
    user = auth.make_user(session=session, username=sys.argv[3])
    auth.set_user_password(user, sys.argv[4])
    user.roles.append(auth.get_role_administrator(session))
"""
# values that do not look like secrets at first sight; to a web app and its log they mean nothing
SECRETS_OF_WEB = """
[wutta.foo]
salt = sesame-3
auth = Basic sesame-4
text = one
    password=sesame-5
cmd = mysqldump -uroot -psesame-6
id_rsa = -----BEGIN PRIVATE KEY-----
    sesame-7
pem = -----BEGIN PRIVATE KEY-----
    sesame-8
x.watcher.kwarg.key = sesame-9
[wuttaweb]
maps.key = sesame-10
recaptcha.sitekey = sesame-11
bearer = sesame-12
login = sesame-13
sentry = https://sesame-14@sentry.io/1
sentry.dsn = sesame-15
chat = https://hooks.slack.com/services/sesame-16
webhook = sesame-17
"""
SECRETS_OF_CORE = """
[wutta.upgrades]
default.command = curl -H 'Authorization: Bearer sesame-18' localhost
[handler_email]
kwargs = {'credentials': ('u', 'sesame-19')}
[handler_post]
class = handlers.HTTPHandler
args = ('localhost', '/log?token=sesame-20')
"""
# prints what the software of the env makes of the configs: all settings, those of the web app and of its server
READ = """
import importlib, json, logging, sys
from paste.deploy.loadwsgi import APP, SERVER, loadcontext
config = importlib.import_module(sys.argv[1]).make_config(sys.argv[2] + "/web.conf")
app, server = (loadcontext(kind, f"config:{sys.argv[2]}/web.conf").config() for kind in (APP, SERVER))
root = logging.getLogger()
print(json.dumps({
    "settings": dict(config.configuration.as_dict()), "app": app, "server": server,
    "logging": [logging.getLevelName(root.level), *sorted(str(handler) for handler in root.handlers)],
}, default=str))
"""


@pytest.fixture(scope="module")
def versions(template, tmp_path_factory):
    """The template with a newer version 1.1.0, which changes the web app's config and the core config."""
    repo = tmp_path_factory.mktemp("versions") / "template"
    git("clone", "--quiet", template, repo, cwd="/")
    for name in ("web.conf", "rattail.conf", "wutta.conf"):
        path = repo / f"template/{name}.jinja"
        path.write_text(path.read_text().replace("# Template. ", "# Template. New in 1.1.0. "))
    release(repo, "v1.1.0")
    return repo


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    """A function that gives an env with the packages of a framework and its app, made once."""
    made = {}

    def env(framework):
        if framework not in made:
            folder = tmp_path_factory.mktemp(f"adopt-{framework}") / "poser"
            uv("venv", "--quiet", "--seed", "--python", find_python("3.11"), folder)
            packages = [*PACKAGES[framework], "prompt_toolkit", "pyramid_exclog", "setuptools<81", "psycopg2-binary"]
            uv("pip", "install", "--quiet", "--python", folder / "bin/python", *packages)
            made[framework] = App(folder, free_port())
        return made[framework]

    return env


def edit(path, **texts):
    """Replace texts, which must be there, in a file; each is given as a pair."""
    text = path.read_text()
    for old, new in texts.values():
        assert old in text, (path, old)
        text = text.replace(old, new)
    path.write_text(text)


def python(app, code, *args):
    """Run Python code of ours in an env, seen from the env, with the framework's module and more arguments."""
    module = "rattail.config" if (app.dir / "rattail.conf").exists() else "wuttjamaican.conf"
    command = [app.env / "bin/python", "-W", "ignore", "-c", code, module, *args]
    done = subprocess.run(list(map(str, command)), cwd=app.env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


# each peer makes an app dir with a user, and returns its database URL


def wutta_demo(app, postgresql):
    """WuttJamaican's install handler, which asks for the database and more."""
    url = postgresql("wuttademo")
    answers = ["", "", url.hostname, url.port, "wuttademo", "shop_wuttademo", PASSWORD, "", ""]
    done = subprocess.run(
        [app.env / "bin/wuttademo", "install"], cwd=app.env, capture_output=True, text=True,
        input="".join(f"{answer}\n" for answer in answers),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    python(app, MAKE_USER, app.dir / "wutta.conf", *USER)
    return f"postgresql+psycopg://shop_wuttademo:{PASSWORD}@{url.netloc}/wuttademo"


def make_config(app, postgresql):
    """Commands make-appdir and make-config of Rattail; their relative paths count from the env."""
    app.env.joinpath("app").mkdir()
    run = [app.env / "bin/rattail", "-n"]
    subprocess.run([*run, "make-appdir", "--path", app.dir], check=True, cwd=app.env, capture_output=True)
    for kind in ("rattail", "web", "quiet", "silent", "webapi"):
        command = [*run, "make-config", "-T", kind, "-O", app.dir]
        subprocess.run(command, check=True, cwd=app.env, capture_output=True)
    stock = "postgresql://rattail:rattailpass@localhost/rattail"
    edit(app.dir / "rattail.conf", url=(stock, "sqlite:///app/data/shop.sqlite"))
    edit(app.dir / "web.conf", use=("egg:poser", "egg:Tailbone"), secret=("e:VHDVstO=H1%h1bV><&", "later"))
    edit(app.dir / "webapi.conf", secret=("e:VHDVstO=H1%h1bV><&", "api-" + SECRET), port=("9090", str(free_port())))
    python(app, MAKE_TABLES, app.dir / "rattail.conf")
    python(app, MAKE_USER, app.dir / "quiet.conf", *USER)
    return f"sqlite:///{app.dir}/data/shop.sqlite"


def by_hand(app, postgresql):
    """What somebody wrote who read the manual of WuttaWeb."""
    for folder in ("data", "log", "cache/sessions"):
        (app.dir / folder).mkdir(parents=True)
    (app.dir / "wutta.conf").write_text(
        f"[wutta.config]\nusedb = true\npreferdb = true\n\n[wutta.db]\ndefault.url = sqlite:///{app.dir}/data/x.db\n\n"
        "[alembic]\nscript_location = wuttjamaican.db:alembic\nversion_locations = wuttjamaican.db:alembic/versions\n"
        + SECRETS_OF_CORE
    )
    (app.dir / "web.conf").write_text(
        "[wutta.config]\nrequire = %(here)s/wutta.conf\n\n[app:main]\nuse = egg:Wutta_Demo\n"
        "wutta.config = %(__file__)s\npyramid.includes = pyramid_exclog\npyramid.default_locale_name = en\n"
        "beaker.session.type = file\nbeaker.session.data_dir = %(here)s/cache/sessions/data\n"
        "beaker.session.lock_dir = %(here)s/cache/sessions/lock\n"
        "beaker.session.secret = TODO_YOU_SHOULD_CHANGE_THIS\nbeaker.session.key = by_hand\n"
        "pyramid.mysignkey = sesame-1\nmako.hmac = sesame-2\n\n"
        "[server:main]\nuse = egg:waitress#main\nhost = 0.0.0.0\nport = 9080\nthreads = 1\n" + SECRETS_OF_WEB
    )
    python(app, MAKE_TABLES, app.dir / "wutta.conf")
    python(app, MAKE_USER, app.dir / "wutta.conf", *USER)
    return f"sqlite:///{app.dir}/data/x.db"


PEERS = {make_config: "rattail", wutta_demo: "wutta", by_hand: "wutta"}


def edit_configs(app, framework):
    """Edit the configs of a peer as an operator does; return the secrets of before, in each way to write them."""
    core = app.dir / f"{framework}.conf"
    core.write_text(
        core.read_text()
        + "\n[own]\nname = 100%% mine\nlong = one\n    two\napi_password = sesame-own\nhidden = sesame-unnamed\n"
    )
    if framework == "rattail":
        edit(core, mail=("[rattail.mail]\n", "[rattail.mail]\nsmtp.username = u\nsmtp.password = sesame-smtp\n"))
        edit(core, to=("default.to = root@localhost", "default.to = root@localhost, ops@example.com"))
        edit(core, keys=("keys = root, exc_logger,", "keys = root, mine, exc_logger,"))
        edit(core, level=("level = DEBUG", "level = ERROR"), size=("'a', 1000000, 100", "'a', 5000, 3"))
        core.write_text(core.read_text() + "\n[logger_mine]\nqualname = mine\nhandlers = file, email\nlevel = ERROR\n")
        edit(app.dir / "quiet.conf", level=("level = INFO", "level = ERROR"))
        core.write_text(
            core.read_text()
            + "\n[rattail.luigi]\novernight.tasks = main, own-script\novernight.task.main.module = nights\n"
            "overnight.task.main.class_name = Nights\novernight.task.own-script.script = app/overnight.sh\n"
        )
        (app.dir / "nights.py").write_text(NIGHTS)
        (app.dir / "overnight.sh").write_text("#!/bin/sh\n# sesame-file\n")
    web = app.dir / "web.conf"
    text = re.sub(r"(?m)^port = 9080", f"port = {app.port}", web.read_text())
    text = re.sub(r"(?m)^host = 0.0.0.0", "host = 127.0.0.1", text)
    text = re.sub(r"(?m)^beaker.session.secret = .*", f"beaker.session.secret = {SECRET}", text)
    text = text.replace("default_locale_name = en", "default_locale_name = de")
    text = text.replace("[app:main]\n", "[app:main]\nbeaker.session.timeout = 86400\npos.key = sesame-pos\n")
    web.write_text(text)
    (app.dir / "dev.conf").write_text("[own]\npassword = sesame-dev\n")
    (app.dir / "mine.sh").write_text("#!/bin/sh\nexport PGPASSWORD=sesame-script\n")
    for name in (os.fsdecode(b"caf\xe9 *.txt"), "deploy\u00a0key.txt", "README.md"):
        (app.dir / name).write_text("sesame-file\n")
    (app.dir / "mine.sh").chmod(0o740)
    core.chmod(0o604)
    return [SECRET.replace("%%", "%"), SECRET, PASSWORD]


@pytest.fixture(scope="module")
def peers(env, request, tmp_path_factory):
    """A function that puts the edited app dir of a peer into its env, as it was: (App, database URL, secrets)."""
    made = {}

    def make_database(name):
        login, _, place = request.getfixturevalue("postgresql")(name).rpartition("@")
        url = urlsplit(f"//{place}")
        command = f"create role shop_{name} superuser login password '{PASSWORD}'"
        subprocess.run(
            ["psql", "-h", url.hostname, "-p", str(url.port), "-U", "poser", "-d", "postgres", "-c", command],
            check=True, capture_output=True, env=os.environ | {"PGPASSWORD": login.removeprefix("postgresql://poser:")},
        )  # fmt: skip
        return url

    def peers(peer):
        app = env(PEERS[peer])
        for folder in (app.dir, app.env / "home", app.env / ".before-adoption"):
            shutil.rmtree(folder, ignore_errors=True)
        if peer not in made:
            url = peer(app, make_database)
            secrets = edit_configs(app, PEERS[peer])
            with app.serve(cwd=app.env) as web:  # from now on there are sessions
                web.login(*USER)
            for folder in ("data/batch/inventory/0a", "cache/own"):
                (app.dir / folder).mkdir(parents=True, exist_ok=True)
                (app.dir / folder / "made by the app").write_bytes(b"\x00\xff")
            before = tmp_path_factory.mktemp("before") / "app"
            made[peer] = (before, url, secrets, web, effective(app))
            shutil.copytree(app.dir, before, symlinks=True)
            return (app, *made[peer][1:])
        shutil.copytree(made[peer][0], app.dir, symlinks=True)
        return (app, *made[peer][1:])

    return peers


def effective(app):
    """Return what the software of the env makes of the configs, as READ prints it, without the app dir's path."""
    text = python(app, READ, app.dir).splitlines()[-1].replace(str(app.dir), "APP")
    return json.loads(re.sub(r"(?<=[\"'/])app/", "APP/", text))


def words(value):
    """Return the words of a value."""
    return set(re.findall(r"[^\s,]+", str(value)))


def differ(was, now):
    """Return the keys whose values have lost a word; to a list, the template may add one."""
    return {key for key, value in was.items() if not words(value) <= words(now.get(key))}


def look(folder):
    """Return {path: (mode, user, group, content or target of a link)} of what the app does not write in a folder."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        name, now = path.relative_to(folder).as_posix(), path.lstat()
        if not re.match(r"(.*/)?__pycache__|log/|\.git/|(cache/)?sessions/|data/\w+\.(sqlite|db)$", name):
            data = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
            found[name] = (now.st_mode, now.st_uid, now.st_gid, data)
    return found


def changed(before, folder):
    """Return what differs from an earlier look(): {path: what it was, what it is}."""
    now = look(folder)
    return {name: (before.get(name), now.get(name)) for name in {*before, *now} if before.get(name) != now.get(name)}


def contents(folder):
    """Return the bytes of each file below a folder."""
    return {name: data for name, (_, data) in files(folder).items()}


def packages(app):
    """Return the packages of an env, with their versions."""
    command = [UV, "pip", "freeze", "--quiet", "--python", app.env / "bin/python"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def database(app):
    """Return the number of rows of each table, and the revisions of the schema."""
    return json.loads(python(app, DATABASE, next(app.dir.glob("[rw][au]tt*.conf"))).splitlines()[-1])


def adopt(app, template, *options, check=True):
    """Run adopt.py of the template on an app, with a home of its own, and return what it printed."""
    command = [sys.executable, template / "adopt.py", app.dir, "--template", template, "--vcs-ref", "v1.0.0", *options]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, errors="surrogateescape", cwd="/",
        env=os.environ | {"HOME": str(Path(app.dir).parent / "home")},
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


# settings that differ afterwards, beside those of logging
CHANGED = {peer: set() for peer in PEERS} | {make_config: {"rattail.batch.files"}}  # in its old folder was nothing


@pytest.mark.parametrize("peer", PEERS)
def test_app_runs_on_as_it_was(peers, versions, peer):
    """The same settings, users, logins, database and data; no secret in git, and --undo brings all back."""
    app, url, secrets, web, was = peers(peer)
    tables, had = database(app), packages(app)
    before, whole = files(app.dir), look(app.dir)
    framework = PEERS[peer]

    shown = adopt(app, versions).stdout
    assert files(app.dir) == before
    assert "\n-beaker.session.secret = (hidden)\n" in shown
    assert f"diff --git before/{framework}.conf after/{framework}.conf" in shown
    assert not [secret for secret in secrets if secret in shown]
    assert set(re.findall(r"sesame-\w+", shown)) <= {"sesame-unnamed", "sesame-file"}  # where nothing tells
    lacks = not (app.env / "bin/supervisord").exists()  # else another peer's adoption has installed it
    assert ("the env lacks packages, so --apply first installs requirements.txt" in shown) == lacks
    assert "\nReplaced (adopt.py --undo brings yours back):\n  README.md" in shown

    printed = adopt(app, versions, "--apply").stdout
    assert not [secret for secret in secrets if secret in printed]
    after = files(app.dir)
    written = re.compile(r"log/|data/\w+\.(sqlite|db)$")  # by the app while it starts
    replaced = {name for name, (_, data) in before.items() if after[name][1] != data and not written.match(name)}
    assert {f"{framework}.conf", "web.conf"} <= replaced
    assert not replaced & {"dev.conf", "mine.sh", "nights.py"}
    assert not [name for name in after if name.startswith("poser/")]
    for name in replaced:
        assert after[f".adopt/before/{name}"] == before[name]
    assert (app.dir / ".adopt").stat().st_mode & 0o777 == 0o700
    assert after["secrets.conf"][0] == after["local.conf"][0] == 0o600
    assert after[f"{framework}.conf"][0] == 0o600  # as it was, but closed to others

    command = ["git", "log", "--all", "--patch", "--text"]
    history = subprocess.run(command, cwd=app.dir, check=True, capture_output=True).stdout.decode(errors="replace")
    assert "web.conf" in history
    assert not [secret for secret in ["sesame", *secrets] if secret in history]
    assert git("status", "--porcelain", cwd=app.dir) == ""

    now = effective(app)
    moved = re.compile(r"app:main|.*__file__|.*\.here|(logger|handler|formatter)")
    assert {key for key in differ(was["settings"], now["settings"]) if not moved.match(key)} == CHANGED[peer]
    ours = {"here", "__file__", f"{framework}.config", "pyramid.reload_templates", "pyramid.debug_all"}
    assert differ(was["app"], now["app"]) <= ours
    assert not differ(was["server"], now["server"])
    if framework == "rattail":
        assert now["logging"][0] == "ERROR"
        assert "mine" in words(now["settings"]["loggers.keys"])
        assert words(now["settings"]["handlers.keys"]) == {"file", "console", "email"}
        assert now["settings"]["handler_file.class"] == "handlers.RotatingFileHandler"
        assert "5000, 3" in (app.dir / "rattail.conf").read_text()
        assert app.run(app.env / "bin/rattail", "-c", "cron.conf", "make-uuid").stdout
    assert now["settings"][f"{framework}.db.default.url"] == url.replace(str(app.dir), "APP")

    with app.serve():
        assert web.user() == USER[0]  # who was logged in is so still
        Web(web.base).login(*USER)
    assert "under the template" in adopt(app, versions, "--apply").stdout
    if framework == "rattail":  # overnight.sh runs the tasks that the old config names
        app.run("./overnight.sh", "main", "2026-01-01")
        assert (app.dir / "luigi/mine-is-done").exists()
        for name in ("mine-is-done", "log/luigi.log", "log/last-main"):  # what the app writes stays after --undo
            (app.dir / "luigi" / name).unlink()
        shutil.rmtree(app.dir / "luigi/lock", ignore_errors=True)
    assert app.run("./setup.sh", "--preview").stdout == ""  # sessions in cache/ are nothing to fix, for one
    assert database(app) == tables
    commit = git("rev-parse", "HEAD", cwd=app.dir).strip()
    if peer in (make_config, by_hand):  # one of each framework: later versions merge with what was adopted
        app.run("./update.sh")
        for name, value in {f"{framework}.conf": "require = %(here)s/secrets.conf", "web.conf": "_name = de"}.items():
            assert "New in 1.1.0" in (app.dir / name).read_text()
            assert value in (app.dir / name).read_text()
        assert "there are commits since the adoption" in adopt(app, versions, "--undo", check=False).stderr
        git("reset", "--quiet", "--hard", commit, cwd=app.dir)

    edit(app.dir / "web.conf", name=("_name = de", "_name = fr"))
    assert "changed since the adoption: web.conf; move" in adopt(app, versions, "--undo", check=False).stderr
    git("checkout", "--quiet", "web.conf", cwd=app.dir)
    adopt(app, versions, "--undo")
    assert not changed(whole, app.dir)
    assert packages(app) == had
    assert database(app) == tables
    assert effective(app) == was


# runs adopt.py, and kills it at its n-th step, or just after it has marked the new files as ready to come in
DIES_AT = """
import os, runpy, signal, sys
at, script = sys.argv[1:3]
del sys.argv[1:3]
sys.path.insert(0, os.path.dirname(script))
steps, ready = 0, False
def count(event, args):
    global steps, ready
    if event in {"os.rename", "os.chmod", "os.chown", "os.mkdir", "os.remove", "os.rmdir", "subprocess.Popen"}:
        steps += 1
        if ready or at == str(steps):
            os.kill(os.getpid(), signal.SIGKILL)
        ready = at == "ready" and event == "os.rename" and str(args[1]).endswith("/ready")
sys.addaudithook(count)
runpy.run_path(script, run_name="__main__")
"""


def test_killed_at_every_step_of_coming_in_and_of_undo(peers, template, tmp_path):
    """Each file is whole at any time, and each old one still there; then --undo brings the old files back."""
    app, _, _, _, was = peers(by_hand)
    (tmp_path / "dies_at.py").write_text(DIES_AT)
    before = look(app.dir)
    old = {name: data for name, data in contents(app.dir).items() if not name.startswith("log/")}

    def run(at, option="--apply"):
        command = [sys.executable, tmp_path / "dies_at.py", at, template / "adopt.py", app.dir, option]
        return subprocess.run(list(map(str, [*command, "--template", template])), capture_output=True)

    def interrupted(option, new, finished):
        """Run it again and again, killed one step later each time, and look at every file."""
        for step in range(1, 300):
            done = run(step, option)
            found = contents(app.dir)
            for name in old:
                assert found[name] in (old[name], new[name]), (step, name)
                assert old[name] in (found[name], found.get(f".adopt/before/{name}")), (step, name)
            if finished():
                break
            assert done.returncode == -signal.SIGKILL, done.stderr
        assert step > 15
        assert run("never", option).returncode == (option == "--undo" and not (app.dir / ".adopt").exists())

    assert run("2").returncode == run("ready").returncode == -signal.SIGKILL
    assert {name: contents(app.dir).get(name) for name in old} == old
    stopped = adopt(app, template, check=False)
    assert (stopped.returncode, "--apply finishes it, --undo undoes it" in stopped.stderr) == (1, True)
    folder = next((app.dir / ".adopt").glob("*/app"))
    new = old | {name: found for name, found in contents(folder).items() if name in old}
    interrupted("--apply", new, (app.dir / ".adopt/done").exists)
    assert git("status", "--porcelain", cwd=app.dir) == ""
    assert not folder.exists()
    interrupted("--undo", new, lambda: not (app.dir / ".adopt").exists())
    assert not changed(before, app.dir)
    assert effective(app) == was


def settings_and_refs(app):
    """Return the settings of an app dir's repository, and all its refs."""
    return (app.dir / ".git/config").read_text(), git("show-ref", cwd=app.dir)


def test_links_come_in_and_git_goes_back(peers, template, monkeypatch):
    """A link to nothing is kept as one, a folder on another volume gets its files whole, and --undo knows them all."""
    app = peers(by_hand)[0]
    here = app.dir.stat().st_dev
    another = next(folder for folder in ("/dev/shm", "/var/tmp") if os.stat(folder).st_dev != here)
    with tempfile.TemporaryDirectory(dir=another) as volume:
        os.chmod(volume, 0o777)
        (app.dir / "luigi").symlink_to(volume)
        (app.dir / "backup.sh").symlink_to("missing/backup.sh")
        git("init", "--quiet", cwd=app.dir)
        git("add", "backup.sh", cwd=app.dir)
        git("commit", "--quiet", "--message", "Mine", cwd=app.dir)
        git("update-ref", "refs/appdir/mine", "HEAD", cwd=app.dir)
        for role in ("AUTHOR", "COMMITTER"):  # so that setup.sh gives the repository an identity
            for part in ("NAME", "EMAIL"):
                monkeypatch.delenv(f"GIT_{role}_{part}")
        with contextlib.closing(sqlite3.connect(app.dir / "data/x.db", isolation_level=None)) as connection:
            connection.execute("delete from alembic_version")  # so that setup.sh would migrate
        before, log, repository = look(app.dir), git("log", "--format=%H", cwd=app.dir), settings_and_refs(app)
        adopt(SimpleNamespace(dir=f"{app.dir}/../{app.dir.name}"), template, "--apply")
        assert "[loggers]" in (app.dir / "luigi/logging.conf").read_text()
        assert not list(Path(volume).glob(".*.new"))
        assert (app.dir / "backup.sh").read_text().startswith("#!")
        assert os.readlink(app.dir / ".adopt/before/backup.sh") == "missing/backup.sh"
        assert not (app.dir / "answers.yml").exists()
        assert database(app)["revisions"] == []
        assert [now == was for now, was in zip(settings_and_refs(app), repository, strict=True)] == [False, False]
        assert "refs/appdir/template" in git("for-each-ref", cwd=app.dir)

        (app.dir / ".backup").mkdir()
        (app.dir / ".backup/last").touch()
        assert "restic.env has the password of your backups" in adopt(app, template, "--undo", check=False).stderr
        shutil.rmtree(app.dir / ".backup")
        adopt(app, template, "--undo")
        assert not changed(before, app.dir)
        assert (os.listdir(volume), os.stat(volume).st_mode & 0o777) == ([], 0o777)
        assert git("log", "--format=%H", cwd=app.dir) == log
        assert git("diff", "--cached", cwd=app.dir) == ""
        assert settings_and_refs(app) == repository
        assert "no folder .adopt" in adopt(app, template, "--undo", check=False).stderr


def test_host_without_a_web_app(peers, template):
    """It gets none, and no config of one."""
    app = peers(by_hand)[0]
    (app.dir / "web.conf").unlink()
    before = look(app.dir)
    adopt(app, template, "--apply")
    assert "\nweb: false\n" in (app.dir / ".copier-answers.yml").read_text()
    assert not (app.dir / "web.conf").exists()
    assert "[app:web]" not in (app.dir / "secrets.conf").read_text()
    assert {app.checks()[name][0] for name in ("config", "web")} == {"ok"}
    adopt(app, template, "--undo")
    assert not changed(before, app.dir)


def test_packages_of_a_refused_adoption_go_again(peers, template):
    """What the software of the env refuses is not adopted, and leaves no package behind that it was tried with."""
    app = peers(by_hand)[0]
    write("web.conf", "[app:main]\npyramid.bad = %(nothing)s", "[app:main]")(app)
    subprocess.run([UV, "pip", "uninstall", "--quiet", "--python", app.env / "bin/python", "supervisor"], check=True)
    before, had = look(app.dir), packages(app)
    done = adopt(app, template, "--apply", check=False)
    assert done.returncode == 1
    assert "web.conf: the % in pyramid.bad" in done.stderr
    assert "nothing is changed" in done.stderr.splitlines()[-1]
    assert not changed(before, app.dir)
    assert packages(app) == had
    assert not list(app.env.glob(".*-adoption"))


def test_without_its_libraries_it_says_how_to_run_it(template):
    """A bare Python has neither Copier nor configupdater."""
    done = subprocess.run([sys.executable, "-S", template / "adopt.py"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "uv run adopt.py" in done.stderr


def write(name, text, old=None):
    """Return a function that spoils an app dir by a file with this text, or with it in place of an old one."""

    def spoil(app):
        path = app.dir / name
        path.write_text(path.read_text().replace(old, text) if old else text)

    return spoil


def track(name, text):
    """Return a function that brings a file of an app dir into git, and then writes another text into it."""

    def spoil(app):
        write(name, "[own]\n")(app)
        git("init", "--quiet", cwd=app.dir)
        git("add", name, cwd=app.dir)
        git("commit", "--quiet", "--message", "Mine", cwd=app.dir)
        write(name, text)(app)

    return spoil


def run_by_a_unit(app):
    """Let a unit of the user run a script that the template has, too."""
    write("upgrade.sh", "#!/bin/sh\n")(app)
    unit = app.env / "home/.config/systemd/user/nightly.service"
    unit.parent.mkdir(parents=True)
    unit.write_text(f"[Service]\nExecStart={app.dir}/upgrade.sh --token sesame-unit\n")


REFUSED = {
    "has no rattail.conf and no wutta.conf": lambda app: (app.dir / "wutta.conf").rename(app.dir / "w.conf"),
    "move away the one that the app does not read": write("rattail.conf", ""),
    "web.conf cannot be read; fix it first: File contains no section headers": write("web.conf", "x = 1\n"),
    "wutta.conf has a section [DEFAULT]; write its values": write("wutta.conf", "[DEFAULT]\na = 1\n[own]", "[own]"),
    "wutta.conf does not load in this env; fix that first": write(
        "wutta.conf", "[wutta.config]\nrequire = %(here)s/missing.conf\n", "[wutta.config]\n"
    ),
    "names no database": write("wutta.conf", "other.url", "default.url"),
    "web.conf has no [app:main]": write("web.conf", "[app:other]", "[app:main]"),
    "[server:main] password looks like a secret": write("web.conf", "[server:main]\npassword = x", "[server:main]"),
    "lib is a file, and the template has a folder": write("lib", ""),
    "lib is a link to nothing, and the template has a folder": lambda app: (app.dir / "lib").symlink_to("missing"),
    "local.conf cannot be read; fix it first: File contains no section headers. (line 1)": write(
        "local.conf", "PASSWORD=sesame-private\n"
    ),
    "git tracks local.conf, where secrets come; run: git rm --cached local.conf, and": track("local.conf", "[own]\n"),
    "not committed: mine.sh; commit or stash that first": track("mine.sh", "export PGPASSWORD=sesame-edited\n"),
    ".copier-answers.yml is of another template": write(".copier-answers.yml", "_src_path: gh:other/template\n"),
    "data belongs to nobody; give --data service_user=nobody, or": lambda app: shutil.chown(app.dir / "data", "nobody"),
    "update.sh is a folder, and the template has a file": lambda app: (app.dir / "update.sh").mkdir(),
    "another adoption, update, upgrade or backup is running": lambda app: fcntl.flock(
        os.open(app.dir, os.O_RDONLY), fcntl.LOCK_EX
    ),
    "Copier refused: Validation error for question 'web_port': Enter a port": lambda app: ["--data", "web_port=80"],
    "no such question: no_such; see docs/questions.md": lambda app: ["--data", "no_such=answer"],
    "'web_port' is not NAME=VALUE": lambda app: ["--data", "web_port"],
    "--replace other.sh: the template replaces no file of yours": lambda app: ["--replace", "other.sh"],
    "nightly.service runs upgrade.sh": run_by_a_unit,
    "belongs to nobody; run this as that user: sudo -u nobody": lambda app: shutil.chown(app.dir, "nobody"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_it_cannot_do_is_refused(peers, template, reason):
    if "nobody" in reason:
        require(os.getuid() == 0, "root, to give an app dir to another user", "sudo")
    app = peers(by_hand)[0]
    options = REFUSED[reason](app)
    before = look(app.dir)
    done = adopt(app, template, "--apply", *(options if isinstance(options, list) else []), check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("adopt.py: ")
    assert reason in done.stderr
    assert "sesame" not in done.stderr
    assert not changed(before, app.dir)


def test_folder_that_is_none_is_refused(template, tmp_path):
    for folder, reason in {tmp_path / "none": "there is no folder", tmp_path: "must be the folder app/"}.items():
        done = subprocess.run([sys.executable, template / "adopt.py", folder], capture_output=True, text=True)
        assert (done.returncode, done.stderr.count("\n"), reason in done.stderr) == (1, 1, True)
