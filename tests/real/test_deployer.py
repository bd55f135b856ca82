"""A deployer who is not root: env and app dir are his, the servers run as another user, whom sudo lets him be."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from real.apps import ADMIN, KINDS, App, free_port, listens, until
from real.attacker import KINDS_OF_TRAPS, attack, canary, end_servers
from real.backups import repository, snapshots
from real.envs import uv
from real.users import DEVELOPER, PYTHON, SERVICE_USER, copier_of, give, open_folder, user_group
from real.web import Web
from real.wheels import wheel
from support import ROOT, git, release, require

RULE = re.search("echo '(deploy ALL=.*)' >", (ROOT / "docs/install.md").read_text())[1] + "\n"
RULE = RULE.replace("deploy", DEVELOPER).replace("poser", SERVICE_USER)
# with sudo's rules from a file, as the deployer, who is in the group of the service user
AS_DEPLOYER = f"""mount --bind "$0" /etc/sudoers
exec setpriv --reuid={DEVELOPER} --regid={user_group(DEVELOPER)} --groups={SERVICE_USER} "$@"
"""


@pytest.fixture(scope="module")
def shop(template):
    """An app of the deployer, set up by root the first time; `deploy` runs a command as the deployer."""
    require(shutil.which("sudo"), "sudo", "sudo")
    with open_folder() as folder:
        app = App(folder / "envs/poser", free_port())
        app.versions, app.index = folder / "template", folder / "wheels"
        git("clone", "--quiet", template, app.versions, cwd="/")
        app.index.mkdir()
        uv("venv", "--quiet", "--seed", "--python", PYTHON, app.env)
        (folder / "sudoers").write_text(f"Defaults use_pty\nroot ALL=(ALL) ALL\n{RULE}")
        (folder / "sudoers").chmod(0o440)
        variables = copier_of(folder) | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": app.index}
        environment = ["env", *(f"{name}={value}" for name, value in variables.items())]

        def deploy(*command, rules=folder / "sudoers", **options):
            as_deployer = ["unshare", "--mount", "sh", "-eu", "-c", AS_DEPLOYER, rules, *environment]
            return app.run(*as_deployer, *command, **options)

        app.deploy, app.folder = deploy, folder
        app.dir.mkdir()
        give(folder / "envs", app.versions)
        answers = KINDS["wuttaweb"] | {"web_port": app.port, "service_user": SERVICE_USER}
        data = [part for name, value in answers.items() for part in ("--data", f"{name}={value}")]
        deploy(variables["COPIER"], "copy", "--quiet", "--defaults", *data, app.versions, app.dir)
        uv("pip", "install", "--quiet", "--python", app.env / "bin/python", "-r", app.dir / "requirements.txt")
        give(app.env)
        app.setup()
        app.canary = canary(folder)
        give(app.canary)
        yield app
        end_servers(app)


def owners(app):
    """Return the owners of all there is in the env, by top folder of the app dir, or `.` for all else."""
    found = {}
    for path in app.env.rglob("*"):
        top = path.relative_to(app.dir).parts[0] if path.is_relative_to(app.dir) and path != app.dir else "."
        found.setdefault(top, set()).add(path.owner())
    return found


@pytest.fixture
def up(shop):
    """The shop with its servers up, which he started."""
    shop.deploy("./services.sh", "start")
    until(lambda: listens(shop.port))
    return shop


def test_what_he_runs_each_day(up):
    """Setup, a night, a cleanup, and the checks, of which none fails; nothing changes hands."""
    before = owners(up)
    up.deploy("./setup.sh", "--quiet")
    up.deploy("./overnight.sh")
    up.deploy("./cleanup.sh")
    up.deploy("lib/run", "job", "cleanup")
    up.deploy("./services.sh", "restart")
    found = json.loads(up.deploy("./check.sh", "--json").stdout)["checks"]
    assert {name for name, one in found.items() if one["status"] != "ok"} <= {"backup"}  # which is root's
    assert found["overnight"]["text"].startswith("main for ")
    assert owners(up) == before
    pids = re.findall(r"pid (\d+)", up.run("../bin/supervisorctl", "-c", "supervisor.conf", "status").stdout)
    assert {Path(f"/proc/{pid}").owner() for pid in pids} == {SERVICE_USER}


def test_update_and_upgrade(up):
    """Both come in, and the servers use them; then they are undone."""
    before = owners(up)
    (up.versions / "template/quiet.conf.jinja").write_text("# Template. Newer.\n")
    give(up.versions, user="root")  # git works only for the owner
    release(up.versions, "v1.1.0")
    give(up.versions)
    assert "/login answers" in up.deploy("./update.sh").stdout
    assert (up.dir / "quiet.conf").read_text() == "# Template. Newer.\n"
    wheel(up.index, "trinket", "1")
    (up.dir / "local-requirements.txt").write_text("trinket\n")
    assert "/login answers" in up.deploy("./upgrade.sh").stdout
    assert "trinket==1" in up.deploy("../bin/python", "-m", "pip", "freeze").stdout
    up.deploy("git", "checkout", "--quiet", "local-requirements.txt")
    up.deploy("./update.sh", "--undo")
    assert not (up.dir / "quiet.conf").read_text().endswith("Newer.\n")
    assert owners(up) == before
    assert json.loads(up.deploy("./check.sh", "--json").stdout)["checks"]["permissions"]["status"] == "ok"
    Web(f"http://127.0.0.1:{up.port}").login(*ADMIN)


SPY = """

