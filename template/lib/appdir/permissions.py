"""Owner, group and mode of everything in the app dir.

The service user reads config and scripts through its group, and owns what the app writes.  No mode is
widened, so what an admin has narrowed stays so; only a file that comes into that group gives it the
rights to read that its owner has.  Inside a private app dir, only what others can reach counts.
"""

import contextlib
import grp
import os
import stat
from pathlib import Path
from typing import NamedTuple

from appdir.answers import SERVICE_USER
from appdir.core import APPDIR, Stop, kept, say, would
from appdir.users import service_user, user

STEP = "permissions"


class Rule(NamedTuple):
    """What some paths of the app dir should be: who owns them, and the mode that they may have at most."""

    paths: tuple
    written: bool  # by the app: then the service user owns it, else who deploys, or root
    mode: int


RULES = {
    "written": Rule(("cache", "data", "log", "luigi", "sessions", "work"), True, 0o770),
    "secrets": Rule(("secrets.conf", "restic.env"), False, 0o640),
    "code": Rule((), False, 0o750),
}
BELOW = RULES["written"]._replace(mode=0o777)  # the folder above is closed, so the mode is the app's own matter
APART = {*RULES["written"].paths, ".update", ".adopt", ".git", "__pycache__"}
CONFIG_INSIDE = ("luigi/luigi.cfg", "luigi/logging.conf")
SHARED = ("data", "log", "luigi", "luigi/log", "data/upgrades")  # root's hand leaves files in these


def places():
    """Yield each path to look at with its rule.

    In the folders that the app writes, only those near the top: how much data there is must not matter.
    """
    yield APPDIR, RULES["code"]
    for folder, folders, names in os.walk(APPDIR):
        gone = APART if Path(folder) == APPDIR else {"__pycache__"}
        folders[:] = [name for name in folders if name not in gone]
        for name in folders + names:
            top = Path(folder) == APPDIR
            yield Path(folder, name), RULES["secrets" if top and name in RULES["secrets"].paths else "code"]
    for name in CONFIG_INSIDE:
        if (APPDIR / name).exists():
            yield APPDIR / name, RULES["code"]
    for name in RULES["written"].paths:
        if (APPDIR / name).is_dir():
            yield from written(APPDIR / name, depth=2)


def written(folder, depth):
    """Yield a folder that the app writes, the folders in it to some depth, and the files of those in SHARED."""
    if folder.parent == APPDIR:
        yield folder.resolve(), RULES["written"]  # data may be a link
    else:
        yield folder, BELOW
    files = inside(folder) in SHARED
    for entry in os.scandir(folder):
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False) and depth:
            yield from written(path, depth - 1)
        elif files and entry.is_file(follow_symlinks=False) and inside(path) not in CONFIG_INSIDE:
            yield path, BELOW


def inside(path):
    """Return a path as it is called in the app dir."""
    return path.relative_to(APPDIR).as_posix()


def unreachable():
    """Return the bits of a mode that give nobody anything inside the app dir, as it keeps those users out."""
    now = APPDIR.stat()
    bits = 0 if now.st_mode & 0o007 else 0o007
    if not SERVICE_USER:
        owner = user(now.st_uid)
        with contextlib.suppress(KeyError):
            if now.st_gid == owner.pw_gid and not set(grp.getgrgid(now.st_gid).gr_mem) - {owner.pw_name}:
                bits |= 0o070
    return bits


