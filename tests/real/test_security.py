"""The attacker: the service user, who prepares everything he can before root runs a command of the app dir."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from real.apps import KINDS, make_app
from real.backups import path_with, repository, restic, snapshots
from real.users import PYTHON, SERVICE_USER, by, open_folder
from real.wheels import wheel

SECRET = "known-to-root 0"  # with as many words as the results of jobs, which check.sh shows
FOLDERS = ("data", "log", "luigi", "sessions", "work")
# run by the service user: every file of his leads to a file of root, or every folder to a folder of root
LINKS = """
import os, shutil, sys
kind, canary, *folders = sys.argv[1:]
known = ["log/logrotate.state", "log/supervisord.log", "log/supervisord.pid", "log/web.out",
    "log/luigid.out", "log/cron.log", "luigi/log/last-main", "luigi/log/luigi.log", "luigi/state.pickle",
    "luigi/history.sqlite", "luigi/luigi.cfg", "luigi/logging.conf"]
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
    "restore of a folder": ["./backup.sh", "--restore", "data/batches/vendor_invoice"],
    "restore of the database": ["./backup.sh", "--restore", "database"],
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
            folders[:] = [name for name in folders if name not in ("__pycache__", ".backup", ".git", ".update")]
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


@pytest.fixture
def backed_up(shop):
    """The shop with a backup that root made, and with its folders as they were once the test ends."""
    shop.run("./backup.sh", "--init", "--quiet")
    mine = shop.dir / "data/in"
    mine.mkdir()
    shutil.chown(mine, SERVICE_USER)
    yield shop
    shutil.rmtree(mine)


def test_backups_are_out_of_his_reach(backed_up):
    """He can neither read the password nor the repository, nor say how a backup went."""
    for command in (
        ["cat", "restic.env"], ["ls", repository(backed_up)], ["touch", ".backup/last"], ["touch", ".backup/new"],
        ["mv", repository(backed_up), "/tmp"],
    ):  # fmt: skip
        done = backed_up.run(*by(SERVICE_USER, *command), check=False)
        assert (done.returncode != 0, "ermission denied" in done.stdout) == (True, True), command
    done = backed_up.run(*by(SERVICE_USER, "./backup.sh"), check=False)
    assert (done.returncode, done.stdout) == (
        1,
        f"backup.sh: only root keeps the backups of an app whose servers run as {SERVICE_USER}: "
        f"sudo {backed_up.dir}/backup.sh\n",
    )
    subprocess.run(["chown", "-R", SERVICE_USER, repository(backed_up)], check=True)
    done = backed_up.run("./backup.sh", check=False)
    subprocess.run(["chown", "-R", "root", repository(backed_up)], check=True)
    assert (done.returncode, f"sudo chown -R root: {repository(backed_up)}" in done.stdout) == (1, True)


def test_backup_of_what_he_has_led_elsewhere(backed_up, tmp_path):
    """A folder of root's in the place of his, while restic reads, comes into no backup; nor does a link to its file."""
    before = snapshots(backed_up)
    inside, hard = backed_up.dir / "data/in", backed_up.dir / "data/in/hard"
    lead = f'mount --bind {backed_up.canary} {inside}\nRESTIC "$@"; code=$?\numount {inside}\nexit $code'
    path = path_with(tmp_path, "restic", f'[ "$1" = backup ] || exec RESTIC "$@"\n{lead}')
    led = backed_up.run("./backup.sh", check=False, PATH=path)
    hard.hardlink_to(backed_up.canary / "file")
    linked = backed_up.run("./backup.sh", check=False)
    hard.unlink()
    for path, done in {"/data/in": led, "/data/in/hard": linked}.items():
        assert (done.returncode, f"dropped: {path}, of another user, came in by a link" in done.stdout) == (1, True)
    assert snapshots(backed_up) == before
    (inside / "roots").write_text("which is there, and stays so")
    backed_up.run("./backup.sh")


def test_backup_holds_all_wherever_his_links_lead(backed_up):
    """He can neither keep config out of it, nor bring in what is elsewhere."""
    for name in ("data/x", "luigi/x"):
        backed_up.run(*by(SERVICE_USER, "ln", "-s", backed_up.canary, name))
    uploads = backed_up.dir / "data/uploads"
    uploads.rename(uploads.with_name("aside"))
    backed_up.run(*by(SERVICE_USER, "ln", "-s", "..", "data/uploads"))
    backed_up.run("./backup.sh")
    uploads.unlink()
    uploads.with_name("aside").rename(uploads)
    found = restic(backed_up, "ls", "--tag=appdir", "latest")
    for name in ("data/x", "luigi/x"):
        (backed_up.dir / name).unlink()
    assert {"/rattail.conf", "/restic.env", "/.git/HEAD", "/data/x", "/luigi/x"} <= set(found.splitlines())
    assert str(backed_up.canary) not in found


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
