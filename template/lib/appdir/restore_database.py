"""Loads the dump of a PostgreSQL or MySQL database, by the packages of the restored env."""

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

import sqlalchemy as sa

from appdir.core import APPDIR, Stop, first_line, load_config, reason, say, write
from appdir.dumps import backend, tool
from appdir.secretsconf import SECRETS, database_url

STEP = "database"
# while it exists in a database, what is there comes from the restore that has its token
MARK = sa.Table("appdir_restore", sa.MetaData(), sa.Column("token", sa.String(64)))


def main(options):
    """Load the dump, unless the database is SQLite, which comes with the app dir."""
    plan = Path(options.path)
    _, dump, token = json.loads(plan.read_text())
    other = options.ask_database or "DATABASE_URL" in os.environ
    engine = load_config().appdb_engine
    if backend(engine.url) == "sqlite":
        if other:
            raise Stop("the backup has a SQLite database, restored with the app dir; give no URL of another")
        return
    if not dump:
        raise Stop(f"the backup has no dump; remove {APPDIR.parent} and try an older one, see: restic snapshots")
    if other:
        name_database(backend(engine.url), options.ask_database)
        engine = load_config().appdb_engine
    mark(engine, token)
    say(STEP, f"loading it into {engine.url.render_as_string()}")
    load(engine.url, dump)
    (plan.parent / STEP).touch()
    MARK.drop(engine)


def name_database(kind, ask):
    """Put another URL into secrets.conf, which must be of the same kind of database."""
    url = database_url(ask)
    if backend(sa.engine.make_url(url.replace("%%", "%"))) != kind:
        raise Stop(f"the backup is of a {kind} database, and cannot be loaded into another kind")
    text = SECRETS.read_text()
    old = re.search(r"^default\.url = (.*)$", text, re.MULTILINE)[1]
    write(SECRETS, text.replace(f" = {old}\n", f" = {url}\n").encode(), SECRETS.stat().st_mode & 0o777)


def mark(engine, token):
    """Mark an empty database as that of this restore; refuse one that holds anything else."""
    where = engine.url.render_as_string()
    try:
        with engine.begin() as connection:
            tables = set(sa.inspect(connection).get_table_names())
            found = connection.execute(sa.select(MARK.c.token)).scalar() if MARK.name in tables else None
            if found == token:
                return
            # MySQL keeps the table of a run that was interrupted before it wrote its token
            if found or tables - {MARK.name}:
                raise Stop(f"{where} holds tables, and nothing is ever overwritten; name an empty one, see --help")
            MARK.create(connection, checkfirst=True)
            connection.execute(MARK.insert().values(token=token))
    except sa.exc.SQLAlchemyError as error:
        why = first_line(error)
        raise Stop(f"{where} does not answer: {why}; create it, or name another, see --help") from error


def load(url, dump):
    """Pipe the dump out of the repository into the database."""
    command, environment = tool(url, "load")
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
        fetch = subprocess.Popen(["restic", "dump", dump, "/database.dump"], stdout=subprocess.PIPE, stderr=errors)
        done = subprocess.run(command, stdin=fetch.stdout, env=environment, stdout=said, stderr=said, close_fds=False)
        fetch.stdout.close()
        for code, name, file in ((done.returncode, command[0], said), (fetch.wait(), "restic dump", errors)):
            file.seek(0)
            if code:
                raise Stop(f"{name}: {reason(file.read())}; fix that and run this again")
