"""Brings the new files in: made and checked in the folder .adopt, then each one whole; the old ones are kept."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from adopt import packages, steps
from adopt.draft import make
from adopt.report import report
from adopt.tools import fail, git


class Plan:
    """What an adoption does to an app dir and what was there before, in its folder .adopt."""

    def __init__(self, appdir):
        self.appdir, self.work = appdir, appdir / ".adopt"
        self.old_files = self.work / "before"  # a copy of each file that is replaced
        self.ready = self.work / "ready"  # from the moment at which the new files are checked
        self.done = self.work / "done"  # from the end on

    def load(self):
        """Return what was written when the new files were ready."""
        return json.loads((self.ready if self.ready.exists() else self.done).read_text())

    def save(self, written):
        """Write down, at once, what comes in and what is there now."""
        self.ready.with_suffix(".new").write_text(json.dumps(written))
        self.ready.with_suffix(".new").replace(self.ready)


def digest(path):
    """Return what tells a file's content, or a link's target, from others; None if there is nothing."""
    if path.is_symlink():
        return f"-> {os.readlink(path)}"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def look(appdir):
    """Return {path: (mode, user id, group id)} of all in an app dir, with what its linked folders hold."""
    found = {}
    for top in (appdir, *(path for path in appdir.iterdir() if path.is_symlink() and path.is_dir())):
        for folder, folders, names in os.walk(top):
            folders[:] = [name for name in folders if Path(folder) != appdir or name != ".adopt"]
            for path in (Path(folder), *(Path(folder, name) for name in folders + names)):
                now = path.stat() if path == top else path.lstat()
                key = str(path.relative_to(appdir)) + "/." * (path == top != appdir)
                found[key] = (now.st_mode & 0o7777, now.st_uid, now.st_gid)
    return found


def apply(old, plan, options):
    """Make the draft, check it with the software of the env, and write down what comes in."""
    appdir, env = old.appdir, old.appdir.parent
    plan.work.mkdir(mode=0o700)
    try:
        draft = make(old, plan.work, options)
        report(draft)
        steps.link_rest(appdir, draft.folder)
        if draft.lacks_packages:
            print("Installing packages, which takes a minute or two", flush=True)
            packages.keep(env)
        for command in ([("packages", "--quiet")] if draft.lacks_packages else []) + [*steps.CHECKS]:
            if reason := steps.problem(appdir, draft.folder, *command):
                fail(f"{reason}; nothing is changed")
    except BaseException:
        forget(plan)
        raise
    plan.save(
        {
            "folder": str(draft.folder.relative_to(plan.work)),
            "names": {name: [digest(appdir / name), digest(draft.folder / name)] for name in draft.names},
            "look": look(appdir),
            "repository": (appdir / ".git").exists(),
            "config": config.read_text() if (config := appdir / ".git/config").is_file() else None,
            "head": git(appdir, "rev-parse", "--verify", "--quiet", "HEAD"),
            "refs": (git(appdir, "for-each-ref", "--format=%(refname)", "refs/appdir") or "").split(),
        },
    )


def forget(plan):
    """Remove what an adoption left that did not come to bringing files in."""
    if not plan.ready.exists() and not plan.done.exists():
        packages.restore(plan.appdir.parent)
        shutil.rmtree(plan.work, ignore_errors=True)


def bring(plan):
    """Bring the new files in, after a copy of each old one; may be interrupted at any point and run again."""
    written = plan.load()
    for name, (before, _) in written["names"].items():
        old, new, copy = plan.appdir / name, plan.work / written["folder"] / name, plan.old_files / name
        if not new.exists():
            continue
        if before and not os.path.lexists(copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
            put_whole(old, copy)
        old.parent.mkdir(parents=True, exist_ok=True)
        if old.exists():
            os.chown(new, -1, old.stat().st_gid)
        put_whole(new, old)
        new.unlink(missing_ok=True)


def put_whole(source, target):
    """Copy a file, or a link as it is, to a path at which it is complete from the start."""
    draft = target.with_name(f".{target.name}.new")
    draft.unlink(missing_ok=True)
    shutil.copy2(source, draft, follow_symlinks=False)
    os.chown(draft, -1, source.lstat().st_gid, follow_symlinks=False)
    draft.replace(target)


def finish(plan):
    """Let the app dir's own commands do the rest, and say how to undo it."""
    if reason := steps.problem(plan.appdir, plan.appdir, "setup", "--keep-database"):
        fail(f"the files are in, but setup.sh failed: {reason}; fix that and run adopt.py --apply again, or --undo")
    shutil.rmtree(plan.work / Path(plan.load()["folder"]).parts[0], ignore_errors=True)
    plan.ready.rename(plan.done)
    env = plan.appdir.parent
    where = f"{plan.old_files}" + f", the packages of before in {packages.kept(env)}" * packages.kept(env).exists()
    print(f"\nAdopted. Your old files are in {where}; adopt.py --undo brings all back. Restart the app.")
