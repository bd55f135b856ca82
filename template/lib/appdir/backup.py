"""Takes a backup of the app while it runs.

A run makes two snapshots of restic with the same tag: first the dump of a PostgreSQL or MySQL
database, then the app dir, with a copy of each SQLite database.  Only the second one makes the
run count: restore.sh takes an app dir, and the dump of its run, and nothing else.
"""

import contextlib
import datetime
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

from appdir import database, packages, parts, rehearsal, repository
from appdir.answers import APP_NAME
from appdir.core import (
    APPDIR,
    RESTORE,
    Stop,
    first_line,
    kept,
    load_config,
    lock,
    machine,
    note,
    reason,
    report,
    stop_of,
    write,
)
from appdir.dumps import backend, tool
from appdir.repository import restic
from appdir.users import become_owner, user

PARTS = 30  # of the repository's data, each day one is read again, so that all is read in a month
LEFT_OUT = {"log": ["log", "luigi/log"], "sessions": ["sessions"], "uploads": ["data/uploads"], "work": ["work"]}
STATE = APPDIR / "data/backup"  # what a backup holds beside what is there anyway
COPIES = STATE / "sqlite"
NOW = datetime.datetime.now(datetime.UTC)


def main(options):
    """Take a backup, and leave its result in log/last-backup; or restore a part, or rehearse a restore of all."""
    if options.rehearse or options.restore:
        parts.main(options.restore, options.snapshot) if options.restore else rehearsal.main()
        return
    last, now = APPDIR / "log/last-backup", f"{NOW:%Y-%m-%dT%H:%M:%S+00:00}"
    lock()
    try:
        text = run(options)
    except Exception as error:  # whatever upstream raises
        stop = stop_of(error)
        record_failure(last, f"{now} FAILED: {stop}\n".encode())
        raise stop from error
    write(last, f"{now} done: {text}\n".encode(), 0o640)
    kept("backup", f"done: {text}")


def record_failure(last, line):
    """Let the result say that the backup failed: on a full disk in the place of the old one, which would say done."""
    try:
        write(last, line, 0o640)
    except OSError:
        with contextlib.suppress(OSError), open(last, "r+b") as file:
            file.write(line[: last.stat().st_size - 1] + b"\n")
            file.truncate()


def run(options):
    """Take a backup, drop old ones, check the repository, and return a line about it."""
    repository.read_environment()
    repository.make_local(options.init)
    become_owner("data")
    repository.open_for_us(options.init)
    tag = f"run-{NOW:%Y%m%dT%H%M%S}-{os.getpid()}"
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.rmtree(COPIES, ignore_errors=True)  # of an interrupted run
    python = "# Python {}.{}\n".format(*sys.version_info)
    write(STATE / "requirements.txt", f"{python}{packages.freeze()}".encode(), 0o600)
    try:
        save_database(tag)
        write(STATE / "origin.json", json.dumps(origin()).encode(), 0o600)
        summary = save_files(tag, vars(options)["with"])
    finally:
        shutil.rmtree(COPIES, ignore_errors=True)
    repository.forget(tag)
    restic("check", "--quiet", f"--read-data-subset={NOW.toordinal() % PARTS + 1}/{PARTS}")
    size, new = (f"{summary[key] / 1e6:.1f} MB" for key in ("total_bytes_processed", "data_added"))
    files, snapshot, address = summary["total_files_processed"], summary["snapshot_id"], repository.address()
    note(snapshot=snapshot, files=files, bytes=summary["total_bytes_processed"], repository=address)
    return f"{files} files, {size}, {new} new, as {snapshot} in {address}"


def origin():
    """Return what made this backup, as far as a restore can tell what differs: a name for each, and its version."""
    engine = load_config(usedb=False).appdb_engine
    with engine.connect():
        server = ".".join(map(str, engine.dialect.server_version_info))
    return {**machine(), "database": f"{engine.dialect.name} {server}"}


def save(tags, *args, **process):
    """Start restic on making a snapshot, with these tags, and return its process; it writes lines of JSON."""
    command = ["restic", "backup", "--json", f"--tag={APP_NAME},{tags}", *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, close_fds=False, **process)


