"""Brings a checked update into the app dir: file by file, each one whole, with the mode and group that it had.

It may be interrupted at any point; the next run goes on, or undoes what has come in.
"""

import contextlib
import os
import stat

from appdir.core import APPDIR, Stop
from appdir.git import git, names


def changes(old, new):
    """Return what differs between two trees of the app dir: {path: status}, D for what goes."""
    parts = names("diff-tree", "-r", "-z", "--no-renames", "--name-status", old, new)
    return dict(zip(parts[1::2], parts[::2], strict=True))


def entry(tree, path):
    """Return a file of a tree as (mode, bytes), or None."""
    listed = git("ls-tree", "--full-tree", tree, "--", path)
    data = listed and git("cat-file", "blob", listed.split()[2], text=False, errors=None)
    return (listed.split()[0], data) if listed else None


def same(path, wanted):
    """Return whether a path of the app dir holds what entry() returned."""
    live = APPDIR / path
    if live.is_symlink():
        return wanted == ("120000", os.fsencode(os.readlink(live)))
    return live.is_file() and bool(wanted) and wanted[1] == live.read_bytes()


def check_place(path, old, new):
    """Refuse what is in the way at a path, as far as git does not see it: nothing may be lost, or stop us half way."""
    live = APPDIR / path
    parent = next(folder for folder in live.parents if os.path.lexists(folder))
    if not parent.is_dir():
        raise Stop(f"{parent} is not a folder, but the update brings {path}; move it away and run ./update.sh again")
    if live.is_dir() and not live.is_symlink():
        raise Stop(f"{live} is a folder, but the update has such a file; move it away and run ./update.sh again")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise Stop(f"{parent} cannot be written, and the update changes {path}; run: chmod u+wx {parent}")
    if os.path.lexists(live):
        if not (same(path, old) or same(path, new)):
            raise Stop(f"{path} is not as git has it, so an edit would be lost; move it away and run ./update.sh again")
        if os.geteuid() != 0 and live.lstat().st_gid not in {os.getegid(), *os.getgroups()}:
            raise Stop(f"{path} has a group that you are not in, so it could not be kept; run: chgrp, as root")


def make_folders(names):
    """Make folders of the app dir, each with its placeholder; what is in the way stays."""
    for folder in names:
        (APPDIR / folder).mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(APPDIR / folder / ".gitkeep", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))


def apply(old, new, forgiving=False, preview=False):
    """Change files of the app dir from one tree to another; nothing changes if one of them is in the way.

    `forgiving` leaves alone what is neither the one nor the other; `preview` only looks.
    """
    found = {path: (entry(old, path), entry(new, path)) for path in changes(old, new)}
    for path, (before, after) in found.items():
        if not forgiving:
            check_place(path, before, after)
    if preview:
        return
    for path, (before, after) in found.items():
        (APPDIR / path).with_name(f".{(APPDIR / path).name}.new").unlink(missing_ok=True)  # of an interrupted run
        if not os.path.lexists(APPDIR / path) or same(path, before) or not forgiving:
            put(APPDIR / path, after) if after else remove(path)


def put(path, wanted):
    """Write a file in one go, with the mode and group that it had, but let git say whether it is executable."""
    mode, data = wanted
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)  # of an interrupted run
    if mode == "120000":
        draft.symlink_to(os.fsdecode(data))
    else:
        before, executable = path.stat() if path.is_file() and not path.is_symlink() else None, mode == "100755"
        # in a folder that the service user shares he may be quicker, with a link
        most = before.st_mode & 0o666 if before else 0o666
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, most), "wb") as file:
            file.write(data)
            new = os.fstat(file.fileno())
            bits = stat.S_IMODE((before or new).st_mode)
            if executable != bool(bits & 0o100):
                bits = bits | (bits & 0o444) >> 2 if executable else bits & ~0o111
            if before and before.st_gid != new.st_gid:
                os.fchown(file.fileno(), -1, before.st_gid)
            os.fchmod(file.fileno(), bits)
    draft.replace(path)


def remove(path):
    """Remove a file that is in git's history, and each folder that it leaves empty."""
    (APPDIR / path).unlink(missing_ok=True)
    for folder in (APPDIR / path).parents:
        if folder == APPDIR or not folder.is_dir() or any(folder.iterdir()):
            break
        folder.rmdir()
