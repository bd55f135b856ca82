"""Places where an update could lose something are refused, with nothing changed; so is the preview of it."""

import os
import shutil
import subprocess
import time

import pytest
from matrix.update.places import edit, is_new, refused, tracked
from support import git, require


@pytest.fixture
def app(app):
    """The app; what a test does in its env beside the app dir is undone."""
    yield app
    shutil.rmtree(app.env / ".git", ignore_errors=True)
    (app.env / ".gitignore").unlink(missing_ok=True)


def uncommitted(app):
    (app.dir / "web.conf").write_text("mine")
    return "not committed: web.conf; commit it"


def without_git(app):
    shutil.rmtree(app.dir / ".git")
    return "git does not keep this app dir, so an update could lose your edits; run ./setup.sh"


def in_an_env_that_git_ignores(app):
    shutil.rmtree(app.dir / ".git")
    (app.env / ".gitignore").write_text("*\n")
    git("init", "--quiet", app.env, cwd="/")
    git("commit", "--quiet", "--allow-empty", "--message", "Env", cwd=app.env)
    return "git does not keep this app dir, so an update could lose your edits; run ./setup.sh"


def ignored_file(app):
    git("rm", "--quiet", "--cached", "cron.conf", cwd=app.dir)
    edit(app, ".gitignore", "/cron.conf\n")
    (app.dir / "cron.conf").write_text((app.dir / "cron.conf").read_text() + "# mine\n")
    return "CONFLICT (modify/delete): cron.conf"


def hidden_edit(app):
    git("update-index", "--skip-worktree", "web.conf", cwd=app.dir)
    (app.dir / "web.conf").write_text((app.dir / "web.conf").read_text() + "# mine\n")
    return "web.conf is not as git has it, so an edit would be lost"


def untracked_file_that_git_does_not_show(app):
    git("config", "status.showUntrackedFiles", "no", cwd=app.dir)
    (app.dir / "own/deep").mkdir(parents=True)
    (app.dir / "own/deep/hello.sh").write_text("mine")
    return "own/deep/hello.sh is not as git has it, so an edit would be lost"


def file_where_a_folder_comes(app):
    (app.dir / "data/new").write_text("mine")
    return "data/new is not a folder, but the update brings data/new/.gitkeep"


def unfinished_git_operation(app):
    (app.dir / ".git/index.lock").touch()
    return "a git operation is unfinished; see git status, or remove .git/index.lock"


def own_folder_of_that_name(app):
    (app.dir / ".update").mkdir()
    (app.dir / ".update/mine").write_text("mine")
    return ".update is not part of an update; move it away"


def interrupted_upgrade(app):
    (app.env / ".before-upgrade").mkdir()
    return "an upgrade was interrupted; run ./upgrade.sh first"


def not_set_up(app):
    (app.dir / "secrets.conf").unlink()
    return "secrets.conf is missing: run ./setup.sh first"


PLACES = [
    uncommitted,
    without_git,
    in_an_env_that_git_ignores,
    ignored_file,
    hidden_edit,
    untracked_file_that_git_does_not_show,
    file_where_a_folder_comes,
    unfinished_git_operation,
    own_folder_of_that_name,
    interrupted_upgrade,
    not_set_up,
]


@pytest.mark.parametrize("place", PLACES)
def test_place_is_refused(app, place):
    try:
        reason = place(app)
        before = tracked(app)
        for options in (["--preview"], []):
            assert reason in refused(app, *options), options
            assert tracked(app) == before
    finally:
        shutil.rmtree(app.env / ".before-upgrade", ignore_errors=True)


def test_downgrade_is_refused(updated):
    before = tracked(updated)
    assert "downgrades to v1.0.0 are not supported" in refused(updated, "--vcs-ref", "v1.0.0")
    assert tracked(updated) == before


def test_app_dir_inside_a_larger_repository_is_not(app):
    shutil.rmtree(app.dir / ".git")
    (app.env / ".gitignore").write_text("*\n!/app\n!/app/**\n!/notes.txt\n")
    (app.env / "notes.txt").write_text("not the app's")
    git("init", "--quiet", cwd=app.env)
    edit(app, "web.conf")
    git("add", "--all", cwd=app.env)
    git("commit", "--quiet", "--message", "All of the env", cwd=app.env)
    app.run("./update.sh")
    assert is_new(app)
    names = git("diff", "--name-only", "HEAD^", "HEAD", cwd=app.env).split()
    assert len(names) >= 5
    assert all(name.startswith("app/") for name in names)
    assert "new in 1.1.0" in (app.dir / "web.conf").read_text()
    app.run("./update.sh", "--undo")
    assert not is_new(app)
    assert (app.env / "notes.txt").exists()


def test_root_does_not_update_the_app_dir_of_another(app):
    require(os.getuid() == 0, "root, to give an app dir to another user", "sudo")
    before = tracked(app)
    shutil.chown(app.dir, "nobody")
    try:
        assert f"belongs to nobody; run this as that user: sudo -u nobody {app.dir}/update.sh" in refused(app)
    finally:
        shutil.chown(app.dir, "root")
    assert tracked(app) == before


def test_two_at_once(app):
    first = subprocess.Popen(["./update.sh"], cwd=app.dir, stdout=subprocess.DEVNULL)
    while not (app.dir / ".update").exists():
        assert first.poll() is None
        time.sleep(0.005)
    done = [subprocess.run([command], cwd=app.dir, stderr=-1, text=True) for command in ("./update.sh", "./upgrade.sh")]
    assert ["another update, upgrade or backup is running" in one.stderr for one in done] == [True, True]
    assert first.wait() == 0
    assert is_new(app)
