"""Takes a backup of the app while it runs.

A run makes two snapshots of restic with the same tag: first the dump of a PostgreSQL or MySQL
database, then the app dir, with a copy of each SQLite database.  Only the second one makes the
run count: restore.sh takes an app dir, and the dump of its run, and nothing else.

Where servers run as a user of their own, root keeps the backups: nothing of them is that user's to read
or change, and only child processes that have become him open the database, or write into his folders.
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

from appdir import database, packages, parts, rehearsal, repository, restore, saved_files
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
    run,
    stop_of,
    write,
)
from appdir.dumps import app_url, backend, tool
from appdir.repository import STATE, UNPROVEN, restic
from appdir.users import become_keeper, is_apart, run_as_owner, user

PARTS = 30  # of the repository's data, each day one is read again, so that all is read in a month
LEFT_OUT = {"log": ["log", "luigi/log"], "sessions": ["sessions"], "uploads": ["data/uploads"], "work": ["work"]}
COPIES = APPDIR / restore.COPIES
NOW = datetime.datetime.now(datetime.UTC)


def main(options):
    """Take a backup, and leave its result in .backup/last; or restore a part, or rehearse a restore of all."""
    become_keeper()
    if options.rehearse or options.restore:
        parts.main(options.restore, options.snapshot) if options.restore else rehearsal.main()
        return
    last, now = STATE / "last", f"{NOW:%Y-%m-%dT%H:%M:%S+00:00}"
    lock()
    STATE.mkdir(mode=0o750, exist_ok=True)
    try:
        text = take(options)
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


def take(options):
    """Take a backup, drop old ones, check the repository, and return a line about it."""
    repository.read_environment()
    repository.make_local(options.init)
    repository.open_for_us(options.init)
    tag = f"run-{NOW:%Y%m%dT%H%M%S}-{os.getpid()}"
    python = "# Python {}.{}\n".format(*sys.version_info)
    write(STATE / "requirements.txt", f"{python}{packages.freeze()}".encode(), 0o600)
    kept("backup", "copying databases")
    try:
        found = run_as_owner("data", copy_databases)
        if found["has_dump"]:
            save_dump(tag)
        write(STATE / "origin.json", json.dumps(machine() | {"database": found["server"]}).encode(), 0o600)
        summary = save_files(tag, vars(options)["with"], found["copied"])
    finally:
        run_as_owner("data", drop_copies)
    kept("backup", "checking the repository")
    repository.forget(tag)
    restic("check", "--quiet", f"--read-data-subset={NOW.toordinal() % PARTS + 1}/{PARTS}")
    size, new = (f"{summary[key] / 1e6:.1f} MB" for key in ("total_bytes_processed", "data_added"))
    files, snapshot, address = summary["total_files_processed"], summary["snapshot_id"], repository.address()
    note(snapshot=snapshot, files=files, bytes=summary["total_bytes_processed"], repository=address)
    return f"{files} files, {size}, {new} new, as {snapshot} in {address}"


def save(tags, *args, **process):
    """Start restic on making a snapshot, with these tags, and return its process; it writes lines of JSON."""
    command = ["restic", "backup", "--json", f"--tag={APP_NAME},{tags}", *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, close_fds=False, **process)


def drop_copies():
    """Remove the copies of SQLite databases, also those of an interrupted run."""
    shutil.rmtree(COPIES, ignore_errors=True)


def copy_databases():
    """Copy the app's database if it is SQLite, and those beside it, into COPIES.

    Return what server it has, whether a dump has to be made of it, and the paths in the app dir that were copied.
    """
    drop_copies()
    try:
        engine = load_config(usedb=False).appdb_engine
    except Exception as error:  # whatever upstream raises
        raise Stop(f"the config does not load, see ./check.sh: {first_line(error)}") from error
    url = engine.url
    if not database.revisions(engine)[0]:
        raise Stop(f"the database {url.render_as_string()} is missing or empty; {RESTORE}")
    copied = {*APPDIR.glob("data/*.sqlite"), *APPDIR.glob("luigi/*.sqlite")}
    if has_dump := backend(url) != "sqlite":
        tool(url, "dump")  # so that one that is missing is named before restic starts
    elif Path(url.database or "").is_relative_to(APPDIR):
        copied.add(Path(url.database))
    else:
        raise Stop(f"{url} is not in the app dir; move it into data/, and name it so in secrets.conf")
    for path in copied:
        copy_database(path, COPIES / path.relative_to(APPDIR))
    with engine.connect():
        server = f"{engine.dialect.name} {'.'.join(map(str, engine.dialect.server_version_info))}"
    names = [path.relative_to(APPDIR).as_posix() for path in copied]
    return {"server": server, "has_dump": has_dump, "copied": names}


def copy_database(path, copy):
    """Copy a SQLite database as it is at one moment."""
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


def save_dump(tag):
    """Pipe a dump into restic.  Its end comes only when the dump went well; else there is no snapshot."""
    end, pipe = os.pipe()
    problem = None
    with tempfile.TemporaryFile("w+") as errors:
        options = ["--quiet", "--stdin", "--stdin-filename=database.dump"]
        saved = save(f"database,{tag}", *options, stdin=end, stderr=errors)
        os.close(end)
        os.set_inheritable(pipe, True)
        try:
            run_as_owner("data", dump_into, pipe)
        except Stop as stop:
            problem = stop
            saved.send_signal(signal.SIGINT)
            saved.wait()
        os.close(pipe)
        saved.communicate()
        errors.seek(0)
        if problem and saved.returncode in (0, 130, -signal.SIGINT):
            raise problem
        if saved.returncode:
            raise Stop(f"restic backup: {reason(errors.read())}")


def dump_into(pipe):
    """Dump the app's database into a pipe."""
    command, environment = tool(app_url(), "dump")
    done = run(*command, capture_output=False, env=environment, stdout=pipe, stderr=subprocess.PIPE)
    if done.returncode:
        raise Stop(f"{command[0]}: {reason(done.stderr)}")


