"""Who owns the app dir, who runs its servers, and how root becomes one of them."""

import json
import os
import pwd
import shlex
import shutil
import sys
from types import SimpleNamespace

from appdir import call
from appdir.answers import SERVICE_USER
from appdir.core import APPDIR, Stop, report, run

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


def become(owner):
    """Return the start of a command that runs the rest as a user, as far as we may do that; Stop if we may not."""
    if os.geteuid() == owner.pw_uid:
        return []
    if os.geteuid() == 0:
        return ["runuser", "-u", owner.pw_name, "--"]
    start = ["sudo", "-n", "-u", owner.pw_name, "--"]
    if not shutil.which("sudo") or run(*start, "true", cwd="/").returncode:
        name, other = user(os.geteuid()).pw_name, owner.pw_name
        rule = f"{name} ALL=({other}) NOPASSWD: ALL"
        raise Stop(f"{name} may not act as {other}; run {as_root()}, or give sudo the rule: {rule}")
    return start


def may_become(owner):
    """Return whether we may run a command as a user."""
    try:
        become(owner)
    except Stop:
        return False
    return True


def become_owner(folder):
    """Become for good the user that owns a folder of the app dir, who could not change what we make."""
    owner = user((APPDIR / folder).stat().st_uid)
    if os.geteuid() == owner.pw_uid:
        return
    if os.geteuid() != 0:
        started = list(map(str, [*become(owner), *call.command(*report.argv)]))
        os.chdir("/")
        os.execvp(started[0], started)
    os.setgroups([] if owner.pw_name.startswith("#") else os.getgrouplist(owner.pw_name, owner.pw_gid))
    os.setgid(owner.pw_gid)
    os.setuid(owner.pw_uid)
    os.environ["HOME"] = owner.pw_dir
    for name in os.environ.keys() - public().keys():
        del os.environ[name]
    if not os.access(sys.executable, os.X_OK):
        raise Stop(f"{owner.pw_name} cannot run {sys.executable}; make the env with a Python that all may run")


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

    For root this is a child process that has become that user for good, without a terminal; for others, one that sudo
    starts.  What the function takes and returns must be JSON, and its Stop reaches us.
    """
    owner = user((APPDIR / folder).stat().st_uid)
    if os.geteuid() == owner.pw_uid:
        return function(*args)
    if os.geteuid() != 0:
        return call.elsewhere(become(owner), function, args)
    end, pipe = os.pipe()
    sys.stdout.flush()
    if child := os.fork():
        os.close(pipe)
        with open(end) as answers:
            text = answers.read()
        os.waitpid(child, 0)
        if not text:
            raise Stop(f"the part that runs as {owner.pw_name} ended early; run this again")
        return call.value_of(json.loads(text))
    try:
        os.close(end)
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        answer = call.answer_of(as_owner, (folder, function, *args))
        sys.stdout.flush()
        os.write(pipe, json.dumps(answer).encode())
    finally:
        os._exit(0)


def as_owner(folder, function, *args):
    """Return what a function returns once this process has become the owner of a folder of the app dir."""
    become_owner(folder)
    return function(*args)
