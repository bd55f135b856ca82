"""What the tests of backup and restore share: restic itself, a writer that never rests, a watch for secrets."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

from real.users import by

WRITER = """
from appdir.core import APPDIR, load_config
app = load_config().get_app()
folder = APPDIR / "data/batches/writer"
folder.mkdir(exist_ok=True)
number = 0
while True:
    number += 1
    (folder / f"{number}").write_text(f"{number}")
    with app.short_session(commit=True) as session:
        app.save_setting(session, f"writer.{number}", f"{number}")
    print(number, flush=True)
"""
READER = """
import sqlalchemy as sa
from appdir.core import load_config
engine = load_config().appdb_engine
with engine.connect() as connection:
    if engine.dialect.name == "sqlite":
        assert connection.exec_driver_sql("pragma integrity_check").scalar() == "ok"
    found = connection.execute(sa.text("select name from setting where name like 'writer.%' order by name"))
    print(" ".join(name.removeprefix("writer.") for name, in found))
"""
SCRIPTS = {"PYTHONPATH": "lib"}


def variables(app):
    """Return what restic needs to know of an app's repository, as environment variables."""
    password = re.search(r"^RESTIC_PASSWORD=(\S+)$", (app.dir / "restic.env").read_text(), re.MULTILINE)[1]
    return {"RESTIC_REPOSITORY": str(repository(app)), "RESTIC_PASSWORD": password}


def repository(app):
    """Return the path at which the default answer has an app's backups."""
    return app.env.parent / "backups/poser"


def restic(app, *args):
    """Run restic on an app's repository, and return what it prints; an error is an AssertionError that shows why."""
    return app.run("restic", *args, **variables(app)).stdout


def snapshots(app, tag="appdir"):
    """Return the snapshots in an app's repository that have a tag, oldest first."""
    return sorted(json.loads(restic(app, "snapshots", "--json", f"--tag={tag}")), key=lambda one: one["time"])


def run_of(snapshot):
    """Return the tag of the run that made a snapshot."""
    return next(tag for tag in snapshot["tags"] if tag.startswith("run-"))


def path_without(tmp_path, *names):
    """Return a PATH with all commands of this machine but these."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for source in ("/usr/local/bin", "/usr/bin", "/bin"):
        for path in os.scandir(source):
            if path.name not in names and not (folder / path.name).is_symlink():
                (folder / path.name).symlink_to(path.path)
    return str(folder)


def path_with(tmp_path, name, code):
    """Return a PATH on which a command is shell code; RESTIC stands for the real restic in it."""
    command = tmp_path / name
    command.write_text(f"#!/bin/sh\n{code.replace('RESTIC', shutil.which('restic'))}\n")
    command.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def script(app, code):
    """Return the command that runs Python code in an app's env, as the user that owns the logs."""
    command = [app.env / "bin/python", "-W", "ignore", "-c", code]
    return command if (app.dir / "log").stat().st_uid == os.getuid() else by((app.dir / "log").owner(), *command)


@contextlib.contextmanager
def writing(app):
    """Let records be written, each with a file, without a pause; gives a list of the numbers of those acknowledged."""
    command = script(app, WRITER)
    acknowledged = []
    process = subprocess.Popen(command, cwd=app.dir, env=os.environ | SCRIPTS, stdout=subprocess.PIPE, text=True)

    def listen():
        acknowledged.extend(int(line) for line in process.stdout)

    try:
        acknowledged.append(int(process.stdout.readline()))
        threading.Thread(target=listen, daemon=True).start()
        yield acknowledged
        assert process.poll() is None, "the writer ended by itself"
    finally:
        process.kill()
        process.wait()


def records(app):
    """Return the numbers of the writer's records in an app's database, which must be sound."""
    shown = app.run(*script(app, READER), **SCRIPTS).stdout
    return {int(word) for word in shown.split()}


def command_lines():
    """Return the command lines of all processes of this machine: a set of bytes."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.add(path.read_bytes())
    return found


@contextlib.contextmanager
def watching(*secrets):
    """Look at all command lines of this machine all the time; one that shows a secret is an AssertionError."""
    seen, over = set(), threading.Event()

    def watch():
        while not over.wait(0.02):
            seen.update(command_lines())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
    text = b"\n".join(seen)
    assert not [secret for secret in secrets if secret.encode() in text]
