"""The attacker: the service user, who sets traps wherever a command of the app dir writes; and what he may not get."""

import os
import stat
import subprocess
from pathlib import Path

from real.users import PYTHON, SERVICE_USER, by

KINDS_OF_TRAPS = ["files", "folders", "setuid"]
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
COMMANDS = {
    "setup": ["./setup.sh"],
    "check": ["./check.sh"],
    "cleanup": ["./cleanup.sh"],
    "overnight": ["./overnight.sh"],
    "backup": ["./backup.sh", "--init"],
    "restore of a folder": ["./backup.sh", "--restore", "data/batches"],
    "restore of the database": ["./backup.sh", "--restore", "database"],
    "upgrade": ["./upgrade.sh"],
    "update": ["./update.sh", "--preview"],
    "start": ["timeout", "15", "./services.sh", "start"],
    "stop": ["./services.sh", "stop"],
}


def canary(folder):
    """Make a folder of ours with a private file in it, to which he would like to be led, and return it."""
    path = folder / "canary"
    path.mkdir(0o755)
    (path / "file").write_text(SECRET)
    (path / "file").chmod(0o600)
    return path


def end_servers(app):
    """End what an app's servers left, wherever he hid supervisor's socket and pid."""
    subprocess.run(["pkill", "--full", "--uid", SERVICE_USER, f"^{app.env}/"])


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


def attack(app, kind, run, run_as_root=None):
    """Let him set traps of a kind before each command, and look that nothing outside his folders fell into one.

    `run` runs a command, and `run_as_root` one of those that only root may run, if that is another.
    """
    for name, command in COMMANDS.items():
        app.run(*by(SERVICE_USER, PYTHON, "-c", LINKS, kind, app.canary, *FOLDERS))
        before = outside(app)
        start = (run_as_root or run) if command[0] == "./backup.sh" else run
        done = start(*command, check=False, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(app.index))
        print(f"--- {name}, with {kind} in the way: {done.returncode}\n{done.stdout}")
        assert outside(app) == before, name
        his = [path for folder in FOLDERS for path in (app.dir / folder).rglob("*") if not path.is_symlink()]
        files = [path for path in his if path.is_file()]
        assert not [path for path in files if path.stat().st_mode & 0o6000 and path.owner() != SERVICE_USER], name
        assert not [path for path in files if path.owner() == SERVICE_USER and SECRET in text(path)], name
        assert SECRET.split()[0] not in done.stdout, name


def text(path):
    """Return the start of a file as text."""
    with path.open("rb") as file:
        return file.read(100).decode(errors="replace")
