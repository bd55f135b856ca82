"""Bring the app dir to a newer template, all of it or nothing; update.sh runs this.

The update is made and checked in a clone, the folder .update.  Only what passed comes into
the app dir: file by file, each one whole, with the mode that it had.  A run that was cut off
before that has changed nothing; one that was cut off in it is finished by the next run.
"""

import argparse
import contextlib
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from appdir import APPDIR, fail, lock, say, say_kept

STEP = "update"
WORK = APPDIR / ".update"
READY = WORK / ".git/ready"  # holds two commits: where the app dir was, and where it goes
STOPPED = WORK / ".git/stopped"  # holds the subject of the commit that waits to be mended
SUBJECT = "Update by template"
BEFORE_WORDS = "'dict object' has no attribute "  # how Copier says what the template says of a bad answer
IDENTITY = {"user.name": "appdir", "user.email": "appdir@localhost"}


def run(command, cwd):
    """Run a command to its end and return the process, with its output as text."""
    return subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, errors="surrogateescape")


def git(*args, cwd=APPDIR):
    """Run git, and return what it prints; if it refuses, so do we, with its words."""
    done = run(["git", *args], cwd)
    if done.returncode:
        fail(STEP, f"git {args[0]}: {done.stderr.strip()}")
    return done.stdout


def names(*args, cwd=APPDIR):
    """Run a git command that prints paths, ended by NUL, and return them as a list."""
    return git(*args, cwd=cwd).split("\0")[:-1]


def check_app_dir():
    """Refuse an app dir that is not ours to change, or that git could not bring back."""
    owner = APPDIR.stat().st_uid
    if owner != os.geteuid():
        name = pwd.getpwuid(owner).pw_name
        fail(STEP, f"the app dir belongs to {name}; run this as that user: sudo -u {name} {APPDIR}/update.sh")
    if not shutil.which("git"):
        fail(STEP, "git is missing; install it")
    if run(["git", "cat-file", "-e", "HEAD:./.copier-answers.yml"], APPDIR).returncode:
        fail(STEP, "this app dir is not in git, so an update could lose your edits; run ./setup.sh, which commits it")
    if not (APPDIR / "secrets.conf").exists():
        fail(STEP, "this app dir is not set up; run ./setup.sh first")


def check_clean():
    """Refuse an app dir with changes that are not committed."""
    changed = [name[3:] for name in names("status", "--porcelain", "--no-renames", "-z")]
    if changed:
        shown = ", ".join(changed[:5]) + (", ..." if changed[5:] else "")
        fail(STEP, f"not committed: {shown}; run: git add --all && git commit, or `git checkout FILE` to drop an edit")


def version(folder):
    """Return the template's version that an app dir is of, as its answers say."""
    found = re.search(r"^_commit: (.*)$", (folder / ".copier-answers.yml").read_text(), re.MULTILINE)
    return found[1].strip("'\"") if found else "a template without version"


def copier(command, folder, options):
    """Run a Copier command on a folder, with the answers that it has and those of --data."""
    name = os.environ.get("COPIER") or "copier"
    if not shutil.which(name):
        fail(STEP, f"no command {name}; install Copier 9.19 or later with: pipx install copier, or name it in COPIER")
    args = [part for answer in options.data for part in ("--data", answer)]
    args += ["--vcs-ref", options.vcs_ref] if options.vcs_ref else []
    # run here, since the template's address may be a path that begins here
    done = run([shutil.which(name), command, "--quiet", "--defaults", *args, folder], APPDIR)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        fail(STEP, f"Copier could not update: {lines[-1].removeprefix(BEFORE_WORDS)}")


def update(app, options):
    """Update the clone by Copier, and return the subject of its commit."""
    old = version(app)
    with without_odd_names(app):
        copier("update", app, options)
    answers = (app / ".copier-answers.yml").read_text()
    for name in (answer.partition("=")[0] for answer in options.data):
        if not re.search(rf"^{name}:", answers, re.MULTILINE):
            fail(STEP, f"--data {name}: no such question with these answers")
    check_bytes(app)
    check_ignored(app, options)
    new = version(app) if version(app) == old else f"{old} -> {version(app)}"
    return ", ".join([f"{SUBJECT}: {new}", *options.data])


@contextlib.contextmanager
def without_odd_names(app):
    """Take files out of the clone for a while whose names are not UTF-8, since Copier dies of them."""
    odd = [name for name in names("ls-files", "-z", cwd=app) if not name.isprintable()]
    base = git("rev-parse", "HEAD", cwd=app).strip()
    if odd:
        git("rm", "--quiet", "--", *odd, cwd=app)
        git(*identity(), "commit", "--quiet", "--no-verify", "--message", "Without odd names", cwd=app)
    yield
    if odd:
        git("update-ref", "--no-deref", "HEAD", base, cwd=app)
        git("checkout", "--quiet", base, "--", *odd, cwd=app)


