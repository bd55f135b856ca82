"""Updates the template: renders the new version, merges it, and hands the result to the new version's own code.

The result is laid out as a whole app dir in .update/app, where it is checked.  Until it is brought in,
nothing of the app dir has changed.  The hand-over is a contract between versions, see update_stage_two.py.
"""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from appdir import env, rendering, users
from appdir.answers import SERVICE_USER
from appdir.core import APPDIR, FLAGS, PYTHON, Stop, kept, lock, note, reason, report, run
from appdir.git import alone, attempt, commit_tree, git, head, is_tracked, names, prefix, tree_of

WORK = APPDIR / ".update"
MERGE = ["-c", "merge.directoryRenames=false", "-c", "merge.renameLimit=5000", "-c", "merge.conflictStyle=merge"]


def main(options):
    """Do what the options say, after an interrupted run is dealt with."""
    users.require_owner()
    if not is_tracked():
        raise Stop(
            "git does not keep this app dir, so an update could lose your edits; run ./setup.sh, which commits it"
        )
    if not (APPDIR / "secrets.conf").exists():
        raise Stop("secrets.conf is missing: run ./setup.sh first, or restore it from a backup")
    if options.diff:
        show_diff()
        return
    if not options.preview:
        lock()
    action = "--abort" if options.abort else "--continue"
    asked = not options.preview and (options.abort or vars(options)["continue"])
    is_ready, waits = (WORK / "ready").exists() and not options.preview, (WORK / "plan.json").exists()
    if waits and not is_ready and not asked:
        raise Stop(f"an update waits in {WORK / 'app'}: fix it and run ./update.sh --continue, or --abort")
    if waits:  # one that is ready was interrupted while it came in: lib/run has started the new version's code
        stage_two(WORK, action)
    elif asked:
        raise Stop("no update in progress")
    if asked:
        return
    if env.BEFORE.exists():
        raise Stop("an upgrade was interrupted; run ./upgrade.sh first, which restores the packages")
    if os.path.lexists(WORK) and (
        WORK.is_symlink() or not WORK.is_dir() or {path.name for path in WORK.iterdir()} - {"app", "plan.new"}
    ):
        raise Stop(f"{WORK} is not part of an update; move it away")
    if options.preview:
        with tempfile.TemporaryDirectory(prefix="appdir-") as folder:
            start(Path(folder), options)
        return
    shutil.rmtree(WORK, ignore_errors=True)
    start(WORK, options)


def show_diff():
    """Show what the app dir has changed relative to the rendering it came from, committed or not."""
    with tempfile.TemporaryDirectory() as folder:
        index = {"env": {"GIT_INDEX_FILE": str(Path(folder, "index"))}}
        git("read-tree", "HEAD", **index)
        git("add", "--update", ".", **index)
        ours = git("write-tree", f"--prefix={prefix()}", **index).strip()
    base = rendering.base(tree_of("HEAD"))
    diff = ["diff", "--find-renames", base, ours]
    removed = names(*diff, "--diff-filter=D", "--name-only", "-z")
    edited = names(*diff, "--diff-filter=MRT", "--name-only", "-z")
    lost = [name for name in rendering.folders_of(base) if not (APPDIR / name).is_dir()]
    note(edited=edited, removed=removed, missing_folders=lost)
    if not report.json:
        print(git(*diff, "--diff-filter=MDRT"), end="")


