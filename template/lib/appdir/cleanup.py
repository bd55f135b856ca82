"""Rotates logs, and removes what nobody needs any more."""

import os

from appdir.answers import FILEMON, FRAMEWORK, SESSIONS, UPLOADS, WORK
from appdir.core import APPDIR, ENV, Stop, kept, run
from appdir.users import become_owner

UPLOAD_DAYS, WORK_DAYS = 7, 90
FOLDERS = {  # what is removed below a folder once it was neither read nor changed for so many days
    "data/uploads": UPLOAD_DAYS if UPLOADS else 0,
    "work/csv": WORK_DAYS if WORK else 0,
    "work/generated-projects": WORK_DAYS if WORK and FRAMEWORK == "rattail" else 0,
    "work/user-files": WORK_DAYS if WORK and FILEMON else 0,
}


def main(_):
    """Clean up, as the user that owns the logs; go on after a part that fails."""
    become_owner("log")
    os.environ["PATH"] += ":/usr/sbin"  # where cron does not look for logrotate
    parts = {"logins": logins, "files": old_files, "logs": rotate}
    if failed := [name for name, part in parts.items() if part().returncode]:
        raise Stop(f"not cleaned up: {', '.join(failed)}; see above")
    kept("cleanup", "done")


def show(*command, **options):
    """Run a command whose output is for the reader."""
    return run(*command, capture_output=False, **options)


def logins():
    """Remove the sessions of logins that were not used for 30 days, which is the age that the config names."""
    if SESSIONS != "files":
        return run("true")
    options = ["--no-versioning"] if FRAMEWORK == "rattail" else []
    command = [ENV / "bin" / FRAMEWORK, "--config=cron.conf", *options, "cleanup"]
    return show(*command, env=os.environ | {"PYTHONWARNINGS": "ignore"})


def old_files():
    """Remove old files, following no link."""
    lines = [
        f"x {APPDIR}/{folder}/.gitkeep\ne {APPDIR}/{folder} - - - {days}d" for folder, days in FOLDERS.items() if days
    ]
    return show("systemd-tmpfiles", "--clean", "-", input="\n".join([*lines, ""])) if lines else run("true")


def rotate():
    """Rotate logs."""
    return show("logrotate", "--state", "log/logrotate.state", "system/logrotate.conf")