def check_bytes(app):
    """Refuse an update of a file with bytes that are not UTF-8: Copier drops them without a word."""
    for name in names("diff", "--name-only", "--relative", "-z", "HEAD", cwd=app):
        old = subprocess.run(["git", "show", f"HEAD:./{name}"], cwd=app, capture_output=True).stdout
        if old != old.decode(errors="ignore").encode():
            fail(STEP, f"{name} is not in UTF-8, so an update would lose bytes of it; convert it with iconv, commit")


def check_ignored(app, options):
    """Refuse an update of files that git ignores here: it would pass them by without a word."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        shutil.copy(app / ".copier-answers.yml", fresh)
        copier("recopy", fresh, argparse.Namespace(data=[], vcs_ref=options.vcs_ref))
        paths = [path.relative_to(fresh) for path in fresh.rglob("*") if path.is_file() and path.name != ".gitkeep"]
    found = run(["git", "check-ignore", "--", *paths], APPDIR).stdout.splitlines()
    if found:
        fail(STEP, f"git ignores {', '.join(found)}, so no update reaches it; run: git add --force {' '.join(found)}")


def undo(clone):
    """Take the last update back in the clone, and return the subject of that commit."""
    last = git("log", "-1", "--format=%H %s", f"--grep=^{SUBJECT}: ", cwd=clone).split(" ", 1)
    if len(last) < 2:
        fail(STEP, "there is no update to take back")
    run(["git", *identity(), "revert", "--no-commit", last[0]], clone)
    return f"Undo: {last[1].strip()}"


def identity():
    """Return options that tell git who commits, where its own settings don't."""
    unset = [key for key in IDENTITY if run(["git", "config", key], APPDIR).returncode]
    return [part for key in unset for part in ("-c", f"{key}={IDENTITY[key]}")]


def clone_to(folder):
    """Make a clone of what is committed, and return its app dir."""
    top, prefix = git("rev-parse", "--show-toplevel", "--show-prefix").splitlines()
    git("clone", "--quiet", "--no-checkout", top, folder)
    git("checkout", "--quiet", "--detach", git("rev-parse", "HEAD").strip(), cwd=folder)
    return folder / prefix


def stop(subject, text):
    """End with the clone left as it is, for the reader to mend."""
    STOPPED.write_text(subject)
    fail(STEP, f"{text}; the app dir is as it was. Mend it in {WORK} and run ./update.sh --continue, or --abort")


def conflicts(clone):
    """Return the files of the clone in which an edit and the update touch the same lines."""
    changed = names("diff", "--name-only", "--diff-filter=d", "-z", "HEAD", cwd=clone)
    marked = run(["git", "grep", "-lzE", "^(<<<<<<<|>>>>>>>) ", "--", *changed], clone).stdout.split("\0")[:-1]
    return sorted({*names("diff", "--name-only", "--diff-filter=U", "-z", cwd=clone), *(marked if changed else [])})


def check(app):
    """Run the new version's own steps and checks in the clone; return whether all is sound."""
    for name in ("secrets.conf", "local.conf"):  # what is not in git, but read by the configs
        if (APPDIR / name).exists() and (name == "secrets.conf" or not (app / name).exists()):
            shutil.copy2(APPDIR / name, app / name)
    (app / "log").mkdir(exist_ok=True)  # where the configs open their logs
    python = [sys.executable, "-W", "ignore"]  # upstream's warnings
    steps = ("setup_packages.py", "setup_secrets.py", "check_config.py")
    return all(not subprocess.run([*python, f"lib/{step}", "--quiet"], cwd=app).returncode for step in steps)


def bring():
    """Bring the clone's commit into the app dir; may be cut off at any point and run again."""
    base, new = READY.read_text().split()
    if git("rev-parse", "HEAD").strip() not in (base, new):
        fail(STEP, f"somebody committed while an update came in; look with: git status, git diff {base} {new}")
    prefix = git("rev-parse", "--show-prefix").strip()
    app = WORK / prefix
    git("reset", "--quiet", "--hard", new, cwd=WORK)  # brings back what an earlier run has moved away
    git("fetch", "--quiet", "--no-tags", WORK, "HEAD")
    changed = names("diff", "--no-renames", "--name-only", "--relative", "-z", base, new, cwd=app)
    coming = [name for name in changed if os.path.lexists(app / name)]
    for name in coming:
        (APPDIR / name).parent.mkdir(parents=True, exist_ok=True)
        keep_mode(APPDIR / name, app / name)
    for folder in new_folders(app):
        (APPDIR / folder).mkdir(parents=True, exist_ok=True)
        (APPDIR / folder / ".gitkeep").touch()
    for name in coming:
        (app / name).replace(APPDIR / name)
    for name in set(changed) - set(coming):
        (APPDIR / name).unlink(missing_ok=True)
        for folder in (APPDIR / name).parents:
            if folder == APPDIR or not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()
    git("reset", "--quiet", new)
    check_clean()
    gone = sorted(set(changed) - set(coming))
    say(STEP, git("log", "-1", "--format=%s", new).strip())
    say(STEP, f"{len(coming)} files are new or changed" + (f", gone (but in git): {', '.join(gone)}" if gone else ""))
    failed = subprocess.run(["./setup.sh", "--quiet"], cwd=APPDIR).returncode
    READY.unlink()
    shutil.rmtree(WORK)
    if failed:
        fail(STEP, "the update is in, but setup.sh failed, see above; mend that and run ./setup.sh")


