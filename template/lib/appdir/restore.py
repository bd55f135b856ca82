"""Restores an app from a backup.

It runs by any Python 3.11, with nothing installed, from a copy of lib/ that restore.sh takes out of the
backup.  ENV/.restore says which backup is being restored and which steps are done, so that an
interrupted run goes on; the app dir gets its name when it is complete.  Nothing is ever overwritten.
"""

import contextlib
import json
import os
import pwd
import re
import secrets
import shutil
import sys
from pathlib import Path

from appdir.answers import APP_NAME, SERVICE_USER
from appdir.core import FLAGS, Stop, lock, machine, run, say
from appdir.permissions import is_his
from appdir.repository import STATE, restic

COPIES = Path("data/backup/sqlite")
VENV = ["bin", "include", "lib", "lib64", "pyvenv.cfg"]


def find(wanted):
    """Return the snapshot with the ID `wanted`, or else the newest, and the ID of its dump, or None."""

    def snapshots(*args):
        return json.loads(restic("snapshots", "--json", *args, cwd=None))  # its address may be relative

    found = snapshots(f"--tag={APP_NAME},appdir", *filter(None, [wanted]))
    if not found:
        raise Stop(f"the repository has no backup with tags {APP_NAME},appdir; see: restic snapshots")
    snapshot = max(found, key=lambda one: one["time"])
    owner = owner_of(snapshot)
    if os.geteuid() == 0 and owner != "root" and not SERVICE_USER:
        raise Stop(f"the app dir belonged to {owner}; make an empty folder for {owner}, and run this as {owner}")
    if os.geteuid() != 0 and (owner == "root" or SERVICE_USER):
        raise Stop(f"the app dir belonged to {owner}, and its servers ran as another user; run this as root")
    if os.geteuid() == 0 and owner not in (one.pw_name for one in pwd.getpwall()):
        raise Stop(f"the app dir belonged to {owner}, and there is no such user; create it with: adduser {owner}")
    tag = next(tag for tag in snapshot["tags"] if tag.startswith("run-"))
    dumps = snapshots(f"--tag={APP_NAME},database,{tag}")
    return snapshot, dumps[-1]["id"] if dumps else None


def bring_files(env, work, snapshot):
    """Bring the app dir into ENV/app."""
    say("files", f"restoring those of {snapshot['time'][:19]} UTC from {snapshot['hostname']}")
    app = work / "app"
    shutil.rmtree(app, ignore_errors=True)
    app.mkdir(0o750)
    restic("restore", snapshot["id"], f"--target={app}", cwd=None)
    follow_links(app, snapshot["paths"])
    for name in copies_in(app):
        if is_inside(app, name):
            (app / COPIES / name).replace(app / name)
        else:
            say("files", f"a link leads {name} out of the app dir, so this database is left out")
    if is_inside(app, COPIES):
        shutil.rmtree(app / COPIES, ignore_errors=True)
    give(owner_of(snapshot), app)
    app.rename(env / "app")


def copies_in(app):
    """Return the names of the databases that a backup has as copies: never config or code, as the app wrote them."""
    if not is_inside(app, COPIES) or (app / COPIES).is_symlink():
        return []
    found = [Path(top, name) for top, _, names in os.walk(app / COPIES) for name in names]
    names = [path.relative_to(app / COPIES) for path in found if path.is_file() and not path.is_symlink()]
    return [name for name in names if is_his(name) or not SERVICE_USER]


def is_inside(app, name):
    """Return whether what has this path in a restored app dir is in it, and no link leads there."""
    return not any((app / path).is_symlink() for path in name.parents)


def owner_of(snapshot):
    """Return the name of the user who owned the app dir."""
    return next(tag.removeprefix("owner-") for tag in snapshot["tags"] if tag.startswith("owner-"))


def give(owner, *paths):
    """As root, give files with all in them to the user who owned the app dir."""
    if os.geteuid() == 0 and owner != "root":
        done = run("chown", "--no-dereference", "--recursive", f"{owner}:", *paths, cwd=None)
        if done.returncode:
            raise Stop(f"chown: {done.stderr.strip()}")


def say_what_differs(origin):
    """Show in what this machine differs from the one of the backup; `origin` is the file that names that."""
    then = json.loads(origin.read_text()) if origin.exists() else {}
    for name, version in machine().items():
        if then.get(name, version) != version:
            say("differs", f"{name} was {then[name]}, and is {version} here")


