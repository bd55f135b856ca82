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
from appdir.git import alone, attempt, commit_tree, environment, git, names, prefix

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
                   folder, env=environment(), stdin=-3)  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise Stop(f"Copier could not render {address}: {last}; if the template has moved, use --template ADDRESS")


def render(address, ref, answers, data=()):
    """Return a commit of a pristine rendering, not yet kept; its message lists the folders, which git knows not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "app")
        copier(address, ref, answers, data, folder)
        text = (folder / ANSWERS).read_text()
        if unknown := {one.partition("=")[0] for one in data} - asked(text):
            raise Stop(f"--data {min(unknown)}: no such question with these answers")
        if gone := asked(answers) - asked(text):
            say("answers", f"no longer asked: {', '.join(sorted(gone))}")
        placeholders = sorted(folder.rglob(".gitkeep"))
        options = alone(folder, Path(name, "index"))
        git("add", "--all", "--force", "--", ".", ":(exclude,glob)**/.gitkeep", **options)
        return commit_of(
            git("write-tree", **options).strip(), [path.parent.relative_to(folder) for path in placeholders]
        )


def commit_of(tree, folders):
    """Return a commit of a rendering, after the one that is kept."""
    last = attempt("rev-parse", "--verify", "--quiet", ref_name()).stdout.split()
    message = "\n".join([f"Template {version_of(tree)}", "", *(f"folder {path}" for path in folders)])
    return commit_tree(tree, message, *last)


def folders_of(commit):
    """Return the folders of a rendering, as its message lists them."""
    return re.findall(r"^folder (.*)$", git("log", "-1", "--format=%b", commit), re.MULTILINE)


def ref_name():
    """Return the name of the ref that holds the renderings of this app dir."""
    return f"refs/appdir/{prefix()}template"


def keep(commit):
    """Keep a rendering, and with it those before; one that is kept stays where it is."""
    if attempt("merge-base", "--is-ancestor", commit, ref_name()).returncode:
        git("update-ref", ref_name(), commit)


def edited(tree, drop=(), **put):
    """Return a tree without some of its top entries, and with others instead: blobs, by their name."""
    drop = [name.rstrip("/") for name in (*drop, *put)]
    lines = [line for line in names("ls-tree", "--full-tree", "-z", tree) if line.partition("\t")[2] not in drop]
    lines += [f"100644 blob {blob}\t{name}" for name, blob in put.items()]
    return git("mktree", "-z", input="".join(f"{line}\0" for line in lines)).strip()


def base(tree, address=None):
    """Return the rendering from which an app dir's tree was made: one that is kept, or else rendered again.

    The answers file tells which: `copier update` by hand, or a hand edit of it, makes what is kept stale.
    """
    blob = git("rev-parse", f"{tree}:{ANSWERS}").strip()
    commits = attempt("rev-list", ref_name()).stdout.split()
    for commit in commits:
        if attempt("rev-parse", f"{commit}:{ANSWERS}").stdout.strip() == blob:
            return commit
    answers = answers_of(tree)
    ref = setting(answers, "_commit")
    try:
        found = render(address or setting(answers, "_src_path"), ref or None, answers)
    except Stop:
        if not commits:
            raise
        say("template", f"{ref} cannot be rendered again; using the last rendering that is kept here")
        found = commits[0]
    return commit_of(edited(f"{found}^{{tree}}", **{ANSWERS: blob}), folders_of(found))


def new_starters(old, new):
    """Return the files that are yours, which only the new rendering has, as lines of ls-tree."""
    known = set(names("ls-tree", "--full-tree", "-r", "-z", "--name-only", old))
    paths = {line.partition("\t")[2]: line for line in names("ls-tree", "--full-tree", "-r", "-z", new)}
    return [line for path, line in paths.items() if path.startswith(YOURS) and path not in known]
