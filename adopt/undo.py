"""Undoes an adoption: files, permissions, git and packages are as they were; what the app wrote since stays."""

import contextlib
import os
import shutil
from pathlib import Path

from adopt import packages
from adopt.apply import digest, forget, put_whole
from adopt.tools import fail, git

MADE_BY_SETUP = ("restic.env", "data/libcache")


def undo(plan):
    """Undo an adoption, finished or not; may be interrupted at any point and run again."""
    began = packages.kept(plan.appdir.parent).is_dir() and not (plan.appdir / ".copier-answers.yml").exists()
    if not plan.work.is_dir() and not began:
        fail("there is no adoption to undo, as there is no folder .adopt")
    if plan.ready.exists() or plan.done.exists():
        written = plan.load()
        check(plan.appdir, written)
        undo_commit(plan, written)
        undo_files(plan, written)
        restore_permissions(plan.appdir, written)
        packages.restore(plan.appdir.parent)
        shutil.rmtree(plan.work)
    forget(plan)
    print("Undone: the app dir and its packages are as before the adoption. Restart the app.")


def check(appdir, written):
    """Refuse to lose what was changed since the adoption."""
    since = f"{written['head']}..HEAD" if written["head"] and written["repository"] else "HEAD"
    ours = written["repository"] or (appdir / ".git").exists()
    if ours and int(git(appdir, "rev-list", "--count", since) or 0) > 1:
        fail("there are commits since the adoption; undo them first, with ./update.sh --undo or git reset --soft")
    changed = [name for name, known in written["names"].items() if digest(appdir / name) not in (*known, None)]
    if changed:
        fail(f"changed since the adoption: {', '.join(changed)}; move that out of the app dir first")
    if "restic.env" not in written["look"] and all((appdir / name).exists() for name in ("restic.env", ".backup/last")):
        fail("restic.env has the password of your backups; move it out of the app dir first")


def undo_commit(plan, written):
    """Bring git to where it was: no repository, or one with the commits of before."""
    appdir = plan.appdir
    if not written["repository"] and (appdir / ".git").exists():
        (appdir / ".git").rename(plan.work / "git")  # at once, and gone with the rest
    elif written["head"] and written["head"] != git(appdir, "rev-parse", "HEAD"):
        git(appdir, "reset", "--quiet", "--soft", written["head"])
        git(appdir, "reset", "--quiet", "--", ".")
    elif not written["head"] and git(appdir, "rev-parse", "--verify", "HEAD"):
        git(appdir, "rm", "-r", "--quiet", "--cached", ".")
        git(appdir, "update-ref", "-d", "HEAD")
    if written["config"] is not None:
        (appdir / ".git/config").write_text(written["config"])
    for ref in (git(appdir, "for-each-ref", "--format=%(refname)", "refs/appdir") or "").split():
        if ref not in written["refs"]:
            git(appdir, "update-ref", "-d", ref)


def undo_files(plan, written):
    """Bring each old file back, and remove the new ones with the folders that came with them."""
    appdir, before = plan.appdir, written["look"]
    for name in written["names"]:
        if os.path.lexists(plan.old_files / name):
            put_whole(plan.old_files / name, appdir / name)
        elif name not in before:
            (appdir / name).unlink(missing_ok=True)
    for path in (appdir / name for name in MADE_BY_SETUP if name not in before):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    folders = {str(folder) for name in (*written["names"], *MADE_BY_SETUP) for folder in Path(name).parents}
    for folder in sorted(folders - {".", *before}, key=len, reverse=True):
        shutil.rmtree(appdir / folder / "__pycache__", ignore_errors=True)
        with contextlib.suppress(OSError):  # there is more in it now, or it is gone already
            (appdir / folder).rmdir()


def restore_permissions(appdir, written):
    """Give all that was there before its owner, group and mode of before."""
    for name, (mode, user, group) in written["look"].items():
        path = appdir / name
        if not os.path.lexists(path) or (path.is_symlink() and not name.endswith("/.")):
            continue
        now = path.stat()
        if (now.st_uid, now.st_gid) != (user, group):
            os.chown(path, user, group)
        path.chmod(mode)
