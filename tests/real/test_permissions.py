"""Owner, group and mode of the app dir, and the app's whole life as a user without rights."""

import os
import shutil
import subprocess

import pytest
from real.apps import ADMIN, KINDS, App, free_port, listens, make_app, running, until
from real.backups import variables
from real.envs import uv
from real.users import DEVELOPER, PYTHON, SERVICE_USER, by, copier_of, give, open_folder, user_group
from real.web import Web
from support import generated, git, release, require


@pytest.fixture(scope="module")
def app(render):
    """An app of root with a service user, set up but for its packages, which permissions do not need."""
    with open_folder() as folder:
        app = make_app(render, folder / "poser", PYTHON, packages=False, service_user=SERVICE_USER, filemon=True)
        (app.dir / "secrets.conf").write_text("secret")
        (app.dir / "secrets.conf").chmod(0o600)
        yield app


def check(app):
    """Return what setup.sh --check says, and whether it is content."""
    done = app.run("./setup.sh", "--check", check=False)
    return done.returncode == 0, done.stdout


def correct(app):
    """Let the step of setup.sh correct permissions."""
    app.run("lib/run", "permissions")
    assert check(app) == (True, "permissions all correct\n")


def told(path):
    """Return owner, group and mode of a path."""
    return path.owner(), path.group(), path.stat().st_mode & 0o7777


def test_all_is_corrected(app):
    assert not check(app)[0]
    correct(app)
    group = user_group(SERVICE_USER)
    assert told(app.dir) == ("root", group, 0o2750)
    assert told(app.dir / "secrets.conf") == ("root", group, 0o640)
    for name in ("web.conf", "luigi/luigi.cfg", "poser/poser/handlers.py", "lib/appdir/check.py", "system/crontab"):
        assert told(app.dir / name) == ("root", group, 0o640), name
    assert told(app.dir / "setup.sh") == ("root", group, 0o750)
    assert told(app.dir / "luigi") == ("root", group, 0o3770)
    for name in ("lib", "luigitasks"):  # new files in these come into that group, too
        assert told(app.dir / name) == ("root", group, 0o2750), name
    for name in ("data", "data/batches/inventory", "log", "luigi/log", "sessions/lock", "work/user-files"):
        assert (app.dir / name).owner() == SERVICE_USER, name
    secret = subprocess.run(by(SERVICE_USER, "cat", app.dir / "secrets.conf"), capture_output=True, cwd="/")
    assert secret.stdout == b"secret"
    for name in ("web.conf", "data"):
        stranger = subprocess.run(by(DEVELOPER, "ls", app.dir / name), capture_output=True, cwd="/")
        assert b"Permission denied" in stranger.stderr


def test_what_root_left_in_a_log_is_named_and_given_back(app):
    correct(app)
    for name in ("log/rattail.log", "data/upgrades/list.txt"):
        (app.dir / name).touch()
        assert check(app) == (
            False,
            f"setup.sh: {name} belongs to root, not to {SERVICE_USER}; ./setup.sh corrects that\n",
        )
        correct(app)
        assert (app.dir / name).owner() == SERVICE_USER


def test_folders_of_users_of_another_machine_change_hands(app):
    """As a restore brings them, with ids that are unknown here."""
    correct(app)
    names = ("data", "data/exports", "luigi/log", "luigi/2026", "sessions")
    (app.dir / "luigi/2026").mkdir()
    for name in names:
        os.chown(app.dir / name, 54321, 54321)
    correct(app)
    assert {(app.dir / name).owner() for name in names} == {SERVICE_USER}
    os.chown(app.dir / "data/exports", 54321, 54321)  # an admin's share
    assert check(app) == (True, "permissions all correct\n")
    shutil.chown(app.dir / "data/exports", SERVICE_USER)
    (app.dir / "luigi/2026").rmdir()


def test_folder_changes_hands_with_all_in_it(app, tmp_path):
    """But for what links in it point to."""
    volume = app.env / "volume"
    correct(app)
    deep = app.dir / "data/exports/new/0a/bcd/file"
    deep.parent.mkdir(parents=True)
    deep.touch()
    outside = tmp_path / "outside"
    outside.touch()
    (deep.parent / "link").symlink_to(outside)
    (app.dir / "data").rename(volume)
    (app.dir / "data").symlink_to(volume)
    assert "data/exports/new belongs to root" in check(app)[1]
    correct(app)
    assert deep.owner() == SERVICE_USER
    assert outside.owner() == "root"
    (app.dir / "data").unlink()
    volume.rename(app.dir / "data")


