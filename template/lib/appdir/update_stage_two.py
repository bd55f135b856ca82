"""Checks an update that is laid out in a folder, and brings it in: the new version's part of update.sh.

The contract, which never changes: update.sh of any version lays a whole app dir of the new version out in
WORK/app, writes WORK/plan.json, and runs  ENV/bin/python -I WORK/app/lib update-stage-two WORK  with APPDIR in
the environment, and the options of update.sh but --data, --vcs-ref, --template and --diff.  plan.json holds:
head (the commit from which the update began), prefix (of the app dir in its repository), tree (of the app dir,
merged), rendering (the pristine commit, or null), conflicts {path: text}, linked (paths in WORK/app that are not
part of it), folders, packages (the list to go back to, or null), version, subject.
"""

import json
import os
import re
import shutil
import sys
from pathlib import Path

from appdir import bring_in, env, packages, rendering, services, users
from appdir.core import APPDIR, ENV, Stop, kept, note, report, run, say, write
from appdir.git import alone, attempt, git, head, settle_identity
from appdir.permissions import WRITTEN


def main(options):
    """Do stage two."""
    update = Update(Path(options.path))
    if (update.work / "ready").exists():
        update.finish(options.abort)
    elif options.abort:
        update.drop()
        kept("update", "dropped; the app dir has not changed")
    else:
        update.prove(vars(options)["continue"])


