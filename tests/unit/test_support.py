"""The helpers of the tests themselves fail where they prove nothing."""

import signal

import pytest
from real.apps import interrupt
from support import require


def test_interrupt_wants_something_to_interrupt(tmp_path):
    with pytest.raises(AssertionError, match="ended with exit code 3 before it was interrupted:\nI was faster"):
        interrupt(["sh", "-c", "echo I was faster >&2; exit 3"], tmp_path, seconds=0.5)


def test_interrupt_tells_what_the_command_said(tmp_path):
    script = "trap 'echo told >&2; exit' TERM; sleep 60 & touch ready; wait"
    said = interrupt(["sh", "-c", script], tmp_path, reached=(tmp_path / "ready").exists, by=signal.SIGTERM)
    assert said.splitlines()[-1] == "told"  # the shell may have said more


def test_what_is_missing_fails_in_ci_and_is_skipped_elsewhere(monkeypatch):
    monkeypatch.setenv("CI", "true")
    require(True, "this", "that")
    with pytest.raises(pytest.fail.Exception, match=r"restic is missing; .* apt-get install restic-deb"):
        require(None, "restic", "restic-deb")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match=r"Python 3\.12 is missing; install it with: uv python install"):
        require("", "Python 3.12", install="uv python install 3.12")
