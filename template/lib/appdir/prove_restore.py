"""Looks whether a restored app works, as a command of its own in its app dir: rehearsal.py calls it."""

import datetime
import re
import socket
import subprocess
import tempfile
import time

from appdir import check
from appdir.answers import WEB
from appdir.core import APPDIR, ENV, Stop, load_config, note
from appdir.users import run_as_owner, service_user, start_as

PATIENCE = 120  # seconds until the login page must answer


def main(_):
    """Look that the login page answers, and find the newest record of the database."""
    if WEB:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        config = APPDIR / "web.conf"
        config.write_text(re.sub(r"(?m)^port = \d+$", f"port = {port}", config.read_text()))
        command = [*start_as(service_user()), ENV / "bin/pserve", f"file+ini:{config}"]
        with tempfile.TemporaryFile("w+") as said:
            pipes = {"stdout": said, "stderr": said, "stdin": subprocess.DEVNULL}
            server = subprocess.Popen(list(map(str, command)), cwd=APPDIR, **pipes)
            try:
                wait_for_page(server, said)
            finally:
                server.terminate()
                server.wait()
    note(newest_record=run_as_owner("log", newest_record))


def wait_for_page(server, said):
    """Wait until the login page answers; Stop if it does not, or the server ends; `said` is the file of its output."""
    limit = time.monotonic() + PATIENCE
    while True:
        try:
            return check.check_web()
        except Stop as stop:
            if server.poll() is not None:
                said.seek(0)
                last = (said.read().strip().splitlines() or ["it did not say why"])[-1]
                raise Stop(f"the app does not start: {last}") from None
            if time.monotonic() > limit:
                raise Stop(f"the app does not answer: {stop}") from None
            time.sleep(0.5)


def newest_record():
    """Return the newest time, in UTC or as the app keeps it, that any table of the database holds, as text; or None."""
    import sqlalchemy as sa

    newest, now = None, datetime.datetime.now() + datetime.timedelta(days=1)  # what lies ahead is a plan, not a record
    engine = load_config().appdb_engine
    inspector = sa.inspect(engine)
    with engine.connect() as connection:
        for table in inspector.get_table_names():
            for column in inspector.get_columns(table):
                if isinstance(column["type"], sa.DateTime):
                    where = sa.table(table, sa.column(column["name"], sa.DateTime))
                    time_of = where.c[column["name"]]
                    found = connection.execute(sa.select(sa.func.max(time_of)).where(time_of < now)).scalar()
                    found = found.replace(tzinfo=None) if found else None
                    newest = max(filter(None, (newest, found)), default=None)
    return str(newest)[:16] if newest else None
