"""Checks an update that is laid out in a folder, and brings it in: the new version's part of update.sh.

The contract, which never changes: update.sh of any version lays a whole app dir of the new version out in
WORK/app, writes WORK/plan.json, and runs  ENV/bin/python -I WORK/app/lib update-stage-two WORK  with APPDIR in
the environment; --continue and --abort as update.sh has them.  plan.json holds: app, env, prefix, head (the
commit from which the update began), tree (of the app dir, merged), rendering (the pristine tree, or null),
conflicts {path: text}, linked (paths in WORK/app that are no part of it), folders, packages (those to go back
to, or null), version, subject, preview, quiet, json.
"""

import json
import os
import shutil
import sys
from pathlib import Path

from appdir import bring_in, env, packages
from appdir.core import ENV, Stop, kept, note, reason, report, say
from appdir.git import attempt, git, head, work_tree


def main(options):
    """Do stage two."""
    work = Path(options.work)
    plan = json.loads((work / "plan.json").read_text())
    report.command = "update"
    report.quiet, report.json, report.preview = plan["quiet"], plan["json"], plan["preview"]
    if (work / "ready").exists():
        finish(work, plan, (work / "ready").read_text().strip(), options.abort)
    elif options.abort:
        go_back(work)
        kept("update", "dropped; the app dir has not changed")
    else:
        prove(work, plan, vars(options)["continue"])


def go_back(work):
    """Drop an update that has not come in, with the packages that it installed."""
    if env.BEFORE.exists():
        env.put_back()
    shutil.rmtree(work)


def prove(work, plan, goes_on):
    """Check what is laid out, and bring it in; a Stop leaves it there to be fixed."""
    if head() != plan["head"]:
        raise Stop("somebody committed since this update began; run ./update.sh --abort, then ./update.sh")
    try:
        if plan["conflicts"] and not goes_on:
            shown = "; ".join(text or f"conflict in {path}" for path, text in plan["conflicts"].items())
            raise Stop(f"your edits and the update conflict: {shown}", edits=list(plan["conflicts"]))
        tree = hash_tree(work, plan)
        if left := marked(plan, tree):
            raise Stop(f"conflict markers are left in {', '.join(left)}", edits=left)
        check(work, plan)
    except Stop as stop:
        if env.BEFORE.exists():
            env.put_back()
        if plan["preview"]:
            raise
        where = work / "app"
        raise Stop(f"{stop}; the app dir has not changed. Fix it in {where} and run ./update.sh --continue, or --abort",
                   stop.code, **stop.facts) from None  # fmt: skip
    changes = bring_in.changes(plan["head"], plan["prefix"], tree)
    if plan["preview"]:
        show(plan, tree, changes)
        return
    bring_in.check_places(work / "app", plan, changes)
    if not (changes or bring_in.new_folders(plan) or plan["rendering"]):
        kept("update", "nothing to do")
        go_back(work)
        return
    commit = bring_in.commit(plan, tree)
    if (frozen := work / "packages-before.txt").exists():
        blob = git("hash-object", "-w", frozen).strip()
        git("update-ref", f"refs/appdir/packages/{commit}", blob)
    bring_in.secrets(work / "app")
    draft = work / "ready.new"
    draft.write_text(commit)
    draft.replace(work / "ready")
    finish(work, plan, commit, abort=False)


def hash_tree(work, plan):
    """Return the tree of what is laid out, with what was fixed by hand in it."""
    alone = work_tree(work / "app", work / "index")
    (work / "exclude").write_text("".join(f"/{path}\n" for path in [*plan["linked"], "secrets.conf", "log"]))
    git("read-tree", plan["tree"], cwd=work / "app", env=alone)
    git("-c", f"core.excludesFile={work / 'exclude'}", "add", "--all", ".", cwd=work / "app", env=alone)
    return git("write-tree", cwd=work / "app", env=alone).strip()


def marked(plan, tree):
    """Return the files of conflicts that still hold markers."""
    if not plan["conflicts"]:
        return []
    found = attempt("grep", "--no-color", "-lzE", "^(<<<<<<<|>>>>>>>) ", tree, "--", *plan["conflicts"]).stdout
    return [name.partition(":")[2] for name in found.split("\0")[:-1]]


def check(work, plan):
    """Install what the new version needs, complete its secrets, and let it load every config and build the app."""
    app = work / "app"
    files = packages.requirement_files(app)
    wanted = plan["packages"]
    if packages.missing(files) or wanted:
        if plan["preview"]:
            say("packages", "would install or change packages; the app is not built, as it may need them")
            return
        before = packages.freeze()
        env.keep()
        if wanted:
            packages.go_back_to(wanted, work)
        packages.install_missing(files)
        (work / "packages-before.txt").write_text(before)
    for command in (["secrets", "--quiet"], ["check-app"]):
        environment = os.environ | {"APPDIR": str(app), "APPDIR_ENV": str(ENV)}
        done = env.in_env(*command, cwd=app, env=environment)
        if done.returncode:
            raise Stop(reason(done.stderr or done.stdout).removeprefix(f"{command[0]}.sh: "))


def show(plan, tree, changes):
    """Show what the update would change."""
    old = f"{plan['head']}:{plan['prefix']}"
    note(changed=bool(changes), files=[name for name, _ in changes], subject=plan["subject"])
    if not report.json:
        folders = [f"new folder {name}" for name in bring_in.new_folders(plan)]
        subject = plan["subject"].partition("\n")[0]
        print(subject, git("diff", "--find-renames", "--stat", "--patch", old, tree), *folders, sep="\n\n", flush=True)


def finish(work, plan, commit, abort):
    """Bring the commit in, or with `abort` undo what has come in; both go on after an interruption."""
    is_in = not attempt("merge-base", "--is-ancestor", commit, "HEAD").returncode
    if abort and not is_in:
        bring_in.take_out(work, plan, commit)
        go_back(work)
        kept("update", "dropped; the app dir is as it was")
        return
    if not is_in and head() != plan["head"]:
        raise Stop("somebody committed while an update came in; ./update.sh --abort undoes what has come in")
    changes = bring_in.changes(plan["head"], plan["prefix"], f"{commit}:{plan['prefix']}")
    bring_in.bring(work, plan, commit, changes)
    say("update", plan["subject"].partition("\n")[0])
    gone = [name for name, status in changes if status == "D"]
    text = f"{len(changes) - len(gone)} files are new or changed"
    say("update", text + (f", gone (but in git): {', '.join(gone)}" if gone else ""))
    note(changed=True, files=[name for name, _ in changes], commit=commit, subject=plan["subject"])
    env.forget()
    done = env.run("./setup.sh", "--quiet", capture_output=False, stdout=sys.stderr if report.json else None)
    shutil.rmtree(work)
    if done.returncode:
        raise Stop("the update is in, but setup.sh failed, see above; fix that and run ./setup.sh")
    if abort:
        raise Stop("the update was coming in, and is complete now; ./update.sh --undo undoes it")
