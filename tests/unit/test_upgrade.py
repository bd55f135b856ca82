"""An upgrade that is killed at any step, in an env of a few files, is undone or goes on when it is run again."""

import os
import shutil
import signal
import sys
import traceback
from types import SimpleNamespace

import pytest
from appdir import cli, env, packages, upgrade

OPTIONS = SimpleNamespace(preview=False, verbose=False)
STEPS = {"os.rename", "os.mkdir", "os.rmdir", "os.remove", "open", "subprocess.Popen"}
# pip and our own commands, in an env whose only package is a file; it fails where a file of the app dir says so
PYTHON = """\
#!/bin/sh
case "$*" in
    *freeze*) cat {env}/lib/packages ;;
    *index*) [ ! -e offline ] ;;
    *install*)
        echo "half of two" > {env}/lib/packages
        mkdir -p {env}/share && echo new > {env}/share/new
        [ ! -e fails ] || exit 1
        echo "trinket==2" > {env}/lib/packages ;;
    *--json*) echo '{{"ok": true}}' ;;
esac
"""


@pytest.fixture
def small(app_dir, monkeypatch):
    """An env with the package trinket 1."""
    root = app_dir.parent
    for part in ("bin", "lib"):
        (root / part).mkdir()
    (root / "bin/python").write_text(PYTHON.format(env=root))
    (root / "bin/python").chmod(0o755)
    (root / "lib/packages").write_text("trinket==1\n")
    (app_dir / "data/upgrades").mkdir(parents=True)
    (app_dir / "requirements.txt").write_text("trinket\n")
    monkeypatch.setattr(packages, "PIP", [root / "bin/python", "-m", "pip"])
    monkeypatch.setattr(upgrade.services, "renew", lambda: None)
    monkeypatch.setattr(packages.shutil, "which", lambda *_, **__: None)  # no uv
    # else two in a second would wait for each other
    monkeypatch.setattr(upgrade.time, "strftime", lambda _: f"run-{len(list(upgrade.RUNS.iterdir()))}")
    return root


def run(die_at=0):
    """Upgrade in a process that kills itself at a step (0: at none); return its exit code, negative if killed."""
    child = os.fork()
    if not child:
        steps = 0

        def count(event, args):
            nonlocal steps
            if event in STEPS and (event != "open" or args[2] & (os.O_WRONLY | os.O_RDWR)):
                steps += 1
                if steps == die_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        code = 99
        try:
            if die_at:
                sys.addaudithook(count)
            upgrade.main(OPTIONS)
            code = 0
        except cli.Stop as stop:
            print(stop, flush=True)
            code = stop.code
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def state(root):
    """Return what is in the env, but for the app dir."""
    found = [path for path in root.rglob("*") if path.is_file() and (root / "app") not in path.parents]
    return {path.relative_to(root).as_posix(): path.read_text() for path in found}


def restart(root, app_dir):
    """Make the env what it was first, as its owner would by hand."""
    for path in (env.BEFORE, env.FAILED, env.NEW, root / "share"):
        shutil.rmtree(path, ignore_errors=True)
    (root / "lib/packages").write_text("trinket==1\n")
    (app_dir / "fails").unlink(missing_ok=True)


def test_it_succeeds_and_fails(small, app_dir):
    old = state(small)
    (app_dir / "fails").touch()
    assert run() == 1
    assert state(small) == old
    (app_dir / "fails").unlink()
    assert run() == 0
    assert state(small) == old | {"lib/packages": "trinket==2\n", "share/new": "new\n"}
    assert sorted(path.name for path in (app_dir / "data/upgrades/run-1").iterdir()) == [
        "output.txt", "requirements-after.txt", "requirements-before.txt",
    ]  # fmt: skip


@pytest.fixture
def refused(small, capfd):
    """A function that returns what an upgrade says that must be refused before anything changes."""

    def refused():
        old = state(small)
        assert run() == 1
        assert state(small) == old
        assert not [path for path in small.iterdir() if path.name.startswith(".")]
        return capfd.readouterr().out.splitlines()[-1]

    return refused


def test_no_index(refused, app_dir):
    (app_dir / "offline").touch()
    assert refused().startswith("no package index answers with trinket; nothing has changed")


def test_too_little_space(small, refused, monkeypatch):
    size = sum(path.stat().st_size for part in ("bin", "lib") for path in [small / part, *(small / part).iterdir()])
    for free, expected in ((2 * size - 1, "not enough space in "), (2 * size, None)):
        monkeypatch.setattr(env.shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        if expected:
            assert refused().startswith(expected)
    assert run() == 0


def test_database_that_is_gone(refused, monkeypatch):
    monkeypatch.setattr(env, "result", lambda *_: {"ok": False, "gone": True, "message": "the database is missing"})
    assert refused() == "the database is missing"


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("then_fails", [False, True])
def test_killed_at_every_step(small, app_dir, fails, then_fails):
    """Whether it would have failed or not: after the next run the packages are the old ones or the new ones."""
    old = state(small)
    new = old | {"lib/packages": "trinket==2\n", "share/new": "new\n"}
    for step in range(1, 500):
        restart(small, app_dir)
        assert state(small) == old
        if fails:
            (app_dir / "fails").touch()
        code = run(die_at=step)
        if code >= 0:
            break
        assert code == -signal.SIGKILL
        complete = state(small).get("lib/packages") == new["lib/packages"] and not env.BEFORE.exists()
        (app_dir / "fails").unlink(missing_ok=True)
        if then_fails:
            (app_dir / "fails").touch()
        assert run() == int(then_fails), step
        assert state(small) == (new if complete or not then_fails else old), step
        assert not [path for path in small.iterdir() if path.name.startswith(".")], step
    assert code == int(fails)
    assert step > 15


def test_two_in_one_second(small, app_dir, monkeypatch):
    """Each has a folder of its own: the later one waits."""
    (app_dir / "data/upgrades/same").mkdir()
    names = iter(["same", "same", "next"])
    waited = []
    monkeypatch.setattr(upgrade.time, "strftime", lambda _: next(names))
    monkeypatch.setattr(upgrade.time, "sleep", waited.append)
    assert upgrade.new_run() == "next"
    assert waited == [1, 1]
    assert sorted(path.name for path in (app_dir / "data/upgrades").iterdir()) == ["next", "same"]
