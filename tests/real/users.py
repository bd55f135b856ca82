"""Users of this machine, other than root, as whom tests run things."""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from real.envs import uv
from support import require

SERVICE_USER = "www-data"  # Debian makes both on each machine
DEVELOPER = "nobody"
PYTHON = "/usr/bin/python3"  # one that all may run, as that of pyenv is in root's home


def by(user, *command):
    """Return a command that runs another one as that user, whoever we are."""
    return ["setpriv", f"--reuid={user}", f"--regid={user_group(user)}", "--clear-groups", *map(str, command)]


def user_group(user):
    """Return the name of a user's primary group."""
    return {"nobody": "nogroup"}.get(user, user)


def give(*folders, user=DEVELOPER):
    """Give folders with all in them to a user."""
    subprocess.run(["chown", "-R", f"{user}:{user_group(user)}", *folders], check=True)


def copier_of(folder):
    """Install Copier into a folder for a user whose home that is, and return the environment variables he needs."""
    uv("venv", "--quiet", "--python", PYTHON, folder / "copier")
    uv("pip", "install", "--quiet", "--python", folder / "copier/bin/python", "copier>=9.19,<10")
    (folder / "settings.yml").write_text("{}")
    paths = {"HOME": folder, "COPIER": folder / "copier/bin/copier", "COPIER_SETTINGS_PATH": folder / "settings.yml"}
    return {name: str(path) for name, path in paths.items()}


@contextmanager
def open_folder():
    """Give a new folder in /srv, which all users can enter, as they cannot enter pytest's; it is removed at the end."""
    require(os.geteuid() == 0, "root, to run as other users", "sudo")
    folder = Path(tempfile.mkdtemp(prefix="test-", dir="/srv"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
