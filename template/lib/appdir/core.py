"""What all commands share: where the app dir is, how a command reports, its lock, and how it writes a file."""

import configparser
import fcntl
import importlib
import json
import os
import platform
import re
import subprocess
import sys
import traceback
from pathlib import Path

from appdir.answers import FRAMEWORK, SERVICE_USER

APPDIR = Path(os.environ.get("APPDIR") or Path(__file__).absolute().parents[2])
ENV = Path(os.environ.get("APPDIR_ENV") or APPDIR.parent)  # an update checks an app dir that is elsewhere
PYTHON = ENV / "bin/python"
LIB = Path(__file__).absolute().parents[1]  # in an update, that of the new version
FLAGS = ("-I", "-B", "-X", "utf8", "-W", "ignore")  # as lib/run has them: no Python of the caller, nothing written
RESTORE = "restore it from a backup, see ./restore.sh --help"
CORE_CONFIG = APPDIR / f"{FRAMEWORK}.conf"


class Stop(Exception):
    """The command cannot go on: `text` says in one line what is wrong and what to do; `facts` are for --json."""

    def __init__(self, text, code=1, **facts):
        super().__init__("; ".join(str(text).splitlines()))
        self.code, self.facts = code, facts


class Report:
    """How a command reports: lines for people, or one object with --json; and options that many commands have."""

    FLAGS = ("quiet", "json", "preview", "no_restart")

    def __init__(self):
        self.command, self.quiet, self.json, self.preview, self.no_restart = "setup", False, False, False, False
        self.argv, self.lines, self.facts = [], [], {}

    def flags(self):
        """Return the options that were given, for another command that is to report in the same way."""
        return [f"--{name.replace('_', '-')}" for name in self.FLAGS if getattr(self, name)]

    def say(self, step, text):
        """Show a line about a step that did something, or needs the reader."""
        self.lines.append({"step": step, "text": str(text)})
        if not self.json:
            print(f"{step:<11} {text}", flush=True)

    def kept(self, step, text):
        """Show a line about a step with nothing to do, unless --quiet or --preview was given."""
        if not (self.quiet or self.preview or self.json):
            self.say(step, text)

    def would(self, step, text):
        """With --preview, show what the step is about to do, and end with exit code 3."""
        if self.preview:
            self.say(step, f"would {text}")
            raise Stop("", 3)

    def note(self, **facts):
        """Add facts to the output of --json."""
        self.facts |= facts

    def end(self, stop=None):
        """Show how the command ended, and return its exit code; `stop` is the Stop that ended it, if any."""
        if self.json:
            facts = {"ok": stop is None, "message": str(stop or ""), "lines": self.lines} | self.facts
            print(json.dumps(facts | (stop.facts if stop else {}), indent=1))
        elif stop and str(stop):
            print(f"{self.command}.sh: {stop}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:  # nobody reads on, or the disk is full
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return stop.code if stop else 1
        return stop.code if stop else 0


report = Report()
say, kept, would, note = report.say, report.kept, report.would, report.note


def lock(path=APPDIR, what="update, upgrade or backup"):
    """Make sure that no other of what takes this lock runs while this process, or a child of it, lives."""
    if os.environ.pop("APPDIR_LOCK_IS_OURS", None):  # an update that undoes itself holds it
        return
    handle = os.open(path, os.O_RDONLY)
    os.set_inheritable(handle, True)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Stop(f"another {what} is running", busy=True) from None


def run(*command, cwd=APPDIR, **options):
    """Run a command to its end and return the process, with its output as text; it holds our lock, too.

    Only one whose output goes to our terminal may read from it.
    """
    options = {"capture_output": True, "text": True, "errors": "surrogateescape", "close_fds": False} | options
    if options["capture_output"] and "input" not in options:
        options = {"stdin": subprocess.DEVNULL} | options
    return subprocess.run(list(map(str, command)), cwd=cwd, **options)


def reason(text):
    """Return the last lines of what a tool said as one line, without the stack that some show."""
    lines = [line for line in str(text).splitlines() if " " in line and not line.startswith("\t")]
    return "; ".join(lines[-3:]).removeprefix("Fatal: ") or str(text).strip() or "it did not say why"


def machine():
    """Return what this machine is, as far as it matters to a backup: a name for each part, and its version."""
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        system = platform.platform()
    return {"Python": platform.python_version(), "system": system}


def first_line(error):
    """Return in one line what an exception says, without a value that may hold a password."""
    if isinstance(error, configparser.InterpolationError):
        return f"the % in {error.option} of [{error.section}] must be doubled, or name a known value"
    text = (str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__])[0]
    return re.sub(r"(?<=URL from string ).*|(?<=://)[^/\s]*@", "...", text)


def stop_of(error):
    """Return the Stop that tells about an exception, which may be one."""
    if isinstance(error, Stop):
        return error
    if "APPDIR_DEBUG" in os.environ:
        traceback.print_exception(error)
    if isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else first_line(error)
        return Stop(f"{text}; fix that and run it again")
    return Stop(f"{type(error).__name__}: {first_line(error)}; with APPDIR_DEBUG=1 it shows where")


def missing(name):
    """Return a line about a file of the template that is missing."""
    return f"{name} is missing; bring it back with: git checkout -- {name}"


def load_config(name="silent.conf", **options):
    """Return the app's config object, made by the framework's own loader from a file of the app dir."""
    if not (APPDIR / name).exists():
        raise Stop(missing(name))
    framework = importlib.import_module("rattail.config" if FRAMEWORK == "rattail" else "wuttjamaican.conf")
    return framework.make_config(str(APPDIR / name), **options)


def write(path, data, mode, shared=True):
    """Write a file's bytes in one go, with its mode (an int such as 0o600) from the start.

    What root writes belongs to the owner and group of its folder.  A service user may read it through that group, if it
    is `shared`.
    """
    draft, folder = path.with_name(f".{path.name}.new"), path.parent.stat()
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        if os.geteuid() == 0:
            os.fchown(file.fileno(), folder.st_uid, folder.st_gid)
        os.fchmod(file.fileno(), mode | (0o040 if SERVICE_USER and shared else 0))
    draft.replace(path)
