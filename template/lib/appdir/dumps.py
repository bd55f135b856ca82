"""Dumps of a PostgreSQL or MySQL database: how to run its own tools, and how a restore loads a dump.

A password reaches them by the environment or an open file, never as an argument.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import sqlalchemy as sa

from appdir.core import APPDIR, Stop, first_line, load_config, reason, report, run, say, write
from appdir.secretsconf import SECRETS, database_url
from appdir.users import run_as_owner

CLEAN = ["--clean", "--if-exists", "--single-transaction", "--exit-on-error", "--no-owner", "--no-acl"]
MYSQL = ["--single-transaction", "--quick", "--hex-blob", "--routines", "--events", "--no-tablespaces"]
TOOLS = {  # of a kind of database: the package; the names of a tool, of which one is enough, and its options
    "postgresql": {
        "package": "postgresql-client",
        "dump": (["pg_dump"], ["--no-password", "--format=custom", "--compress=0"]),
        "load": (["pg_restore"], CLEAN),
    },
    "mysql": {
        "package": "default-mysql-client",
        "dump": (["mariadb-dump", "mysqldump"], MYSQL),
        "load": (["mariadb", "mysql"], []),
    },
}
# while it exists in a database, what is there comes from the restore that has its token
MARK = sa.Table("appdir_restore", sa.MetaData(), sa.Column("token", sa.String(64)))


def backend(url):
    """Return which tools a database URL (of SQLAlchemy) needs: postgresql, mysql, or sqlite, which needs none."""
    return url.get_backend_name().replace("mariadb", "mysql")


def tool(url, action):
    """Return the command that does `action`, and its environment: dump to stdout, or load from stdin.

    Stop if there is none, with a text that says what to install.
    """
    kind = backend(url)
    if kind not in TOOLS:
        raise Stop(f"a database of {kind} cannot be backed up")
    names, options = TOOLS[kind][action]
    name = next(filter(shutil.which, names), None)
    if not name:
        raise Stop(f"{names[0]} is missing; install it with: apt-get install {TOOLS[kind]['package']}")
    if kind == "postgresql":
        where = sa.engine.URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
        password = {"PGPASSWORD": url.password} if url.password else {}
        return [name, f"--dbname={where.render_as_string()}", *options], os.environ | password
    values = {"host": url.host, "port": url.port, "socket": url.query.get("unix_socket")}
    values |= {"user": url.username, "password": url.password}
    quoted = {key: str(value).replace("\\", "\\\\").replace('"', '\\"') for key, value in values.items() if value}
    handle = os.memfd_create("options", 0)  # a file in memory; 0: the tool inherits it
    os.fchmod(handle, 0o600)  # one that others may write is ignored
    os.write(handle, "\n".join(["[client]", *(f'{key}="{value}"' for key, value in quoted.items()), ""]).encode())
    return [name, f"--defaults-extra-file=/dev/fd/{handle}", *options, url.database], os.environ.copy()


def main(options):
    """Load the dump of a restore, unless the database is SQLite, which comes with the app dir."""
    report.command = "restore"
    plan = Path(options.path)
    _, dump, token = json.loads(plan.read_text())
    other = options.ask_database or "DATABASE_URL" in os.environ
    url = app_url()
    kind = backend(url)
    if kind == "sqlite":
        if other:
            raise Stop("the backup has a SQLite database, restored with the app dir; give no URL of another")
        return
    if not dump:
        raise Stop(f"the backup has no dump; remove {APPDIR.parent} and try an older one, see: restic snapshots")
    if other:
        new = database_url(options.ask_database)
        if backend(sa.engine.make_url(new.replace("%%", "%"))) != kind:
            raise Stop(f"the backup is of a {kind} database, and cannot be loaded into another kind")
        text = SECRETS.read_text()
        old = re.search(r"^default\.url = (.*)$", text, re.MULTILINE)[1]
        write(SECRETS, text.replace(f" = {old}\n", f" = {new}\n").encode(), SECRETS.stat().st_mode & 0o777)
        url = app_url()
    run_as_owner("log", mark, token)
    say("database", f"loading it into {url.render_as_string()}")
    load(url, dump)
    (plan.parent / "database").touch()
    run_as_owner("log", unmark)


def app_url():
    """Return the URL (of SQLAlchemy) of the app's database, as the user that runs the servers reads it."""
    return sa.engine.URL.create(**run_as_owner("log", parts_of_url))


def parts_of_url():
    """Return the URL of the app's database as a dict."""
    url = load_config().appdb_engine.url
    return url._asdict() | {"query": dict(url.query)}


def mark(token):
    """Mark an empty database as that of this restore; refuse one that holds anything else."""
    engine = load_config().appdb_engine
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


def unmark():
    """Remove the mark: the database is complete."""
    MARK.drop(load_config().appdb_engine)


def load(url, dump):
    """Load the dump out of the repository into the database, as the user that runs the servers."""
    entries = None
    if backend(url) == "postgresql":
        lines = piped(dump, list_from).splitlines()
        extensions = [match[1] for line in lines if (match := re.search(r" EXTENSION - (\S+) $", line))]
        run_as_owner("log", create_extensions, [name for name in extensions if name != "plpgsql"])
        entries = "\n".join(line for line in lines if " EXTENSION " not in line)
    piped(dump, load_from, entries)


def create_extensions(names):
    """Create the extensions of a PostgreSQL database that are missing, before what needs them is loaded."""
    engine = load_config().appdb_engine
    for name in names:
        create = f'create extension if not exists "{name}"'
        try:
            with engine.begin() as connection:
                connection.exec_driver_sql(create)
        except sa.exc.SQLAlchemyError as error:
            how = f"sudo -u postgres psql -c '{create}' {engine.url.database}"
            raise Stop(f"the extension {name} is missing: {first_line(error)}; run {how} and then this again") from None


def piped(dump, function, *args):
    """Return what a function makes of the dump, which it gets as an open file, as the user that runs the servers."""
    with tempfile.TemporaryFile("w+") as errors:
        fetch = subprocess.Popen(["restic", "dump", dump, "/database.dump"], stdout=subprocess.PIPE, stderr=errors)
        with fetch.stdout as source:
            os.set_inheritable(source.fileno(), True)
            said = run_as_owner("log", function, source.fileno(), *args)
        if fetch.wait() and function is not list_from:  # a listing ends before the dump does, which restic notices
            errors.seek(0)
            raise Stop(f"restic dump: {reason(errors.read())}; fix that and run this again")
    return said


def list_from(source):
    """Return the list of what a dump of PostgreSQL holds, from an open file."""
    command, environment = tool(app_url(), "load")
    return feed([command[0], "--list"], environment, source)


def load_from(source, entries):
    """Load a dump from an open file: all of it, or the entries of a list of PostgreSQL."""
    command, environment = tool(app_url(), "load")
    with tempfile.NamedTemporaryFile("w", errors="surrogateescape") as wanted:
        if entries is not None:
            wanted.write(entries)
            wanted.flush()
            command.append(f"--use-list={wanted.name}")
        feed(command, environment, source)


def feed(command, environment, source):
    """Return what a command says that reads an open file; Stop if it fails."""
    done = run(
        *command, env=environment, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, capture_output=False
    )
    if done.returncode:
        raise Stop(f"{command[0]}: {reason(done.stdout)}; fix that and run this again")
    return done.stdout
