"""Who owns the app dir, who runs its servers, and how root becomes one of them."""

import functools
import os
import pwd
import shlex
import shutil
from types import SimpleNamespace

from appdir import call
from appdir.answers import SERVICE_USER
from appdir.core import APPDIR, ENV, Stop, report, run

# the environment variables that reach another user, beside LC_*: no secret is among them
PASSED = ("PATH", "LANG", "LANGUAGE", "TZ", "APPDIR", "APPDIR_ENV", "APPDIR_DEBUG")


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


def start_as(owner):
    """Return the start of a command that runs the rest as a user, without our terminal and environment.

    It is empty if we are that user; Stop if we may not become him.
    """
    if os.geteuid() == owner.pw_uid:
        return []
    kept = [f"{name}={value}" for name, value in os.environ.items() if name in PASSED or name.startswith("LC_")]
    clean = ["env", "-i", f"HOME={owner.pw_dir}", *kept]
    if os.geteuid() == 0:  # the environment is clean before the process is his, who can read it
        groups = "--clear-groups" if owner.pw_name.startswith("#") else "--init-groups"
        ids = [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", groups]
        return ["setsid", "--wait", *clean, "setpriv", *ids, "--pdeathsig=TERM"]
    require_sudo(owner.pw_name)
    return ["setsid", "--wait", "sudo", "-n", "-u", owner.pw_name, "--", *clean]


@functools.cache
def require_sudo(other):
    """Stop unless sudo lets us act as another user."""
    if not shutil.which("sudo") or run("sudo", "-n", "-u", other, "--", "true", cwd="/").returncode:
        name = user(os.geteuid()).pw_name
        rule = f"{name} ALL=({other}) NOPASSWD: ALL"
        raise Stop(f"{name} may not act as {other}; run {as_root()}, or give sudo the rule: {rule}")


def may_become(owner):
    """Return whether we may run a command as a user."""
    try:
        start_as(owner)
    except Stop:
        return False
    return True


def owner_of(folder):
    """Return the password entry of who owns a folder of the app dir.

    An app dir that an update checks lies in the live one, and its folders are those of the same users.
    """
    live = ENV / "app" / folder
    return user((live if live.exists() else APPDIR / folder).stat().st_uid)


def become_owner(folder):
    """Go on only as the user that owns a folder of the app dir, and could not change what we make.

    Others let him run the whole command, and end as that ends.
    """
    if start := start_as(owner_of(folder)):
        raise SystemExit(call.again(start))


def run_as_owner(folder, function, *args):
    """Return what a function of this package returns, run as the user that owns a folder of the app dir.

    What the function takes and returns must be JSON, and its Stop reaches us.
    """
    start = start_as(owner_of(folder))
    return call.elsewhere(start, function, args) if start else function(*args)
