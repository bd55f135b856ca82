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
        raise Stop(f"say install or remove, not '{options.action or ''}'; see services.sh --help", 2)
    owner = service_user()
    if os.geteuid() != 0:
        raise Stop(f"only root can do that: sudo {APPDIR}/services.sh {options.action}")
    if owner.pw_uid == 0:
        raise Stop("the servers must not run as root; name a service user: ./update.sh --data service_user=NAME")
    install, by_systemd = options.action == "install", SERVICES == "systemd"
    units = [*APPDIR.glob("system/*.service"), *APPDIR.glob("system/*.timer")]
    wanted = {path.name: path for path in units} if by_systemd else {APP_NAME: APPDIR / "system/crontab"}
    gone = put(UNITS if by_systemd else CRON, wanted if install else {}, owner.pw_name)
    if by_systemd:
        for path in gone:
            systemctl("disable", "--now", path.name)
            path.unlink()
        systemctl("daemon-reload")
        started = [path.name for path in units if re.search("^WantedBy", path.read_text(), re.MULTILINE)]
        if install and started:
            systemctl("enable", *started)
            systemctl("restart", *started)
    else:
        if SERVICES == "supervisor":
            supervise(install, owner.pw_name)
        for path in gone:
            path.unlink()


def put(folder, wanted, user):
    """Write files of system/ into a folder of the system, with the paths of this app dir; return ours that are gone.

    `wanted` are the files by the name that they get there.  Nothing is written if one is that of another app dir.
    """
    if not folder.is_dir():
        raise Stop(f"{folder} is missing; install cron with: apt-get install cron")
    mark, found = f"from {APPDIR}/system ", [path for path in folder.glob(f"{APP_NAME}*") if path.is_file()]
    ours = [path for path in found if mark in path.read_text(errors="replace")]
    if others := [folder / name for name in wanted if (folder / name).exists() and folder / name not in ours]:
        raise Stop(f"{others[0]} does not come from this app dir; remove it, or answer another app_name")
    for name, source in wanted.items():
        text = source.read_text().replace("@ENV@/..", str(ENV.parent))
        for word, value in {"@APPDIR@": APPDIR, "@ENV@": ENV, "@USER@": user}.items():
            text = text.replace(word, str(value))
        draft = folder / f".{name}.new"
        draft.write_text(text)
        draft.chmod(0o644)
        draft.replace(folder / name)
    return sorted(path for path in ours if path.name not in wanted)


def systemctl(*args):
    """Run systemctl; Stop if it fails."""
    done = run("systemctl", "--quiet", *args)
    if done.returncode:
        raise Stop(f"systemctl {args[0]}: {done.stderr.strip()}")


def supervise(install, user):
    """Start supervisor, or let it read its config again; or stop it: as the user that runs the servers."""

    def supervisor(program, *args):
        command = [ENV / "bin" / program, "-c", APPDIR / "supervisor.conf", *args]
        return run("runuser", "-u", user, "--", *command, cwd="/", stdin=-3)

    if not install:
        supervisor("supervisorctl", "shutdown")
    elif supervisor("supervisorctl", "update").returncode:
        done = supervisor("supervisord", "--silent")
        if done.returncode:
            raise Stop(f"supervisord does not start: {done.stderr.strip()}")
