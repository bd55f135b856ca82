"""Which files a backup holds, wherever the service user leads a path in his folders meanwhile."""

import datetime
import json
import os
import re
import subprocess

from appdir.core import APPDIR, Stop
from appdir.permissions import WRITTEN
from appdir.repository import restic
from appdir.users import is_apart, service_user


def is_followed(link):
    """Return whether a link leads a backup out of the app dir: not one that the service user may have made."""
    return link.is_symlink() and not (is_apart() and link.lstat().st_uid == service_user().pw_uid)


def target(name):
    """Return where a file or folder of the app dir really is, as far as links that are followed lead there."""
    top, _, rest = name.partition("/")
    path = (APPDIR / top).resolve() / rest
    return path.resolve() if is_followed(path) else path


def links(out):
    """Return where links lead out of the app dir, as restic saves a link, not what is behind it.

    It looks at the app dir and the folders in it; `out` are the names of those that are left out.
    """
    root, targets = APPDIR.resolve(), []
    for path in (path for depth in ("*", "*/*") for path in root.glob(depth) if is_followed(path) and path.exists()):
        name, end = path.relative_to(root).as_posix(), path.resolve()
        if end.is_relative_to(root) or any(f"{name}/".startswith(f"{folder}/") for folder in out):
            continue
        if os.path.normpath(path.parent / os.readlink(path)) != str(end):
            raise Stop(f"{name} leads to {end} by more than one link; let it lead there at once")
        targets.append(end)
    return targets


def prove(snapshot):
    """Forget a snapshot, and Stop, if it has a file of somebody else that is not where the snapshot says.

    restic opens what a path leads to at that moment; it notes the owner of what it has opened.
    """
    if not is_apart():
        return
    his = f'"uid":{service_user().pw_uid},'
    with subprocess.Popen(["restic", "ls", "--json", snapshot], stdout=subprocess.PIPE, text=True) as listing:
        found = [json.loads(line) for line in listing.stdout if his not in line]
    nodes = [node for node in found if node["struct_type"] == "node" and node["type"] in ("file", "dir")]
    moved = [node["path"] for node in nodes if not is_there(node)]
    if listing.returncode or moved:
        restic("forget", "--prune", "--quiet", snapshot)
        why = f"{moved[0]}, of another user, came in by a link, or has changed" if moved else "restic cannot list it"
        raise Stop(f"the backup is dropped: {why}; look at it, and run this again")


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
