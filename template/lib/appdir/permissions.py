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

from appdir.answers import SERVICE_USER
from appdir.core import APPDIR, Stop, kept, say, would
from appdir.users import service_user, user

# the modes that something may have at most: what the app writes, secrets, and everything else
WRITTEN, CODE = ("cache", "data", "log", "luigi", "sessions", "work"), ()
SECRETS = {"secrets.conf": 0o640, "restic.env": 0o600}  # the servers need only the first
SHARED_WITH_CONFIG = "luigi"  # the app writes beside config: it owns its own files there, and cannot touch others
MODES = {WRITTEN: 0o770, CODE: 0o750}
APART = {*WRITTEN, ".update", ".adopt", ".backup", ".git"}
CONFIG_INSIDE = ("luigi/luigi.cfg", "luigi/logging.conf")
SHARED = ("data", "log", "luigi", "luigi/log", "data/upgrades")  # root's hand leaves files in these


def is_his(name):
    """Return whether a path in the app dir is in the service user's folders, and no config."""
    path = Path(name)
    is_below = len(path.parts) > 1 and path.parts[0] in WRITTEN and ".." not in path.parts
    return is_below and path.as_posix() not in CONFIG_INSIDE


def places():
    """Yield each path to look at, whether the app writes it, and the mode that it may have at most.

    In the folders that the app writes, only those near the top: how much data there is must not matter.
    """
    spared = unreachable()
    yield APPDIR, False, MODES[CODE]
    for folder, folders, names in os.walk(APPDIR):
        top = Path(folder) == APPDIR
        folders[:] = [name for name in folders if name != "__pycache__" and not (top and name in APART)]
        for name in folders + names:
            yield Path(folder, name), False, SECRETS.get(name if top else "", MODES[CODE] | spared)
    for name in filter(lambda name: (APPDIR / name).exists(), CONFIG_INSIDE):
        yield APPDIR / name, False, MODES[CODE] | spared
    if (APPDIR / SHARED_WITH_CONFIG).is_dir():
        yield APPDIR / SHARED_WITH_CONFIG, False, 0o1770
    for name in filter(lambda name: (APPDIR / name).is_dir(), WRITTEN):
        if name != SHARED_WITH_CONFIG:
            yield (APPDIR / name).resolve(), True, MODES[WRITTEN]  # data may be a link
        for folder, folders, names in os.walk(APPDIR / name):
            inside = Path(folder).relative_to(APPDIR).as_posix()
            here = [*folders, *(names if inside in SHARED else [])]
            for path in (Path(folder, one) for one in here):
                if path.relative_to(APPDIR).as_posix() not in CONFIG_INSIDE:
                    yield path, True, 0o777  # the folder above is private, so the mode is the app's own matter
            folders[:] = [] if inside.count("/") == 1 else folders


def unreachable():
    """Return the bits of a mode that give nobody anything inside the app dir, as it keeps those users out."""
    now = APPDIR.stat()
    bits = 0 if now.st_mode & 0o007 else 0o005  # no umask lets all others write
    with contextlib.suppress(KeyError):
        owner = user(now.st_uid)
        others = set(grp.getgrgid(now.st_gid).gr_mem) - {owner.pw_name}
        bits |= 0o070 if not SERVICE_USER and now.st_gid == owner.pw_gid and not others else 0
    return bits


def wrong():
    """Return (path, user id, group id, mode, what it is now) of all that is wrong; Stop names a missing user."""
    deployer, server = APPDIR.stat().st_uid, service_user()
    found = []
    for path, is_written, most in places():
        now = path.lstat()
        owner, group, mode = now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)
        if stat.S_ISLNK(now.st_mode):
            continue
        is_file = stat.S_ISREG(now.st_mode)
        if is_written and owner != server.pw_uid:
            # a folder that an admin gave to somebody else, for a share, stays so
            if owner in (0, deployer) or is_file or path.parent in (APPDIR, APPDIR / SHARED_WITH_CONFIG):
                owner, group = server.pw_uid, server.pw_gid
            if is_file and now.st_nlink > 1:  # it may be a file of somebody else, linked here to get it
                owner, group = now.st_uid, now.st_gid
        elif not is_written:
            owner = owner if owner in (0, deployer) else deployer
            if SERVICE_USER and group != server.pw_gid:
                group, mode = server.pw_gid, mode | (mode & 0o500) >> 3
            if SERVICE_USER and stat.S_ISDIR(now.st_mode):
                mode |= stat.S_ISGID  # so that what comes in later is of that group, too
            if SERVICE_USER and path == APPDIR / SHARED_WITH_CONFIG:
                mode |= stat.S_ISVTX | (mode & 0o700) >> 3
        mode &= most | (0 if is_file else 0o3000)
        if (owner, group, mode) != (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)):
            found.append((path, owner, group, mode, now))
    return found


def change(path, owner, group, mode, seen):
    """Give a path its owner, group and mode, if it still is what was `seen`, whatever the app puts there meanwhile.

    A folder that changes hands does so with all in it, itself last.
    """
    inside = path.is_relative_to(APPDIR)
    with contextlib.ExitStack() as opened:
        at = os.open(APPDIR if inside else path, os.O_PATH)
        opened.callback(os.close, at)
        for number, name in enumerate(path.relative_to(APPDIR).parts if inside else ()):
            at = os.open(name, os.O_PATH | (os.O_NOFOLLOW if number else 0), dir_fd=at)
            opened.callback(os.close, at)
        handle, now = f"/proc/self/fd/{at}", os.fstat(at)
        is_linked = stat.S_ISREG(now.st_mode) and now.st_nlink != seen.st_nlink
        if is_linked or (now.st_dev, now.st_ino) != (seen.st_dev, seen.st_ino):
            return  # the next run looks at it again
        if stat.S_ISDIR(now.st_mode) and now.st_uid != owner:
            for _, folders, names, at in os.fwalk(f"{handle}/.", topdown=False):
                for name in folders + names:
                    os.chown(name, owner, group, dir_fd=at, follow_symlinks=False)
        os.chown(handle, owner, group)
        os.chmod(handle, mode)


def summary(found):
    """Return one line about what wrong() found."""
    lines = []
    for path, owner, group, mode, now in found[:3]:
        if now.st_uid != owner:
            words = f"belongs to {user(now.st_uid).pw_name}, not to {user(owner).pw_name}"
        elif now.st_gid != group:
            words = f"is not of the group of {SERVICE_USER}"
        else:
            words = f"has mode {stat.S_IMODE(now.st_mode):04o}, not {mode:04o}"
        lines.append(f"{os.path.relpath(path, APPDIR)} {words}")
    return ", ".join(lines) + (f", and {len(found) - 3} more" if found[3:] else "")


def check():
    """Stop if something is wrong, and change nothing."""
    if found := wrong():
        raise Stop(f"{summary(found)}; ./setup.sh corrects that", wrong=[str(place[0]) for place in found])


def main(_=None):
    """Correct what is wrong; as far as only root can, say so."""
    found = wrong()
    if not found:
        kept("permissions", "all correct")
        return
    would("permissions", f"correct {summary(found)}")
    try:
        for again in (found, None):
            for place in again or wrong():  # at last, config in a folder that changed hands
                change(*place)
    except PermissionError:
        raise Stop(f"only root can correct this, with sudo ./setup.sh: {summary(found)}") from None
    say("permissions", "the app dir is private, and its permissions are correct")
