"""Rotates logs, and removes what nobody needs any more."""

import os
import sys

from appdir.answers import FILEMON, FRAMEWORK, SESSIONS, UPLOADS, WORK
from appdir.core import APPDIR, ENV, Stop, kept, run
from appdir.users import become_owner

# what is removed below a folder once it was neither read nor changed for so many days
DAYS = {"data/uploads": UPLOADS and 7, "work/csv": WORK and 90}
DAYS |= {"work/generated-projects": WORK and FRAMEWORK == "rattail" and 90, "work/user-files": WORK and FILEMON and 90}


def main(_):
    """Clean up, as the user that owns the logs; go on after a part that fails."""
    become_owner("log")
    # where cron does not look for logrotate, and upstream's warnings, which cron would mail
    os.environ |= {"PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin", "PYTHONWARNINGS": "ignore"}
    parts = {"logs": [["logrotate", "--state", "log/logrotate.state", "system/logrotate.conf"], None]}
    rules = [f"x {APPDIR}/{name}/.gitkeep\ne {APPDIR}/{name} - - - {days}d\n" for name, days in DAYS.items() if days]
    if rules:
        parts["files"] = [["systemd-tmpfiles", "--clean", "-"], "".join(rules)]
    if SESSIONS == "files":  # those that were not used for 30 days, which is the age that the config names
        options = ["--no-versioning"] if FRAMEWORK == "rattail" else []
        parts["logins"] = [[ENV / "bin" / FRAMEWORK, "--config=cron.conf", *options, "cleanup"], None]
    if failed := [name for name, (command, text) in parts.items() if not goes_well(command, text)]:
        raise Stop(f"not cleaned up: {', '.join(sorted(failed))}; see above")
    kept("cleanup", "done")


def goes_well(command, text):
    """Run a command with a text as its input, and return whether it went well; one that is missing is named."""
    try:
        return run(*command, capture_output=False, input=text).returncode == 0
    except FileNotFoundError:
        print(f"{command[0]} is missing", file=sys.stderr, flush=True)
        return False
