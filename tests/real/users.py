"""Users of this machine, other than root, as whom tests run things."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

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