def save_database(tag):
    """Dump the app's database into the repository, or copy it into STATE if it is SQLite; so, too, those beside it."""
    try:
        engine = load_config(usedb=False).appdb_engine
    except Exception as error:  # whatever upstream raises
        raise Stop(f"the config does not load, see ./check.sh: {first_line(error)}") from error
    url = engine.url
    if not database.revisions(engine)[0]:
        raise Stop(f"the database {url.render_as_string()} is missing or empty; {RESTORE}")
    copied = {*APPDIR.glob("data/*.sqlite"), *APPDIR.glob("luigi/*.sqlite")}
    if backend(url) != "sqlite":
        save_dump(tag, *tool(url, "dump"))
    elif Path(url.database or "").is_relative_to(APPDIR):
        copied.add(Path(url.database))
    else:
        raise Stop(f"{url} is not in the app dir; move it into data/, and name it so in secrets.conf")
    for path in copied:
        copy = COPIES / path.relative_to(APPDIR)
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (
            contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            try:
                source.backup(target)
                ((found, *_),) = target.execute("pragma integrity_check(1)")
            except sqlite3.DatabaseError as error:
                found = error
        if str(found) != "ok":
            raise Stop(f"{path} is damaged ({reason(found)}); {RESTORE}")
        shutil.copymode(path, copy)


def save_dump(tag, command, environment):
    """Pipe a dump into restic.  Its end comes only when the dump went well; else there is no snapshot."""
    end, pipe = os.pipe()
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
        dump = subprocess.Popen(command, env=environment, stdout=pipe, stderr=said, close_fds=False)
        options = ["--quiet", "--stdin", "--stdin-filename=database.dump"]
        saved = save(f"database,{tag}", *options, stdin=end, stderr=errors)
        os.close(end)
        if dump.wait():
            saved.send_signal(signal.SIGINT)
            saved.wait()
        os.close(pipe)
        saved.communicate()
        said.seek(0)
        errors.seek(0)
        if dump.returncode and saved.returncode in (0, 130, -signal.SIGINT):
            raise Stop(f"{command[0]}: {reason(said.read())}")
        if saved.returncode:
            raise Stop(f"restic backup: {reason(errors.read())}")


def save_files(tag, wanted):
    """Save the app dir, and where its links lead; return restic's summary."""
    root, owner = APPDIR.resolve(), user(APPDIR.stat().st_uid).pw_name
    out = [name for part, names in LEFT_OUT.items() if part not in wanted for name in names]
    patterns = ["__pycache__", f"{root}/.update"]
    for folder in ((root / name).resolve() for name in out):  # what is in it, but for the template's empty folders
        patterns += [f"{folder}/*", f"!{folder}/.gitkeep"]
        for path in folder.glob("*/.gitkeep"):
            patterns += [f"!{path.parent}", f"{path.parent}/*", f"!{path}"]
    for copy in COPIES.rglob("*.*"):
        live = (APPDIR / copy.relative_to(COPIES)).resolve()
        patterns += [f"{live}{end}" for end in ("", "-journal", "-shm", "-wal")]
    loud = sys.stdout.isatty() and not (report.quiet or report.json)
    options = [*(f"--exclude={pattern}" for pattern in patterns), *([] if loud else ["--quiet"])]
    with tempfile.TemporaryFile("w+") as errors:
        saved = save(f"appdir,{tag},owner-{owner}", *options, ".", *links(out), cwd=root, stderr=errors)
        for line in saved.stdout:
            message = json.loads(line)
            if loud and message["message_type"] == "status":
                print(f"\r{message.get('bytes_done', 0) / 1e6:.0f} MB", end="", flush=True)
        print("\r" if loud else "", end="")
        errors.seek(0)
        lines = errors.read().splitlines()
    if saved.wait() == 3:  # some files could not be read; one that is gone by now does not count
        items = [json.loads(line)["item"] for line in lines if line.startswith("{")]
        left = [item for item in items if os.path.lexists(item)]
        if left or not items:
            raise Stop(f"cannot read {', '.join(left[:5]) or 'some files'}; the backup has all but that")
    elif saved.returncode:
        raise Stop(f"restic backup: {reason(chr(10).join(lines))}")
    return message


def links(out):
    """Return where links lead out of the app dir, as restic saves a link, not what is behind it.

    It looks at the app dir and the folders in it; `out` are the names of those that are left out.
    """
    root, targets = APPDIR.resolve(), []
    for path in (path for depth in ("*", "*/*") for path in root.glob(depth) if path.is_symlink() and path.exists()):
        name, target = path.relative_to(root).as_posix(), path.resolve()
        if target.is_relative_to(root) or any(f"{name}/".startswith(f"{folder}/") for folder in out):
            continue
        if os.path.normpath(path.parent / os.readlink(path)) != str(target):
            raise Stop(f"{name} leads to {target} by more than one link; let it lead there at once")
        targets.append(target)
    return targets
