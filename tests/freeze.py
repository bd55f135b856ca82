"""Released versions of the template, frozen for the tests of updates: `python tests/freeze.py X.Y.Z` freezes one more.

Each is a git bundle, `tests/versions/X.Y.Z.bundle`, which needs no network, no old tag and no old Copier.  It holds
  - the tag vX.Y.Z: the template as it was released, but only what Copier needs of it,
  - a branch answers-N for each set of answers of its day: the app dir that Copier rendered, placeholders included.
A bundle never changes.  `git clone --branch answers-0 tests/versions/X.Y.Z.bundle` shows what is in one.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from support import ANSWERS, PARTS, ROOT, git

BUNDLES = ROOT / "tests/versions"
ADDRESS = "gh:org/appdir-template"  # of the template, as a frozen app dir has it in its answers file
ANSWERS_FILE = ".copier-answers.yml"
# the same version and answers give the same commits, whoever freezes them
STABLE = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{f"GIT_{role}_NAME": "Release" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "release@localhost" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_DATE": "2026-01-01T00:00:00Z" for role in ("AUTHOR", "COMMITTER")},
}


def versions():
    """Return the frozen versions, oldest first, such as `0.9.0`."""
    names = (path.stem for path in BUNDLES.glob("*.bundle"))
    return sorted(names, key=lambda name: [int(number) for number in name.split(".")])


def all_app_dirs():
    """Return the frozen app dirs, as (version, number of the set of answers)."""
    return [(version, number) for version in versions() for number in numbers(version)]


def numbers(version):
    """Return the numbers of a version's sets of answers."""
    heads = git("bundle", "list-heads", bundle(version), cwd=ROOT)
    return sorted(int(number) for number in re.findall(r" refs/heads/answers-(\d+)$", heads, re.MULTILINE))


def bundle(version):
    """Return the path of a version's bundle."""
    return BUNDLES / f"{version}.bundle"


def thaw_template(repo):
    """Make a git repository with each frozen version of the template as a tag; the newest is checked out."""
    git("init", "--quiet", repo, cwd=ROOT)
    for version in versions():
        git("fetch", "--quiet", bundle(version), f"refs/tags/v{version}:refs/tags/v{version}", cwd=repo)
    git("checkout", "--quiet", f"v{versions()[-1]}", cwd=repo)


def thaw_app(version, number, app):
    """Write the files of a frozen app dir into the new folder `app`, without a repository."""
    git("clone", "--quiet", "--branch", f"answers-{number}", bundle(version), app, cwd=ROOT)
    shutil.rmtree(app / ".git")


def set_address(app, address):
    """Write another address of the template into an answers file."""
    path = app / ANSWERS_FILE
    path.write_text(re.sub(r"(?m)^_src_path: .*$", f"_src_path: {address}", path.read_text()))


def freeze(version, revision="HEAD", folder=BUNDLES, sets=ANSWERS):
    """Freeze a revision of this repository as a version, and return the bundle's path."""
    path = folder / f"{version}.bundle"
    if path.exists():
        raise FileExistsError(f"{path} is frozen already")
    with tempfile.TemporaryDirectory() as temporary:
        repo = Path(temporary) / "template"
        repo.mkdir()
        run(repo, "git", "init", "--quiet", "--initial-branch=main")
        archive = run(ROOT, "git", "archive", revision, *PARTS)
        subprocess.run(["tar", "-x"], cwd=repo, input=archive, check=True)
        run(repo, "git", "add", "--all", "--force")
        run(repo, "git", "commit", "--quiet", f"--message=Release {version}")
        run(repo, "git", "tag", f"v{version}")
        refs = [f"refs/tags/v{version}"]
        for number, answers in enumerate(sets):
            app = Path(temporary) / str(number) / "app"
            render(repo, app, f"v{version}", {"app_name": "poser"} | answers)
            refs.append(f"refs/heads/answers-{number}")
            commit_tree(repo, app, refs[-1], f"Render {version} with {answers or 'the default answers'}")
        run(repo, "git", "-c", "pack.threads=1", "bundle", "create", "--quiet", path.absolute(), *refs)
    return path


def render(repo, app, tag, answers):
    """Render an app dir as a user does who has no settings."""
    app.parent.mkdir(parents=True)
    for name, content in {"settings.yml": {}, "answers.yml": answers}.items():
        (app.parent / name).write_text(yaml.safe_dump(content))
    options = ("--defaults", "--quiet", f"--vcs-ref={tag}", f"--data-file={app.parent / 'answers.yml'}")
    run(app.parent, sys.executable, "-m", "copier", "copy", *options, repo, app, COPIER_SETTINGS_PATH="settings.yml")
    set_address(app, ADDRESS)


def commit_tree(repo, app, ref, message):
    """Commit all files of a folder, those included that it ignores, to a ref of a repository."""
    index = {"GIT_DIR": repo / ".git", "GIT_WORK_TREE": app, "GIT_INDEX_FILE": app.parent / "index"}
    run(app, "git", "add", "--all", "--force", **index)
    tree = run(app, "git", "write-tree", **index).decode().strip()
    commit = run(app, "git", "commit-tree", tree, "-m", message, **index).decode().strip()
    run(app, "git", "update-ref", ref, commit, **index)


def run(folder, *command, **env):
    """Run a command in a folder, without the settings of this machine, and return what it prints, as bytes."""
    env = {**os.environ, **STABLE, **{name: str(value) for name, value in env.items()}}
    return subprocess.run([*map(str, command)], cwd=folder, env=env, check=True, stdout=subprocess.PIPE).stdout


def main():
    """Freeze the version that the command line names."""
    parser = argparse.ArgumentParser(description="Freeze a release of the template for the tests of updates.")
    parser.add_argument("version", help="the version, such as 1.2.0")
    parser.add_argument("--revision", default="HEAD", help="what to freeze (default: HEAD)")
    options = parser.parse_args()
    if not re.fullmatch(r"\d+\.\d+\.\d+", options.version):
        parser.error(f"'{options.version}' is no version; use X.Y.Z")
    print(freeze(options.version, options.revision).relative_to(ROOT))


if __name__ == "__main__":
    main()
