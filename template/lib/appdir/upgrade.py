"""Upgrades the packages and the database; if anything fails, the old packages return."""

import json
import os
import signal
import subprocess
import time

from appdir import env, packages
from appdir.core import APPDIR, ENV, Stop, kept, lock, note, report, say
from appdir.users import run_as_owner, user

RUNS = APPDIR / "data/upgrades"


def main(options):
    """Upgrade, or with --preview show what pip would install."""
    if not os.access(ENV, os.W_OK):
        name = user(ENV.stat().st_uid).pw_name
        raise Stop(f"{user(os.geteuid()).pw_name} may not change the env; run {APPDIR}/upgrade.sh as {name}")
    if options.preview:
        preview()
        return
    lock()
    if env.BEFORE.exists():
        say("packages", "the last upgrade was interrupted; the old packages return")
        env.put_back()
    for sort in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(sort, interrupted)
    run = run_as_owner("data", new_run)
    before = packages.freeze()
    keep_record(run, "requirements-before.txt", before)
    env.keep()
    output = []
    try:
        upgrade(output, options.verbose)
        after = packages.freeze()
    except Stop as stop:
        env.put_back()
        keep_record(run, "output.txt", "".join(output))
        where = RUNS / run / "output.txt"
        raise Stop(f"{stop}; the packages are those of before; see {where}", stop.code, run=str(RUNS / run)) from None
    keep_record(run, "output.txt", "".join(output))
    keep_record(run, "requirements-after.txt", after)
    env.forget()
    migrated = any(line.startswith("database ") for line in output)
    note(changed=before != after or migrated, migrated=migrated, run=str(RUNS / run))
    kept("upgrade", f"done; the packages before and after are in {RUNS / run}")


def interrupted(*_):
    """End the upgrade as if it had failed."""
    raise Stop("interrupted", 130)


def new_run():
    """Create the folder of this upgrade, and return its name."""
    while True:
        name = time.strftime("%Y-%m-%d-%H%M%S")
        try:
            (RUNS / name).mkdir(parents=True)
        except FileExistsError:
            time.sleep(1)
            continue
        return name


def keep_record(run, name, text):
    """Write a file of this upgrade, as the user that owns the data: he may have put anything in its place."""
    run_as_owner("data", lambda: (RUNS / run / name).write_text(text) and None)


def upgrade(output, verbose):
    """Let pip upgrade, then migrate, then look that the app can start; what they print goes into `output`."""
    files = packages.as_options(packages.requirement_files())
    pip = [*packages.PIP, "install", "--upgrade", "--upgrade-strategy", "eager", *files]
    ours = [packages.PYTHON, "-I", "-X", "utf8", "-W", "ignore", env.LIB]
    steps = {
        "pip could not upgrade the packages": pip,
        "the database could not be upgraded": [*ours, "database", "--quiet"],
        "the app cannot start with the new packages": [*ours, "check-app"],
    }
    for problem, command in steps.items():
        # whoever runs the servers must be able to read the packages, whatever the umask
        child = subprocess.Popen(list(map(str, command)), cwd=APPDIR, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 text=True, errors="replace", umask=0o022 if command is pip else -1)  # fmt: skip
        for line in child.stdout:
            output.append(line)
            if verbose:
                print(line, end="", flush=True)
        if child.wait():
            raise Stop(problem)


def preview():
    """Show what pip would install."""
    files = packages.as_options(packages.requirement_files())
    options = ["--quiet", "--dry-run", "--upgrade", "--upgrade-strategy", "eager", "--report", "-"]
    done = packages.run(*packages.PIP, "install", *options, *files)
    if done.returncode:
        raise Stop(f"pip: {done.stderr.strip().splitlines()[-1]}")
    found = [one["metadata"] for one in json.loads(done.stdout)["install"]]
    lines = sorted(f"{one['name']}=={one['version']}" for one in found)
    note(changed=bool(lines), packages=lines)
    if not report.json:
        print(*(lines or ["nothing is newer"]), sep="\n")
