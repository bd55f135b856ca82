"""Which files a backup holds, wherever the service user leads a path in his folders meanwhile."""

import datetime
import json
import os
import re
import stat
import subprocess
from pathlib import Path

from appdir.answers import APP_NAME
from appdir.core import APPDIR, Stop
from appdir.permissions import WRITTEN, is_his
from appdir.repository import UNPROVEN, restic
from appdir.users import is_apart, service_user


def end_of(link):
    """Return where a link leads a backup, or None: it follows none that the service user may have made.

    Owner and text are of one file, as he can exchange links in his folders meanwhile.
    """
    try:
        at = os.open(link, os.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        now = os.fstat(at)
        if not stat.S_ISLNK(now.st_mode) or (is_apart() and now.st_uid == service_user().pw_uid):
            return None
        return Path(os.path.normpath(link.parent / os.readlink("", dir_fd=at)))
    finally:
        os.close(at)


def target(name):
    """Return where a file or folder of the app dir really is, as far as links that are followed lead there."""
    top, _, rest = name.partition("/")
    path = (APPDIR / top).resolve() / rest
    return path if "/" in rest else end_of(path) or path


def place_of_database(name):
    """Return the pattern that keeps a database out of the backup, which has a copy; Stop if he names anything else."""
    if is_apart() and not is_his(name):
        raise Stop(f"the app says that its database is {name}, which is not in a folder of the servers, such as data")
    return re.sub(r"[][*?\\]", r"\\\g<0>", str(target(name)))


def links(out):
    """Return where links lead out of the app dir, as restic saves a link, not what is behind it.

    It looks at the app dir and the folders in it; `out` are the names of those that are left out.
    """
    root, targets = APPDIR.resolve(), []
    for path in (path for depth in ("*", "*/*") for path in root.glob(depth)):
        name, end = path.relative_to(root).as_posix(), end_of(path.parent.resolve() / path.name)
        if end is None or end.resolve().is_relative_to(root) or not end.exists():
            continue
        if any(f"{name}/".startswith(f"{folder}/") for folder in out):
            continue
        if end.resolve() != end:
            raise Stop(f"{name} leads to {end.resolve()} by more than one link; let it lead there at once")
        if os.path.lexists(root / end.parts[1]):
            same = f"a name that the app dir has, too; let it lead to another, such as /srv{end}"
            raise Stop(f"{name} leads into /{end.parts[1]}, {same}")
        targets.append(end)
    return targets


def prove(snapshot, tag):
    """Let a snapshot with a tag count, and return its id; Stop if it has a file of somebody else by a trick.

    restic opens what a path leads to at that moment; it notes the owner of what it has opened.
    """
    if not is_apart():
        return snapshot
    his = f'"uid":{service_user().pw_uid},'
    with subprocess.Popen(["restic", "ls", "--json", snapshot], stdout=subprocess.PIPE, text=True) as listing:
        found = [json.loads(line) for line in listing.stdout if his not in line]
    nodes = [node for node in found if node["struct_type"] == "node" and node["type"] in ("file", "dir")]
    moved = [node["path"] for node in nodes if not is_there(node)]
    if listing.returncode or moved:
        restic("forget", "--prune", "--quiet", snapshot)
        why = f"{moved[0]}, of another user, came in by a link, or has changed" if moved else "restic cannot list it"
        raise Stop(f"the backup is dropped: {why}; look at it, and run this again")
    restic("tag", "--quiet", f"--remove={UNPROVEN}", "--add=appdir", snapshot)
    (proven,) = json.loads(restic("snapshots", "--json", f"--tag={APP_NAME},appdir,{tag}"))
    return proven["short_id"]


def is_there(node):
    """Return whether what restic saved is at its path, which no link leads elsewhere, and not just a name for it."""
    top, _, rest = node["path"].lstrip("/").partition("/")
    if (APPDIR / top).exists() and top not in WRITTEN:
        return True  # no place of the service user
    start, below_it = (APPDIR / top, rest) if top in WRITTEN else ("/", node["path"])
    at = os.open(start, os.O_PATH)
    try:
        for name in filter(None, below_it.split("/")):
            below = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        now = os.stat(at)
    except OSError:
        return False
    finally:
        os.close(at)
    if node["type"] == "dir":
        return now.st_uid == node["uid"]
    changed = datetime.datetime.fromisoformat(re.sub(r"\.\d+", "", node["mtime"])).timestamp()
    return (now.st_uid, now.st_size, int(now.st_mtime), now.st_nlink) == (node["uid"], node["size"], changed, 1)
