"""Finds what of the operator's runs files of the app dir: cron, supervisor, systemd."""

import os
import re
import shutil
from pathlib import Path

from adopt.tools import fail, run, user_name

CRONTABS = "var/spool/cron/crontabs"
CRON = ("etc/crontab", "etc/cron.*/*", f"{CRONTABS}/*")
SERVICES = ("etc/supervisor/**/*.conf", "etc/supervisord*.conf", "etc/systemd/*/**/*.service")


def sources(appdir, places, root=Path("/")):
    """Return {name: text} of the readable files in some places of the system that name the env of an app dir."""
    paths = [path for place in places for path in sorted(root.glob(place)) if os.access(path, os.R_OK)]
    if places is SERVICES:
        paths += sorted(Path.home().glob(".config/systemd/user/*.service"))
    texts = {str(path): path.read_text(errors="replace") for path in paths if path.is_file()}
    if places is CRON and shutil.which("crontab"):
        texts[f"the crontab of {user_name(os.geteuid())}"] = run("crontab", "-l").stdout
    env = "|".join(re.escape(str(path.parent)) for path in {appdir, appdir.resolve()})
    return {name: text for name, text in texts.items() if re.search(rf"({env})(?![\w.-])", text)}


def starts_servers(appdir):
    """Return whether a supervisor of the system or systemd runs something of the app."""
    return bool(sources(appdir, SERVICES))


def calls(appdir, names, root=Path("/")):
    """Return (name, who) for each line of the system's files that runs one of these files of the app dir."""
    return [
        (name, who)
        for who, text in (sources(appdir, CRON, root) | sources(appdir, SERVICES, root)).items()
        for line in text.splitlines()
        for name in names
        if line.lstrip()[:1] not in ("", "#", ";") and re.search(rf"(^|[\s/'\"=:]){re.escape(name)}(?![\w.-])", line)
    ]


def check(draft, replace):
    """Refuse to replace a file that the operator's cron or services run, unless its name is in `replace`."""
    names = [name for name in draft.names if draft.replaces(name) and name not in draft.configs]
    for name in (name for name in replace if name not in names):
        fail(f"--replace {name}: the template replaces no file of yours with that name")
    for name, who in calls(draft.old.appdir, [name for name in names if name not in replace]):
        ways = f"rename yours here and there, or let the template's do its work with --replace {name}"
        fail(f"{who} runs {name}, and the template has its own: {ways}")
    scripts = [name for name in names if name.endswith(".sh") and name not in replace]
    if scripts and not os.access(Path("/", CRONTABS), os.R_OK):
        draft.hints.append(f"only root can read every crontab; if one runs {', '.join(scripts)}, see what they do now")
