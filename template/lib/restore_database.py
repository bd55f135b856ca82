"""Step of restore.sh: load the dump of a PostgreSQL or MySQL database, by the packages of the restored env."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa
from appdir import APPDIR, fail, load_config, say, write_new
from backup_tools import backend, reason, tool
from setup_secrets import SECRETS, database_url

STEP = "database"
# while it stands in a database, what is there comes from the restore that has its token
MARK = sa.Table("appdir_restore", sa.MetaData(), sa.Column("token", sa.String(64)))


def main():
    """Load the dump, unless the database is SQLite, which comes with the app dir."""
    plan = Path(sys.argv[1])
    _, dump, token = json.loads(plan.read_text())
    other = "--ask-database" in sys.argv or "DATABASE_URL" in os.environ
    engine = load_config(as_owner=False).appdb_engine
    if backend(engine.url) == "sqlite":
        if other:
            fail(STEP, "that of the backup is SQLite, and has come with the app dir; give no URL of another")
        return
    if not dump:
        fail(STEP, f"the backup has no dump; remove {APPDIR.parent} and try an older one, see: restic snapshots")
    if other:
        name_database(backend(engine.url))
        engine = load_config(as_owner=False).appdb_engine
    mark(engine, token)
    say(STEP, f"loading it into {engine.url.render_as_string()}")
    try:
        load(engine.url, dump)
    except LookupError as error:
        fail(STEP, error)
    (plan.parent / STEP).touch()
    MARK.drop(engine)


def name_database(kind):
    """Put another URL into secrets.conf, which must be of the same kind of database."""
    url = database_url()
    if backend(sa.engine.make_url(url.replace("%%", "%"))) != kind:
        fail(STEP, f"the backup is one of {kind}, so it can't come into another kind of database")
    text = SECRETS.read_text()
    old = re.search(r"^default\.url = (.*)$", text, re.MULTILINE)[1]
    write_new(SECRETS, text.replace(f" = {old}\n", f" = {url}\n").encode(), SECRETS.stat().st_mode & 0o777)


def mark(engine, token):
    """Mark an empty database as that of this restore; refuse one that holds anything else."""
    where = engine.url.render_as_string()
    try:
        with engine.begin() as connection:
            tables = set(sa.inspect(connection).get_table_names())
            found = connection.execute(sa.select(MARK.c.token)).scalar() if MARK.name in tables else None
            if found == token:
                return
            # MySQL keeps the table of a run that was cut off before it wrote its token
            if found or tables - {MARK.name}:
                fail(STEP, f"{where} holds tables, and nothing is ever overwritten; make an empty one, see --help")
            MARK.create(connection, checkfirst=True)
            connection.execute(MARK.insert().values(token=token))
    except sa.exc.SQLAlchemyError as error:
        why = reason(str(getattr(error, "orig", None) or error))
        fail(STEP, f"{where} does not answer: {why}; make it, or name another, see --help, and run this again")


def load(url, dump):
    """Pipe the dump out of the repository into the database; LookupError if its tools are missing."""
    command, environment = tool(url, "load")
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
        fetch = subprocess.Popen(["restic", "dump", dump, "/database.dump"], stdout=subprocess.PIPE, stderr=errors)
        done = subprocess.run(command, stdin=fetch.stdout, env=environment, stdout=said, stderr=said, close_fds=False)
        fetch.stdout.close()
        for code, name, file in ((done.returncode, command[0], said), (fetch.wait(), "restic dump", errors)):
            file.seek(0)
            if code:
                fail(STEP, f"{name}: {reason(file.read())}; mend that and run this again")


main()
