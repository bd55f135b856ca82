"""An update that is killed at any moment goes on, or is undone, when it is run again."""

import os
import shutil
import signal

import pytest
from matrix.update.places import edit, is_new, put_back, refused, tracked
from support import git

# runs a command of the app dir's program, and kills it at its n-th step, or just after it has marked an update as ready
DIES_AT = """
import os, runpy, signal, sys
at, lib = sys.argv[1:3]
steps, ready = 0, False
def count(event, args):
    global steps, ready
    changing = event == "subprocess.Popen" and {"reset", "update-ref", "commit-tree", "read-tree"} & set(args[1])
    if changing or event in {"os.rename", "os.chmod", "os.mkdir", "os.remove", "os.rmdir"}:
        steps += 1
        if ready or at == str(steps):
            os.kill(os.getpid(), signal.SIGKILL)
        ready = at == "ready" and event == "os.rename" and str(args[1]).endswith("/ready")
sys.path.insert(0, lib)
sys.argv = [lib, *sys.argv[3:]]
os.environ["APPDIR"] = os.getcwd()
sys.addaudithook(count)
runpy.run_path(lib, run_name="__main__")
"""
# an update that comes so far that its result is laid out in .update, and no farther
LAY_OUT = """
import sys
sys.path.insert(0, "lib")
from appdir import cli, update
update.stage_two = lambda *_: None
sys.exit(cli.main(["update"]))
"""


def lay_out(app):
    """Let an update come so far that its result is laid out in .update, and no farther."""
    app.run("../bin/python", "-B", "-c", LAY_OUT, APPDIR=str(app.dir))


def die(app, at, lib, *options):
    """Run a command of the program in a folder, which is killed at a step (see DIES_AT), and return the process."""
    (app.env / "dies_at.py").write_text(DIES_AT)
    return app.run(app.env / "bin/real-python", "-B", "../dies_at.py", at, lib, *options, check=False)


def coming_in(app, at, *options):
    """Run stage two of an update, which is killed at a step, and return the process."""
    work = app.dir / ".update"
    return die(app, at, work / "app/lib", "update-stage-two", *options, work)


def test_killed_before_it_comes_in(app):
    """All over update.sh's own part: nothing has changed, and the next run succeeds."""
    before = tracked(app)
    for step in range(1, 500, 8):
        put_back(app, app.env / "before")
        done = die(app, step, app.dir / "lib", "update")
        if done.returncode != -signal.SIGKILL:
            break
        assert tracked(app) == before
        if step % 16 == 1:
            app.run("./update.sh", *(["--continue"] if (app.dir / ".update/plan.json").exists() else []))
            assert is_new(app)
            assert git("fsck", "--no-dangling", cwd=app.dir) == ""
    assert step > 30
    assert done.returncode == 0
    assert is_new(app)


def test_killed_at_every_step_of_coming_in(app, tmp_path):
    """At a third of all renames, new modes, new folders, removals and changes of git; then it goes on, or back."""
    old = tracked(app)
    lay_out(app)
    assert coming_in(app, "ready").returncode == -signal.SIGKILL
    shutil.copytree(app.dir, tmp_path / "ready", symlinks=True)
    app.run("./update.sh", "--continue")
    assert is_new(app)
    new = tracked(app)
    mixed = 0
    for step in range(1, 200, 3):
        put_back(app, tmp_path / "ready")
        done = coming_in(app, step, "--continue")
        found = tracked(app)
        for name in [name for name in found | old | new if not name.endswith(".new")]:  # each is the old or the new one
            assert found.get(name) in (old.get(name), new.get(name)), (step, name)
        if not (app.dir / ".update/ready").exists():
            assert found == new
            break
        assert done.returncode == -signal.SIGKILL, done.stdout
        if found in (old, new):
            continue
        mixed += 1
        if mixed == 1:
            app.run("./update.sh", "--abort")
            assert tracked(app) == old | {name: new[name] for name in new if name.endswith(".gitkeep")}
            assert git("status", "--porcelain", cwd=app.dir) == ""
        elif mixed == 2:
            app.run("./update.sh")
            assert is_new(app)
            assert tracked(app) == new
    assert step > 25
    assert mixed > 2


@pytest.fixture
def half_in(app):
    """An app whose update was killed when all was ready to come in."""
    lay_out(app)
    assert coming_in(app, "ready").returncode == -signal.SIGKILL
    return app


def test_edit_between_two_runs_is_not_lost(half_in):
    app = half_in
    (app.dir / "web.conf").write_text("# mine")
    assert "web.conf is not as git has it, so an edit would be lost" in refused(app)
    git("commit", "--quiet", "--all", "--message", "Mine", cwd=app.dir)
    assert "--abort undoes what has come in" in refused(app)
    app.run("./update.sh", "--abort")
    assert git("status", "--porcelain", cwd=app.dir) == ""
    assert (app.dir / "web.conf").read_text() == "# mine"


def test_preview_of_an_update_that_is_half_in_is_refused(half_in):
    before = tracked(half_in)
    assert "an update waits in" in refused(half_in, "--preview")
    assert tracked(half_in) == before
    half_in.run("./update.sh")
    assert is_new(half_in)


def test_secrets_changed_meanwhile_are_kept(app):
    edit(app, "web.conf")
    lay_out(app)
    secrets = app.dir / "secrets.conf"
    secrets.write_text(secrets.read_text() + "[mine]\n")
    assert "secrets.conf was changed while this ran" in refused(app, "--continue")
    assert os.path.exists(app.dir / ".update")
    app.run("./update.sh", "--abort")
    assert secrets.read_text().endswith("[mine]\n")