class Update:
    """An update that is laid out in the folder `work`."""

    def __init__(self, work):
        self.work, self.app = work, work / "app"
        self.plan = json.loads((work / "plan.json").read_text())
        self.old = f"{self.plan['head']}:{self.plan['prefix']}"
        self.subject = self.plan["subject"].partition("\n")[0]
        report.command = "update"

    def drop(self):
        """Drop the update, with the packages that it installed."""
        if env.BEFORE.exists():
            env.put_back()
        shutil.rmtree(self.work)

    def prove(self, goes_on):
        """Check what is laid out, and bring it in; a Stop leaves it there to be fixed."""
        if head() != self.plan["head"]:
            raise Stop("somebody committed since this update began; run ./update.sh --abort, then ./update.sh")
        try:
            conflicts = self.plan["conflicts"]
            if conflicts and not goes_on:
                raise Stop(f"your edits conflict: {'; '.join(conflicts.values())}", edits=list(conflicts))
            tree = self.hash_tree()
            laid_out = [(path, self.app / path) for path in conflicts if (self.app / path).is_file()]
            if marked := [path for path, file in laid_out if re.search(rb"(?m)^(<{7}|>{7}) ", file.read_bytes())]:
                raise Stop(f"conflict markers are left in {', '.join(marked)}", edits=marked)
            self.check()
        except Stop as stop:
            if env.BEFORE.exists():
                env.put_back()
            text, facts = f"{stop}; the app dir has not changed", stop.facts
            if not report.preview:
                text += "" if report.json else f". Fix it in {self.app} and run ./update.sh --continue, or --abort"
                facts |= {"waits": str(self.app)}
            raise Stop(text, stop.code, **facts) from None
        try:
            bring_in.apply(self.old, tree, preview=True)
            for folder in self.new_folders():
                bring_in.check_place(f"{folder}/.gitkeep", None, None)
        except Stop:
            if not goes_on:  # nothing was fixed by hand yet
                self.drop()
            raise
        if report.preview:
            self.show(tree)
            return
        commit = self.commit(tree)
        self.bring_secrets()
        write(self.work / "ready", commit.encode(), 0o640)
        self.finish()

    def hash_tree(self):
        """Return the tree of what is laid out, with what was fixed by hand in it."""
        options = alone(self.app, self.work / "index")
        left_out = [*self.plan["linked"], "secrets.conf", "log"]
        (self.work / "exclude").write_bytes(os.fsencode("".join(f"/{path}\n" for path in left_out)))
        git("read-tree", self.plan["tree"], **options)
        git("-c", f"core.excludesFile={self.work / 'exclude'}", "add", "--all", ".", **options)
        return git("write-tree", **options).strip()

    def check(self):
        """Install what the new version needs, complete its secrets, and let it load every config and build the app."""
        files, wanted = packages.requirement_files(self.app), self.plan["packages"]
        if packages.missing(files) or wanted:
            if report.preview:
                say("packages", "would be changed; the app is not built, as it may need that")
                return
            (self.work / "packages-before.txt").write_text(packages.freeze())
            env.keep()
            if wanted:
                packages.go_back_to(wanted, self.work)
            packages.install_missing(files)
        kept("update", "looking whether every config loads and the app can be built")
        for command in ("secrets", "check-app"):
            found = env.result(command, APPDIR=str(self.app), APPDIR_ENV=str(ENV))
            if not found["ok"]:
                raise Stop(found["message"])

    def new_folders(self):
        """Return the folders of the rendering that the app dir lacks; git knows nothing of them."""
        return [name for name in self.plan["folders"] if not (APPDIR / name / ".gitkeep").exists()]

    def show(self, tree):
        """Show what the update would change."""
        found = list(bring_in.changes(self.old, tree))
        diff = git("diff", "--find-renames", "--stat", "--patch", self.old, tree)
        note(changed=bool(found), files=found, subject=self.subject, diff=diff)
        if not report.json:
            print(self.subject, diff, *(f"new folder {name}" for name in self.new_folders()), sep="\n\n", flush=True)

    def commit(self, tree):
        """Return a commit of the tree, on top of where the update began; the rendering is its other parent."""
        settle_identity()
        if self.plan["prefix"]:
            index = {"env": {"GIT_INDEX_FILE": str(self.work / "index")}}
            git("read-tree", self.plan["head"], **index)
            git("rm", "--quiet", "-r", "--cached", "--force", ".", **index)
            git("read-tree", f"--prefix={self.plan['prefix']}", tree, **index)
            tree = git("write-tree", **index).strip()
        parents = ["-p", self.plan["head"]]
        if self.plan["rendering"]:
            parents += ["-p", self.plan["rendering"]]
            rendering.keep(self.plan["rendering"])
        commit = git("commit-tree", tree, *parents, "-m", self.plan["subject"]).strip()
        if (before := self.work / "packages-before.txt").exists():
            git("update-ref", f"refs/appdir/packages/{commit}", git("hash-object", "-w", before).strip())
        return commit

    def bring_secrets(self):
        """Bring in secrets.conf, to which the check may have added; refuse if it was changed meanwhile."""
        live, coming = (APPDIR / "secrets.conf").resolve(), (self.app / "secrets.conf").read_bytes()
        if not set(live.read_bytes().splitlines()) <= set(coming.splitlines()):
            raise Stop("secrets.conf was changed while this ran; run ./update.sh --abort, then ./update.sh")
        bring_in.put(live, ("100644", coming))

    def finish(self, abort=False):
        """Bring the commit in, or with `abort` undo what has come in; both go on after an interruption."""
        commit = (self.work / "ready").read_text()
        new = f"{commit}:{self.plan['prefix']}"
        is_in = not attempt("merge-base", "--is-ancestor", commit, "HEAD").returncode
        if abort and not is_in:
            bring_in.apply(new, self.old, forgiving=True)
            move_head("HEAD")
            (self.work / "ready").unlink()
            self.drop()
            kept("update", "dropped; the app dir is as it was")
            return
        if not is_in:
            if head() != self.plan["head"]:
                raise Stop("somebody committed while an update came in; ./update.sh --abort undoes what has come in")
            folders = self.new_folders()
            his = [name for name in folders if (top := Path(name).parts[0]) in WRITTEN and (APPDIR / top).exists()]
            users.run_as_owner("data", bring_in.make_folders, his)
            bring_in.make_folders([name for name in folders if name not in his])
            bring_in.apply(self.old, new)
            move_head(commit)
        found = bring_in.changes(self.old, new)
        gone = [path for path, status in found.items() if status == "D"]
        say("update", self.subject)
        text = f"{len(found) - len(gone)} files are new or changed"
        say("update", text + (f", gone (but in git): {', '.join(gone)}" if gone else ""))
        note(changed=True, files=list(found), commit=commit, subject=self.subject)
        env.forget()
        done = run("./setup.sh", "--quiet", "--json")
        found = env.result_of(done)
        print(found["output"], end="", file=sys.stderr)
        for line in found.get("lines", ()):
            say(line["step"], line["text"])
        shutil.rmtree(self.work)
        try:
            if done.returncode:
                raise Stop(f"setup.sh fails: {found['message']}")
            if abort:
                raise Stop("the update was coming in, and is complete now; ./update.sh --undo undoes it")
            services.renew()
        except Stop as stop:
            raise stop if abort else self.gone_back(stop, found.get("migrated")) from None

    def gone_back(self, stop, is_migrated):
        """Undo the update, with which the app does not run, and return the Stop that says so."""
        if not self.plan["rendering"]:
            return Stop(f"the update is undone, but {stop}")
        if is_migrated:
            return Stop(f"the update is in, and the database is migrated, but {stop}; fix that, and run ./setup.sh")
        say("update", f"{stop}; undoing the update")
        quietly = {"capture_output": False, "stdout": sys.stderr if report.json else None}
        flags = ["--undo", "--quiet", *["--no-restart"] * report.no_restart]
        done = run("./update.sh", *flags, env=os.environ | {"APPDIR_LOCK_IS_OURS": "yes"}, **quietly)
        if attempt("diff", "--quiet", self.plan["head"], "HEAD", "--", ".").returncode:
            return Stop(f"the update is in, but {stop}; it could not be undone, see above")
        del report.facts["commit"]
        return Stop(f"{stop}; the update was undone" + ", but see above" * bool(done.returncode))


def move_head(commit):
    """Tell git that the app dir is at a commit, and let it write its index now: a later command has another umask."""
    git("reset", "--quiet", commit)
    git("status", "--porcelain", "--untracked-files=no")
