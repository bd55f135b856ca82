"""Checks the app, one line for each thing, and changes nothing.

Each check is a function that returns one line about what is well, or raises Stop (somebody
has to act) or Unknown (it could not look, or nobody has to act now).
"""

import datetime
import json
import os
import shutil
import subprocess
import urllib.request

from appdir import alerts, database, permissions, servers, users
from appdir.answers import FILEMON, WEB
from appdir.core import APPDIR, FRAMEWORK, RESTORE, Stop, first_line, load_config, note, report, run
from appdir.git import environment
from appdir.repository import STATE

DISK_FREE = 0.05  # of the volume: below that, databases and logs stop soon


class Unknown(Exception):
    """Nothing to act on at once; the text says what could not be seen, or waits."""


def check_config():
    """Every config loads with the software that reads it."""
    from appdir.check_config import refused

    if lines := refused():
        raise Stop("; ".join(lines))
    return "every config loads"


def check_database():
    """The database answers, and its schema is the newest."""
    engine = load_config().appdb_engine
    current, heads = database.revisions(engine)
    if not current:
        raise Stop(f"{engine.url.render_as_string()} is missing or empty; {RESTORE}")
    if current != heads:
        raise Stop("the schema is not the newest; run ./setup.sh, which migrates it")
    return f"{engine.url.render_as_string()} answers, its schema is the newest"


def check_permissions():
    """Owner, group and mode of everything are as setup.sh sets them."""
    permissions.check()
    return "permissions are correct"


def check_disk():
    """The volumes of the app dir and its data have room."""
    lines = []
    for folder in (APPDIR, APPDIR / "data", APPDIR / "log"):
        usage = shutil.disk_usage(folder)
        lines.append(f"{usage.free / 1e9:.1f} GB ({usage.free / usage.total:.0%}) free on the volume of {folder}")
        if usage.free < DISK_FREE * usage.total:
            raise Stop(f"only {lines[-1]}; make room")
    return lines[0]


def check_services():
    """The servers of the app are up, use what they would load now, and have their ports to themselves."""
    said = servers.supervisor_status()
    up, running = servers.look(said, with_jobs=True), servers.processes(said)
    if found := servers.taken_ports(running) + servers.stale(running):
        raise Stop("; ".join(found))
    return up


def check_web():
    """The web server answers with its login page."""
    if not WEB:
        return "there is none"
    where = servers.config("web")
    address = f"http://{where['host']}:{where['port']}/login"
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            page = answer.read(1_000_000)  # of the service user's, who may go on for ever
    except OSError as error:
        raise Stop(f"{address}: {error}; see log/web.log, and start the app") from error
    if b'name="username"' not in page:  # upstream answers errors with status 200, too
        raise Stop(f"{address} shows no login form; see log/web.log")
    return f"{address} answers"


def check_overnight():
    """The last run of each overnight automation went well, and is not old; the worst counts."""
    found = {"FAILED": [], "unknown": [], "ok": []}
    for path in sorted(APPDIR.glob("luigitasks/overnight_*.py")):
        status, text = last_night(path.stem.removeprefix("overnight_"))
        found[status].append(text)
    if found["FAILED"]:
        raise Stop("; ".join(found["FAILED"]))
    if found["unknown"]:
        raise Unknown("; ".join(found["unknown"]))
    return "; ".join(found["ok"]) or "there is none"


def last_night(name):
    """Return the status of an overnight automation, and a line about its last run."""
    last, recorded = APPDIR / f"luigi/log/last-{name}", night_of_rattail(name)
    day, code = last.read_text().split() if last.exists() else ("", "")
    if recorded and recorded >= day:  # a later night, or the same, went well
        day, code, ran = recorded, "0", datetime.date.fromisoformat(recorded) + datetime.timedelta(days=1)
    elif last.exists():
        ran = datetime.date.fromtimestamp(last.stat().st_mtime)  # its date may be an older one that was made up for
    else:
        return "unknown", f"{name} has not run yet"
    if code != "0":
        again = f"see luigi/log/luigi.log, then run ./overnight.sh {name} {day}"
        return "FAILED", f"{name} for {day} ended with code {code}; {again}"
    if (age := (datetime.date.today() - ran).days) > 2:
        return "FAILED", f"{name} ran last on {ran}, {age} days ago; is cron or its timer on?"
    return "ok", f"{name} for {day} is done"


def night_of_rattail(name):
    """Return the date, as text, of the last night that Rattail's own command ran and recorded, or None."""
    if FRAMEWORK != "rattail":
        return None
    return load_config().get("rattail.luigi", f"overnight.task.{name}.last_date", usedb=True)


def check_backup():
    """The last backup went well, and is not old."""
    last = STATE / "last"
    if not (APPDIR / "backup.sh").exists():
        return "there is none"
    if not last.exists():
        raise Unknown("none yet; take the first with ./backup.sh --init")
    time, text = last.read_text().strip().split(" ", 1)
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(time)
    if not text.startswith("done: "):
        raise Stop(f"that of {time} {text}")
    if age > datetime.timedelta(days=2):
        raise Stop(f"the last is of {time}, {age.days} days ago; is cron or its timer on?")
    return f"that of {time} is {text}"


def check_template():
    """The app dir is of the newest version of its template."""
    command = shutil.which(os.environ.get("COPIER") or "copier")
    if not command:
        raise Unknown("the copier command is missing, so updates are not checked; name it in COPIER")
    try:
        done = run(command, "check-update", "--output-format", "json", env=environment(), timeout=30)
    except subprocess.TimeoutExpired:
        raise Unknown("the address of the template does not answer") from None
    if done.returncode:
        raise Unknown(f"Copier could not look: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}")
    found = json.loads(done.stdout)
    if found["update_available"]:
        newest = found["latest_version"]
        note(latest_version=newest)
        raise Unknown(f"version {newest} is available, this is {found['current_version']}; run ./update.sh")
    return f"{found['current_version']} is the newest version"


def check_files():
    """Each file that a user dropped for the file monitor could be read."""
    if found := sorted(path.name for path in (APPDIR / "work/user-files/unreadable").glob("*")):
        raise Stop(f"work/user-files/unreadable has {', '.join(found)}; see log/filemon.log, and drop a better one")
    return "no unreadable file"


def check_alerts():
    """What jobs report has somewhere to go."""
    return alerts.check()


CHECKS = [check_services, check_permissions, check_disk, check_web, check_template]
# they load the app's code, or read what it wrote, so they run as the user that owns its logs
OF_THE_APP = [check_config, check_database, check_overnight, check_backup, check_alerts] + [check_files] * FILEMON


def look(check):
    """Run a check, show its line, and return its name, its status (ok, unknown or FAILED) and its line."""
    try:
        status, text = "ok", check()
    except Unknown as error:
        status, text = "unknown", str(error)
    except Exception as error:  # whatever upstream raises is what is wrong
        status, text = "FAILED", first_line(error)
    name = check.__name__.removeprefix("check_")
    if not report.json and (status == "FAILED" or not report.quiet):
        print(f"{name:<11} {status + ': ' if status != 'ok' else ''}{text}", flush=True)
    return [name, status, text]


def look_at_app():
    """Run the checks OF_THE_APP."""
    return [look(check) for check in OF_THE_APP]


def main(_):
    """Run all checks, and end with exit code 1 if one failed."""
    found = [look(check) for check in CHECKS]
    try:
        found += users.run_as_owner("log", look_at_app)
    finally:
        note(checks={name: {"status": status, "text": text} for name, status, text in found})
    if failed := [name for name, status, _ in found if status == "FAILED"]:
        raise Stop(f"failed: {', '.join(failed)}")
