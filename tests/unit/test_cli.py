"""The one command line: help, options and refusals of each command."""

import datetime
import json
import time
import zoneinfo
from types import SimpleNamespace

import pytest
from appdir import cli
from support import ROOT

SCRIPTS = sorted(path.name.partition(".")[0] for path in (ROOT / "template").glob("*.sh*"))


def test_each_script_has_a_command():
    assert set(SCRIPTS) <= cli.COMMANDS.keys()
    assert len(SCRIPTS) >= 8


@pytest.mark.parametrize("command", SCRIPTS)
def test_help_says_what_it_is_for_and_gives_an_example(command):
    lines = cli.Parser(command).format_help().splitlines()
    assert lines[0].endswith(".")
    assert lines[-2:] == ["Example:", f"  {cli.COMMANDS[command][-1]}"]
    assert f"./{command}.sh" in lines[-1]
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("command", SCRIPTS)
def test_bad_use_is_told_in_one_line(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--no-such-option"])
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert shown.err.startswith(f"{command}.sh: ")
    assert shown.err.endswith(f"; see {command}.sh --help\n")


def test_bad_use_is_told_in_json_to_who_asks_for_it(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", "--json", "--no-such-option"])
    shown = capsys.readouterr()
    assert (ended.value.code, shown.err) == (2, "")
    found = json.loads(shown.out)
    assert (found["ok"], found["message"]) == (False, "unrecognized arguments: --no-such-option; see check.sh --help")


def test_unknown_command():
    with pytest.raises(SystemExit, match="unknown command 'frob'"):
        cli.main(["frob"])


@pytest.mark.parametrize("word", ["luigi", "=false", "Luigi=false", "--luigi=false"])
def test_data_must_be_an_answer(word, capsys):
    with pytest.raises(SystemExit):
        cli.Parser("update").parse_args([f"--data={word}"])
    assert "use NAME=VALUE, such as luigi=false" in capsys.readouterr().err
    assert cli.Parser("update").parse_args(["--data", "luigi=", "--data=a=b=c"]).data == ["luigi=", "a=b=c"]


@pytest.mark.parametrize("pair", [("--continue", "--abort"), ("--undo", "--continue"), ("--diff", "--abort")])
def test_options_that_exclude_each_other(pair, capsys):
    with pytest.raises(SystemExit):
        cli.Parser("update").parse_args(pair)
    assert "not allowed with argument" in capsys.readouterr().err


def test_an_option_is_not_guessed_from_its_beginning():
    with pytest.raises(SystemExit):
        cli.Parser("update").parse_args(["--cont"])


def test_place_is_checked(app_dir, monkeypatch):
    monkeypatch.setattr(cli, "PYTHON", app_dir.parent / "bin/python")
    with pytest.raises(cli.Stop, match=r"\.\./bin/python is missing"):
        cli.check_place()
    cli.PYTHON.parent.mkdir()
    cli.PYTHON.touch()
    cli.check_place()
    monkeypatch.setattr(cli, "ENV", app_dir.parent / "two words")
    with pytest.raises(cli.Stop, match="upstream cannot read config"):
        cli.check_place()


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_days_are_those_of_the_shop(monkeypatch, zone):
    """In these two zones it is never the same day."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setattr(cli, "TIME_ZONE", zone)
    days = []
    module = SimpleNamespace(main=lambda _: days.append(datetime.date.today()))
    monkeypatch.setattr(cli.importlib, "import_module", lambda _: module)
    monkeypatch.setattr(cli, "check_place", lambda: None)
    assert cli.main(["overnight"]) == 0
    monkeypatch.undo()
    time.tzset()
    assert days == [datetime.datetime.now(zoneinfo.ZoneInfo(zone)).date()]


@pytest.mark.parametrize("error", [None, cli.Stop("no space"), KeyError("x"), OSError("no space")])
def test_json_is_whole_whatever_the_app_prints_and_raises(error, app_dir, monkeypatch, capsys):
    def main(_):
        print("said by the app")
        if error:
            raise error

    monkeypatch.setattr(cli.importlib, "import_module", lambda _: SimpleNamespace(main=main))
    monkeypatch.setattr(cli, "check_place", lambda: None)
    monkeypatch.setattr(cli.os, "umask", lambda _: None)
    monkeypatch.setattr(cli.os, "dup2", lambda *_: None)
    monkeypatch.setenv("PIP_NO_INPUT", "1")
    for name in ("command", "quiet", "json", "preview"):
        monkeypatch.setattr(cli.report, name, False)
    assert cli.main(["check", "--json"]) == bool(error)
    shown = capsys.readouterr()
    assert json.loads(shown.out)["ok"] == (error is None)
    assert shown.err == "said by the app\n"
