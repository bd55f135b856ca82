"""What another user's process answers reaches us whole, whatever it prints and leaves running."""

import json
import signal
import subprocess
import sys
import time

import pytest
from appdir import call
from appdir.core import Stop

FACTS = {"lines": [], "facts": {}}


def start(script):
    """Return the start of a command that runs a script in place of the rest."""
    return [sys.executable, "-c", f"import json, subprocess\n{script}"]


def said(answer):
    """Return the script that prints an answer."""
    return f"print({call.ANSWER + json.dumps(answer | FACTS)!r}, flush=True)"


def test_answer_and_what_was_printed(capsys):
    script = f"print('one')\nprint('two', file=__import__('sys').stderr)\n{said({'value': [1]})}"
    assert call.elsewhere(start(script), list, ()) == [1]
    assert sorted(capsys.readouterr().out.split()) == ["one", "two"]


def test_nothing_that_steers_a_terminal_is_printed(capsys):
    call.elsewhere(start(f"print('\\x1b[2Jred\\x9b3m \\tä')\n{said({'value': 1})}"), list, ())
    assert capsys.readouterr().out == "[2Jred3m \tä\n"


def test_output_without_end_is_bounded(capsys, monkeypatch):
    monkeypatch.setattr(call, "MOST", 1000)
    with pytest.raises(Stop) as stopped:
        call.elsewhere(start("print('so it is ' * 100_000)"), list, ())
    assert len(str(stopped.value)) < 2000


def test_what_it_left_running_does_not_hold_us():
    left = f"subprocess.Popen(['sleep', '60'])\n{said({'value': 1})}"
    assert call.elsewhere(start(left), list, ()) == 1


def test_it_reads_the_command_and_arguments():
    script = "command, args = json.loads(input())\n" + said({"value": 0}).replace('"value": 0', '"value": "%s"')
    script = script.replace(", flush", " % (command + args[0]), flush")
    assert call.elsewhere(start(script), list, ("!",)) == "setup!"


def test_stop_reaches_us_with_its_facts():
    answer = {"stop": "web.conf is refused", "code": 3, "stop_facts": {"refused": ["web.conf"]}}
    with pytest.raises(Stop, match=r"^web\.conf is refused$") as stopped:
        call.elsewhere(start(said(answer)), list, ())
    assert (stopped.value.code, stopped.value.facts) == (3, {"refused": ["web.conf"]})


def test_process_without_an_answer():
    with pytest.raises(Stop, match=r"^another user cannot run builtins:list: no such rule$"):
        call.elsewhere(start("print('no such rule')\nraise SystemExit(1)"), list, ())
    with pytest.raises(Stop, match=r"make the env with a Python that all may run: Permission denied here$"):
        call.elsewhere(start("print('Permission denied here')\nraise SystemExit(126)"), list, ())


def test_other_errors_end_with_code_1():
    """SQLAlchemy's errors have a code that is a text."""

    def fail():
        error = ValueError("no such table")
        error.code = "e3q8"
        raise error

    with pytest.raises(Stop, match=r"^ValueError: no such table") as stopped:
        call.value_of(call.answer_of(fail, ()))
    assert stopped.value.code == 1


def as_other(script):
    """Return the start of a command that runs a shell script in place of the rest, but for pkill."""
    return ["setsid", "--wait", "sh", "-c", f'[ "$1" != pkill ] || exec "$@"\n{script}', "sh"]


def test_command_runs_once_more_and_ends_as_that_ends(capfd):
    assert call.again(as_other("echo out; echo error >&2; exit 3")) == 3
    assert capfd.readouterr() == ("out\n", "error\n")


@pytest.mark.parametrize(("function", "seconds"), [("again", 61.1), ("elsewhere", 61.2)])
def test_interrupt_ends_what_another_user_does(function, seconds):
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        getattr(call, function)(as_other(f"sleep {seconds}"), *([list, ()] if function == "elsewhere" else []))
    assert time.monotonic() - begin < 30
    assert subprocess.run(["pgrep", "--full", f"^sleep {seconds}"]).returncode == 1
