"""Take a backup of the app while it runs; backup.sh runs this.

A run makes two snapshots of restic with the same tag: first the dump of a PostgreSQL or MySQL
database, then the app dir, with a copy of each SQLite database.  Only the second one makes the
run count: restore.sh takes an app dir, and the dump of its run, and nothing else.
"""

import argparse
import contextlib
import datetime
import json
import os
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from appdir import APP_NAME, APPDIR, BACKUP_REPOSITORY, become_owner, fail, load_config, lock, say_kept, write_new
from backup_tools import backend, reason, tool

STEP = "backup"
KEEP = ["--keep-within=2d", "--keep-daily=7", "--keep-weekly=5", "--keep-monthly=12"]
PARTS = 30  # of the repository's data, each day one is read again, so that all is read in a month
PATIENCE = 300  # seconds for which another restic may hold the repository
LEFT_OUT = {"log": ["log", "luigi/log"], "sessions": ["sessions"], "uploads": ["data/uploads"], "work": ["work"]}
STATE = APPDIR / "data/backup"  # what a backup holds beside what is there anyway
COPIES = STATE / "sqlite"
RESULT = APPDIR / "log/last-backup"
NOW = datetime.datetime.now(datetime.UTC)


class Failed(Exception):
    """The backup failed; the text says why, and what to do."""


def main():
    """Take a backup, and leave its result in log/last-backup."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--with", dest="wanted", action="append", default=[])
    for name in ("--init", "--quiet"):
        parser.add_argument(name, action="store_true")
    options = parser.parse_args()
    lock(STEP)
    try:
        text = run(options)
    except (Failed, LookupError, OSError, sqlite3.Error) as error:
        text = str(error)
        with contextlib.suppress(OSError):  # on a full disk; the reason is shown all the same
            record("FAILED", text)
        fail(STEP, text)
    record("done", text)
    say_kept(STEP, f"done: {text}")


def run(options):
    """Take a backup, forget old ones, check the repository, and return a line about it."""
    read_environment()
    local = local_repository()
    if options.init and local and not (local / "config").exists():
        make_repository(local)
    become_owner("data")
    open_repository(options.init)
    tag = f"run-{NOW:%Y%m%dT%H%M%S}-{os.getpid()}"
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.rmtree(COPIES, ignore_errors=True)  # of a run that was cut off
    write_packages()
    try:
        save_database(tag)
        summary = save_files(tag, options.wanted)
    finally:
        shutil.rmtree(COPIES, ignore_errors=True)
    forget(tag)
    restic("check", "--quiet", f"--read-data-subset={NOW.toordinal() % PARTS + 1}/{PARTS}")
    size, new = (f"{summary[key] / 1e6:.1f} MB" for key in ("total_bytes_processed", "data_added"))
    return f"{summary['total_files_processed']} files, {size}, {new} new, as {summary['snapshot_id']} in {address()}"


def record(status, text):
    """Leave the result of this run for check.sh."""
    write_new(RESULT, f"{NOW:%Y-%m-%dT%H:%M:%S+00:00} {status}: {text}\n".encode(), 0o640)


# The repository


def read_environment():
    """Give restic the variables of restic.env, and the repository's address, unless the environment has them."""
    if not shutil.which("restic"):
        raise Failed("restic is missing; install it with: apt-get install restic")
    path = APPDIR / "restic.env"
    if not path.exists():
        raise Failed("no restic.env with the repository's password; run ./setup.sh, which makes it")
    try:
        variables = [word.partition("=") for word in shlex.split(path.read_text(), comments=True)]
    except ValueError as error:
        raise Failed(f"restic.env cannot be read, mend it by hand: {error}") from error
    for name, _, value in variables:
        os.environ.setdefault(name, value)
    if "RESTIC_REPOSITORY_FILE" not in os.environ:
        os.environ.setdefault("RESTIC_REPOSITORY", BACKUP_REPOSITORY)


def address():
    """Return the repository's address, without a user and password that may be in it."""
    return re.sub("//[^/@]*@", "//", os.environ.get("RESTIC_REPOSITORY") or os.environ["RESTIC_REPOSITORY_FILE"])


