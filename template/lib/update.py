"""Bring the app dir to a newer template, all of it or nothing; update.sh runs this.

The update is made and checked in a clone, the folder .update.  Only what passed comes into
the app dir: file by file, each one whole, with the mode that it had.  A run that was cut off
before that has changed nothing; one that was cut off in it is finished by the next run, or
taken back by --abort.
"""

import argparse
import contextlib
import errno
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
STOPPED = WORK / ".git/stopped"  # holds the commit of the app dir, and the subject of the one that waits
EXCLUDE = WORK / ".git/info/exclude"
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


def head(cwd=APPDIR):
    """Return the commit that is checked out."""
    return git("rev-parse", "HEAD", cwd=cwd).strip()


def names(*args, cwd=APPDIR):
    """Run a git command that prints paths, ended by NUL, and return them as a list."""
    return git(*args, cwd=cwd).split("\0")[:-1]


def check_app_dir():
    """Refuse an app dir that is not ours to change, or that git could not bring back."""
    owner = APPDIR.stat().st_uid
    if owner != os.geteuid():
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:  # as in a container
            name = f"'#{owner}'"
        fail(STEP, f"the app dir belongs to {name}; run this as that user: sudo -u {name} {APPDIR}/update.sh")
    if not shutil.which("git"):
        fail(STEP, "git is missing; install it")
    for name in run(["git", "rev-parse", "--local-env-vars"], APPDIR).stdout.split():
        if not name.startswith("GIT_CONFIG"):
            os.environ.pop(name, None)  # a git hook sets them, and they would lead git from the clone to the app dir
    if run(["git", "cat-file", "-e", "HEAD:./.copier-answers.yml"], APPDIR).returncode:
        fail(STEP, "this app dir is not in git, so an update could lose your edits; run ./setup.sh, which commits it")
    if not (APPDIR / "secrets.conf").exists():
        fail(STEP, "this app dir is not set up; run ./setup.sh first")


