"""Runs an overnight automation, by Luigi."""

import datetime
import os
import socket

from appdir.answers import LUIGI_PORT, OVERNIGHT
from appdir.core import APPDIR, ENV, Stop, kept, run
from appdir.users import become_owner


def main(options):
    """Run it for a date, and leave its result for check.sh."""
    name = options.name or (OVERNIGHT or ["main"])[0]
    day = options.date or str(datetime.date.today() - datetime.timedelta(days=1))
    if not (APPDIR / f"luigitasks/overnight_{name}.py").is_file():
        raise Stop(f"luigitasks/overnight_{name}.py is missing; name one of: {', '.join(automations())}", 2)
    try:
        if datetime.date.fromisoformat(day).isoformat() != day:
            raise ValueError
    except ValueError:
        raise Stop(f"'{day}' is not a date such as 2026-01-31", 2) from None
    become_owner("log")  # else root would own logs and markers
    # upstream's warnings would be mailed by cron
    environment = os.environ | {"PYTHONPATH": str(APPDIR), "PYTHONWARNINGS": "ignore"}
    command = [ENV / "bin/luigi", "--module", f"luigitasks.overnight_{name}", "Overnight", "--date", day]
    command += [] if scheduler_answers() else ["--local-scheduler"]
    code = run(*command, cwd=APPDIR / "luigi", capture_output=False, stdout=-3, env=environment).returncode
    (APPDIR / f"luigi/log/last-{name}").write_text(f"{day} {code}\n")
    if code:
        log = APPDIR / "luigi/log/luigi.log"
        raise Stop(f"{name} for {day} ended with code {code}; see {log}, then run it again", code if code > 0 else 1)
    kept("overnight", f"{name} for {day} is done")


def automations():
    """Return the names of all automations of this app dir."""
    return sorted(path.stem.removeprefix("overnight_") for path in APPDIR.glob("luigitasks/overnight_*.py"))


def scheduler_answers():
    """Return whether Luigi's scheduler runs."""
    with socket.socket() as client:
        client.settimeout(2)
        return client.connect_ex(("127.0.0.1", LUIGI_PORT)) == 0
