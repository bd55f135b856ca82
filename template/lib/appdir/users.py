"""Who owns the app dir, who runs its servers, and how root becomes one of them."""

import json
import os
import pwd
import shlex
import sys
from types import SimpleNamespace

from appdir.answers import SERVICE_USER
from appdir.core import APPDIR, Stop, report, stop_of

private = {"RESTIC_", "AWS_"}  # how names of environment variables begin that only whoever keeps the backups may know


def user(uid):
    """Return the password entry of a user id; one without a name, as in a container, gets '#ID'."""
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return SimpleNamespace(pw_name=f"#{uid}", pw_uid=uid, pw_gid=APPDIR.stat().st_gid, pw_dir="/")


def service_user():
    """Return the password entry of the user that runs the servers; Stop if it is missing."""
    try:
        return pwd.getpwnam(SERVICE_USER) if SERVICE_USER else user(APPDIR.stat().st_uid)
    except KeyError:
        how = f"adduser --system --group {SERVICE_USER}"
        raise Stop(f"the user {SERVICE_USER} is missing; create it with: {how}") from None


def require_owner():
    """Stop unless the app dir belongs to whoever runs the command."""
    owner = user(APPDIR.stat().st_uid)
    if owner.pw_uid != os.geteuid():
        how = f"sudo -u {shlex.quote(owner.pw_name)} {APPDIR}/{report.command}.sh"
        raise Stop(f"the app dir belongs to {owner.pw_name}; run this as that user: {how}")


def is_apart():
    """Return whether the servers run as a user who cannot change the app dir."""
    return bool(SERVICE_USER) and APPDIR.stat().st_uid != service_user().pw_uid


def become_keeper():
    """Become who keeps the backups, out of reach of servers that are apart: root then, or else the owner."""
    if not is_apart():
        become_owner(".")
    elif os.geteuid() != 0:
        raise Stop(f"only root keeps the backups of an app whose servers run as {SERVICE_USER}: {as_root()}")


def as_root():
    """Return the command that runs this as root."""
    return f"sudo {APPDIR}/{report.command}.sh"


def become_owner(folder):
    """As root, become for good the user that owns a folder of the app dir, who could not change what root makes."""
    owner = user((APPDIR / folder).stat().st_uid)
    require_access(folder, owner)
    if os.geteuid() != 0 or owner.pw_uid == 0:
        return
    os.setgroups([] if owner.pw_name.startswith("#") else os.getgrouplist(owner.pw_name, owner.pw_gid))
    os.setgid(owner.pw_gid)
    os.setuid(owner.pw_uid)
    os.environ["HOME"] = owner.pw_dir
    for name in os.environ.keys() - public().keys():
        del os.environ[name]
    if not os.access(sys.executable, os.X_OK):
        raise Stop(f"{owner.pw_name} cannot run {sys.executable}; make the env with a Python that all may run")


def require_access(folder, owner):
    """Stop if whoever runs this may not work in a folder of the app dir, which belongs to `owner`."""
    if os.geteuid() not in (0, owner.pw_uid) and not os.access(APPDIR / folder, os.R_OK | os.X_OK):
        raise Stop(f"{APPDIR / folder} belongs to {owner.pw_name}; run this as {owner.pw_name} or root: {as_root()}")


def public():
    """Return the environment without what the servers must not know."""
    return {name: value for name, value in os.environ.items() if not name.startswith(tuple(private))}


def as_service_user():
    """Return options with which root runs a process as the user that runs the servers, and without our secrets."""
    owner = service_user()
    if os.geteuid() != 0 or owner.pw_uid == 0:
        return {}
    groups = os.getgrouplist(owner.pw_name, owner.pw_gid)
    return {
        "user": owner.pw_uid,
        "group": owner.pw_gid,
        "extra_groups": groups,
        "env": public() | {"HOME": owner.pw_dir},
    }


def run_as_owner(folder, function, *args):
    """Return what a function returns, run as the user that owns a folder of the app dir.

    As root this is a child process that has become that user for good, without a terminal; what the
    function returns must be JSON, and its Stop reaches us.
    """
    owner = (APPDIR / folder).stat().st_uid
    require_access(folder, user(owner))
    if os.geteuid() != 0 or owner == 0:
        return function(*args)
    end, pipe = os.pipe()
    sys.stdout.flush()
    if child := os.fork():
        os.close(pipe)
        with open(end) as answers:
            text = answers.read()
        os.waitpid(child, 0)
        if not text:
            raise Stop(f"the part that runs as {user(owner).pw_name} ended early; run this again")
        answer = json.loads(text)
        report.lines += answer["lines"]
        report.facts |= answer["facts"]
        if "stop" in answer:
            raise Stop(answer["stop"], answer["code"], **answer["stop_facts"])
        return answer["value"]
    try:
        os.close(end)
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        report.lines, report.facts = [], {}
        try:
            become_owner(folder)
            answer = {"value": function(*args)}
        except Exception as error:  # whatever upstream raises
            stop = stop_of(error)
            answer = {"stop": str(stop), "code": stop.code, "stop_facts": stop.facts}
        sys.stdout.flush()
        os.write(pipe, json.dumps(answer | {"lines": report.lines, "facts": report.facts}).encode())
    finally:
        os._exit(0)
