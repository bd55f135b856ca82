"""Runs an overnight automation, by Luigi."""

import datetime
import os
import subprocess

from appdir import luigi
from appdir.answers import OVERNIGHT
from appdir.core import APPDIR, ENV, Stop, kept, run
from appdir.users import become_owner


def main(options):
    """Run it for a date, and leave its result for check.sh."""
    name = options.name or (OVERNIGHT or ["main"])[0]
    day = options.date or str(datetime.date.today() - datetime.timedelta(days=1))
    known = sorted(path.stem.removeprefix("overnight_") for path in APPDIR.glob("luigitasks/overnight_*.py"))
    if name not in known:
        raise Stop(f"luigitasks/overnight_{name}.py is missing; name one of: {', '.join(known)}", 2)
    try:
        day = f"{datetime.datetime.strptime(day, '%Y-%m-%d'):%Y-%m-%d}"
    except ValueError:
        raise Stop(f"'{day}' is not a date such as 2026-01-31", 2) from None
    become_owner("log")  # else root would own logs and markers
    scheduler = ["--scheduler-url", luigi.address()] if luigi.is_up() else ["--local-scheduler"]
    # upstream's warnings would be mailed by cron
    environment = os.environ | {"PYTHONPATH": str(APPDIR), "PYTHONWARNINGS": "ignore"}
    command = [ENV / "bin/luigi", "--module", f"luigitasks.overnight_{name}", "Overnight", "--date", day, *scheduler]
    quiet = {"capture_output": False, "stdout": subprocess.DEVNULL}
    kept("overnight", f"running {name} for {day}; luigi/log/luigi.log tells more")
    code = run(*command, cwd=APPDIR / "luigi", env=environment, **quiet).returncode
    (APPDIR / f"luigi/log/last-{name}").write_text(f"{day} {code}\n")
    if code:
        log = APPDIR / "luigi/log/luigi.log"
        raise Stop(f"{name} for {day} ended with code {code}; see {log}, then run it again", max(code, 1))
    kept("overnight", f"{name} for {day} is done")
