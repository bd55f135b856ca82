"""Installs the servers and nightly jobs of the app on this system, or removes them."""

import os
import re
from pathlib import Path

from appdir.answers import APP_NAME, SERVICES
from appdir.core import APPDIR, ENV, Stop, run
from appdir.users import service_user

UNITS = Path("/etc/systemd/system")
CRON = Path("/etc/cron.d")


def main(options):
    """Install or remove, as root."""
    if options.action not in ("install", "remove"):
        raise Stop(f"say install or remove, not '{options.action}'; see services.sh --help", 2)
    owner = service_user()
    if os.geteuid() != 0:
        raise Stop(f"only root can do that: sudo {APPDIR}/services.sh {options.action}")
    if owner.pw_uid == 0:
        raise Stop("the servers must not run as root; name a service user: ./update.sh --data service_user=NAME")
    install = options.action == "install"
    (systemd if SERVICES == "systemd" else cron)(install, owner.pw_name)


def is_ours(path):
    """Return whether a file of the system comes from this app dir."""
    return f"from {APPDIR}/system " in path.read_text(errors="replace")


def check_free(path):
    """Refuse to overwrite the file of another app dir."""
    if path.exists() and not is_ours(path):
        raise Stop(f"{path} does not come from this app dir; remove it, or answer another app_name")


def put(source, target, user):
    """Write a file of system/ to the system, with the paths of this app dir in it."""
    text = source.read_text().replace("@ENV@/..", str(ENV.parent))
    for name, value in {"@APPDIR@": APPDIR, "@ENV@": ENV, "@USER@": user}.items():
        text = text.replace(name, str(value))
    draft = target.with_name(f"{target.name}.new")
    draft.write_text(text)
    draft.chmod(0o644)
    draft.replace(target)


def systemctl(*args):
    """Run systemctl; Stop if it fails."""
    done = run("systemctl", "--quiet", *args)
    if done.returncode:
        raise Stop(f"systemctl {args[0]}: {done.stderr.strip()}")


def systemd(install, user):
    """Install the units, or remove them, with those that the app dir no longer has."""
    ours = {path.name for path in UNITS.glob(f"{APP_NAME}-*") if is_ours(path)}
    wanted = [*APPDIR.glob("system/*.service"), *APPDIR.glob("system/*.timer")] if install else []
    for path in wanted:
        check_free(UNITS / path.name)
    for path in wanted:
        put(path, UNITS / path.name, user)
    for name in sorted(ours - {path.name for path in wanted}):
        systemctl("disable", "--now", name)
        (UNITS / name).unlink()
    systemctl("daemon-reload")
    started = [path.name for path in wanted if re.search("^WantedBy", path.read_text(), re.MULTILINE)]
    if started:
        systemctl("enable", *started)
        systemctl("restart", *started)


def cron(install, user):
    """Install the file of cron, and start supervisor where it runs the servers; or remove and stop them."""
    if not CRON.is_dir():
        raise Stop("/etc/cron.d is missing; install cron with: apt-get install cron")
    target = CRON / APP_NAME
    check_free(target)
    if install:
        put(APPDIR / "system/crontab", target, user)
        if SERVICES == "supervisor" and supervisor(user, "supervisorctl", "update").returncode:
            done = supervisor(user, "supervisord", "--silent")
            if done.returncode:
                raise Stop(f"supervisord does not start: {done.stderr.strip()}")
    else:
        if SERVICES == "supervisor":
            supervisor(user, "supervisorctl", "shutdown")
        target.unlink(missing_ok=True)


def supervisor(user, program, *args):
    """Run a program of supervisor as the user that runs the servers."""
    command = [ENV / "bin" / program, "-c", APPDIR / "supervisor.conf", *args]
    return run("runuser", "-u", user, "--", *command, cwd="/", stdin=-3)