def wrong():
    """Return (path, user id, group id, mode) as it should be of all that is wrong; Stop names a missing user."""
    deployer, server, spared = APPDIR.stat().st_uid, service_user(), unreachable()
    found = []
    for path, rule in places():
        now = path.lstat()
        if stat.S_ISLNK(now.st_mode):
            continue
        owner, group, before = now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)
        mode = before
        if rule.written and owner != server.pw_uid:
            # a folder that an admin gave to somebody else, for a share, stays so
            if owner in (0, deployer) or stat.S_ISREG(now.st_mode) or path.parent == APPDIR:
                owner, group = server.pw_uid, server.pw_gid
        elif not rule.written and owner not in (0, deployer):
            owner = deployer
        if not rule.written and SERVICE_USER and group != server.pw_gid:
            group = server.pw_gid
            mode |= (mode & 0o500) >> 3
        if not rule.written and SERVICE_USER and stat.S_ISDIR(now.st_mode):
            mode |= stat.S_ISGID  # so that what comes in later is of that group, too
        top = path == APPDIR or rule is not RULES["code"]
        mode &= rule.mode | 0o7000 | (0 if top else spared)
        if (owner, group, mode) != (now.st_uid, now.st_gid, before):
            found.append((path, owner, group, mode))
    return found


@contextlib.contextmanager
def held(path):
    """Give what stands for a path while the `with` lasts, whatever link the app may put in its place meanwhile."""
    top, *rest = path.parts[len(APPDIR.parts) :] if path.is_relative_to(APPDIR) else [path]
    with contextlib.ExitStack() as opened:
        at = os.open(APPDIR / top, os.O_PATH)
        opened.callback(os.close, at)
        for name in rest:
            at = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=at)
            opened.callback(os.close, at)
        yield f"/proc/self/fd/{at}"


def change(path, owner, group, mode):
    """Give a path its owner, group and mode; a folder that changes hands does so with all in it, itself last."""
    with held(path) if path != APPDIR else contextlib.nullcontext(APPDIR) as handle:
        if path.is_dir() and path.stat().st_uid != owner:
            for _, folders, names, at in os.fwalk(f"{handle}/.", topdown=False):
                for name in folders + names:
                    os.chown(name, owner, group, dir_fd=at, follow_symlinks=False)
        os.chown(handle, owner, group)
        os.chmod(handle, mode)


def tell(path, owner, group, mode):
    """Return a few words about what is wrong with a path."""
    now = path.stat()
    if now.st_uid != owner:
        words = f"belongs to {user(now.st_uid).pw_name}, not to {user(owner).pw_name}"
    elif now.st_gid != group:
        words = f"is not of the group of {SERVICE_USER}"
    else:
        words = f"has mode {stat.S_IMODE(now.st_mode):04o}, not {mode:04o}"
    return f"{os.path.relpath(path, APPDIR)} {words}"


def summary(found):
    """Return one line about what wrong() found."""
    return ", ".join(tell(*place) for place in found[:3]) + (f", and {len(found) - 3} more" if found[3:] else "")


def table():
    """Return the rules as a table in Markdown, which the README of the template shows."""
    rows = ["| in the app dir | owner | group | mode, at most |", "| --- | --- | --- | --- |"]
    for rule in RULES.values():
        owner = "service user" if rule.written else "who deploys, or root"
        names = ", ".join(f"`{path}`" for path in rule.paths) if rule.paths else "all else: config, scripts, code"
        rows.append(f"| {names} | {owner} | the service user's | {rule.mode:04o} |")
    return "\n".join(rows)


def check():
    """Stop if something is wrong, and change nothing."""
    if found := wrong():
        raise Stop(f"{summary(found)}; ./setup.sh corrects that", wrong=[str(place[0]) for place in found])
    kept(STEP, "all correct")


def correct():
    """Correct what is wrong; as far as only root can, say so."""
    found, server = wrong(), service_user()
    if server.pw_uid != os.geteuid() != 0:
        raise Stop(f"the servers run as {server.pw_name}, so root has to set up: sudo ./setup.sh")
    if not found:
        kept(STEP, "all correct")
        return
    would(STEP, f"correct {summary(found)}")
    try:
        for place in found:
            change(*place)
        for place in wrong():  # config in a folder that changed hands
            change(*place)
    except PermissionError:
        raise Stop(f"only root can correct this, with sudo ./setup.sh: {summary(found)}") from None
    say(STEP, "the app dir is private, and its owners and modes are set")


def main(_):
    """Correct permissions, as a command of its own: a restore runs it before there is an env."""
    correct()
