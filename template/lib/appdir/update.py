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
from appdir.core import APPDIR, ENV, PYTHON, Stop, kept, lock, note, report, run
from appdir.git import attempt, git, head, is_tracked, names, prefix, work_tree

WORK = APPDIR / ".update"
MERGE = ["-c", "merge.directoryRenames=false", "-c", "merge.renameLimit=5000", "-c", "merge.conflictStyle=merge"]


def main(options):
    """Do what the options say, after an interrupted run is dealt with."""
    check_app_dir()
    goes_on = vars(options)["continue"]
    if options.diff:
        show_diff()
        return
    if options.preview:
        with tempfile.TemporaryDirectory(prefix="appdir-") as folder:
            start(Path(folder), options)
        return
    lock()
    if (WORK / "ready").exists():  # interrupted while it came in; lib/run has started the new version's code
        stage_two(WORK, "--abort" if options.abort else "--continue")
        if goes_on or options.abort:
            return
    elif (WORK / "plan.json").exists():
        if not (goes_on or options.abort):
            raise Stop(f"an update waits in {WORK / 'app'}: fix it and run ./update.sh --continue, or --abort")
        stage_two(WORK, "--abort" if options.abort else "--continue")
        return
    if options.abort or goes_on:
        raise Stop("no update in progress")
    if env.BEFORE.exists():
        raise Stop("an upgrade was interrupted; run ./upgrade.sh first, which restores the packages")
    if os.path.lexists(WORK):
        if WORK.is_symlink() or not WORK.is_dir() or {path.name for path in WORK.iterdir()} - {"app", "plan.new"}:
            raise Stop(f"{WORK} is not part of an update; move it away")
        shutil.rmtree(WORK)
    start(WORK, options)


def check_app_dir():
    """Refuse an app dir that is not ours to change, or that git could not bring back."""
    users.require_owner()
    if not is_tracked():
        raise Stop(
            "git does not keep this app dir, so an update could lose your edits; run ./setup.sh, which commits it"
        )
    if not (APPDIR / "secrets.conf").exists():
        raise Stop("secrets.conf is missing: run ./setup.sh first, or restore it from a backup")