def restic(*args):
    """Run restic and return what it prints; if it refuses, that is Failed, with its words."""
    # open files are left open for it, so that it holds the lock too
    done = subprocess.run(["restic", *args], cwd=APPDIR, capture_output=True, text=True, close_fds=False)
    if done.returncode:
        raise Failed(f"restic {args[0]}: {reason(done.stderr)}")
    return done.stdout


def local_repository():
    """Return the path of the repository, or None if it is not on this machine."""
    local = re.fullmatch("(?:local:)?([./].*)", os.environ.get("RESTIC_REPOSITORY", ""))
    path = (APPDIR / local[1]).resolve() if local else None
    if path and path.is_relative_to(APPDIR.parent.resolve()):
        raise Failed(f"the repository {path} is inside the env, and would be lost with it; name another folder")
    return path


def open_repository(init):
    """Make sure that the repository can be opened, and nobody is at work in it; `init` makes one that is elsewhere.

    Locks go that a killed run left: those that restic itself knows to be of nobody.
    """
    try:
        restic("unlock", "--quiet")
    except Failed as error:
        if "Is there a repository" not in str(error):
            raise
        if not init:
            raise Failed(
                f"there is no repository at {address()}; make it, once, with: ./backup.sh --init"
                " (or, if there was one, look whether its disk is mounted)"
            ) from error
        restic("init", "--quiet")
    limit = time.monotonic() + PATIENCE
    while restic("list", "locks"):
        if time.monotonic() > limit:
            raise Failed(f"another restic is at work in {address()}; if there is none, run: restic unlock")
        time.sleep(1)
        restic("unlock", "--quiet")


