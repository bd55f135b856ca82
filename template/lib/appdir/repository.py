"""The repository of the backups: its address and password, its locks, and which backups stay in it."""

import json
import os
import re
import shlex
import shutil
import socket
import time

from appdir import users
from appdir.answers import APP_NAME, BACKUP_REPOSITORY
from appdir.core import APPDIR, ENV, Stop, reason, run

KEEP = ["--keep-within=2d", "--keep-daily=7", "--keep-weekly=5", "--keep-monthly=12"]
STATE = APPDIR / ".backup"  # what backups say of themselves, and how the last one went; in reach of who keeps them
UNPROVEN = "unproven"  # the tag of a snapshot that does not count yet
PATIENCE = 300  # seconds for which another restic may hold the repository


def read_environment():
    """Give restic the variables of restic.env, and the repository's address, unless the environment has them."""
    if not shutil.which("restic"):
        raise Stop("restic is missing; install it with: apt-get install restic")
    try:
        words = shlex.split((APPDIR / "restic.env").read_text(), comments=True)
    except FileNotFoundError:
        how = "restore it, or let ./setup.sh create one"
        raise Stop(f"restic.env, which has the repository's password, is missing; {how}") from None
    except ValueError as error:
        raise Stop(f"restic.env cannot be read, fix it by hand: {error}") from error
    for name, _, value in (word.partition("=") for word in words):
        os.environ.setdefault(name, value)
    if "RESTIC_REPOSITORY_FILE" not in os.environ:
        os.environ.setdefault("RESTIC_REPOSITORY", BACKUP_REPOSITORY)


def address():
    """Return the repository's address, without a user and password that may be in it."""
    return re.sub("//[^/@]*@", "//", os.environ.get("RESTIC_REPOSITORY") or os.environ["RESTIC_REPOSITORY_FILE"])


def restic(*args, cwd=APPDIR):
    """Run restic and return what it prints; if it refuses, Stop with its words."""
    done = run("restic", *args, cwd=cwd, close_fds=False)  # open files are left open for it: it holds the lock too
    if done.returncode:
        raise Stop(f"restic {args[0]}: {reason(done.stderr)}")
    return done.stdout


def local_path():
    """Return the path of the repository, or None if it is not on this machine; Stop if it is inside the env."""
    local = re.fullmatch("(?:local:)?([./].*)", os.environ.get("RESTIC_REPOSITORY", ""))
    path = (APPDIR / local[1]).resolve() if local else None
    if path and path.is_relative_to(ENV.resolve()):
        raise Stop(f"the repository {path} is inside the env, and would be lost with it; name another folder")
    return path


def make_local(init):
    """With `init`, create a repository on this machine, unless it exists; Stop at one that the servers could change.

    It gets its name only when it is complete, since restic cannot go on with half of one.
    """
    path = local_path()
    if not path:
        return
    if init and not (path / "config").exists():
        create(path)
    owner = path.stat().st_uid if path.exists() else None
    if users.is_apart() and owner == users.service_user().pw_uid:
        how = f"sudo chown -R root: {path}"
        raise Stop(f"{users.user(owner).pw_name}, as whom the servers run, can change the repository; run: {how}")


def create(path):
    """Create a repository at a path of this machine."""
    umask = os.umask(0o022)  # other users may pass through the folders above
    path.parent.mkdir(parents=True, exist_ok=True)
    os.umask(umask)
    draft = path.with_name(f".{path.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    restic("init", "--quiet", f"--repo={draft}")
    draft.rename(path)


def open_for_us(init):
    """Make sure that the repository can be opened and is not in use; `init` creates one that is elsewhere.

    Locks that a killed run left are removed: those that restic itself knows to be stale.
    """
    try:
        restic("unlock", "--quiet")
    except Stop as error:
        if "Is there a repository" not in str(error):
            raise
        if not init:
            how = "create it, once, with: ./backup.sh --init (or, if there was one, look whether its disk is mounted)"
            raise Stop(f"there is no repository at {address()}; {how}") from error
        restic("init", "--quiet")
    limit = time.monotonic() + PATIENCE
    while restic("list", "locks"):
        if time.monotonic() > limit:
            raise Stop(f"another restic is using {address()}; if there is none, run: restic unlock")
        time.sleep(1)
        restic("unlock", "--quiet")


def forget(tag):
    """Drop backups that are older than what KEEP says, and what others left that are not, or no longer, one."""
    mine = ["--json", f"--host={socket.gethostname()}"]
    groups = json.loads(restic("forget", *mine, f"--tag={APP_NAME},appdir", "--group-by=", *KEEP))
    kept = {name for group in groups for snapshot in group["keep"] for name in snapshot["tags"]}
    if tag not in kept:
        raise Stop("restic forget: the backup that was just taken is not in the repository")
    others = json.loads(restic("snapshots", *mine, *(f"--tag={APP_NAME},{kind}" for kind in ("database", UNPROVEN))))
    lost = [one["id"] for one in others if not any(name in kept for name in one["tags"] if name.startswith("run-"))]
    if lost:
        restic("forget", "--quiet", *lost)
    if lost or any(group["remove"] for group in groups):
        restic("prune", "--quiet")
