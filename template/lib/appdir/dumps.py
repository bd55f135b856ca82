"""PostgreSQL's and MySQL's own tools, and how to run them.

A password reaches them by the environment or an open file, never as an argument.
"""

import os
import shutil

from sqlalchemy.engine import URL

from appdir.core import Stop

TOOLS = {  # the names of a tool, of which one is enough, and its options
    ("postgresql", "dump"): (["pg_dump"], ["--no-password", "--format=custom", "--compress=0"]),
    ("postgresql", "load"): (
        ["pg_restore"],
        ["--clean", "--if-exists", "--single-transaction", "--exit-on-error", "--no-owner", "--no-acl"],
    ),
    ("mysql", "dump"): (
        ["mariadb-dump", "mysqldump"],
        ["--single-transaction", "--quick", "--hex-blob", "--routines", "--events", "--no-tablespaces"],
    ),
    ("mysql", "load"): (["mariadb", "mysql"], []),
}
PACKAGES = {"postgresql": "postgresql-client", "mysql": "default-mysql-client"}


def backend(url):
    """Return which tools a database URL (of SQLAlchemy) needs: postgresql, mysql, or sqlite, which needs none."""
    return url.get_backend_name().replace("mariadb", "mysql")


def tool(url, action):
    """Return the command that does `action`, and its environment: dump to stdout, or load from stdin.

    Stop if there is none, with a text that says what to install.
    """
    kind = backend(url)
    if (kind, action) not in TOOLS:
        raise Stop(f"a database of {kind} cannot be backed up")
    names, options = TOOLS[kind, action]
    name = next(filter(shutil.which, names), None)
    if not name:
        raise Stop(f"{names[0]} is missing; install it with: apt-get install {PACKAGES[kind]}")
    if kind == "postgresql":
        where = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
        password = {"PGPASSWORD": url.password} if url.password else {}
        return [name, f"--dbname={where.render_as_string()}", *options], os.environ | password
    return [name, f"--defaults-extra-file=/dev/fd/{mysql_options(url)}", *options, url.database], os.environ.copy()


def mysql_options(url):
    """Return an open file, in memory, with what MySQL's tools must know of a URL."""
    socket = url.query.get("unix_socket")
    values = {"host": url.host, "port": url.port, "socket": socket, "user": url.username, "password": url.password}
    quoted = {key: str(value).replace("\\", "\\\\").replace('"', '\\"') for key, value in values.items() if value}
    handle = os.memfd_create("options", 0)  # 0: the tool inherits it
    os.fchmod(handle, 0o600)  # a file that others may write is ignored
    os.write(handle, "\n".join(["[client]", *(f'{key}="{value}"' for key, value in quoted.items()), ""]).encode())
    return handle
