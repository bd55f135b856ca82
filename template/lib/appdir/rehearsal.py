"""Rehearses a restore: the newest backup comes into a temporary env and database, and the app is started there.

Only restore.sh of the backup itself is used, as it would be on a new machine.  What is temporary is removed at the end.
"""

import contextlib
import json
import os
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from appdir import dumps, repository
from appdir.answers import APP_NAME, WEB
from appdir.core import FLAGS, LIB, Stop, first_line, kept, load_config, note, reason, run
from appdir.users import run_as_owner

SUFFIX = "_rehearsal"


def main():
    """Rehearse, and say how that went."""
    repository.read_environment()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rehearsal-", ignore_cleanup_errors=True) as name, database() as url:
        Path(name).chmod(0o755)  # whoever runs the servers must come through
        found = restore(Path(name), url)
    minutes = (time.monotonic() - start) / 60
    note(seconds=round(minutes * 60), **{key: found[key] for key in ("snapshot_time", "newest_record")})
    page = "the login page answers, " if WEB else ""
    newest = f"the newest record is of {found['newest_record']}" if found["newest_record"] else "no record has a time"
    kept("rehearsal", f"the backup of {found['snapshot_time']} works: {page}{newest}; it took {minutes:.1f} minutes")


def restore(work, url):
    """Restore into a folder and start the app there; return what prove_restore found."""
    where = os.environ.get("RESTIC_REPOSITORY") or Path(os.environ["RESTIC_REPOSITORY_FILE"]).read_text().strip()
    if (local := repository.local_path()) is not None:
        where = str(local)
    kept("rehearsal", f"restoring the newest backup into {work}")
    script = repository.restic("dump", "--tag", f"{APP_NAME},appdir", "latest", "/restore.sh")
    (work / "restore.sh").write_text(script)
    variables = {"DATABASE_URL": url} if url else {}
    done = run("sh", work / "restore.sh", where, work / "env", cwd=work, env=os.environ | variables)
    if done.returncode:
        raise Stop(f"the backup cannot be restored: {reason(done.stderr)}")
    kept("rehearsal", "starting the app")
    command = [work / "env/bin/python", *FLAGS, LIB, "prove-restore", "--json"]
    done = run(*command, cwd=work, env=os.environ | {"APPDIR": str(work / "env/app")})
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise Stop(f"the restored app does not start: {reason(done.stderr or done.stdout)}") from None
    if not found["ok"]:
        raise Stop(f"the backup is restored, but {found['message']}")
    listed = repository.restic("snapshots", "--json", f"--tag={APP_NAME},appdir", "--latest=1")
    return found | {"snapshot_time": max(one["time"] for one in json.loads(listed))[:16]}


@contextlib.contextmanager
def database():
    """Create a database beside that of the app, and give its URL, or None with SQLite; drop it at the end."""
    url = dumps.app_url()
    if dumps.backend(url) == "sqlite":
        yield None
        return
    password = quote(url.password or "", safe="")
    text = url.set(database=url.database + SUFFIX, password="PASSWORD" if password else None)
    text = text.render_as_string(hide_password=False).replace(":PASSWORD@", f":{password}@")
    run_as_owner("log", execute, "drop database if exists {}", "create database {}")
    try:
        yield text
    finally:
        run_as_owner("log", execute, "drop database if exists {}")


def execute(*commands):
    """Run SQL about the temporary database, whose name stands for {}, in that of the app."""
    import sqlalchemy as sa

    engine = load_config().appdb_engine
    name = engine.dialect.identifier_preparer.quote(engine.url.database + SUFFIX)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for command in commands:
                connection.exec_driver_sql(command.format(name))
    except sa.exc.SQLAlchemyError as error:
        role = f'alter role "{engine.url.username}" createdb'
        how = f"; let its user create one: sudo -u postgres psql -c '{role}'" * (engine.dialect.name == "postgresql")
        raise Stop(f"no temporary database can be created: {first_line(error)}{how}") from error
