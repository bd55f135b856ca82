"""The servers and nightly jobs of the app on this system: installed or removed, started, stopped and shown."""

import os
import re
import shutil
import time
from pathlib import Path

from appdir import check, servers
from appdir.answers import APP_NAME, SERVICE_USER, SERVICES
from appdir.core import APPDIR, ENV, Stop, kept, reason, report, run, say
from appdir.users import may_become, require_owner, service_user, start_as

UNITS = Path("/etc/systemd/system")
CRON = Path("/etc/cron.d")
ACTIONS = ("install", "remove", "start", "stop", "restart", "status")
NOT_ROOT = "the servers must not run as root; name a service user: ./update.sh --data service_user=NAME"
NO_CRON = "cron is missing; install it with: apt-get install cron"
PATIENCE = 90  # seconds until the servers must be up, or down


def main(options):
    """Do one of ACTIONS, and look whether it came about."""
    action = options.action
    if action not in ACTIONS:
        raise Stop(f"say one of {', '.join(ACTIONS)}, not '{action or ''}'; see services.sh --help", 2)
    if action in ("install", "remove"):
        install(action == "install")
    elif SERVICES == "none" and action != "status":
        raise Stop("the answer services=none leaves the servers to you; see docs/operating.md of the template")
    elif action != "status":
        (control_units if SERVICES == "systemd" else supervise)(action)
    if action == "status" or (action not in ("remove", "stop") and SERVICES != "none"):
        wait_until_up(PATIENCE if action != "status" else 0)


def wait_until_up(seconds=PATIENCE):
    """Show what is up once all servers are and the login page answers; Stop if that takes too long."""
    limit = time.monotonic() + seconds
    while True:
        try:
            lines = [servers.look(servers.supervisor_status(), with_jobs=False), check.check_web()]
        except Stop as stop:
            if time.monotonic() > limit:
                raise Stop(f"not all servers are up: {stop}") from None
            time.sleep(1)
        else:
            for line in lines:
                say("services", line)
            return


def renew():
    """Let servers that run use what an update or upgrade changed, and start and stop parts that it turned on or off.

    Where only somebody else can do that, say so; nothing happens with --no-restart.
    """
    if report.no_restart:
        return
    if SERVICES != "supervisor" and (APPDIR / "log/supervisor.sock").exists():
        shutdown = f"{ENV}/bin/supervisorctl -s unix://{APPDIR}/log/supervisor.sock shutdown"
        say("services", f"supervisor is no longer what runs the servers; stop it with: {shutdown}")
    how = f"restart the servers, which still use what they loaded: {APPDIR}/services.sh restart"
    if SERVICES == "systemd":
        if not any(unit_is_active(name) for name in started_units()):
            return
        if os.geteuid() != 0:
            say("services", how.replace(f"{APPDIR}", f"sudo {APPDIR}").replace("restart", "install"))
            return
        kept("services", "restarting")
        install(True)
    elif SERVICES == "supervisor":
        if not may_become(service_user()):
            say("services", how.replace(f"{APPDIR}", f"sudo {APPDIR}"))
            return
        if not is_supervised():
            return
        kept("services", "restarting")
        supervise("restart")
    else:
        return
    wait_until_up()


def install(is_wanted):
    """Install, or remove: as root units and timers of systemd or cron jobs, or as the owner jobs in his own crontab."""
    owner, by_systemd = service_user(), SERVICES == "systemd"
    if owner.pw_uid == 0:
        raise Stop(NOT_ROOT)
    if not SERVICE_USER and by_systemd:
        how = "answer service_user=NAME, or services=supervisor, which needs no root"
        raise Stop(f"root does not run what {owner.pw_name} can change; {how}: see ./update.sh --help")
    if SERVICE_USER and APPDIR.stat().st_uid == owner.pw_uid:
        raise Stop(f"{owner.pw_name} can change the app dir, and so what root installs; run: sudo chown root {APPDIR}")
    if not by_systemd:
        install_jobs(owner, is_wanted)
        if SERVICES == "supervisor":
            supervise("restart" if is_wanted else "stop")
        return
    require_root(is_wanted)
    units = {path.name: path for path in servers.unit_files()}
    for path in put(UNITS, units if is_wanted else {}, owner.pw_name):
        if "@" not in path.name:  # which is a template that nothing keeps running
            systemctl("disable", "--now", path.name)
        path.unlink()
    systemctl("daemon-reload")
    if is_wanted and started_units():
        systemctl("enable", *started_units())
        systemctl("restart", *started_units())


def require_root(is_wanted):
    """Stop unless root runs this."""
    if os.geteuid() != 0:
        raise Stop(f"only root can do that: sudo {APPDIR}/services.sh {'install' if is_wanted else 'remove'}")


