"""The old app dir: what its configs say, and what the software of its env makes of them."""

import json
import os
import re
import shutil
import sys

from adopt import packages
from adopt.ini import read
from adopt.secrets import hide
from adopt.tools import PRIVATE, fail, git, last_line, run, user_name

WEB = {"web.conf": "app:web", "webapi.conf": "app:webapi"}  # where the template keeps what was [app:main]
CONFIGS = [*WEB, "quiet.conf", "silent.conf", "cron.conf", "datasync.conf", "filemon.conf"]
CONFIGS += ["luigi/luigi.cfg", "luigi/logging.conf"]
# asks the software of the env what the configs say, and touches neither logs nor database
ASK = """
import importlib, json, logging.config, sys
logging.config.fileConfig = lambda *args, **more: None
config = importlib.import_module(sys.argv[1]).make_config(sys.argv[2])
config.usedb = config.preferdb = False
values = {key: str(value) for key, value in config.configuration.as_dict().items()}
print(json.dumps([config.get_app().get_title(), values]))
"""


class OldApp:
    """What an app dir says before its adoption."""

    def __init__(self, appdir, framework):
        self.appdir, self.framework, self.core = appdir, framework, f"{framework}.conf"
        self.python = [appdir.parent / "bin/python", "-W", "ignore"]  # upstream's warnings
        self.configs = {name: read(appdir / name) for name in (self.core, *CONFIGS) if (appdir / name).is_file()}
        for name in (name for name in PRIVATE if (appdir / name).is_file()):
            read(appdir / name)  # refused now, before a value comes into it
        for name in (name for name in WEB if name in self.configs and not self.configs[name].has_section("app:main")):
            fail(f"{name} has no [app:main]; adopt.py knows no other way to serve an app")
        module = "rattail.config" if framework == "rattail" else "wuttjamaican.conf"
        done = run(*self.python, "-c", ASK, module, appdir / self.core, cwd=appdir.parent)
        if done.returncode:
            fail(f"{self.core} does not load in this env; fix that first: {hide(last_line(done.stderr))}")
        self.title, self.real = json.loads(last_line(done.stdout))

    def here(self, value):
        """Return a value with paths of the app dir, absolute or as seen from the env, written as %(here)s."""
        for path in {self.appdir, self.appdir.resolve()}:
            value = re.sub(rf"{re.escape(str(path))}(?![\w.-])", "%(here)s", value)
        return re.sub(rf"(^|['\",]\s*|sqlite:///){re.escape(self.appdir.name)}/(?=\w)", r"\1%(here)s/", value)

    def get(self, section, key, name=None):
        """Return a value of a config, of the core config if none is named, or an empty text."""
        parser = self.configs.get(name or self.core)
        return self.here(parser.get(section, key, fallback="")) if parser else ""


def check_place(appdir):
    """Refuse a folder that is not an app dir that we can change."""
    if not appdir.is_dir():
        fail(f"there is no folder {appdir}")
    if not any((folder / "bin/python").exists() for folder in (appdir.parent, packages.kept(appdir.parent))):
        fail(f"no {appdir.parent}/bin/python; the app dir must be the folder app/ of a virtualenv")
    if re.search(r"[^A-Za-z0-9/._@+-]", str(appdir)):
        fail(f"upstream cannot read config in {appdir}; use a path of A-Z a-z 0-9 / . _ @ + -")
    owner = appdir.stat().st_uid
    if owner != os.geteuid():
        name = user_name(owner)
        fail(f"the app dir belongs to {name}; run this as that user: sudo -u {name} uv run {' '.join(sys.argv)}")
    if not shutil.which("git"):
        fail("git is missing; install it with: apt-get install git")


def framework_of(appdir, service_user):
    """Return the framework of an app dir, or None if it is adopted; refuse one that cannot be adopted."""
    if (appdir / ".copier-answers.yml").exists():
        if not (appdir / "setup.sh").exists():
            fail(".copier-answers.yml is of another template; move it away first")
        return None
    found = [name for name in ("rattail", "wutta") if (appdir / f"{name}.conf").is_file()]
    if not found:
        fail(f"{appdir} has no rattail.conf and no wutta.conf; for a new app dir use copier copy")
    if found == ["rattail", "wutta"]:
        fail(f"{appdir} has rattail.conf and wutta.conf; move away the one that the app does not read")
    for folder in (appdir / name for name in ("data", "log", "cache")):
        if folder.exists() and not service_user and (uid := folder.stat().st_uid) != os.geteuid():
            name = user_name(uid)
            fail(f"{folder.name} belongs to {name}; give --data service_user={name}, or chown it")
    return found[0]


def check_git(appdir):
    """Refuse an app dir in git whose next commit would take in a secret, or edits that are the user's to commit."""
    if tracked := git(appdir, "ls-files", *PRIVATE, "restic.env"):
        names = " ".join(tracked.split())
        fail(f"git tracks {names}, where secrets come; run: git rm --cached {names}, and commit that")
    status = git(appdir, "status", "--porcelain", "--untracked-files=no", ".") or ""
    if edited := ", ".join(line[3:] for line in status.splitlines()):
        fail(f"not committed: {edited}; commit or stash that first")
