"""How commands report, lock, and write files."""

import configparser
import json
import os
import subprocess
import sys

import pytest
from appdir import core
from appdir.core import Report, Stop
from support import ROOT, git


def test_reason_is_the_end_of_what_a_tool_said():
    assert core.reason("one line\ntwo lines\n\tat stack\nthree lines\nFatal: four lines\n") == (
        "two lines; three lines; Fatal: four lines"
    )
    assert core.reason("Fatal: wrong password\n") == "wrong password"
    assert core.reason("") == "it did not say why"
    assert core.reason("refused\n") == "refused"


def test_first_line_of_an_error():
    error = ValueError("outer")
    error.orig = "inner\nsecond"
    assert core.first_line(error) == "inner"
    assert core.first_line(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    "text",
    [
        "Could not parse SQLAlchemy URL from string 'nonsense:hidden@x'",
        "Could not parse rfc1738 URL from string 'postgresql://u:hid/den@x:y/z'",
        "cannot reach postgresql://u:hidden@x/y, given up",
    ],
)
def test_no_password_is_in_the_line_about_an_error(text):
    assert "den" not in core.first_line(ValueError(text))
    assert core.first_line(ValueError(text)).startswith(text[:12])


def test_no_value_is_in_the_line_about_an_interpolation():
    parser = configparser.ConfigParser()
    parser.read_string("[db]\nurl = a%hidden")
    with pytest.raises(configparser.InterpolationError) as refused:
        parser["db"]["url"]
    assert core.first_line(refused.value) == "the % in url of [db] must be doubled, or name a known value"


def test_every_error_becomes_one_line(monkeypatch, capsys):
    monkeypatch.delenv("APPDIR_DEBUG", raising=False)
    stop = Stop("one\ntwo", 3)
    assert core.stop_of(stop) is stop
    assert str(stop) == "one; two"
    assert str(core.stop_of(OSError("no space"))) == "no space; fix that and run it again"
    assert str(core.stop_of(KeyError("x"))) == "KeyError: 'x'; with APPDIR_DEBUG=1 it shows where"
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("APPDIR_DEBUG", "1")
    core.stop_of(KeyError("x"))
    assert "KeyError: 'x'" in capsys.readouterr().err


def test_report_into_a_full_disk(monkeypatch):
    """Python itself would show a traceback at its end, with exit code 120."""
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(core.sys, "stdout", full)
        full.write("lost")
        assert Report().end() == 1
        full.write("lost")
        assert Report().end(Stop("", 3)) == 3


def test_what_we_run_cannot_read_from_our_terminal():
    """Another user could keep that file, and use the terminal as we do."""
    ours, (end, other) = os.dup(0), os.pipe()
    try:
        os.dup2(end, 0)
        shown = core.run("readlink", "/proc/self/fd/0", cwd="/").stdout
    finally:
        os.dup2(ours, 0)
        for handle in (ours, end, other):
            os.close(handle)
    assert (shown, core.run("cat", cwd="/", input="text").stdout) == ("/dev/null\n", "text")


def test_what_we_run_holds_the_lock(app_dir):
    core.lock()
    assert f"{app_dir}\n" in core.run("sh", "-c", "for one in /proc/$$/fd/*; do readlink $one; done").stdout


@pytest.mark.parametrize("flags", ["", "quiet", "preview", "json"])
def test_report(capsys, flags):
    report = Report()
    if flags:
        setattr(report, flags, True)
    report.say("git", "committed")
    report.kept("permissions", "all correct")
    report.note(changed=True)
    shown = capsys.readouterr().out
    assert shown == {"": "git         committed\npermissions all correct\n", "json": ""}.get(
        flags, "git         committed\n"
    )


def test_report_as_json(capsys):
    report = Report()
    report.json = True
    report.say("git", "committed")
    report.note(changed=True)
    assert report.end(Stop("no space", 3, left=0)) == 3
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {
        "ok": False, "message": "no space", "lines": [{"step": "git", "text": "committed"}], "changed": True, "left": 0,
    }  # fmt: skip
    assert shown.err == ""


def test_report_of_a_stop(capsys):
    report = Report()
    report.command = "backup"
    assert report.end(Stop("restic is missing")) == 1
    assert capsys.readouterr() == ("", "backup.sh: restic is missing\n")
    assert report.end() == 0


def test_preview_stops_at_the_first_thing(capsys):
    report = Report()
    report.would("git", "commit")
    report.preview = True
    with pytest.raises(Stop) as stopped:
        report.would("git", "commit")
    assert stopped.value.code == 3
    assert capsys.readouterr().out == "git         would commit\n"


def test_file_is_written_whole_and_private(tmp_path, monkeypatch):
    file = tmp_path / "secrets.conf"
    file.write_text("old")
    (tmp_path / ".secrets.conf.new").write_text("of a run that was killed")
    monkeypatch.setattr(core.os, "geteuid", lambda: 54321)
    core.write(file, b"new", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.conf"]
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o600
    for is_shared, mode in ((True, 0o640), (False, 0o600)):  # a deployer's, which the service user reads by its group
        monkeypatch.setattr(core, "SERVICE_USER", "shop")
        core.write(file, b"new", 0o600, shared=is_shared)
        assert file.stat().st_mode & 0o777 == mode
    monkeypatch.setattr(core.os, "fsync", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        core.write(file, b"newer", 0o600)
    assert file.read_text() == "new"
    left, *_ = set(tmp_path.iterdir()) - {file}
    (tmp_path / ".gitignore").write_text((ROOT / "template/.gitignore.jinja").read_text())
    git("init", "--quiet", cwd=tmp_path)
    assert git("check-ignore", left.name, cwd=tmp_path).strip() == left.name  # it holds a secret


def test_one_at_a_time(app_dir):
    code = "import fcntl, os; fcntl.flock(os.open('.', 0), fcntl.LOCK_SH); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=app_dir, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        with pytest.raises(Stop, match="another update, upgrade or backup is running") as stopped:
            core.lock()
        assert stopped.value.facts == {"busy": True}
        other.stdin.close()
    core.lock()


def test_config_that_was_removed_is_named(app_dir):
    with pytest.raises(Stop, match=r"^silent\.conf is missing; bring it back with: git checkout -- silent\.conf$"):
        core.load_config()
