"""Tell an operator what is wrong with the app; check.sh runs this.

Each check is a function that returns one line about what is well, or raises Wrong (somebody
has to act) or Unknown (it could not look, or nobody has to act now).
"""

import configparser
import datetime
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request

from appdir import APPDIR, CORE_CONFIG, load_config

DISK_FREE = 0.05  # of the volume: below that, databases and logs stop soon


class Wrong(Exception):
    """Something is wrong; the text says what, and what to do."""


class Unknown(Exception):
    """Nothing to act on at once; the text says what could not be seen, or waits."""


def config():
    """Every config loads with the software that reads it."""
    from check_config import refused

    if lines := refused():
        raise Wrong("; ".join(lines))
    return "every config loads"


def database():
    """The database answers, and its schema is the newest."""
    from alembic.config import Config
    from setup_database import revisions

    engine = load_config().appdb_engine
    current, heads = revisions(engine, Config(str(CORE_CONFIG)))
    if current != heads:
        raise Wrong("the schema is not the newest; run ./setup.sh, which migrates it")
    return f"{engine.url.render_as_string()} answers, its schema is the newest"


def modes():
    """Owner, group and mode of all are as setup.sh makes them."""
    from setup_modes import summary, wrong

    if found := wrong():
        raise Wrong(f"{summary(found)}; run ./setup.sh, which puts it right")
    return "owners and modes are right"


def disk():
    """The volumes of the app dir and its data have room."""
    lines = []
    for folder in (APPDIR, APPDIR / "data", APPDIR / "log"):
        usage = shutil.disk_usage(folder)
        lines.append(f"{usage.free / 1e9:.1f} GB ({usage.free / usage.total:.0%}) free on the volume of {folder}")
        if usage.free < DISK_FREE * usage.total:
            raise Wrong(f"only {lines[-1]}; make room")
    return lines[0]


def services():
    """The servers of the app are up, as says what runs them; where nothing does, their ports are open."""
    units = sorted(path.name for path in APPDIR.glob("system/*.*") if path.suffix in (".service", ".timer"))
    if units:
        done = run("systemctl", "is-active", *units)
        states = dict(zip(units, done.stdout.split(), strict=False))
        jobs = {name for name in units if "WantedBy" not in (APPDIR / "system" / name).read_text()}
        down = {name: state for name, state in states.items() if state != "active" and name not in jobs}
        down |= {name: state for name, state in states.items() if state == "failed"}
        hint = "see journalctl -u NAME; sudo ./services.sh install starts all"
    elif (APPDIR / "log/supervisor.sock").exists():
        done = run(APPDIR.parent / "bin/supervisorctl", "-c", APPDIR / "supervisor.conf", "status")
        states = dict(line.split()[:2] for line in done.stdout.splitlines() if "://" not in line)
        down = {name: state for name, state in states.items() if state not in ("RUNNING", "STARTING")}
        hint = "see log/NAME.out and log/supervisord.log; ../bin/supervisorctl -c supervisor.conf restart all"
    else:
        states = {f"port {port} of {name}": listens(port) for name, port in ports().items()}
        down = {name: "closed" for name, is_open in states.items() if not is_open}
        hint = "start them" + ": ../bin/supervisord -c supervisor.conf" * (APPDIR / "supervisor.conf").exists()
    if not states:
        raise Wrong(f"nothing tells of the servers: {(done.stderr or done.stdout).strip()}; {hint}")
    if down:
        raise Wrong(f"{', '.join(f'{name} is {state}' for name, state in down.items())}; {hint}")
    return f"up: {', '.join(states)}"


def run(*command):
    """Run a command in the app dir and return the finished process, with its output as text."""
    return subprocess.run(command, cwd=APPDIR, capture_output=True, text=True)


def ports():
    """Return the ports on which servers of the app listen, by name."""
    found = {}
    for name in ("web", "webapi"):
        if (APPDIR / f"{name}.conf").exists():
            found[name] = server(name)["port"]
    luigi = configparser.RawConfigParser()
    if (APPDIR / "supervisor.conf").exists() and luigi.read(APPDIR / "luigi/luigi.cfg"):
        found["luigid"] = luigi["core"]["scheduler_port"]
    return found


