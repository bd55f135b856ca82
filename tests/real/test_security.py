"""The attacker: the service user, who prepares everything he can before root runs a command of the app dir."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from real.apps import KINDS, make_app
from real.users import PYTHON, SERVICE_USER, by, open_folder
from real.wheels import wheel

SECRET = "known-to-root 0"  # with as many words as the results of jobs, which check.sh shows
FOLDERS = ("data", "log", "luigi", "sessions", "work")
# run by the service user: every file of his leads to a file of root, or every folder to a folder of root
LINKS = """
import os, shutil, sys
kind, canary, *folders = sys.argv[1:]
known = ["log/last-backup", "log/logrotate.state", "log/supervisord.log", "log/supervisord.pid", "log/web.out",
    "log/luigid.out", "log/cron.log", "luigi/log/last-main", "luigi/log/luigi.log", "luigi/state.pickle",
    "luigi/history.sqlite", "luigi/luigi.cfg", "luigi/logging.conf", "data/backup/requirements.txt",
    "data/backup/origin.json"]
found = {os.path.join(top, name) for folder in folders for top, _, names in os.walk(folder) for name in names}
found = {path for path in found if not path.endswith(".sqlite")}  # without which most commands end early
tops = {top for folder in folders for top, _, _ in os.walk(folder)}
for path in sorted(found | {*known}):
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    for path in (path, f"{folder}/.{name}.new"):
        try:
            if os.path.lexists(path):
                os.unlink(path)
            if kind == "files":
                os.symlink(f"{canary}/file", path)
            elif kind == "setuid":
                shutil.copy("/bin/true", path)
                os.chmod(path, 0o6755)
        except PermissionError:
            pass
if kind == "folders":
    for top in sorted(tops | {"data/upgrades", "data/backup"}, reverse=True):
        if "/" in top and os.path.lexists(top) and not os.path.islink(top):
            try:
                shutil.rmtree(top)
                os.symlink(canary, top)
            except PermissionError:
                pass
"""
# run by the service user while root upgrades: each new folder becomes a link to a folder of root
SWAP = """
import os, sys
while True:
    for name in os.listdir("data/upgrades"):
        path = f"data/upgrades/{name}"
        if not os.path.islink(path) and os.path.isdir(path) and not name.endswith(".old"):
            os.rename(path, f"{path}.old")
            os.symlink(sys.argv[1], path)
"""
COMMANDS = {
    "setup": ["./setup.sh"],
    "check": ["./check.sh"],
    "cleanup": ["./cleanup.sh"],
    "overnight": ["./overnight.sh"],
    "backup": ["./backup.sh", "--init"],
    "upgrade": ["./upgrade.sh"],
    "update": ["./update.sh", "--preview"],
    "start": ["timeout", "15", "./services.sh", "start"],
    "stop": ["./services.sh", "stop"],
}


@pytest.fixture(scope="module")
def shop(render):
    """A Rattail app of root whose servers run as a user of their own, and beside it a folder of root."""
    with open_folder() as folder:
        app = make_app(
            render, folder / "poser", PYTHON, service_user=SERVICE_USER,
            **KINDS["tailbone"],
        )  # fmt: skip
        app.index = folder / "wheels"
        app.index.mkdir()
        wheel(app.index, "trinket", "1")
        (app.dir / "local-requirements.txt").write_text("trinket\n")
        app.setup(PIP_FIND_LINKS=str(app.index))
        app.canary = folder / "canary"
        app.canary.mkdir(0o755)
        (app.canary / "file").write_text(SECRET)
        (app.canary / "file").chmod(0o600)
        yield app


def outside(app):
    """Return what there is beside the folders of the service user: owner, mode, size and time of each path."""
    found = {}
    for top in (app.canary, app.env):
        for folder, folders, names in os.walk(top):
            folders[:] = [name for name in folders if name not in ("__pycache__", ".git", ".update")]
            if Path(folder) == app.dir:
                folders[:] = [name for name in folders if name not in FOLDERS]
            for name in [".", *names]:
                now = os.lstat(os.path.join(folder, name))
                is_folder = stat.S_ISDIR(now.st_mode)
                found[f"{folder}/{name}"] = (
                    now.st_uid,
                    now.st_mode,
                    None if is_folder else (now.st_size, now.st_mtime),
                )
    return found


def test_upgrade_while_he_swaps_its_folder(shop):
    """What root writes about an upgrade does not go where the service user leads it meanwhile."""
    before = outside(shop)
    with subprocess.Popen(by(SERVICE_USER, PYTHON, "-c", SWAP, shop.canary), cwd=shop.dir) as attacker:
        done = shop.run("./upgrade.sh", check=False, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(shop.index))
        attacker.kill()
    print(done.stdout)
    assert [path for path in (shop.dir / "data/upgrades").iterdir() if path.is_symlink()]
    assert outside(shop) == before


@pytest.mark.parametrize("kind", ["files", "folders", "setuid"])
def test_root_touches_nothing_for_him(shop, kind):
    """Whatever he put in the place of what is written, nothing else changes, and no program of his becomes root's."""
    for name, command in COMMANDS.items():
        shop.run(*by(SERVICE_USER, PYTHON, "-c", LINKS, kind, shop.canary, *FOLDERS))
        before = outside(shop)
        done = shop.run(*command, check=False, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(shop.index))
        print(f"--- {name}, with {kind} in the way: {done.returncode}\n{done.stdout}")
        assert outside(shop) == before, name
        his = [path for folder in FOLDERS for path in (shop.dir / folder).rglob("*") if not path.is_symlink()]
        files = [path for path in his if path.is_file()]
        assert not [path for path in files if path.stat().st_mode & 0o6000 and path.owner() == "root"], name
        assert not [path for path in files if path.owner() == SERVICE_USER and SECRET in text(path)], name
        assert SECRET.split()[0] not in done.stdout, name


def text(path):
    """Return the start of a file as text."""
    with path.open("rb") as file:
        return file.read(100).decode(errors="replace")