def start(work, options):
    """Make the plan of an update, lay its result out in a folder, and hand it over."""
    changed = [line[3:] for line in names("status", "--porcelain", "--no-renames", "--untracked-files=no", "-z", ".")]
    if changed:
        shown = ", ".join(changed[:5]) + (", ..." if changed[5:] else "")
        raise Stop(f"not committed: {shown}; commit it, or drop an edit with: git checkout FILE", edits=changed)
    unfinished = ("index.lock", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply")
    for name in git("rev-parse", *(part for path in unfinished for part in ("--git-path", path))).splitlines():
        if (APPDIR / name).exists():
            raise Stop(f"a git operation is unfinished; see git status, or remove {name}")
    ours = tree_of("HEAD")
    plan = plan_undo() if options.undo else plan_update(ours, options)
    if plan is None:
        kept("update", f"nothing to do: the app dir is at {rendering.version_of(ours)}")
        note(changed=False)
        return
    merged, plan["conflicts"], labels = merge(plan.pop("base"), ours, plan.pop("new"), plan["version"])
    plan |= {"prefix": prefix(), "head": head()}
    lay_out(work, plan, merged, labels)
    stage_two(work)


def plan_update(ours, options):
    """Return the plan of an update: two renderings and what to call it; None if nothing is new."""
    answers = rendering.answers_of(ours)
    address = options.template or rendering.setting(answers, "_src_path")
    if Path(address).exists():
        address = str(Path(address).absolute())
    current = rendering.setting(answers, "_commit")
    ref = options.vcs_ref or (current and rendering.newest(address))
    if ref and ref == current and not options.data and not options.template:
        return None
    if ref and () < rendering.number(ref) < rendering.number(current):
        raise Stop(f"this app dir is at {current}, and downgrades to {ref} are not supported; see ./update.sh --undo")
    base = rendering.base(ours, options.template)
    if not report.preview:
        rendering.keep(base)  # the new one is kept once it comes in
    kept("update", f"rendering {ref or 'the newest version'}")
    new = rendering.render(address, ref, answers, options.data)
    old, version = rendering.version_of(ours), rendering.version_of(new)
    step = version if old == version else f"{old} -> {version}"
    sides = {name: rendering.edited(tree, drop=rendering.YOURS) for name, tree in {"base": base, "new": new}.items()}
    return sides | {
        "starters": rendering.new_starters(base, new),
        "folders": rendering.folders_of(new),
        "rendering": new,
        "packages": None,
        "version": version,
        "subject": ", ".join([f"Update the template: {step}", *options.data]),
    }


def plan_undo():
    """Return the plan that undoes the last update that is not undone yet."""
    undone = set(re.findall(r"^Undoes: (\w+)$", git("log", "--format=%b", "--", "."), re.MULTILINE))
    renderings = set(attempt("rev-list", rendering.ref_name()).stdout.split())
    for line in git("log", "--first-parent", "--format=%H %P").splitlines():
        commit, *parents = line.split()
        if len(parents) == 2 and parents[1] in renderings and commit not in undone:
            break
    else:
        raise Stop("there is no update to undo")
    trees = {"base": tree_of(commit), "new": tree_of(parents[0])}
    return {name: rendering.edited(tree, drop=rendering.YOURS) for name, tree in trees.items()} | {
        "starters": [],
        "folders": [],
        "rendering": None,
        "packages": attempt("cat-file", "blob", f"refs/appdir/packages/{commit}").stdout or None,
        "version": rendering.version_of(trees["new"]),
        "subject": f"Undo: {git('log', '-1', '--format=%s', commit).strip()}\n\nUndoes: {commit}",
    }


def merge(base, ours, new, version):
    """Return the tree that git's merge makes of three trees, its conflicts {path: text}, and labels for their sides."""
    root = commit_tree(base, "base")
    sides = [commit_tree(tree, "side", root) for tree in (ours, new)]
    done = attempt(*MERGE, "merge-tree", "--write-tree", "-z", "--messages", "--name-only", *sides)
    if done.returncode > 1:
        raise Stop(f"git merge-tree: {done.stderr.strip()}")
    tree, *rest = done.stdout.split("\0")
    paths = rest[: rest.index("")] if done.returncode else []
    labels = dict(zip(sides, ("your version", f"template {version}"), strict=True))
    messages = [part.strip() for part in rest if part.startswith("CONFLICT")]
    for side, name in labels.items():
        messages = [message.replace(side, name) for message in messages]
    return tree, {path: next((text for text in messages if path in text), path) for path in paths}, labels


def lay_out(work, plan, merged, labels):
    """Write the merged tree as an app dir in a folder, with links to what git does not keep, and the plan beside it."""
    app = work / "app"
    app.mkdir(parents=True)
    options = alone(app, work / "app/.index")
    git("read-tree", merged, **options)
    starters = [line for line in plan.pop("starters") if not os.path.lexists(APPDIR / line.partition("\t")[2])]
    git("update-index", "-z", "--index-info", input="".join(f"{line}\0" for line in starters), **options)
    plan["tree"] = git("write-tree", **options).strip()
    git("checkout-index", "--all", **options)
    (app / ".index").unlink()
    for path in plan["conflicts"]:
        for side, name in labels.items() if (app / path).is_file() else ():
            data = (app / path).read_bytes()
            (app / path).write_bytes(data.replace(f" {side}".encode(), f" {name}".encode()))
    plan["linked"] = []
    for path in (name.rstrip("/") for name in names("ls-files", "-z", "--others", "--directory", ".")):
        if not (path in (".update", "log", "secrets.conf") or "__pycache__" in path or os.path.lexists(app / path)):
            (app / path).parent.mkdir(parents=True, exist_ok=True)
            (app / path).symlink_to(APPDIR / path)
            plan["linked"].append(path)
    shutil.copy2((APPDIR / "secrets.conf").resolve(), app / "secrets.conf")
    (app / "log").mkdir(exist_ok=True)  # where the configs open their logs, for the service user too
    (app / "log").chmod(0o2770 if SERVICE_USER else 0o750)
    (work / "plan.new").write_text(json.dumps(plan, indent=1))
    (work / "plan.new").replace(work / "plan.json")


def stage_two(work, *options):
    """Hand over to the code of the version that is laid out in a folder, and end as it ends, unless all is well."""
    command = [PYTHON, *FLAGS, work / "app/lib", "update-stage-two"]
    environment = {"env": os.environ | {"APPDIR": str(APPDIR)}, "cwd": "/"}
    if (done := run(*command, "--help", **environment)).returncode:
        where = "the app dir has not changed; run ./update.sh --abort"
        raise Stop(f"the code of the new version does not start: {reason(done.stderr)}; {where}")
    done = run(*command, *options, *report.flags(), work, **environment, capture_output=False)
    if done.returncode or report.json:
        raise SystemExit(done.returncode)  # it has said why, or shown the result
