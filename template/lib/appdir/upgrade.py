"""Upgrades the packages and the database; if anything fails, the old packages return.

It runs by the Python from which the env was made, since it replaces the env.
"""

import json
import os
import signal
import tempfile
import time
from pathlib import Path

from appdir import env, packages, services
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

    def interrupted(*_):
        raise Stop("interrupted", 130)  # and so it ends as if it had failed

    for sort in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(sort, interrupted)
    if (found := env.result("database", "--preview")).get("gone"):
        raise Stop(found["message"])
    packages.require_index()
    run = RUNS / run_as_owner("data", new_run)
    before, output = packages.freeze(), []
    keep_record(run, "requirements-before.txt", before)
    kept("packages", "keeping a copy of those of now")
    env.keep()
    try:
        migrated = upgrade(output, options.verbose)
        after = packages.freeze()
    except Stop as stop:
        env.put_back()
        text = f"{stop}; the packages are those of before; see {run / 'output.txt'}"
        raise Stop(text, stop.code, run=str(run)) from None
    finally:
        keep_record(run, "output.txt", "".join(output))
    keep_record(run, "requirements-after.txt", after)
    is_changed = before != after or migrated
    note(changed=is_changed, migrated=migrated, run=str(run))
    if is_changed:
        restart(migrated)
    env.forget()
    kept("upgrade", f"done; the packages before and after are in {run}")


def restart(migrated):
    """Restart the servers; where they do not come up, the old packages return, unless the database is migrated."""
    if migrated:
        env.forget()
    try:
        services.renew()
    except Stop as stop:
        if migrated:
            raise Stop(f"the packages are upgraded and the database is migrated, but {stop}") from None
        say("packages", f"{stop}; the old packages return")
        env.put_back()
        note(changed=False)
        try:
            services.renew()
        except Stop as still:
            raise Stop(f"the packages are those of before, but {still}") from None
        raise Stop(f"{stop}; the packages are those of before, and the servers are up with them") from None


def new_run():
    """Create the folder of this upgrade, and return its name."""
    while (RUNS / (name := time.strftime("%Y-%m-%d-%H%M%S"))).exists():
        time.sleep(1)
    (RUNS / name).mkdir(parents=True)
    return name


def keep_record(run, name, text):
    """Write a file of this upgrade, as the user that owns the data: he may have put anything in its place."""
    run_as_owner("data", put, str(run / name), text)


def put(path, text):
    """Write a file."""
    Path(path).write_text(text)


def upgrade(output, verbose):
    """Let pip upgrade, migrate, and look that the app can start; return whether there was something to migrate.

    What they print goes into the list `output`.
    """

    kept("packages", "upgrading, which takes a minute or two")

    def show(text):
        output.append(text)
        if verbose:
            print(text, end="", flush=True)

    if not packages.install("--upgrade", files=packages.requirement_files(), show=show):
        raise Stop("pip could not upgrade the packages")
    found = {}
    steps = {
        "check-app": ("building the app", "the app cannot start with the new packages"),
        "database": ("bringing the schema up to date", "the database could not be upgraded"),
    }
    for step, (doing, problem) in steps.items():
        kept(step, doing)
        found |= env.result(step)
        show(found["output"] + "".join(f"{line['step']:<11} {line['text']}\n" for line in found.get("lines", [])))
        if not found["ok"]:
            show(f"{found['message']}\n")
            raise Stop(f"{problem}: {found['message']}")
    return found.get("migrated", False)


def preview():
    """Show what pip would install, but for checkouts, which pip would change even so."""
    lines = [line for file in packages.requirement_files() for line in packages.lines_of(file)]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(line for line in lines if not packages.is_checkout(line)))
        file.flush()
        options = ["--quiet", "--dry-run", "--upgrade", "--upgrade-strategy", "eager", "--report", "-"]
        done = packages.pip("install", *options, "-r", file.name)
    if done.returncode:
        raise Stop(f"pip: {done.stderr.strip().splitlines()[-1]}")
    found = [one["metadata"] for one in json.loads(done.stdout)["install"]]
    lines = sorted(f"{one['name']}=={one['version']}" for one in found)
    note(changed=bool(lines), packages=lines)
    if not report.json:
        print(*(lines or ["nothing is newer"]), sep="\n")
