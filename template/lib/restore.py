"""Bring an app back from a backup; restore.sh takes this out of the backup and runs it.

It runs by any Python 3.11, with nothing installed.  ENV/.restore says which backup is on its
way in and which steps are done, so that a run that was cut off goes on; the app dir comes in
at once when it is complete.  Nothing that was there before is ever overwritten.
"""

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

VENV = ["bin", "include", "lib", "lib64", "pyvenv.cfg"]


def say(step, text):
    """Show one line about a step."""
    print(f"{step:<10} {text}", flush=True)


def fail(step, text):
    """End with exit code 1 and one line that says what is wrong and what to do."""
    sys.exit(f"{step:<10} FAILED: {text}")


def restic(*args):
    """Run restic and return what it prints as JSON; if it refuses, so do we, with its words."""
    done = subprocess.run(["restic", "--json", *args], capture_output=True, text=True)
    if done.returncode:
        fail("restic", "; ".join(done.stderr.strip().splitlines()[-3:]))
    return json.loads(done.stdout) if done.stdout.startswith("[") else None


def find(name, wanted):
    """Return the snapshot with the ID `wanted`, or else the newest, and the ID of its dump, or None."""
    found = restic("snapshots", f"--tag={name},appdir", *([wanted] if wanted else []))
    if not found:
        fail("backup", f"there is none with tags {name},appdir; see: restic snapshots")
    snapshot = max(found, key=lambda one: one["time"])
    owner = next(tag.removeprefix("owner-") for tag in snapshot["tags"] if tag.startswith("owner-"))
    if os.geteuid() == 0 and owner != "root":
        fail("backup", f"the app dir was {owner}'s; make an empty folder that is {owner}'s, and run this as {owner}")
    if os.geteuid() != 0 and owner == "root":
        fail("backup", "the app dir was root's, and its servers ran as another user; run this as root")
    run = next(tag for tag in snapshot["tags"] if tag.startswith("run-"))
    dumps = restic("snapshots", f"--tag={name},database,{run}")
    return snapshot, dumps[-1]["id"] if dumps else None


def bring_files(env, work, snapshot):
    """Bring the app dir into ENV/app."""
    say("files", f"restoring those of {snapshot['time'][:19]} UTC from {snapshot['hostname']}")
    app = work / "app"
    shutil.rmtree(app, ignore_errors=True)
    app.mkdir(0o750)
    restic("restore", snapshot["id"], f"--target={app}")
    follow_links(app, snapshot["paths"])
    copies = app / "data/backup/sqlite"
    for copy in [path for path in copies.rglob("*") if path.is_file()]:
        copy.replace(app / copy.relative_to(copies))
    shutil.rmtree(copies, ignore_errors=True)
    app.rename(env / "app")


def follow_links(app, paths):
    """Put what links led to, out of the app dir, in their place: other volumes may not be here.

    `paths` are those that were saved: the app dir and what links led to.
    """
    for link in [path for depth in ("*", "*/*") for path in app.glob(depth) if path.is_symlink()]:
        parent = link.relative_to(app).parent
        targets = [os.path.normpath(Path(path, parent, os.readlink(link))) for path in paths]
        saved = next((app / target.lstrip("/") for target in targets if target in paths), None)
        if saved:
            link.unlink()
            saved.rename(link)
            with contextlib.suppress(OSError):  # something else of the app is in there
                os.removedirs(saved.parent)
        elif not link.exists():  # to a folder that is left out of backups
            link.unlink()
            link.mkdir(0o750)


def mend_modes(env):
    """Give the app dir itself, which restic leaves as we made it, to the group of those who run its servers."""
    if subprocess.run([sys.executable, env / "app/lib/setup_modes.py", "--quiet"]).returncode:
        fail("modes", "owners and modes are not right, see above; mend that and run this again")


def find_python(version):
    """Return the command of a Python of a version such as 3.11, or else of the Python that runs this."""
    name = f"python{version}"
    if shutil.which(name) and not subprocess.run([name, "-c", "import ensurepip"], capture_output=True).returncode:
        return name
    if version != ".".join(map(str, sys.version_info[:2])):
        say("env", f"no {name} with python3-venv here, so it is made with {sys.executable}")
    return sys.executable