def test_no_program_of_the_service_user_becomes_roots(app):
    """Not even where luigi/ is still his own, as in app dirs of an early version; nor a file that he linked."""
    correct(app)
    config, target = app.dir / "luigi/luigi.cfg", app.env / "deployer"
    kept = config.read_text()
    shutil.chown(app.dir / "luigi", SERVICE_USER)
    config.unlink()
    target.touch()
    subprocess.run(by(SERVICE_USER, "sh", "-c", f"cp /bin/true {config} && chmod 6755 {config}"), check=True, cwd="/")
    (app.dir / "log/linked").hardlink_to(target)  # as he can where fs.protected_hardlinks is 0
    correct(app)
    assert told(config) == ("root", user_group(SERVICE_USER), 0o755)
    assert target.owner() == "root"
    shutil.chown(config, SERVICE_USER)
    config.chmod(0o6755)
    correct(app)
    assert told(config) == ("root", user_group(SERVICE_USER), 0o755)
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run(by(SERVICE_USER, "mv", config, f"{config}.mine"), check=True, capture_output=True, cwd="/")
    subprocess.run(by(SERVICE_USER, "touch", app.dir / "luigi/state.pickle"), check=True, cwd="/")
    (app.dir / "log/linked").unlink()
    config.write_text(kept)


@pytest.mark.parametrize(
    ("name", "mode"), [("web.conf", 0o400), ("secrets.conf", 0o440), ("data", 0o700), (".", 0o2700)]
)
def test_what_an_admin_narrowed_stays(app, name, mode):
    correct(app)
    path = app.dir / name
    before = told(path)[2]
    path.chmod(mode)
    correct(app)
    assert told(path)[2] == mode
    path.chmod(before)


@pytest.mark.parametrize(
    ("name", "mode", "right"),
    [("secrets.conf", 0o644, 0o640), ("web.conf", 0o664, 0o644), ("setup.sh", 0o777, 0o755), ("data", 0o777, 0o770)],
)
def test_too_open_is_named_and_narrowed(app, name, mode, right):
    correct(app)
    (app.dir / name).chmod(mode)
    assert check(app) == (
        False,
        f"setup.sh: {name} has mode {mode:04o}, not {right:04o}; ./setup.sh corrects that\n",
    )
    correct(app)
    assert told(app.dir / name)[2] == right


def test_modes_of_what_the_app_made_are_its_own_matter(app):
    """Its logs and folders follow the umask of who wrote them; the folder above them is closed."""
    correct(app)
    for path in (app.dir / "log/web.log", app.dir / "data/export.csv"):
        path.touch(0o644)
        shutil.chown(path, SERVICE_USER)
    (app.dir / "luigi/2026").mkdir(0o755)
    shutil.chown(app.dir / "luigi/2026", SERVICE_USER)
    assert check(app)[0]


def test_folder_of_somebody_else_is_his(app):
    """An admin may give a folder to a user who drops files there."""
    correct(app)
    folder = app.dir / "work/user-files"
    shutil.chown(folder, "nobody")
    assert check(app)[0]
    shutil.chown(folder, SERVICE_USER)


def test_user_that_does_not_exist(app):
    correct(app)
    (app.dir / "lib/appdir/answers.py").write_text(
        (app.dir / "lib/appdir/answers.py").read_text().replace(SERVICE_USER, "no-such-user")
    )
    code, text = check(app)
    (app.dir / "lib/appdir/answers.py").write_text(
        (app.dir / "lib/appdir/answers.py").read_text().replace("no-such-user", SERVICE_USER)
    )
    assert (code, "no-such-user is missing" in text, "adduser" in text) == (False, True, True)


TABLE = """
import sys

sys.path.insert(0, "lib")
from appdir.permissions import CODE, MODES, SECRETS, SHARED_WITH_CONFIG, WRITTEN

print("| in the app dir | owner | group | mode, at most |\\n| --- | --- | --- | --- |")
rows = {WRITTEN: MODES[WRITTEN], **{(name,): mode for name, mode in SECRETS.items()}, CODE: MODES[CODE]}
for paths, mode in rows.items():
    owner = "service user" if paths == WRITTEN else "who deploys, or root"
    names = ", ".join(f"`{path}`" for path in paths if path != SHARED_WITH_CONFIG) or "all else: config, scripts, code"
    print(f"| {names} | {owner} | the service user's | {mode:04o} |")
print(f"| `{SHARED_WITH_CONFIG}` | who deploys, or root | the service user's | 1770: each can remove only his own |")
"""