def make_repository(path):
    """Make a local repository, under another name first, as restic can't go on in it; of root, for the service user."""
    umask = os.umask(0o022)  # other users may pass through the folders above
    path.parent.mkdir(parents=True, exist_ok=True)
    os.umask(umask)
    draft = path.with_name(f".{path.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    restic("init", "--quiet", f"--repo={draft}")
    if os.geteuid() == 0:
        owner = (APPDIR / "data").stat()
        for made in (draft, *draft.rglob("*")):
            os.chown(made, owner.st_uid, owner.st_gid)
    draft.rename(path)


def save(tags, *args, **process):
    """Start restic on making a snapshot, with these tags, and return its process; it writes lines of JSON."""
    command = ["restic", "backup", "--json", f"--tag={APP_NAME},{tags}", *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, close_fds=False, **process)


def forget(tag):
    """Drop backups that are older than what KEEP says, and dumps whose run is not, or no longer, a backup."""
    mine = ["--json", f"--host={socket.gethostname()}"]
    groups = json.loads(restic("forget", *mine, f"--tag={APP_NAME},appdir", "--group-by=", *KEEP))
    kept = {name for group in groups for snapshot in group["keep"] for name in snapshot["tags"]}
    if tag not in kept:
        raise Failed("restic forget: it does not know of the backup that it has just made")
    dumps = json.loads(restic("snapshots", *mine, f"--tag={APP_NAME},database"))
    lost = [dump["id"] for dump in dumps if not any(name in kept for name in dump["tags"] if name.startswith("run-"))]
    if lost:
        restic("forget", "--quiet", *lost)
    if lost or any(group["remove"] for group in groups):
        restic("prune", "--quiet")


# What goes into it


def write_packages():
    """Write down the Python version and the packages of the env."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "freeze", "--all"]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"pip freeze: {reason(done.stderr)}")
    version = ".".join(map(str, sys.version_info[:2]))
    write_new(STATE / "requirements.txt", f"# Python {version}\n{done.stdout}".encode(), 0o600)


def save_database(tag):
    """Dump the app's database into the repository, or copy it into STATE if it is SQLite; so, too, Luigi's history."""
    try:
        url = load_config().appdb_engine.url
    except Exception as error:  # whatever upstream raises
        raise Failed(f"the config does not load, see ./check.sh: {reason(str(error))}") from error
    if backend(url) != "sqlite":
        save_dump(tag, *tool(url, "dump"))
    elif not Path(url.database or "").is_relative_to(APPDIR):
        raise Failed(f"{url} is not in the app dir; move it into data/, and name it so in secrets.conf")
    for path in sqlite_databases(url):
        copy = COPIES / path.relative_to(APPDIR)
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (
            contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        shutil.copymode(path, copy)


def sqlite_databases(url):
    """Return the paths of the SQLite databases in the app dir: the app's, if its URL is of one, and those beside it."""
    own = [Path(url.database)] if backend(url) == "sqlite" else []
    return {*own, *APPDIR.glob("data/*.sqlite"), *APPDIR.glob("luigi/*.sqlite")}


def save_dump(tag, command, environment):
    """Pipe a dump into restic.  Its end comes only when the dump went well; else there is no snapshot."""
    end, pipe = os.pipe()
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
        dump = subprocess.Popen(command, env=environment, stdout=pipe, stderr=said, close_fds=False)
        saved = save(
            f"database,{tag}", "--quiet", "--stdin", "--stdin-filename=database.dump", stdin=end, stderr=errors
        )
        os.close(end)
        if dump.wait():
            saved.send_signal(signal.SIGINT)
            saved.wait()
        os.close(pipe)
        saved.communicate()
        said.seek(0)
        errors.seek(0)
        if dump.returncode and saved.returncode in (0, 130, -signal.SIGINT):
            raise Failed(f"{command[0]}: {reason(said.read())}")
        if saved.returncode:
            raise Failed(f"restic backup: {reason(errors.read())}")


def save_files(tag, wanted):
    """Save the app dir, and where its links lead; return restic's summary."""
    out = [name for part, names in LEFT_OUT.items() if part not in wanted for name in names]
    root = APPDIR.resolve()
    patterns = ["__pycache__", f"{root}/.update"]
    for name in out:
        patterns += all_but_placeholders((root / name).resolve())
    for copy in COPIES.rglob("*.*"):
        live = (APPDIR / copy.relative_to(COPIES)).resolve()
        patterns += [f"{live}{end}" for end in ("", "-journal", "-shm", "-wal")]
    loud = sys.stdout.isatty() and "--quiet" not in sys.argv
    with tempfile.TemporaryFile("w+") as errors:
        options = [*(f"--exclude={pattern}" for pattern in patterns), *([] if loud else ["--quiet"])]
        saved = save(f"appdir,{tag},owner-{APPDIR.owner()}", *options, ".", *links(out), cwd=root, stderr=errors)
        for line in saved.stdout:
            message = json.loads(line)
            if loud and message["message_type"] == "status":
                print(f"\r{message.get('bytes_done', 0) / 1e6:.0f} MB", end="", flush=True)
        print("\r" if loud else "", end="")
        errors.seek(0)
        lines = errors.read().splitlines()
    if saved.wait() == 3:  # some files could not be read; but one that is gone by now is none of ours
        items = [json.loads(line)["item"] for line in lines if line.startswith("{")]
        left = [item for item in items if os.path.lexists(item)]
        if left or not items:
            raise Failed(f"cannot read {', '.join(left[:5]) or 'some files'}; the backup has all but that")
    elif saved.returncode:
        raise Failed(f"restic backup: {reason(chr(10).join(lines))}")
    return message


def all_but_placeholders(folder):
    """Return the patterns that leave out what is in a folder, but for the empty folders of the template."""
    patterns = [f"{folder}/*", f"!{folder}/.gitkeep"]
    for path in folder.glob("*/.gitkeep"):
        patterns += [f"!{path.parent}", f"{path.parent}/*", f"!{path}"]
    return patterns


def links(out):
    """Return where links lead out of the app dir, as restic saves a link, not what is behind it.

    It looks at the app dir and the folders in it; `out` are the names of those that are left out.
    """
    root = APPDIR.resolve()
    targets = []
    for path in (path for depth in ("*", "*/*") for path in root.glob(depth) if path.is_symlink() and path.exists()):
        name, target = path.relative_to(root).as_posix(), path.resolve()
        if target.is_relative_to(root) or any(f"{name}/".startswith(f"{folder}/") for folder in out):
            continue
        if os.path.normpath(path.parent / os.readlink(path)) != str(target):
            raise Failed(f"{name} leads to {target} by more than one link; let it lead there at once")
        targets.append(target)
    return targets


main()
