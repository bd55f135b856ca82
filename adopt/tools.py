"""What every module needs: how to end with a message, and how to run a command."""

import pwd
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).absolute().parent.parent
PRIVATE = ("secrets.conf", "local.conf")  # never in git
WRITTEN_ONCE = ("luigitasks/", "poser/")  # the user's, from the start


def fail(text):
    """End with exit code 1 and one line that says what is wrong and what to do."""
    sys.exit(f"adopt.py: {text}")


def run(*command, **options):
    """Run a command to its end and return the process, with its output as text."""
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, errors="surrogateescape", **options)


def git(appdir, *command):
    """Run git in the app dir and return what it prints, without the last line break; None if it fails."""
    done = run("git", "--no-optional-locks", *command, cwd=appdir)
    return None if done.returncode else done.stdout.rstrip("\n")


def last_line(text):
    """Return the last line of what a command printed, for a message."""
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def user_name(uid):
    """Return the name of a user, or the number if there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