def test_the_docs_tell_it(app):
    """One table, from the rules that setup.sh follows."""
    generated("security.md", "modes", app.run("../bin/python", "-c", TABLE).stdout.strip())


def test_whole_life_without_rights(template, tmp_path):
    """A user who is not root copies, sets up, serves, runs a night, upgrades, updates, backs up, and restores."""
    require(shutil.which("crontab"), "crontab", "cron")
    with open_folder() as folder:
        versions, env = folder / "template", folder / "poser"
        git("clone", "--quiet", template, versions, cwd="/")
        environment = copier_of(folder) | {"ADMIN_PASSWORD": ADMIN[1]}
        uv("venv", "--quiet", "--seed", "--python", PYTHON, env)
        give(folder)
        port = free_port()
        answers = KINDS["wuttaweb"] | {"web_port": port}
        data = [part for name, value in answers.items() for part in ("--data", f"{name}={value}")]
        app = App(env, port)

        def run(*command):
            return app.run(*by(DEVELOPER, "env", *[f"{key}={value}" for key, value in environment.items()], *command))

        app.dir.mkdir()
        give(app.dir)
        run(environment["COPIER"], "copy", "--quiet", "--defaults", *data, versions, app.dir)
        uv("pip", "install", "--quiet", "--python", env / "bin/python", "-r", app.dir / "requirements.txt")
        give(env)
        run("./setup.sh")
        run("./setup.sh", "--check")
        refused = app.run("./services.sh", "install", check=False)
        assert (refused.returncode, f"run this as that user: sudo -u {DEVELOPER} " in refused.stdout) == (1, True)
        subprocess.run(by(DEVELOPER, "crontab", "-"), input="0 1 * * * mine\n", text=True, check=True, cwd="/")
        try:
            for _ in range(2):
                run("./services.sh", "install")
            jobs = run("crontab", "-l").stdout
            assert jobs.startswith("0 1 * * * mine\n")
            assert f"\n30 03 * * * {app.dir}/lib/run job backup\n" in jobs
            assert f"\n@reboot {env}/bin/supervisord -c {app.dir}/supervisor.conf\n" in jobs
            assert jobs.count("job cleanup") == 1
            web = Web(f"http://127.0.0.1:{port}")
            web.login(*ADMIN)
            run("./overnight.sh")
            run("./cleanup.sh")
            run("./upgrade.sh")
            (versions / "template/quiet.conf.jinja").write_text("# Template. Newer.\n")
            give(versions, user="root")  # git works only for the owner
            release(versions, "v1.1.0")
            give(versions)
            run("./update.sh")
            assert (app.dir / "quiet.conf").read_text() == "# Template. Newer.\n"
            run("../bin/supervisorctl", "-c", "supervisor.conf", "restart", "all")
            until(lambda: listens(port))
            assert web.user() == ADMIN[0]
            run("./backup.sh", "--init")
            found = run("./check.sh").stdout
            assert "FAILED" not in found
            run("./setup.sh", "--check")
        finally:
            run("./services.sh", "remove")
            assert not listens(port)
            assert run("crontab", "-l").stdout == "0 1 * * * mine\n"
            subprocess.run(by(DEVELOPER, "crontab", "-r"), cwd="/")
        secrets = environment | variables(app)
        env.rename(folder / "lost")
        restore = "restic dump --tag poser,appdir latest /restore.sh > restore.sh && sh restore.sh backups/poser poser"
        done = subprocess.run(
            by(DEVELOPER, "sh", "-c", restore), cwd=folder, env=os.environ | secrets,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        run("./setup.sh", "--check")
        with running(
            by(DEVELOPER, env / "bin/pserve", f"file+ini:{app.dir}/web.conf"),
            folder / "out",
            lambda: listens(port),
            cwd=app.dir,
        ):
            Web(web.base).login(*ADMIN)
        assert not [path for path in app.dir.rglob("*") if path.owner() != DEVELOPER]