def install_jobs(owner, is_wanted):
    """Put the jobs of system/crontab into cron.d, or into the crontab of the owner, or remove them there."""
    source = APPDIR / "system/crontab"
    if SERVICE_USER:
        require_root(is_wanted)
        for path in put(CRON, {APP_NAME: source} if is_wanted else {}, owner.pw_name):
            path.unlink()
        return
    require_owner()
    if not shutil.which("crontab"):
        raise Stop(NO_CRON)
    if (system := CRON / APP_NAME).exists() and is_ours(system):
        raise Stop(f"{system} still runs the jobs, as an earlier version installed it; run: sudo rm {system}")
    listed = run("crontab", "-l")
    if listed.returncode and "no crontab for" not in listed.stderr:
        raise Stop(f"crontab: {listed.stderr.strip()}")
    before = listed.stdout
    mark, end = f"# Jobs of {APPDIR}", f"# End of {APPDIR}"
    text = re.sub(rf"(?ms)^{re.escape(mark)}$.*?^{re.escape(end)}\n", "", before)
    if is_wanted:
        jobs = filled_in(source, owner.pw_name).replace(f" {owner.pw_name} {APPDIR.parent}/", f" {APPDIR.parent}/")
        text += f"{mark}\n{jobs}{end}\n"
    if text != before:
        done = run("crontab", "-", input=text)
        if done.returncode or run("crontab", "-l").stdout != text:
            raise Stop(f"crontab did not take the jobs: {done.stderr.strip()}")


def filled_in(source, user):
    """Return a file of system/ with the paths of this app dir."""
    text = source.read_text().replace("@ENV@/..", str(ENV.parent))
    for word, value in {"@APPDIR@": APPDIR, "@ENV@": ENV, "@USER@": user}.items():
        text = text.replace(word, str(value))
    return text


def is_ours(path):
    """Return whether a file of the system was installed from this app dir."""
    return f"from {APPDIR}/system " in path.read_text(errors="replace")


def put(folder, wanted, user):
    """Write files of system/ into a folder of the system, with the paths of this app dir; return ours that are gone.

    `wanted` are the files by the name that they get there.  Nothing is written if one is that of another app dir.
    """
    if not folder.is_dir():
        raise Stop(NO_CRON)
    ours = [path for path in folder.glob(f"{APP_NAME}*") if path.is_file() and is_ours(path)]
    if others := [folder / name for name in wanted if (folder / name).exists() and folder / name not in ours]:
        raise Stop(f"{others[0]} does not come from this app dir; remove it, or answer another app_name")
    for name, source in wanted.items():
        draft = folder / f".{name}.new"
        draft.write_text(filled_in(source, user))
        draft.chmod(0o644)
        draft.replace(folder / name)
    return sorted(path for path in ours if path.name not in wanted)


def started_units():
    """Return the names of the units and timers that are started by themselves, not by a timer."""
    return sorted(path.name for path in servers.unit_files() if re.search("^WantedBy", path.read_text(), re.MULTILINE))


def unit_is_active(name):
    """Return whether a unit of systemd is active."""
    return run("systemctl", "--quiet", "is-active", name).returncode == 0


def control_units(action):
    """Start, stop or restart the units."""
    try:
        systemctl("--no-ask-password", action, *started_units())
    except Stop as stop:
        raise Stop(f"{stop}; try: sudo {APPDIR}/services.sh {action}") from None


def systemctl(*args):
    """Run systemctl; Stop if it fails."""
    done = run("systemctl", "--quiet", *args)
    if done.returncode:
        raise Stop(f"systemctl {args[0]}: {done.stderr.strip()}")


def supervisor(program, *args):
    """Run supervisord or supervisorctl as the user that runs the servers, and return the process."""
    command = [ENV / "bin" / program, "-c", APPDIR / "supervisor.conf", *args]
    return run(*start_as(service_user()), *command, cwd="/", stdin=-3)


def is_supervised():
    """Return whether the app's own supervisord runs."""
    if not (APPDIR / "log/supervisor.sock").exists():
        return False
    return supervisor("supervisorctl", "pid").stdout.strip().isdigit()


def supervise(action):
    """Start supervisord, or let it read its config again and restart all; or stop it, and wait for its end."""
    is_up = is_supervised()
    if action == "stop":
        if is_up and (done := supervisor("supervisorctl", "shutdown")).returncode:
            raise Stop(f"supervisorctl shutdown: {done.stdout.strip()}")
        limit = time.monotonic() + PATIENCE
        while (APPDIR / "log/supervisord.pid").exists() and is_up:
            if time.monotonic() > limit:
                raise Stop("supervisord does not end; see log/supervisord.log")
            time.sleep(0.2)
    elif is_up:
        for command in (["update"], ["restart", "all"] if action == "restart" else ["start", "all"]):
            supervisor("supervisorctl", *command)
    elif service_user().pw_uid == 0:
        raise Stop(NOT_ROOT)
    elif (done := supervisor("supervisord", "--silent")).returncode:
        raise Stop(f"supervisord does not start: {reason(done.stderr)}")