def split_packages(lines):
    """Return what a freeze holds: the lines that any machine can install, and by name those of a local folder."""
    wanted, local = [], {}
    for before, line in zip(["", *lines], lines, strict=False):
        if name := re.match(r"(\S+) @ file:", line) or (line.startswith("-e /") and re.search(r"\((\S+?)==", before)):
            local[name[1]] = line
        elif line and not line.startswith("#"):
            wanted.append(line)
    return wanted, local


def make_env(env, work):
    """Make the env, and install each package at the version recorded."""
    lines = (env / "app/data/backup/requirements.txt").read_text().splitlines()
    for path in (env / name for name in VENV):  # of a run that was cut off
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    python = find_python(re.fullmatch(r"# Python (\S+)", lines[0])[1])
    say("env", f"made with {python}")
    if subprocess.run([python, "-m", "venv", env]).returncode:
        fail("env", "python3 cannot make it, see above; mend that and run this again")
    wanted, _ = split_packages(lines)
    say("packages", f"installing {len(wanted)} at the versions recorded, which takes a minute or two")
    (work / "requirements.txt").write_text("\n".join(wanted))
    if pip(env, "install", "--no-deps", "-r", work / "requirements.txt"):
        fail("packages", "pip could not install them, see above; mend that and run this again")


def bring_local_packages(env):
    """Install what came from folders of the old machine, where they are here too; else say what is to be done."""
    _, local = split_packages((env / "app/data/backup/requirements.txt").read_text().splitlines())
    for name, line in local.items():
        options = line.split(" ", 1) if line.startswith("-e ") else [line]
        if pip(env, "show", name) and pip(env, "install", "--no-deps", *options):
            fail("packages", f"cannot install {line}; install {name} by {env}/bin/pip, then run this again")


def pip(env, *args):
    """Run the env's pip, without much talk, and return its exit code."""
    command = [env / "bin/python", "-m", "pip", "--disable-pip-version-check", "--quiet", *args]
    return subprocess.run(list(map(str, command))).returncode


def bring_database(env, work, options):
    """Load the dump into the database, by the packages of the env."""
    step = [env / "bin/python", "-W", "ignore", env / "app/lib/restore_database.py", work / "plan.json", *options]
    if subprocess.run(step).returncode:
        sys.exit(1)


def once(work, name, step, *args):
    """Do a step, unless an earlier run has done it."""
    if not (work / name).exists():
        step(*args)
        (work / name).touch()


def main():
    """Bring all of it, step by step."""
    name, env, wanted, *options = sys.argv[1:]
    env = Path(env).absolute()
    if re.search("[^A-Za-z0-9/._@+-]", str(env)):
        fail("restore", f"upstream cannot read config in {env}; use a path of A-Z a-z 0-9 / . _ @ + -")
    work = env / ".restore"
    plan = work / "plan.json"
    if not plan.exists():
        if (env / "app").exists():  # it was cut off when all was done
            shutil.rmtree(work)
            say("done", f"{env} was complete")
            return
        snapshot, dump = find(name, wanted)
        work.mkdir(0o700, parents=True, exist_ok=True)
        plan.with_suffix(".new").write_text(json.dumps([snapshot, dump, secrets.token_hex()]))
        plan.with_suffix(".new").rename(plan)
    handle = os.open(plan, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fail("restore", f"another restore into {env} is running")
    snapshot, *_ = json.loads(plan.read_text())
    if not snapshot["id"].startswith(wanted):
        fail("restore", f"that of {snapshot['short_id']} is on its way; run this again without --snapshot")
    if not (env / "app").exists():
        bring_files(env, work, snapshot)
    mend_modes(env)
    once(work, "env", make_env, env, work)
    bring_local_packages(env)
    once(work, "database", bring_database, env, work, options)
    if subprocess.run([env / "app/setup.sh", "--quiet"]).returncode:
        fail("setup", "setup.sh failed, see above; mend that and run this again")
    plan.unlink()
    shutil.rmtree(work)
    say("done", f"start the app in {env / 'app'}, as before")


main()