def save_files(tag, wanted, copied):
    """Save the app dir, and where its links lead; return restic's summary.

    `wanted` names parts that are left out otherwise, and `copied` are the databases that are saved as a copy.
    """
    root, owner = APPDIR.resolve(), user(APPDIR.stat().st_uid).pw_name
    out = [name for part, names in LEFT_OUT.items() if part not in wanted for name in names]
    state = root / STATE.name
    told = [f"!{state}/{name}" for name in ("requirements.txt", "origin.json")]
    patterns = ["__pycache__", f"{root}/.update", f"{state}/*", *told]
    for folder in map(saved_files.target, out):  # what is in it, but for the template's empty folders
        patterns += [f"{folder}/*", f"!{folder}/.gitkeep"]
        for path in folder.glob("*/.gitkeep"):
            patterns += [f"!{path.parent}", f"{path.parent}/*", f"!{path}"]
    for path in map(saved_files.place_of_database, copied):
        patterns += [f"{path}{end}" for end in ("", "-journal", "-shm", "-wal")]
    loud = sys.stdout.isatty() and not (report.quiet or report.json)
    options = [*(f"--exclude={pattern}" for pattern in patterns), *([] if loud else ["--quiet"])]
    with tempfile.TemporaryFile("w+") as errors:
        kind = UNPROVEN if is_apart() else "appdir"
        saved = save(f"{kind},{tag},owner-{owner}", *options, ".", *saved_files.links(out), cwd=root, stderr=errors)
        message = {}
        for line in saved.stdout:
            message = json.loads(line)
            if loud and message["message_type"] == "status":
                print(f"\r{message.get('bytes_done', 0) / 1e6:.0f} MB", end="", flush=True)
        print("\r" if loud else "", end="")
        errors.seek(0)
        lines = errors.read().splitlines()
    code = saved.wait()
    if "snapshot_id" in message:
        message["snapshot_id"] = saved_files.prove(message["snapshot_id"], tag)
    if code == 3:  # some files could not be read; one that is gone by now does not count
        items = [json.loads(line)["item"] for line in lines if line.startswith("{")]
        left = [item for item in items if os.path.lexists(item)]
        if left or not items:
            raise Stop(f"cannot read {', '.join(left[:5]) or 'some files'}; the backup has all but that")
    elif code:
        raise Stop(f"restic backup: {reason(chr(10).join(lines))}")
    return message
