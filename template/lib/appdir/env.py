"""A copy of the env's packages, to which an upgrade or update that fails goes back.

ENV/.before-upgrade exists from before the first change until the end, so that the next run can undo an
interrupted one.
"""

import json
import os
import shutil

from appdir.core import ENV, FLAGS, LIB, PYTHON, Stop, reason, run

PARTS = ("bin", "etc", "include", "lib", "share", "src")
BEFORE, FAILED, NEW = (ENV / name for name in (".before-upgrade", ".failed-upgrade", ".new-snapshot"))


def result(*command, **environment):
    """Run a command of this program by the env's Python, in a process of its own, and return what result_of() does."""
    return result_of(run(PYTHON, *FLAGS, LIB, *command, "--json", env=os.environ | environment))


def result_of(done):
    """Return what a process showed that ran a command with --json; `output` is what it printed beside that."""
    try:
        return json.loads(done.stdout) | {"output": done.stderr}
    except ValueError:
        return {"ok": False, "message": reason(done.stderr or done.stdout), "output": done.stderr + done.stdout}


def keep():
    """Copy the packages, unless that was done: real copies, since some software changes files in place."""
    if BEFORE.exists():
        return
    for folder in (NEW, FAILED):  # of a killed run
        shutil.rmtree(folder, ignore_errors=True)
    NEW.mkdir()
    parts = [ENV / part for part in PARTS if (ENV / part).exists()]
    size = sum(int(line.split()[0]) for line in run("du", "--summarize", "--bytes", *parts).stdout.splitlines())
    if shutil.disk_usage(ENV).free < 2 * size:  # the copy, and the new packages beside it
        NEW.rmdir()
        raise Stop(f"not enough space in {ENV}: {2 * size / 1e6:.0f} MB are needed; nothing has changed")
    done = run("cp", "-a", "--reflink=auto", *parts, NEW)
    if done.returncode:
        shutil.rmtree(NEW)
        raise Stop(f"the packages cannot be copied: {done.stderr.strip().splitlines()[-1]}; nothing has changed")
    (NEW / ".complete").touch()
    NEW.rename(BEFORE)


def put_back():
    """Restore the packages; an interrupted run of this goes on when it is run again."""
    shutil.rmtree(FAILED, ignore_errors=True)
    FAILED.mkdir()
    for part in PARTS:
        is_new = (BEFORE / ".complete").exists() and not (BEFORE / part).exists()
        if (ENV / part).exists() and (is_new or (BEFORE / part).exists()):
            (ENV / part).rename(FAILED / part)
    (BEFORE / ".complete").unlink(missing_ok=True)
    for part in PARTS:
        if (BEFORE / part).exists():
            (BEFORE / part).rename(ENV / part)
    shutil.rmtree(BEFORE)
    shutil.rmtree(FAILED)


def forget():
    """Remove the copy: the new packages stay."""
    shutil.rmtree(NEW, ignore_errors=True)
    if BEFORE.exists():
        BEFORE.rename(NEW)
        shutil.rmtree(NEW)