def check_clean():
    """Refuse an app dir with edits that are not committed, or with an unfinished git operation."""
    changed = [
        name[3:] for name in names("status", "--porcelain", "--no-renames", "--untracked-files=no", "-z", "--", ".")
    ]
    if changed:
        shown = ", ".join(changed[:5]) + (", ..." if changed[5:] else "")
        raise Stop(f"not committed: {shown}; commit it, or drop an edit with: git checkout FILE", edits=changed)
    unfinished = ("index.lock", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply")
    for name in git("rev-parse", *(part for path in unfinished for part in ("--git-path", path))).splitlines():
        if (APPDIR / name).exists():
            raise Stop(f"a git operation is unfinished; see git status, or remove {name}")


def tree_of(commit):
    """Return the tree of the app dir in a commit of its repository."""
    return git("rev-parse", f"{commit}:{prefix()}").strip()


def show_diff():
    """Show what the app dir has changed relative to the rendering it came from, committed or not."""
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        git("read-tree", "HEAD", env=index)
        git("add", "--update", ".", env=index)
        ours = git("write-tree", f"--prefix={prefix()}", env=index).strip()
    diff = ["diff", "--find-renames", "--diff-filter=MDRT", rendering.base(tree_of("HEAD")), ours]
    note(changed=names(*diff, "--name-only", "-z"))
    if not report.json:
        print(git(*diff), end="")


def start(work, options):
    """Make the plan of an update, lay its result out in a folder, and hand it over."""
    check_clean()
    ours = tree_of("HEAD")
    plan = plan_undo() if options.undo else plan_update(ours, options)
    if plan is None:
        kept("update", f"nothing to do: the app dir is at {rendering.version_of(ours)}")
        note(changed=False)
        return
    tree, conflicts, labels = merge(plan.pop("base"), ours, plan.pop("new"), plan["version"])
    for path, entry in plan.pop("starters").items():
        if not os.path.lexists(APPDIR / path):
            tree = put_into(tree, path, entry)
    plan |= {
        "app": str(APPDIR),
        "env": str(ENV),
        "prefix": prefix(),
        "head": head(),
        "tree": tree,
        "conflicts": conflicts,
    }
    plan |= {name: getattr(report, name) for name in ("preview", "quiet", "json")}
    lay_out(work, plan, labels)
    stage_two(work)


def plan_update(ours, options):
    """Return the plan of an update: two renderings and what to call it; None if nothing is new."""
    answers = rendering.answers_of(ours)
    address = options.template or rendering.setting(answers, "_src_path")
    ref, current = options.vcs_ref, rendering.setting(answers, "_commit")
    if not ref and current:
        ref = rendering.newest(address)
    if ref == current and not options.data and not options.template:
        return None
    if ref and current and () < rendering.number(ref) < rendering.number(current):
        raise Stop(f"this app dir is at {current}, and downgrades to {ref} are not supported; see ./update.sh --undo")
    if options.template and Path(options.template).exists():
        address = str(Path(options.template).absolute())
    base = rendering.base(ours)
    new, folders = rendering.render(address, ref, answers, options.data)
    old, version = rendering.version_of(ours), rendering.version_of(new)
    step = version if old == version else f"{old} -> {version}"
    subject = ", ".join([f"Update the template: {step}", *options.data])
    starters = rendering.new_starters(base, new)
    base, merged = (rendering.edited(tree, drop=rendering.YOURS) for tree in (base, new))
    return {"base": base, "new": merged, "rendering": new, "starters": starters, "folders": folders,
            "version": version, "subject": subject, "packages": None}  # fmt: skip


def plan_undo():
    """Return the plan that undoes the last update that is not undone yet."""
    undone = set(re.findall(r"^Undoes: (\w+)$", git("log", "--format=%b", "--", "."), re.MULTILINE))
    kept_here = set(attempt("rev-list", rendering.ref_name()).stdout.split())
    for line in git("log", "--first-parent", "--format=%H %P").splitlines():
        commit, *parents = line.split()
        if len(parents) == 2 and parents[1] in kept_here and commit not in undone:
            break
    else:
        raise Stop("there is no update to undo")
    subject = git("log", "-1", "--format=%s", commit).strip()
    packages = attempt("cat-file", "blob", f"refs/appdir/packages/{commit}").stdout or None
    before = tree_of(parents[0])
    base, new = (rendering.edited(tree_of(one), drop=rendering.YOURS) for one in (commit, parents[0]))
    return {"base": base, "new": new, "rendering": None, "starters": {}, "folders": [], "packages": packages,
            "version": rendering.version_of(before), "subject": f"Undo: {subject}\n\nUndoes: {commit}"}  # fmt: skip


def merge(base, ours, new, version):
    """Return the tree that git's merge makes of three trees, its conflicts {path: text}, and labels for their sides."""
    root = git("commit-tree", base, "-m", "base").strip()
    sides = [git("commit-tree", tree, "-p", root, "-m", "side").strip() for tree in (ours, new)]
    done = attempt(*MERGE, "merge-tree", "--write-tree", "-z", "--messages", "--name-only", *sides)
    if done.returncode > 1:
        raise Stop(f"git merge-tree: {done.stderr.strip()}")
    tree, *rest = done.stdout.split("\0")
    if not done.returncode:
        return tree, {}, {}
    paths = rest[: rest.index("")]
    messages = [part for part in rest[len(paths) :] if part.startswith("CONFLICT")]
    labels = dict(zip(sides, ("your version", f"template {version}"), strict=True))
    for side, name in labels.items():
        messages = [message.replace(side, name).strip() for message in messages]
    return tree, {path: next((text for text in messages if path in text), "") for path in paths}, labels


def put_into(tree, path, entry):
    """Return a tree with one file more; `entry` is its mode, type and blob as ls-tree shows them."""
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        git("read-tree", tree, env=index)
        mode, _, blob = entry.split(" ")
        git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", env=index)
        return git("write-tree", env=index).strip()


def lay_out(work, plan, labels):
    """Write the merged tree as an app dir in a folder, with links to what git does not keep, and the plan beside it."""
    app = work / "app"
    app.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        alone = work_tree(app, Path(folder, "index"))
        git("read-tree", plan["tree"], cwd=app, env=alone)
        git("checkout-index", "--all", cwd=app, env=alone)
    for path in plan["conflicts"]:
        for side, name in labels.items():
            if (app / path).is_file():
                data = (app / path).read_bytes()
                (app / path).write_bytes(data.replace(f" {side}".encode(), f" {name}".encode()))
    linked = []
    for path in (name.rstrip("/") for name in names("ls-files", "-z", "--others", "--directory", ".")):
        if (
            path not in (".update", "log", "secrets.conf")
            and not os.path.lexists(app / path)
            and "__pycache__" not in path
        ):
            (app / path).parent.mkdir(parents=True, exist_ok=True)
            (app / path).symlink_to(APPDIR / path)
            linked.append(path)
    shutil.copy2((APPDIR / "secrets.conf").resolve(), app / "secrets.conf")
    (app / "log").mkdir(exist_ok=True)  # where the configs open their logs
    plan["linked"] = linked
    draft = work / "plan.new"
    draft.write_text(json.dumps(plan, indent=1))
    draft.replace(work / "plan.json")


def stage_two(work, *options):
    """Hand over to the code of the version that is laid out in a folder, and end as it ends."""
    environment = os.environ | {"APPDIR": str(APPDIR)}
    sys_flags = ("-I", "-X", "utf8", "-W", "ignore")
    done = run(PYTHON, *sys_flags, work / "app/lib", "update-stage-two", work, *options, env=environment, cwd="/",
               capture_output=False)  # fmt: skip
    if done.returncode:
        raise SystemExit(done.returncode)
    if report.json:
        raise SystemExit(0)  # it has shown the result