def keep_mode(old, new):
    """Give a new file the mode and group of the old one, but let git say whether it is executable."""
    if old.is_symlink() or new.is_symlink() or not old.exists():
        return
    before, after = old.stat(), new.stat()
    if before.st_gid != after.st_gid:
        os.chown(new, -1, before.st_gid)
    mode = before.st_mode & 0o7777
    if bool(mode & 0o100) != bool(after.st_mode & 0o100):
        mode = mode | (mode & 0o444) >> 2 if after.st_mode & 0o100 else mode & ~0o111
    new.chmod(mode)


def new_folders(app):
    """Return the folders of the clone that the app dir lacks; git knows nothing of them."""
    folders = (path.parent.relative_to(app) for path in app.rglob(".gitkeep"))
    return sorted(str(folder) for folder in folders if not (APPDIR / folder / ".gitkeep").exists())


def preview(options):
    """Make the update in a folder that is thrown away, and show what it changes."""
    with tempfile.TemporaryDirectory() as folder:
        app = clone_to(Path(folder) / "app")
        subject = undo(app) if options.undo else update(app, options)
        git("add", "--all", cwd=app)
        changes = git("diff", "--cached", "--stat", "--patch", cwd=app)
        print(subject, changes, *(f"new folder {name}" for name in new_folders(app)), sep="\n\n", flush=True)
        if marked := conflicts(app):
            fail(STEP, f"your edits and the update touch the same lines of {', '.join(marked)}")


def finish(app, subject):
    """Check what the clone holds, commit it, and bring it into the app dir."""
    clone = Path(git("rev-parse", "--show-toplevel", cwd=app).strip())
    if marked := conflicts(clone):
        stop(subject, f"your edits and the update touch the same lines of {', '.join(marked)}")
    git("add", "--all", cwd=app)
    if not git("diff", "--cached", "--name-only", cwd=app) and not new_folders(app):
        say_kept(STEP, f"nothing to do, the app dir is at {version(APPDIR)}")
        shutil.rmtree(WORK)
        return
    if not check(app):
        stop(subject, "the checks above failed")
    base = git("rev-parse", "HEAD", cwd=app).strip()
    git(*identity(), "commit", "--quiet", "--no-verify", "--allow-empty", "--message", subject, cwd=app)
    check_clean()
    if (app / "secrets.conf").read_bytes() != (APPDIR / "secrets.conf").read_bytes():
        (app / "secrets.conf").replace(APPDIR / "secrets.conf")  # only added to, so the old version can live with it
    draft = READY.with_name("ready.new")
    draft.write_text(f"{base} {git('rev-parse', 'HEAD', cwd=app)}")
    draft.replace(READY)
    STOPPED.unlink(missing_ok=True)
    bring()


def main():
    """Do what the options say, after the end of what an interrupted run left."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", action="append", default=[])
    parser.add_argument("--vcs-ref")
    for name in ("--preview", "--continue", "--abort", "--undo", "--quiet"):
        parser.add_argument(name, action="store_true")
    options = parser.parse_args()
    sys.stdout.reconfigure(errors="surrogateescape")  # names and texts of files need not be UTF-8
    resume = vars(options)["continue"]
    os.umask(0o027)  # as setup.sh has it

    check_app_dir()
    if not options.preview:
        lock(STEP)
    if READY.exists():
        if options.preview:
            fail(STEP, "an update was cut off while it came in; run ./update.sh, which finishes it")
        bring()
        if options.abort:
            fail(STEP, "the update was on its way in, and is complete now; ./update.sh --undo takes it back")
        if resume:
            return
    check_clean()
    if options.preview:
        preview(options)
    elif STOPPED.exists():
        subject = STOPPED.read_text()
        if options.abort:
            STOPPED.unlink()
            shutil.rmtree(WORK)
        elif resume:
            git("add", "--all", cwd=WORK)  # tells git that its conflicts are mended, where no marker is left
            finish(WORK / git("rev-parse", "--show-prefix").strip(), subject)
        else:
            fail(STEP, f"an update waits in {WORK}: mend it and run ./update.sh --continue, or --abort")
    elif options.abort or resume:
        fail(STEP, "no update waits")
    else:
        shutil.rmtree(WORK, ignore_errors=True)
        app = clone_to(WORK)
        finish(app, undo(app) if options.undo else update(app, options))


try:
    main()
except OSError as error:
    fail(STEP, f"{error}; run ./update.sh again")
