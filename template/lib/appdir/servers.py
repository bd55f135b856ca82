"""The servers of the app as they are now: which are up, where they listen, and what they loaded when they started."""

import configparser
import os
import re
import socket
import sysconfig
import time
from pathlib import Path

from appdir.answers import APP_NAME
from appdir.core import APPDIR, CORE_CONFIG, ENV, Stop, missing, run
from appdir.users import service_user, start_as, user

RESTART = "run ./services.sh restart"
LOADED = {"luigid": ("luigi/luigi.cfg", "luigi/logging.conf")}  # the others load their own config and the app's


def unit_files():
    """Return the units and timers of systemd that the app dir has, as paths."""
    return [path for path in sorted(APPDIR.glob("system/*")) if path.suffix in (".service", ".timer")]


def supervisor_status():
    """Return what the app's supervisor says of its programs as text, or None where none runs."""
    if not (APPDIR / "log/supervisor.sock").exists():
        return None
    try:
        start = start_as(service_user())
    except Stop:
        start = []  # supervisor then says that we may not ask it
    done = run(*start, ENV / "bin/supervisorctl", "-c", APPDIR / "supervisor.conf", "status", cwd="/")
    return done.stdout or done.stderr


def look(said, with_jobs):
    """Return a line about the servers, and `with_jobs` of systemd also about those; Stop names what is down.

    `said` is what supervisor_status() returned.
    """
    units = {path.name: path.read_text() for path in unit_files() if "@" not in path.name}
    supervisor = APPDIR / "supervisor.conf"
    own = f"{APP_NAME}-check.service"  # may be who looks, and fails as long as something else does
    if units and (done := run("systemctl", "is-active", *units)).stdout:  # it needs D-Bus to answer who is not root
        states = {name: now for name, now in zip(units, done.stdout.split(), strict=False) if name != own}
        idle = {name for name in units if "WantedBy" not in units[name]}  # jobs, which are only wrong when they failed
        wanted = {"active"}, {"active", "inactive", "activating"} if with_jobs else {*states.values()}
        down = {name: now for name, now in states.items() if now not in wanted[name in idle]}
        hint = "see journalctl -u NAME; sudo ./services.sh install starts all"
    elif said is not None:
        known = dict(line.split()[:2] for line in said.splitlines() if re.match(r"[\w.-]+:\S+ +[A-Z]+\b", line))
        programs = re.findall(r"(?m)^\[program:(\S+)\]", supervisor.read_text())  # it may have started before one came
        states = known and {f"{APP_NAME}:{name}": known.get(f"{APP_NAME}:{name}", "not started") for name in programs}
        down = {name: state for name, state in states.items() if state not in ("RUNNING", "STARTING")}
        hint = "see log/NAME.out and log/supervisord.log; ./services.sh restart"
    else:
        states = {f"port {port} of {name}": listens(name) for name, port in ports().items()}
        if not states and (units or not supervisor.exists()):
            return "none that listens on a port"
        states = states or {"supervisord": False}
        down = {name: "closed" for name, is_open in states.items() if not is_open}
        hint = "start them" + ": ./services.sh start" * supervisor.exists()
    if not states:
        raise Stop(f"the state of the servers is unknown: {(said or done.stderr).strip()}; {hint}")
    if down:
        raise Stop(f"{', '.join(f'{name} is {state}' for name, state in down.items())}; {hint}")
    return f"up: {', '.join(states)}"


def config(name):
    """Return the section of a config that says where its server listens."""
    parser = configparser.ConfigParser(defaults={"here": str(APPDIR)})
    if not parser.read(APPDIR / f"{name}.conf"):
        raise Stop(missing(f"{name}.conf"))
    return parser["server:main"]


def ports():
    """Return the ports on which servers of the app listen, by name."""
    return {name: config(name)["port"] for name in ("web", "webapi") if (APPDIR / f"{name}.conf").exists()}


