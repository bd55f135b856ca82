"""secrets.conf: created once, and later only what a new part needs is added."""

import configparser
import functools
import getpass
import os
import re
import secrets
from urllib.parse import quote, unquote

from appdir import users
from appdir.answers import ALERTS, APP_NAME, FRAMEWORK, MAIL_USER, SESSIONS, WEB, WEB_API
from appdir.core import APPDIR, Stop, first_line, kept, say, would, write

SECRETS = APPDIR / "secrets.conf"
SQLITE = f"sqlite:///%(here)s/data/{APP_NAME}.sqlite"
HEADER = "# Made by setup.sh: yours to edit, never in git, private. Write each % as %%.\n"


def normalize(url):
    """Return a database URL as SQLAlchemy reads it, whatever is in its password.

    A password may be written as it is, or URL-encoded; where it could be both,
    as in `a%41`, it counts as URL-encoded.  Raises ValueError if the URL is none.
    """
    match = re.fullmatch(r"([a-z]+(?:\+[a-z0-9_]+)?)://(?:([^:@/]*)(?::(.*))?@)?([^@]*)", url)
    if not match:
        raise ValueError("not a database URL such as postgresql://user:password@localhost/poser")
    scheme, user, password, rest = match.groups()
    login = ""
    if user is not None:
        login = quote(unquote(user), safe="")
        if password is not None:
            encoded = not re.search(r"%(?![0-9A-Fa-f]{2})", password)
            login += ":" + quote(unquote(password) if encoded else password, safe="")
        login += "@"
    if scheme in ("postgres", "postgresql"):
        scheme = "postgresql+psycopg2"  # the driver of requirements.txt; SQLAlchemy's own default changed
    return f"{scheme}://{login}{rest}"


def database_url(ask):
    """Return the database URL as secrets.conf holds it, after a try to connect to it; `ask` for it, without an echo."""
    if ask:
        try:
            given = getpass.getpass("Database URL (not shown, empty for SQLite): ").strip()
        except EOFError:
            raise Stop("there is no terminal to ask on; set the environment variable DATABASE_URL instead") from None
    else:
        given = os.environ.get("DATABASE_URL", "").strip()
    if not given:
        return SQLITE
    try:
        url = normalize(given)
    except ValueError as error:
        raise Stop(f"the URL given is {error}") from None
    if problem := users.run_as_owner("data", connection_problem, url):
        raise Stop(f"the database does not answer at the URL given: {problem}")
    return url.replace("%", "%%")


def connection_problem(url):
    """Return in one line why a database does not answer, or an empty text if it does."""
    import sqlalchemy as sa

    try:
        sa.create_engine(url).connect().close()
    except (ImportError, ValueError, sa.exc.SQLAlchemyError) as error:
        return first_line(error)
    return ""


def wanted(ask):
    """Return what secrets.conf must hold: a function for each value, by section and key."""
    redis = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0").replace("%", "%%")
    url = functools.cache(lambda: database_url(ask))  # asked for once
    stores = {"redis": lambda: redis, "database": url}
    found = {f"{FRAMEWORK}.db": {"default.url": url}}
    for name in ["web"] * WEB + ["webapi"] * WEB_API:
        use = f"config:{name}.conf#{name}"
        found[f"app:{name}"] = {"use": lambda use=use: use, "beaker.session.secret": lambda: secrets.token_hex(32)}
    if SESSIONS in stores:
        found["app:web"]["beaker.session.url"] = stores[SESSIONS]
    if ALERTS in ("heartbeat", "both"):
        found["alerts"] = {"heartbeat.url": lambda: os.environ.get("HEARTBEAT_URL", "").replace("%", "%%")}
    if MAIL_USER:
        found[f"{FRAMEWORK}.mail"] = {"smtp.password": lambda: os.environ.get("MAIL_PASSWORD", "").replace("%", "%%")}
    return found


def complete(ask=False):
    """Add to secrets.conf what is missing in it; what is there stays as it is."""
    text = SECRETS.read_text() if SECRETS.exists() else HEADER
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise Stop(f"secrets.conf cannot be read, fix it by hand: {error.message.splitlines()[0]}") from None
    missing = {
        section: {key: make for key, make in values.items() if not parser.has_option(section, key)}
        for section, values in wanted(ask).items()
    }
    keys = [key for values in missing.values() for key in values]
    if not keys:
        kept("secrets", "secrets.conf is complete" + "; edit it to change the database" * ask)
        return
    would("secrets", f"add to secrets.conf: {', '.join(keys)}")
    for section, values in missing.items():
        lines = "".join(f"{key} = {make()}\n" for key, make in values.items())
        if lines and not parser.has_section(section):
            text += f"\n[{section}]\n{lines}"
        elif lines:
            end = re.search(rf"^\[{re.escape(section)}\].*$", text, re.MULTILINE).end()
            text = f"{text[:end]}\n{lines.rstrip()}{text[end:]}"
    write(SECRETS, text.encode(), 0o600)
    say("secrets", f"added to secrets.conf: {', '.join(keys)}")


def main(_):
    """Complete it, as a command of its own: an update does so for the new version."""
    complete()
