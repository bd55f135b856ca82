"""Setup and updates on machines whose git is configured otherwise, and what operators do by hand."""

import os
import shutil

import pytest
from matrix.update.conftest import ANSWERS
from matrix.update.places import edit, is_new, version
from support import files, git


@pytest.fixture
def configure(tmp_path, monkeypatch):
    """A function that writes git's global configuration."""

    def configure(text):
        (tmp_path / "gitconfig").write_text(text)
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))

    return configure


@pytest.fixture
def nobody(monkeypatch):
    """A git that knows nobody."""
    for role in ("AUTHOR", "COMMITTER"):
        for part in ("NAME", "EMAIL"):
            monkeypatch.delenv(f"GIT_{role}_{part}")
    monkeypatch.setenv("EMAIL", "")


@pytest.fixture
def fresh(made, versions, copier_once):
    """A function that copies the template to the app dir, and sets it up, in an env that is used again."""

    def fresh(*options):
        shutil.rmtree(made.dir)
        made.dir.mkdir()
        data = [part for item in ANSWERS.items() for part in ("--data", "{}={}".format(*item))]
        made.run(copier_once, "copy", "--quiet", "--defaults", "--vcs-ref", "v1.0.0", *data, versions, made.dir)
        made.run("./setup.sh", "--quiet", "--keep-database", *options)
        return made

    return fresh


def test_operator_can_commit_right_after_setup(fresh, nobody, configure):
    configure("[user]\nuseConfigOnly = true\n")
    app = fresh()
    edit(app, "web.conf")
    assert git("log", "-1", "--format=%an", cwd=app.dir) == "appdir\n"
    app.run("./update.sh")
    assert is_new(app)


def test_identity_only_in_the_repository(app, nobody, configure):
    configure("[user]\nuseConfigOnly = true\n")
    git("config", "user.name", "Mine", cwd=app.dir)
    git("config", "user.email", "mine@localhost", cwd=app.dir)
    app.run("./update.sh")
    assert is_new(app)
    assert git("log", "-1", "--format=%an <%ae>", cwd=app.dir) == "Mine <mine@localhost>\n"


def test_hooks_that_change_messages_or_refuse(app, configure, tmp_path):
    hooks = {"commit-msg": 'sed -i "1s/^/[shop] /" "$1"', "pre-commit": "exit 1", "reference-transaction": "exit 1"}
    for name, text in hooks.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    configure(f"[core]\nhooksPath = {tmp_path}\n")
    app.run("./update.sh")
    assert is_new(app)
    app.run("./update.sh", "--undo")
    assert version(app) == "v1.0.0"


def test_update_is_known_by_more_than_its_message(app):
    app.run("./update.sh")
    git("commit", "--quiet", "--amend", "--message", "[shop] something else", cwd=app.dir)
    app.run("./update.sh", "--undo")
    assert version(app) == "v1.0.0"


def test_what_the_template_renders_is_tracked_whatever_is_ignored_globally(fresh, configure, tmp_path):
    (tmp_path / "ignore").write_text("lib/\n*.conf\nlog*\n.*\n")
    (tmp_path / "templates/info").mkdir(parents=True)
    (tmp_path / "templates/info/exclude").write_text("lib/\n*.sh\n")
    configure(f"[core]\nexcludesFile = {tmp_path}/ignore\n[init]\ntemplateDir = {tmp_path}/templates\n")
    app = fresh()
    tracked = set(git("ls-files", cwd=app.dir).split())
    assert {"lib/run", "lib/appdir/cli.py", "web.conf", ".copier-answers.yml", ".gitignore", "setup.sh"} <= tracked
    app.run("./update.sh")
    assert is_new(app)
    assert "own/deep/hello.sh" in git("ls-files", cwd=app.dir)


def test_git_that_changes_line_ends(fresh, configure):
    configure("[core]\nautocrlf = true\n")
    app = fresh()
    assert b"\r" not in (app.dir / "setup.sh").read_bytes()
    (app.dir / "web.conf").unlink()
    git("checkout", "--", "web.conf", cwd=app.dir)
    edit(app, "cron.conf", "\n[mine]\n")
    app.run("./update.sh")
    assert is_new(app)
    assert not [
        name for name, (_, data) in files(app.dir).items() if b"\r\n" in data and name.endswith((".sh", ".conf"))
    ]


def test_commits_by_hand_keep_permissions_correct(fresh):
    app = fresh()
    umask = os.umask(0o022)
    try:
        (app.dir / "notes.txt").write_text("mine")
        git("add", "--all", cwd=app.dir)
        git("commit", "--quiet", "--message", "By hand", cwd=app.dir)
    finally:
        os.umask(umask)
    assert app.run("./setup.sh", "--check", "--keep-database").stdout.startswith("permissions all correct")


def test_folder_that_upstream_makes_does_not_stop_an_update(app):
    """`rattail make-appdir` makes cache/, and others that are there."""
    (app.dir / "cache/sessions").mkdir(parents=True)
    (app.dir / "cache/sessions/file").write_text("mine")
    assert git("status", "--porcelain", cwd=app.dir) == ""
    app.run("./update.sh")
    assert is_new(app)
    assert (app.dir / "cache/sessions/file").read_text() == "mine"


def test_nobody_that_git_knows(app, nobody, configure):
    """Such as cron, where an operator had an identity at setup; git then knows the app dir itself."""
    configure("[user]\nuseConfigOnly = true\n")
    app.run("./update.sh", "--preview")
    app.run("./update.sh")
    assert is_new(app)