def server(name):
    """Return the section of a config that says where its server listens."""
    parser = configparser.ConfigParser(defaults={"here": str(APPDIR)})
    parser.read(APPDIR / f"{name}.conf")
    return parser["server:main"]


def listens(port):
    """Return whether somebody listens on a port of this machine."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", int(port))) == 0


def web():
    """The web server answers with its login page."""
    address = f"http://{server('web')['host']}:{server('web')['port']}/login"
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            page = answer.read()
    except OSError as error:
        raise Wrong(f"{address}: {error}; see log/web.log, and start the app") from error
    if b'name="username"' not in page:  # upstream answers errors with status 200, too
        raise Wrong(f"{address} shows no login form; see log/web.log")
    return f"{address} answers"


def overnight():
    """The last run of each overnight automation went well, and is not old."""
    lines = []
    for path in sorted(APPDIR.glob("luigitasks/overnight_*.py")):
        name = path.stem.removeprefix("overnight_")
        last = APPDIR / f"luigi/log/last-{name}"
        if not last.exists():
            raise Unknown(f"{name} has not run by overnight.sh yet")
        day, code = last.read_text().split()
        again = f"see luigi/log/luigi.log, then run ./overnight.sh {name} {day}"
        if code != "0":
            raise Wrong(f"{name} for {day} ended with code {code}; {again}")
        age = (datetime.date.today() - datetime.date.fromisoformat(day)).days
        if age > 2:
            raise Wrong(f"{name} ran last for {day}, {age} days ago; is cron or its timer on?")
        lines.append(f"{name} for {day} is done")
    return "; ".join(lines) or "there is none"


def backup():
    """The last backup went well, and is not old."""
    if not (APPDIR / "backup.sh").exists():
        return "there is none"
    last = APPDIR / "log/last-backup"
    if not last.exists():
        raise Unknown("there is none yet; make the first with ./backup.sh --init")
    time, text = last.read_text().strip().split(" ", 1)
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(time)
    if not text.startswith("done: "):
        raise Wrong(f"that of {time} {text}")
    if age > datetime.timedelta(days=2):
        raise Wrong(f"the last is of {time}, {age.days} days ago; is cron or its timer on?")
    return f"that of {time} is {text}"


def template():
    """The app dir is of the newest version of its template."""
    command = shutil.which(os.environ.get("COPIER") or "copier")
    if not command:
        raise Unknown("no command copier, so updates can't be seen; name it in COPIER")
    done = run(command, "check-update", "--output-format", "json")
    if done.returncode:
        raise Unknown(f"Copier could not look: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}")
    found = json.loads(done.stdout)
    if found["update_available"]:
        raise Unknown(f"version {found['latest_version']} waits, this is {found['current_version']}; run ./update.sh")
    return f"{found['current_version']} is the newest version"


# services first, since root asks systemd best, and whoever loads the config is root no more
CHECKS = [services, config, database, modes, disk, web, overnight, backup, template]


def look(check):
    """Run a check, and return its status (ok, unknown or FAILED) and its line."""
    try:
        return "ok", check()
    except Unknown as error:
        return "unknown", str(error)
    except Exception as error:  # whatever upstream raises is what is wrong
        return "FAILED", (str(error).splitlines() or [type(error).__name__])[0]


def main():
    """Run all checks, show them, and end with exit code 1 if one failed."""
    found = {check.__name__: look(check) for check in CHECKS}
    if "--json" in sys.argv:
        print(json.dumps([{"check": name, "status": status, "text": text} for name, (status, text) in found.items()]))
    else:
        for name, (status, text) in found.items():
            if status == "FAILED" or "--quiet" not in sys.argv:
                print(f"{name:<10} {status + ': ' if status != 'ok' else ''}{text}")
    sys.exit(any(status == "FAILED" for status, _ in found.values()))


main()
