"""Restores one file or folder, or the database, into the app dir as it runs; what was there stays beside it."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from appdir import database, dumps, repository, services
from appdir.answers import APP_NAME, SERVICE_USER
from appdir.core import APPDIR, Stop, lock, note, reason, say
from appdir.permissions import is_his
from appdir.restore import COPIES, copies_in
from appdir.users import run_as_owner


def main(name, snapshot):
    """Restore the part `name`, a path in the app dir or the word database, from a snapshot, or the newest if None."""
    repository.read_environment()
    lock()
    before = f".before-{time.strftime('%Y-%m-%dT%H%M%S')}"
    ids = [snapshot] if snapshot else ["--latest=1"]
    found = json.loads(repository.restic("snapshots", "--json", f"--tag={APP_NAME},appdir", *ids))
    if not found:
        raise Stop(f"there is no such backup of {APP_NAME}; see: restic snapshots")
    chosen = max(found, key=lambda one: one["time"])
    url = dumps.app_url() if name == "database" else None
    if url is None or dumps.backend(url) == "sqlite":
        path = Path(url.database).relative_to(APPDIR) if url else Path(name)
        if url and SERVICE_USER and not is_his(path):
            raise Stop(f"{path} is no place for a database: the servers cannot write there; move it into data/")
        kept = bring(path, chosen["id"], before)
    else:
        kept = load(url, chosen, before)
    note(snapshot=chosen["short_id"], kept=str(kept or ""))
    aside = f"; what was there is now {kept}" if kept else ""
    say("restored", f"{name} of {chosen['time'][:16]} UTC{aside}")
    if url is not None:
        run_as_owner("log", database.migrate, False)
        services.renew()
        if services.SERVICES == "none":
            say("services", "restart the servers, which may still use the old database")


def bring(name, snapshot, before):
    """Bring a file or folder out of a snapshot; return the path of what was there, or None."""
    live = APPDIR / name
    if name.is_absolute() or ".." in name.parts or live == APPDIR:
        raise Stop(f"{name} is not a path in the app dir; name one, such as data/batches")
    # his folder, in which he may have led any path elsewhere
    is_written = is_his(name)
    draft = repository.STATE / "restoring"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    # a backup has a database that is in use as a copy, and what links lead to under its own path
    paths = [name, Path(str(live.parent.resolve() / live.name).lstrip("/"))]
    try:
        patterns = [re.sub(r"[][*?\\]", r"\\\g<0>", f"--include=/{path}") for path in (COPIES / name, *paths)]
        repository.restic("restore", snapshot, f"--target={draft}", *patterns)
        paths[:0] = [COPIES / name] * (name in copies_in(draft))
        found = (draft / path for path in paths if os.path.lexists(draft / path))
        source = next((path for path in found if path.parent.resolve().is_relative_to(draft.resolve())), None)
        if source is None:
            raise Stop(f"{name} is not in that backup; see what is: restic ls {snapshot[:8]}")
        source.rename(draft / "found")
        if not is_written:
            return put(str(draft / "found"), str(name), before)
        if os.geteuid() == 0:  # he may move what is his out of it
            owner = (APPDIR / "data").stat()
            os.chown(draft, owner.st_uid, owner.st_gid)
        return run_as_owner("data", put, str(draft / "found"), str(name), before)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def put(source, name, before):
    """Bring what was restored to its place, as root or the user whose folder that is; return what is beside it now."""
    live, owner = APPDIR / name, APPDIR.stat()
    for folder in [folder for folder in reversed(live.parents) if not folder.exists()]:
        folder.mkdir()
        if os.geteuid() == 0:
            os.chown(folder, owner.st_uid, owner.st_gid)
    for end in ("-journal", "-shm", "-wal", ""):  # of SQLite
        if os.path.lexists(f"{live}{end}"):
            os.rename(f"{live}{end}", f"{live}{before}{end}")
    near = tempfile.mkdtemp(prefix=".restoring-", dir=live.parent)  # on the volume of its place, which may be another
    os.rename(shutil.move(source, near), live)
    os.rmdir(near)
    return f"{name}{before}" if os.path.lexists(f"{live}{before}") else None


def load(url, chosen, before):
    """Load the dump of a snapshot into the database, after a dump of what is there; return the path of that."""
    tag = next(tag for tag in chosen["tags"] if tag.startswith("run-"))
    found = json.loads(repository.restic("snapshots", "--json", f"--tag={APP_NAME},database,{tag}"))
    if not found:
        raise Stop("that backup has no dump of the database; try an older one, see: restic snapshots")
    name = f"data/backup/database{before}.dump"
    run_as_owner("data", keep_dump, name)
    dumps.load(url, found[-1]["id"])
    return name


def keep_dump(name):
    """Dump the database as it is into a file of the app dir."""
    path = APPDIR / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    command, environment = dumps.tool(dumps.app_url(), "dump")
    with open(path, "xb") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, env=environment, close_fds=False)
    if done.returncode:
        path.unlink()
        raise Stop(f"the database cannot be dumped, so there would be no way back: {reason(done.stderr.decode())}")