def listens(name):
    """Return whether somebody listens where a server of the app should."""
    where = config(name)
    with socket.socket() as client:
        return client.connect_ex((where["host"], int(where["port"]))) == 0


def processes(said):
    """Return the process ids of the servers that supervisor or systemd runs, by name, such as web.

    `said` is what supervisor_status() returned.
    """
    if said:
        found = re.findall(rf"(?m)^\S+:{re.escape(APP_NAME)}-(\w+) +RUNNING +pid (\d+)", said)
        return {name: int(pid) for name, pid in found}
    names = [path.name for path in unit_files() if path.suffix == ".service"]
    shown = run("systemctl", "show", "--property=Id,MainPID", *names).stdout if names else ""
    found = [dict(line.split("=", 1) for line in part.splitlines()) for part in shown.split("\n\n") if part.strip()]
    pids = {one["Id"].removeprefix(f"{APP_NAME}-").removesuffix(".service"): int(one["MainPID"]) for one in found}
    return {name: pid for name, pid in pids.items() if pid}


def started(pid):
    """Return when a process started, in seconds since 1970, or None if it has ended."""
    try:
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]  # field 22 in proc(5)
    except OSError:
        return None
    age = float(Path("/proc/uptime").read_text().split()[0]) - int(ticks) / os.sysconf("SC_CLK_TCK")
    return time.time() - age


def stale(running):
    """Return a sentence for each server that uses what it loaded before that changed: config, code or packages.

    `running` is what processes() returned.
    """
    code = {
        "code": [*APPDIR.glob("lib/appdir/**/*.py"), *APPDIR.glob("poser/**/*.py")],
        "packages": [Path(sysconfig.get_path("purelib"))],
    }
    lines = []
    for name, pid in running.items():
        configs = LOADED.get(name, (f"{name}.conf", CORE_CONFIG.name, "secrets.conf"))
        parts = {part: [APPDIR / part] for part in configs} | ({} if name in LOADED else code)
        since = started(pid)
        changed = [part for part, paths in parts.items() if since and newest(paths) > since]
        lines += [f"{name} was started before {' and '.join(changed)} changed; {RESTART}"] * bool(changed)
    return lines


def newest(paths):
    """Return when the youngest of some files changed, of those that exist."""
    return max((path.stat().st_mtime for path in paths if path.exists()), default=0)


def taken_ports(running):
    """Return a sentence for each port of the app on which something else listens than its server.

    `running` is what processes() returned.
    """
    lines = []
    for name, port in ports().items() if running else ():
        for uid, pids in listeners(config(name)):
            if running.get(name) not in pids if pids else uid != service_user().pw_uid:
                who = f"process {min(pids)}" if pids else f"a process of {user(uid).pw_name}"
                lines.append(f"{who} has port {port} of {name}; stop it, or answer another port")
    return lines


def listeners(where):
    """Return who listens where a config says: a list of (uid, process ids, none if we may not see them)."""
    host = f"{int.from_bytes(socket.inet_aton(socket.gethostbyname(where['host'])), 'little'):08X}"
    found = {}
    for path in Path("/proc/net").glob("tcp*"):
        for line in path.read_text().splitlines()[1:]:
            _, local, _, state, _, _, _, uid, _, inode, *_ = line.split()  # see proc_pid_net(5)
            address, _, port = local.rpartition(":")
            if state == "0A" and int(port, 16) == int(where["port"]) and (address == host or not address.strip("0")):
                found[inode] = int(uid)
    files = list(Path("/proc").glob("[0-9]*/fd/*")) if found else []
    return [(uid, {int(path.parts[2]) for path in files if holds(path, inode)}) for inode, uid in found.items()]


def holds(path, inode):
    """Return whether a file in /proc/PID/fd is a socket."""
    try:
        return os.readlink(path) == f"socket:[{inode}]"
    except OSError:  # it has ended, or is another user's
        return False
