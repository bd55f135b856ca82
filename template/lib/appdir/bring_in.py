"""Brings a checked update into the app dir: file by file, each one whole, with the mode and group that it had.

It may be interrupted at any point; the next run goes on, or undoes what has come in.
"""

import errno
import os
import shutil

from appdir import rendering
from appdir.core import APPDIR, Stop
from appdir.git import git, head, names, settle_identity


def changes(commit, prefix, tree):
    """Return what differs between the app dir of a commit and a tree: (path, status), D for what goes."""
    parts = names("diff-tree", "-r", "-z", "--no-renames", "--name-status", f"{commit}:{prefix}", tree)
    return list(zip(parts[1::2], parts[::2], strict=True))


def new_folders(plan):
    """Return the folders of the rendering that the app dir lacks; git knows nothing of them."""
    return [name for name in plan["folders"] if not (APPDIR / name / ".gitkeep").exists()]


def commit(plan, tree):
    """Return a commit of a tree of the app dir, on top of where the update began; the rendering is its other parent."""
    settle_identity()
    if plan["prefix"]:
        index = {"GIT_INDEX_FILE": str(APPDIR / ".update/index")}
        git("read-tree", plan["head"], env=index)
        git("rm", "--quiet", "-r", "--cached", "--force", ".", env=index)
        git("read-tree", f"--prefix={plan['prefix']}", tree, env=index)
        tree = git("write-tree", env=index).strip()
    parents = ["-p", plan["head"]]
    if plan["rendering"]:
        parents += ["-p", rendering.record(plan["rendering"])]
    return git("commit-tree", tree, *parents, "-m", plan["subject"]).strip()


def content(path):
    """Return what a path holds, in a form to compare: None if there is nothing, and a link by its target."""
    if path.is_symlink():
        return os.fsencode(os.readlink(path))
    return path.read_bytes() if path.is_file() else None


def committed(commit, prefix, name):
    """Return what content() does, of a file as a commit has it."""
    if not git("ls-tree", f"{commit}:{prefix}", "--", name):
        return None
    return git("cat-file", "blob", f"{commit}:{prefix}{name}", text=False, errors=None)


def check_places(app, plan, found):
    """Refuse what is in the way of an update, as far as git does not see it: nothing of it may be lost, or stop us."""
    groups = {os.getegid(), *os.getgroups()}
    for name in [*(name for name, _ in found), *(f"{folder}/.gitkeep" for folder in new_folders(plan))]:
        path = APPDIR / name
        parent = next(folder for folder in path.parents if os.path.lexists(folder))
        if not parent.is_dir():
            raise Stop(
                f"{parent} is not a folder, but the update brings {name}; move it away and run ./update.sh again"
            )
        if path.is_dir() and not path.is_symlink():
            raise Stop(f"{path} is a folder, but the update has such a file; move it away and run ./update.sh again")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise Stop(f"{parent} cannot be written, and the update changes {name}; run: chmod u+wx {parent}")
    for name, _ in found:
        live = content(APPDIR / name)
        if live not in (None, content(app / name)) and live != committed(plan["head"], plan["prefix"], name):
            raise Stop(f"{name} is not as git has it, so an edit would be lost; move it away and run ./update.sh again")
        if live is not None and os.geteuid() != 0 and (APPDIR / name).lstat().st_gid not in groups:
            raise Stop(f"{name} has a group that you are not in, so it could not be kept; run: chgrp, as root")


def secrets(app):
    """Bring in secrets.conf, to which the check may have added; refuse if it was changed meanwhile."""
    live, coming = (APPDIR / "secrets.conf").resolve(), app / "secrets.conf"
    added = coming.read_bytes()
    if added == live.read_bytes():
        return
    lines = set(added.splitlines())
    if not set(live.read_bytes().splitlines()) <= lines:
        raise Stop("secrets.conf was changed while this ran; run ./update.sh --abort, then ./update.sh")
    draft = app.parent / "secrets.conf"
    shutil.copy2(coming, draft)
    put_as(draft, live)


def bring(work, plan, commit, found):
    """Bring a commit in, from the files laid out for it."""
    if head() == plan["head"]:
        check_places(work / "app", plan, found)
        for folder in new_folders(plan):
            (APPDIR / folder).mkdir(parents=True, exist_ok=True)
            (APPDIR / folder / ".gitkeep").touch()
        for name, status in found:
            remove(name) if status == "D" else put_as(copy_of(work, name), APPDIR / name)
        move_head(commit)


def copy_of(work, name):
    """Return a copy of a file laid out, which may be moved: the code that runs stays complete."""
    draft = work / "draft"
    draft.unlink(missing_ok=True)
    shutil.copy2(work / "app" / name, draft, follow_symlinks=False)
    return draft


def take_out(work, plan, commit):
    """Undo what has come in of an interrupted update; may itself be interrupted, and run again."""
    prefix, old = plan["prefix"], plan["head"]
    for name, _ in changes(old, prefix, f"{commit}:{prefix}"):
        before = committed(old, prefix, name)
        if content(APPDIR / name) != content(work / "app" / name):
            continue  # it did not come in, or was edited since
        if before is None:
            remove(name)
            continue
        mode = git("ls-tree", f"{old}:{prefix}", "--", name).split(" ")[0]
        draft = work / "draft"
        draft.unlink(missing_ok=True)
        if mode == "120000":
            draft.symlink_to(os.fsdecode(before))
        else:
            draft.write_bytes(before)
            draft.chmod(0o755 if mode == "100755" else 0o644)
        put_as(draft, APPDIR / name)
    move_head("HEAD")
    (work / "ready").unlink()


def move_head(commit):
    """Tell git that the app dir is at a commit, and let it write its index now: a later command has another umask."""
    git("reset", "--quiet", commit)
    git("status", "--porcelain", "--untracked-files=no")


def put_as(new, old):
    """Move a file over the old one, as a whole, with the mode and group that it had; also onto another volume."""
    old.parent.mkdir(parents=True, exist_ok=True)
    keep_mode(old, new)
    try:
        new.replace(old)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        draft = old.with_name(f".{old.name}.new")
        draft.unlink(missing_ok=True)
        shutil.copy2(new, draft, follow_symlinks=False)
        os.chown(draft, -1, new.lstat().st_gid, follow_symlinks=False)
        draft.replace(old)
        new.unlink()


def remove(name):
    """Remove a file that is in git's history, and each folder that it leaves empty."""
    (APPDIR / name).unlink(missing_ok=True)
    for folder in (APPDIR / name).parents:
        if folder == APPDIR or not folder.is_dir() or any(folder.iterdir()):
            break
        folder.rmdir()


def keep_mode(old, new):
    """Give a new file the mode and group of the old one, but let git say whether it is executable."""
    if old.is_symlink() or new.is_symlink() or not old.exists():
        return
    before, after = old.stat(), new.stat()
    if before.st_gid != after.st_gid:
        os.chown(new, -1, before.st_gid)
    mode = before.st_mode & 0o7777
    if bool(mode & 0o100) != bool(after.st_mode & 0o100):
        mode = mode | (mode & 0o444) >> 2 if after.st_mode & 0o100 else mode & ~0o111
    new.chmod(mode)
