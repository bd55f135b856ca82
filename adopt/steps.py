"""The new app dir's own commands, of which an adoption uses some: all that adopt.py knows about them is here."""

import json
import os

from adopt.tools import last_line, run

CHECKS = (("secrets",), ("check-app",))


def command(appdir, folder, *args):
    """Run a command of an app dir that lies in a folder, with the env of another one, and return the process."""
    python = [appdir.parent / "bin/python", "-I", "-B", "-X", "utf8", "-W", "ignore"]
    environment = os.environ | {"APPDIR": str(folder), "APPDIR_ENV": str(appdir.parent)}
    return run(*python, folder / "lib", *args, cwd=folder, env=environment)


def problem(appdir, folder, *args):
    """Run a command in the same way, and return in one line why it failed; None if it went well."""
    done = command(appdir, folder, *args, "--json")
    try:
        found = json.loads(done.stdout)
    except ValueError:
        return last_line(done.stderr or done.stdout or "it said nothing")
    return None if found["ok"] else found["message"]


def link_rest(appdir, folder):
    """Link into a draft what the app dir has and the draft lacks: the app that is checked may need it."""
    for path in appdir.iterdir():
        if path.name in (".adopt", ".git"):
            continue
        if not os.path.lexists(folder / path.name):
            (folder / path.name).symlink_to(path.resolve())
        elif path.is_dir() and (folder / path.name).is_dir() and path.name not in ("lib", "log"):
            link_rest(path, folder / path.name)
