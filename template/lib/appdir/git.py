"""git in the app dir: no config of this machine that could change or lose what the template renders."""

import os
import shutil

from appdir.core import APPDIR, Stop, run

# a global ignore file would hide files of the template, and CRLF or a hook would change them
OPTIONS = ["core.autocrlf=false", "core.excludesFile=", "core.hooksPath=/dev/null", "core.quotePath=false"]
OPTIONS = [part for option in [*OPTIONS, "commit.gpgSign=false", "gc.auto=0"] for part in ("-c", option)]
IDENTITY = {"user.name": "appdir", "user.email": "appdir@localhost"}


def environment():
    """Return the environment without what a git hook sets, which would lead git elsewhere, and without prompts."""
    kept = ("GIT_CONFIG", "GIT_AUTHOR", "GIT_COMMITTER", "GIT_SSH")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith(kept)}
    return {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes"} | clean | {"GIT_TERMINAL_PROMPT": "0"}


def attempt(*args, cwd=APPDIR, **options):
    """Run git and return the finished process."""
    if not shutil.which("git"):
        raise Stop("git is missing; install it with: apt-get install git")
    return run("git", *OPTIONS, *args, cwd=cwd, env=environment() | options.pop("env", {}), **options)


def git(*args, **options):
    """Run git and return what it prints; if it refuses, Stop with its words."""
    done = attempt(*args, **options)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no reason given"]
        raise Stop(f"git {args[0]}: {said[0]}; fix that and run this again")
    return done.stdout


def commit_tree(tree, message, *parents):
    """Return a new commit of a tree, which no branch will show, by nobody that git would have to know."""
    roles = ("GIT_AUTHOR_", "GIT_COMMITTER_")
    nobody = {role + key[5:].upper(): value for role in roles for key, value in IDENTITY.items()}
    return git(
        "commit-tree", tree, *(part for one in parents for part in ("-p", one)), "-m", message, env=nobody
    ).strip()


def names(*args, **options):
    """Run a git command that prints paths, ended by NUL, and return them as a list."""
    return git(*args, **options).split("\0")[:-1]


def head():
    """Return the commit that is checked out in the app dir."""
    return git("rev-parse", "HEAD").strip()


def prefix():
    """Return the path of the app dir in its repository, such as app/, or an empty text."""
    return git("rev-parse", "--show-prefix").strip("\n")


def tree_of(commit):
    """Return the tree of the app dir in a commit of its repository."""
    return git("rev-parse", f"{commit}:{prefix()}").strip()


def is_tracked():
    """Return whether git keeps this app dir: it is neither outside every repository, nor ignored in a bigger one."""
    if attempt("check-ignore", "--quiet", ".copier-answers.yml").returncode != 1:
        return False
    return attempt("cat-file", "-e", "HEAD:./.copier-answers.yml").returncode == 0


def database_key():
    """Return the key of git's config that tells whether this app dir has had a database; Stop outside a repository."""
    return f"appdir.{prefix()}.database"


def had_database():
    """Return whether setup.sh has seen the database of this app dir: a new one would hide that it is lost."""
    return attempt("rev-parse", "--git-dir").returncode == 0 and attempt("config", database_key()).returncode == 0


def settle_identity():
    """Give the repository a name and address for commits, where git knows none: else nobody could commit by hand."""
    for key, value in IDENTITY.items():
        role = "GIT_COMMITTER_" + key.rpartition(".")[2].upper()
        if not os.environ.get(role) and attempt("config", key).returncode:
            git("config", key, value)


def alone(folder, index):
    """Return options for git() to take a folder for its work tree, with an index (a path) of its own."""
    top = git("rev-parse", "--absolute-git-dir").strip()
    return {"cwd": folder, "env": {"GIT_DIR": top, "GIT_WORK_TREE": str(folder), "GIT_INDEX_FILE": str(index)}}
