"""Runs a nightly job, as cron and systemd do, and lets somebody be told how it went."""

import signal
import subprocess
import sys

from appdir import alerts
from appdir.answers import APP_NAME, OVERNIGHT
from appdir.core import APPDIR, Stop, report
from appdir.users import become_keeper, become_owner

HOURS = {"overnight": 6, "backup": 6, "cleanup": 1, "check": 1}  # after which a job takes too long
NIGHTS = {f"overnight-{name}": ["./overnight.sh", "--quiet", name] for name in OVERNIGHT}
COMMANDS = NIGHTS | {name: [f"./{name}.sh", "--quiet"] for name in ("backup", "cleanup", "check")}


def main(options):
    """Run the job, or tell that systemd ended it."""
    name = options.name
    if name not in COMMANDS:
        raise Stop(f"say one of {', '.join(COMMANDS)}", 2)
    if name == "backup" and report.command == "job":
        become_keeper()
        alerts.folder_of(name).mkdir(mode=0o750, exist_ok=True)
    else:
        become_owner("log")
    if report.command == "job":
        run_job(name)
    elif not alerts.state_of(name).exists():  # else the job itself could still tell
        alerts.fail(name, "failed", f"systemd says so; see: journalctl -u {APP_NAME}-{name}", "failed")


def run_job(name):
    """Run the job, and end with its exit code; what it said is in job-NAME.out, and shown if it failed."""
    alerts.begin(name)
    output, hours = alerts.folder_of(name) / f"job-{name}.out", HOURS[name.partition("-")[0]]
    with output.open("wb") as file:
        signal.signal(
            signal.SIGALRM, lambda *_: alerts.fail(name, f"has run for {hours} hours, and goes on", "", "slow")
        )
        signal.setitimer(signal.ITIMER_REAL, hours * 3600)
        job = subprocess.run(COMMANDS[name], cwd=APPDIR, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        signal.setitimer(signal.ITIMER_REAL, 0)
    said = output.read_text(errors="replace")
    if not job.returncode:
        alerts.succeed(name)
        return
    # the last line of check.sh names the checks that failed: when others do, that is news
    kind = said.strip().rpartition("\n")[2] if name == "check" else "failed"
    if not alerts.fail(name, f"ended with exit code {job.returncode}", said, kind):
        print(said, end="", file=sys.stderr)  # which cron mails, and systemd keeps
    raise Stop("", abs(job.returncode))