def follow_links(app, paths):
    """Put what links led to, out of the app dir, in their place: other volumes may not be here.

    `paths` are those that were saved: the app dir and what links led to.
    """
    places = {}  # what came from another volume, and where it is now
    for link in [path for depth in ("*", "*/*") for path in app.glob(depth) if path.is_symlink()]:
        parent = link.relative_to(app).parent
        targets = [os.path.normpath(Path(path, parent, os.readlink(link))) for path in paths]
        target = next((name for name in targets if name in paths), "")
        saved = app / target.lstrip("/")
        if target in places:
            link.unlink()
            link.symlink_to(os.path.relpath(places[target], link.parent))
        elif target and os.path.lexists(saved):  # the app dir itself is not in there
            link.unlink()
            saved.rename(link)
            places[target] = link
            with contextlib.suppress(OSError):  # something else of the app is in there
                os.removedirs(saved.parent)
        elif not link.exists():  # to a folder that is left out of backups
            link.unlink()
            link.mkdir(0o750)


def command(env, *args, python=None):
    """Run a command of the restored app dir; Stop if it fails, as it has said why."""
    options = {"cwd": None, "env": os.environ | {"APPDIR": str(env / "app")}, "capture_output": False}
    done = run(python or env / "bin/python", *FLAGS, env / "app/lib", *args, **options)
    if done.returncode:
        raise Stop("", done.returncode)


def find_python(version):
    """Return the command of a Python of a version such as 3.11, or else of the Python that runs this."""
    name = f"python{version}"
    if shutil.which(name) and not run(name, "-I", "-c", "import ensurepip", cwd="/").returncode:
        return name
    if version != ".".join(map(str, sys.version_info[:2])):
        say("env", f"no {name} with python3-venv here, so it is created with {sys.executable}")
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
    """Make the env, unless an earlier run did, and install each package at the version recorded.

    What came from folders of the old machine is installed where they are here too; else it says what is to be done.
    """
    lines = (env / "app" / STATE.name / "requirements.txt").read_text().splitlines()
    wanted, local = split_packages(lines)
    if not (work / "env").exists():
        for path in (env / name for name in VENV):  # of an interrupted run
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        python = find_python(re.fullmatch(r"# Python (\S+)", lines[0])[1])
        say("env", f"created with {python}")
        if run(python, "-I", "-m", "venv", env, cwd="/", capture_output=False).returncode:
            raise Stop("python3 cannot create the env, see above; fix that and run this again")
        say("packages", f"installing {len(wanted)} at the versions recorded, which takes a minute or two")
        (work / "requirements.txt").write_text("\n".join(wanted))
        command(env, "packages", work / "requirements.txt")
        (work / "env").touch()
    for name, line in local.items():
        options = line.split(" ", 1) if line.startswith("-e ") else [line]
        if pip(env, "show", name) and pip(env, "install", "--no-deps", *options):
            raise Stop(f"cannot install {line}; install {name} with {env}/bin/pip, then run this again")


def pip(env, *args):
    """Run the env's pip, without much talk, and return its exit code."""
    command = [env / "bin/python", "-I", "-m", "pip", "--disable-pip-version-check", "--quiet", *args]
    return run(*command, cwd=env, capture_output=False).returncode


def main(options):
    """Restore everything, step by step."""
    env, wanted = Path(options.env).absolute(), options.snapshot or ""
    os.umask(0o022)  # those who run the servers must be able to read the env; the app dir is private by its mode
    if re.search("[^A-Za-z0-9/._@+-]", str(env)):
        raise Stop(f"upstream cannot read config in {env}; use a path of A-Z a-z 0-9 / . _ @ + -", 2)
    work, plan = env / ".restore", env / ".restore/plan.json"
    if not plan.exists():
        if (env / "app").exists():  # interrupted when everything was done
            shutil.rmtree(work)
            say("done", f"{env} was complete")
            return
        snapshot, dump = find(wanted)
        work.mkdir(0o700, parents=True, exist_ok=True)
        plan.with_suffix(".new").write_text(json.dumps([snapshot, dump, secrets.token_hex()]))
        plan.with_suffix(".new").rename(plan)
    lock(plan, f"restore into {env}")
    snapshot, *_ = json.loads(plan.read_text())
    if not snapshot["id"].startswith(wanted):
        raise Stop(f"the restore of {snapshot['short_id']} is not complete; run this again without --snapshot")
    if not (env / "app").exists():
        bring_files(env, work, snapshot)
    say_what_differs(env / "app" / STATE.name / "origin.json")
    command(env, "permissions", python=sys.executable)
    make_env(env, work)
    if not (work / "database").exists():
        command(env, "restore-database", *(["--ask-database"] if options.ask_database else []), plan)
    command(env, "setup", "--quiet")
    give(owner_of(snapshot), *(env / name for name in VENV if (env / name).exists()))
    shutil.chown(env, env.joinpath("app").owner())
    plan.unlink()
    shutil.rmtree(work)
    say("done", f"start the app in {env / 'app'}, as before")
