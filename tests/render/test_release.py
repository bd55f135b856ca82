"""A release dates the changelog, freezes the version, commits and tags; what cannot be released is refused."""

import datetime
import shutil
import subprocess
import sys

import pytest
from support import git

UNRELEASED = "# Changelog\n\n## [Unreleased]\n\n"
OLD = "## [1.0.0] - 2026-01-01\n"


@pytest.fixture
def repo(template, tmp_path):
    """A clone of the project, tagged v1.0.0, that freezes one set of answers."""
    repo = tmp_path / "project"
    shutil.copytree(template, repo, symlinks=True)
    script = repo / "tests/freeze.py"
    script.write_text(script.read_text().replace("sets=ANSWERS", "sets=ANSWERS[:1]"))
    (repo / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [Unreleased]\n\n- Something new.\n\n## [1.0.0] - 2026-01-01\n"
    )
    git("commit", "--quiet", "--all", "--message", "Something new", cwd=repo)
    return repo


def run(repo, *arguments):
    """Run the release in a clone, and return the process."""
    command = [sys.executable, "tests/release.py", *arguments]
    return subprocess.run(command, cwd=repo, capture_output=True, text=True)


def state(repo):
    """Return what a release would change."""
    return git("status", "--porcelain", cwd=repo), git("show-ref", cwd=repo), (repo / "CHANGELOG.md").read_text()


def test_release(repo):
    done = run(repo, "1.1.0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith(f"{git('branch', '--show-current', cwd=repo).strip()} v1.1.0")
    assert (repo / "CHANGELOG.md").read_text() == (
        f"{UNRELEASED}## [1.1.0] - {datetime.date.today()}\n\n- Something new.\n\n{OLD}"
    )
    assert git("status", "--porcelain", cwd=repo) == ""
    assert git("log", "-1", "--format=%s", cwd=repo) == "Release 1.1.0\n"
    assert git("rev-list", "-1", "v1.1.0", cwd=repo) == git("rev-parse", "HEAD", cwd=repo)
    changed = git("diff", "--name-only", "HEAD~1", cwd=repo).split()
    assert changed == ["CHANGELOG.md", "tests/versions/1.1.0.bundle"]


def test_check_changes_nothing(repo):
    before = state(repo)
    assert run(repo, "--check", "1.1.0").returncode == 0
    assert state(repo) == before


@pytest.mark.parametrize("version", ["", "1.2", "v1.2.0", "1.2.0-rc1"])
def test_bad_version_is_refused(repo, version):
    refused(repo, version, f"'{version}' is not a version")


@pytest.mark.parametrize("version", ["1.0.0", "0.9.9"])
def test_version_that_is_not_newer_is_refused(repo, version):
    """Such as one whose tag exists."""
    refused(repo, version, f"{version} is not newer than 1.0.0")


def test_uncommitted_change_is_refused(repo):
    (repo / "new").touch()
    refused(repo, "1.1.0", "the work tree has changes")


@pytest.mark.parametrize("text", ["# Changelog\n", UNRELEASED + OLD])
def test_empty_changelog_is_refused(repo, text):
    (repo / "CHANGELOG.md").write_text(text)
    git("commit", "--quiet", "--all", "--message", "No changelog", cwd=repo)
    refused(repo, "1.1.0", "CHANGELOG.md has nothing under [Unreleased]")


def refused(repo, version, why):
    """Assert that a release is refused in one line that says why, and changes nothing."""
    before = state(repo)
    done = run(repo, version)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"release: {why}")
    assert len(done.stderr.splitlines()) == 1
    assert state(repo) == before