def check_clean():
    """Refuse an app dir with changes that are not committed."""
    options = ("--porcelain", "--no-renames", "--untracked-files=normal", "-z")
    changed = [name[3:] for name in names("status", *options)]
    if changed:
        shown = ", ".join(changed[:5]) + (", ..." if changed[5:] else "")
        fail(STEP, f"not committed: {shown}; commit it, name it in .gitignore, or drop an edit by `git checkout FILE`")
    at_work = ("index.lock", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply")
    for name in git("rev-parse", *(part for path in at_work for part in ("--git-path", path))).splitlines():
        if (APPDIR / name).exists():
            fail(STEP, f"git is at work here, or was cut off: end what `git status` tells, or remove {name}")


def version(folder):
    """Return the template's version that an app dir is of, as its answers say."""
    found = re.search(r"^_commit: (.*)$", (folder / ".copier-answers.yml").read_text(errors="replace"), re.MULTILINE)
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
    answers = (app / ".copier-answers.yml").read_text(errors="replace")
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
    base = head(app)
    if odd:
        git("rm", "--quiet", "--", *odd, cwd=app)
        git(*identity(), "commit", "--quiet", "--no-verify", "--message", "Without odd names", cwd=app)
    yield
    if odd:
        git("update-ref", "--no-deref", "HEAD", base, cwd=app)
        git("checkout", "--quiet", base, "--", *odd, cwd=app)


def check_bytes(app):
    """Refuse an update of a file with bytes that are not UTF-8: Copier drops them without a word."""
    for name in names("diff", "--name-only", "--relative", "-z", "HEAD", "--", cwd=app):
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
    done = run(["git", "check-ignore", "--", *paths], APPDIR)
    found = done.stdout.splitlines()
    if done.returncode > 1:
        fail(STEP, f"git cannot keep all files of the update: {done.stderr.strip()}; move that away")
    if found:
        fail(STEP, f"git ignores {', '.join(found)}, so no update reaches it; run: git add --force {' '.join(found)}")


def undo(app):
    """Take back the last update that is not taken back yet, in the clone; return the subject of the commit."""
    updates = []
    for line in git("log", "--reverse", "--format=%H %s", "--", ".", cwd=app).splitlines():
        commit, _, subject = line.partition(" ")
        if subject.startswith(f"{SUBJECT}: "):
            updates.append((commit, subject))
        elif subject.startswith(f"Undo: {SUBJECT}: "):
            del updates[-1:]
    if not updates:
        fail(STEP, "there is no update to take back")
    commit, subject = updates[-1]
    run(["git", *identity(), "revert", "--no-commit", commit], app)
    return f"Undo: {subject}"


def identity():
    """Return options that tell git who commits, where its own settings don't."""
    unset = [key for key in IDENTITY if run(["git", "config", key], APPDIR).returncode]
    return [part for key in unset for part in ("-c", f"{key}={IDENTITY[key]}")]


def clone_to(folder):
    """Make a clone of what is committed, and return its app dir."""
    top, prefix = git("rev-parse", "--show-toplevel", "--show-prefix").splitlines()
    git("clone", "--quiet", "--no-checkout", top, folder)
    git("checkout", "--quiet", "--detach", head(), cwd=folder)
    return folder / prefix


def stop(base, subject, text):
    """End with the clone left as it is, for the reader to mend."""
    STOPPED.write_text(f"{base} {subject}")
    fail(STEP, f"{text}; the app dir is as it was. Mend it in {WORK} and run ./update.sh --continue, or --abort")


def conflicts(clone):
    """Return the files of the clone in which an edit and the update touch the same lines."""
    changed = names("diff", "--name-only", "--diff-filter=d", "-z", "HEAD", "--", cwd=clone)
    markers = ["git", "grep", "--no-color", "-lzE", "^(<<<<<<<|>>>>>>>) "]
    marked = run([*markers, "--", *changed], clone).stdout.split("\0")[:-1]
    return sorted({*names("diff", "--name-only", "--diff-filter=U", "-z", cwd=clone), *(marked if changed else [])})


def check(app):
    """Run the new version's own steps and checks in the clone; return whether all is sound."""
    for name in ("secrets.conf", "local.conf"):  # what is not in git, but read by the configs
        if (APPDIR / name).exists() and (name == "secrets.conf" or not (app / name).exists()):
            shutil.copy2(APPDIR / name, app / name)
            EXCLUDE.parent.mkdir(exist_ok=True)
            with open(EXCLUDE, "a") as file:  # also where only the app dir's own repository says so
                file.write(f"{name}\n")
    (app / "log").mkdir(exist_ok=True)  # where the configs open their logs
    python = [sys.executable, "-W", "ignore"]  # upstream's warnings
    steps = ("setup_packages.py", "setup_secrets.py", "check_config.py")
    return all(not subprocess.run([*python, f"lib/{step}", "--quiet"], cwd=app).returncode for step in steps)


def content(path):
    """Return what a path holds, in a form to compare: None if there is nothing, and a link by its target."""
    if path.is_symlink():
        return os.readlink(path)
    return path.read_bytes() if path.exists() else None


def committed(app, commit, name):
    """Return what content() does, of a file as a commit has it."""
    mode = git("ls-tree", commit, "--", name, cwd=app).split(" ")[0]
    if not mode:
        return None
    command = ["git", "cat-file", "blob" if mode == "120000" else "--filters", f"{commit}:./{name}"]
    data = subprocess.run(command, cwd=app, capture_output=True, check=True).stdout
    return os.fsdecode(data) if mode == "120000" else data


def changes(app, base, new):
    """Return the names of the files that come by an update, and of those that go."""
    diff = ("diff", "--no-renames", "--name-only", "--relative", "-z")
    coming, gone = (names(*diff, f"--diff-filter={kind}", base, new, "--", cwd=app) for kind in ("d", "D"))
    return coming, gone


def check_places(app, base, new):
    """Refuse what is in the way of an update, as far as git does not see it: nothing of it may be lost, or stop us."""
    coming, gone = changes(app, base, new)
    groups = {os.getegid(), *os.getgroups()}
    for name in [*coming, *gone, *(f"{folder}/.gitkeep" for folder in new_folders(app))]:
        path = APPDIR / name
        parent = next(folder for folder in path.parents if os.path.lexists(folder))
        if not parent.is_dir():
            fail(STEP, f"{parent} is no folder, and the update brings {name}; move it away and run ./update.sh again")
        if path.is_dir() and not path.is_symlink():
            fail(STEP, f"{path} is a folder, and the update has such a file; move it away and run ./update.sh again")
        if not os.access(parent, os.W_OK | os.X_OK):
            fail(STEP, f"{parent} cannot be written, and the update changes {name}; run: chmod u+wx {parent}")
    for name in [*coming, *gone]:
        live = content(APPDIR / name)
        if live not in (None, content(app / name)) and live != committed(app, base, name):
            fail(STEP, f"{name} is not as git has it, so an edit would be lost; move it away, run ./update.sh again")
        if live is not None and os.geteuid() != 0 and (APPDIR / name).lstat().st_gid not in groups:
            fail(STEP, f"{name} is of a group of which you are no member, so it could not be kept; run: chgrp, as root")


def go_on(app, base, new):
    """Go on with an update that was cut off while it came in, unless somebody changed what it would overwrite."""
    git("reset", "--quiet", "--hard", new, cwd=WORK)  # brings back what was moved away
    if not is_in(new):
        if head() != base:
            fail(STEP, "somebody committed while an update came in; ./update.sh --abort takes the update back")
        check_places(app, base, new)
    bring(app, base, new)


def bring(app, base, new):
    """Bring the clone's commit into the app dir; may be cut off at any point, and go on."""
    coming, gone = changes(app, base, new)
    if not is_in(new):
        git("fetch", "--quiet", "--no-tags", WORK, "HEAD")
        for folder in new_folders(app):
            (APPDIR / folder).mkdir(parents=True, exist_ok=True)
            (APPDIR / folder / ".gitkeep").touch()
        for name in coming:
            put_as(app / name, APPDIR / name)
        for name in gone:
            remove(name)
        reset_to(new)
    say(STEP, git("log", "-1", "--format=%s", new).strip())
    say(STEP, f"{len(coming)} files are new or changed" + (f", gone (but in git): {', '.join(gone)}" if gone else ""))
    failed = subprocess.run(["./setup.sh", "--quiet"], cwd=APPDIR).returncode
    READY.unlink()
    shutil.rmtree(WORK)
    if failed:
        fail(STEP, "the update is in, but setup.sh failed, see above; mend that and run ./setup.sh")


def is_in(new):
    """Return whether an update's commit is in the app dir's history."""
    return not run(["git", "merge-base", "--is-ancestor", new, "HEAD"], APPDIR).returncode


def take_back(app, base, new):
    """Take back what came in of an update that was cut off; may itself be cut off, and run again."""
    git("reset", "--quiet", "--hard", new, cwd=WORK)
    came = {name: content(app / name) for part in changes(app, base, new) for name in part}
    git("reset", "--quiet", "--hard", base, cwd=WORK)
    for name in came:
        if content(APPDIR / name) != came[name]:
            continue  # it did not come in, or was edited since
        if os.path.lexists(app / name):
            put_as(app / name, APPDIR / name)
        else:
            remove(name)
    reset_to("HEAD")
    READY.unlink()


def reset_to(commit):
    """Tell git that the app dir is at a commit, and let it write its index now: a later command has another umask."""
    git("reset", "--quiet", commit)
    git("status", "--porcelain", "--untracked-files=no")


def put_as(new, old):
    """Move a file over the old one, with the mode and group that it had."""
    old.parent.mkdir(parents=True, exist_ok=True)
    keep_mode(old, new)
    put(new, old)


def put(new, old):
    """Move a file over the old one, as a whole; also where that lies on another volume."""
    try:
        new.replace(old)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        draft = old.with_name(f".{old.name}.new")
        draft.unlink(missing_ok=True)
        shutil.copy2(new, draft, follow_symlinks=False)
        os.chown(draft, -1, new.lstat().st_gid, follow_symlinks=False)
        draft.replace(old)


def remove(name):
    """Remove a file that is in git's history, and each folder that it leaves empty."""
    (APPDIR / name).unlink(missing_ok=True)
    for folder in (APPDIR / name).parents:
        if folder == APPDIR or not folder.is_dir() or any(folder.iterdir()):
            break
        folder.rmdir()


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
        diff = git("diff", "--cached", "--stat", "--patch", cwd=app)
        print(subject, diff, *(f"new folder {name}" for name in new_folders(app)), sep="\n\n", flush=True)
        if marked := conflicts(app):
            fail(STEP, f"your edits and the update touch the same lines of {', '.join(marked)}")


def check_base(base):
    """Refuse an app dir that got another commit than the one from which the update began."""
    if head() != base:
        again = "--abort, then ./update.sh" if STOPPED.exists() else "again"
        fail(STEP, f"somebody committed in the app dir since this update began; run ./update.sh {again}")


def finish(app, base, subject):
    """Check what the clone holds, commit it, and bring it into the app dir."""
    clone = Path(git("rev-parse", "--show-toplevel", cwd=app).strip())
    if marked := conflicts(clone):
        stop(base, subject, f"your edits and the update touch the same lines of {', '.join(marked)}")
    git("add", "--all", cwd=app)
    if not git("diff", "--cached", "--name-only", cwd=app) and not new_folders(app):
        say_kept(STEP, f"nothing to do, the app dir is at {version(APPDIR)}")
        shutil.rmtree(WORK)
        return
    live, coming = (APPDIR / "secrets.conf").resolve(), app / "secrets.conf"
    secrets = live.read_bytes()
    if not check(app):
        stop(base, subject, "the checks above failed")
    git(*identity(), "commit", "--quiet", "--no-verify", "--allow-empty", "--message", subject, cwd=app)
    check_clean()
    check_base(base)
    new = head(app)
    check_places(app, base, new)
    if live.read_bytes() != secrets:
        fail(STEP, "secrets.conf was changed while this ran; run ./update.sh again")
    if coming.read_bytes() != secrets:  # only added to, so the old version can live with it
        put_as(coming, live)
    draft = READY.with_name("ready.new")
    draft.write_text(f"{base} {new}")
    draft.replace(READY)
    STOPPED.unlink(missing_ok=True)
    bring(app, base, new)


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
    app = WORK / git("rev-parse", "--show-prefix").strip()
    if READY.exists():
        if options.preview:
            fail(STEP, "an update was cut off while it came in; run ./update.sh, which finishes it")
        base, new = READY.read_text().split()
        if options.abort and not is_in(new):
            take_back(app, base, new)
            shutil.rmtree(WORK)
            return
        go_on(app, base, new)
        if options.abort:
            fail(STEP, "the update was on its way in, and is complete now; ./update.sh --undo takes it back")
        if resume:
            return
    if options.abort and STOPPED.exists():
        STOPPED.unlink()
        shutil.rmtree(WORK)
        return
    check_clean()
    if options.preview:
        preview(options)
    elif STOPPED.exists():
        if not resume:
            fail(STEP, f"an update waits in {WORK}: mend it and run ./update.sh --continue, or --abort")
        base, subject = STOPPED.read_text().split(" ", 1)
        check_base(base)
        git("add", "--all", cwd=WORK)  # tells git that its conflicts are mended, where no marker is left
        git("reset", "--quiet", "--soft", base, cwd=WORK)  # in case that they were committed there
        finish(app, base, subject)
    elif options.abort or resume:
        fail(STEP, "no update waits")
    else:
        if os.path.lexists(WORK) and (WORK.is_symlink() or not (WORK / ".git").is_dir()):
            fail(STEP, f"{WORK} is not of an update; move it away")
        shutil.rmtree(WORK, ignore_errors=True)
        clone_to(WORK)
        base = head(app)
        finish(app, base, undo(app) if options.undo else update(app, options))


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        fail(STEP, f"{error}; run ./update.sh again")