def problems(*_):
    import os

    (APPDIR / "log/seen").write_text(os.environ["HOME"])
    return ["stopped to be looked at"]
"""


def test_what_comes_in_is_loaded_as_the_service_user(shop):
    """Also before it is in: the app's config names the database, which is not a file for him to open."""
    check = shop.versions / "template/lib/appdir/check_config.py"
    text = check.read_text()
    check.write_text(text.replace("\n\ndef main(", f"{SPY}\n\ndef main("))
    give(shop.versions, user="root")
    release(shop.versions, "v1.2.0")
    give(shop.versions)
    done = shop.deploy("./update.sh", check=False)
    assert "stopped to be looked at; the app dir has not changed" in done.stdout
    assert (shop.dir / ".update/app/log/seen").owner() == SERVICE_USER
    shop.deploy("./update.sh", "--abort")
    check.write_text(text)
    assert not (shop.dir / ".update").exists()


def test_without_the_rule(shop):
    """He is told what to do, and nothing is half done."""
    rules = shop.folder / "none"
    rules.write_text("Defaults use_pty\n")
    rules.chmod(0o440)
    for name in ("overnight.sh", "cleanup.sh"):
        done = shop.deploy(f"./{name}", rules=rules, check=False)
        assert done.returncode == 1
        way = f"run sudo {shop.dir}/{name}, or give sudo the rule: {RULE}"
        assert done.stdout == f"{name}: {DEVELOPER} may not act as {SERVICE_USER}; {way}"


def test_backup_and_restore(shop):
    """Root's; what comes back is the deployer's and the service user's, as before."""
    done = shop.deploy("./backup.sh", check=False)
    assert (done.returncode, "only root keeps the backups" in done.stdout) == (1, True)
    shop.run("./backup.sh", "--init", "--quiet")
    shop.run("./services.sh", "stop")
    before, lost, store = owners(shop), shop.folder / "lost", repository(shop)
    shutil.rmtree(shop.dir / "lib/appdir/web")
    for name in ("data", "luigi", "web.conf", "data/batches", "lib/appdir/web/logins.py"):
        said = shop.run("./backup.sh", "--restore", name).stdout
        if aside := re.search("what was there is now (.*)", said):
            path = shop.dir / aside[1]
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        assert owners(shop) == before, name
    password = re.search(r"RESTIC_PASSWORD=(\S+)", (shop.dir / "restic.env").read_text())[1]
    assert snapshots(shop)
    shop.env.rename(lost)
    variables = {
        "RESTIC_PASSWORD": password,
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "PIP_FIND_LINKS": str(shop.index),
    }
    command = ["sh", lost / "app/restore.sh", store, shop.env]
    done = subprocess.run(command, cwd="/", env=os.environ | variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = owners(shop)
    assert found.pop(".backup") == {DEVELOPER}
    before.pop(".backup")
    assert {name: found.get(name) for name in before} == before
    shop.deploy("./services.sh", "start")
    Web(f"http://127.0.0.1:{shop.port}").login(*ADMIN)


@pytest.mark.parametrize("kind", KINDS_OF_TRAPS)
def test_he_touches_nothing_for_the_service_user(shop, kind):
    """As root: nothing outside that one's folders changes, or becomes known to him."""
    attack(shop, kind, shop.deploy, shop.run)
