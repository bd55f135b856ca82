"""Pristine renderings of the template, kept as commits in the app dir's own repository.

Each is a commit under refs/appdir, with what Copier renders for a version and a set of answers, and nothing
else.  An update merges the difference between two of them, so neither the old tag nor the old template
repository is needed.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path

from appdir.core import Stop, run, say
from appdir.git import attempt, git, names, prefix, work_tree

ANSWERS = ".copier-answers.yml"
YOURS = ("poser/", "luigitasks/", "local-requirements.txt")  # written once, and then never touched
SHORT = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/"}


def setting(text, name):
    """Return a setting that Copier wrote into the answers, such as _commit, or an empty text."""
    found = re.search(rf"^{name}: (.*)$", text, re.MULTILINE)
    return found[1].strip("'\"") if found else ""


def answers_of(tree):
    """Return the answers file of a tree as text."""
    return git("cat-file", "blob", f"{tree}:{ANSWERS}")


def version_of(tree):
    """Return the version of the template that a tree was rendered from."""
    return setting(answers_of(tree), "_commit") or "a template without versions"


def asked(text):
    """Return the names of the questions that an answers file answers."""
    return set(re.findall(r"^([a-z]\w*):", text, re.MULTILINE))


def newest(address):
    """Return the newest release at an address, found without Copier, or None if that is not clear."""
    for short, url in SHORT.items():
        address = address.replace(short, url, 1) if address.startswith(short) else address
    listed = attempt("ls-remote", "--tags", "--refs", "--", address, timeout=60)
    tags = re.findall(r"refs/tags/(v?(\d+(?:\.\d+)*))$", listed.stdout, re.MULTILINE)
    return max(tags, key=lambda tag: number(tag[0]), default=(None,))[0]


def number(tag):
    """Return a release such as v1.10.0 as numbers to compare; none for what is not a release."""
    found = re.fullmatch(r"v?(\d+(?:\.\d+)*)", tag)
    return tuple(map(int, found[1].split("."))) if found else ()


def copier(address, ref, answers, data, folder):
    """Let Copier render a version (None: the newest) into a folder; `answers` is text, `data` what --data says."""
    command = shutil.which(os.environ.get("COPIER") or "copier")
    if not command:
        raise Stop("the copier command is missing; install it with: pipx install copier, or name it in COPIER")
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        file.write("\n".join(line for line in answers.splitlines() if not line.startswith("_")))
        file.flush()
        options = [part for one in data for part in ("--data", one)] + (["--vcs-ref", ref] if ref else [])
        done = run(command, "copy", "--quiet", "--defaults", "--overwrite", "--data-file", file.name, *options, address,
                   folder, env=os.environ | {"GIT_TERMINAL_PROMPT": "0"}, stdin=-3)  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise Stop(f"Copier could not render {address}: {last}; if the template has moved, use --template ADDRESS")


def render(address, ref, answers, data=()):
    """Return the tree of a pristine rendering, and its folders: the paths of their placeholders."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "app")
        copier(address, ref, answers, data, folder)
        text = (folder / ANSWERS).read_text()
        if unknown := {one.partition("=")[0] for one in data} - asked(text):
            raise Stop(f"--data {min(unknown)}: no such question with these answers")
        if gone := asked(answers) - asked(text):
            say("answers", f"no longer asked: {', '.join(sorted(gone))}")
        folders = sorted(path.parent.relative_to(folder).as_posix() for path in folder.rglob(".gitkeep"))
        for path in folder.rglob(".gitkeep"):
            path.unlink()
        env = work_tree(folder, Path(name, "index"))
        git("add", "--all", "--force", ".", cwd=folder, env=env)
        return git("write-tree", cwd=folder, env=env).strip(), folders


def ref_name():
    """Return the name of the ref that holds the renderings of this app dir."""
    return f"refs/appdir/{prefix()}template"


def record(tree):
    """Keep a rendering under the ref, and return its commit."""
    last = attempt("rev-parse", "--verify", "--quiet", ref_name()).stdout.strip()
    if last and git("rev-parse", f"{last}^{{tree}}").strip() == tree:
        return last
    parent = ["-p", last] if last else []
    message = f"Template {version_of(tree)}"
    commit = git("commit-tree", tree, *parent, "-m", message).strip()
    git("update-ref", ref_name(), commit)
    return commit


def edited(tree, drop=(), **put):
    """Return a tree without some of its top entries, and with others instead: blobs, by their name."""
    drop = [name.rstrip("/") for name in (*drop, *put)]
    lines = [line for line in names("ls-tree", "-z", tree) if line.partition("\t")[2] not in drop]
    lines += [f"100644 blob {blob}\t{name}" for name, blob in put.items()]
    return git("mktree", "-z", input="".join(f"{line}\0" for line in lines)).strip()


def base(tree):
    """Return the rendering from which an app dir's tree was made: one that is kept, or else rendered again.

    The answers file tells which: `copier update` by hand, or a hand edit of it, makes what is kept stale.
    """
    blob = git("rev-parse", f"{tree}:{ANSWERS}").strip()
    commits = attempt("rev-list", ref_name()).stdout.split()
    for commit in commits:
        if attempt("rev-parse", f"{commit}:{ANSWERS}").stdout.strip() == blob:
            return git("rev-parse", f"{commit}^{{tree}}").strip()
    answers = answers_of(tree)
    address, ref = setting(answers, "_src_path"), setting(answers, "_commit")
    try:
        found, _ = render(address, ref or None, answers)
    except Stop:
        if not commits:
            raise
        say("template", f"{ref} cannot be rendered again; using the last rendering that is kept here")
        found = git("rev-parse", f"{commits[0]}^{{tree}}").strip()
    found = edited(found, **{ANSWERS: blob})
    record(found)
    return found


def new_starters(old, new):
    """Return the files that are yours, which only the new rendering has: {path: blob}."""
    known = set(names("ls-tree", "-r", "-z", "--name-only", old))
    lines = names("ls-tree", "-r", "-z", new)
    found = {line.partition("\t")[2]: line.partition("\t")[0] for line in lines}
    return {path: entry for path, entry in found.items() if path.startswith(YOURS) and path not in known}
