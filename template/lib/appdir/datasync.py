"""Stops DataSync, for the button on its page: what started it restarts it."""

import contextlib
import os
import signal
from pathlib import Path

from appdir.core import APPDIR, Stop


def processes():
    """Return the process ids of this app's DataSync: it was started with the config that lies here, by this user."""
    found, config = [], APPDIR / "datasync.conf"
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            args = path.read_bytes().decode(errors="replace").split("\0")
            named = [arg for arg in args if arg.endswith("/datasync.conf") and config.samefile(arg)]
            if named and "datasync" in args and path.stat().st_uid == os.geteuid():
                found.append(int(path.parts[2]))
    return found


def main(_):
    """Stop it."""
    found = processes()
    if not found:
        raise Stop("DataSync is not running; see ./check.sh")
    for process in found:
        os.kill(process, signal.SIGTERM)
