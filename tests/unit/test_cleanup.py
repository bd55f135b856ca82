"""cleanup.sh goes on after a part that fails."""

from types import SimpleNamespace

import pytest
from appdir import cleanup
from appdir.core import Stop


def test_tool_that_is_missing_keeps_nothing_else_from_being_cleaned(monkeypatch, capsys):
    done = []

    def run(command, *_, **__):
        if command == "logrotate":
            raise FileNotFoundError
        done.append(str(command))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(cleanup, "run", run)
    monkeypatch.setattr(cleanup, "become_owner", lambda _: None)
    with pytest.raises(Stop, match=r"^not cleaned up: logs; see above$"):
        cleanup.main(None)
    assert capsys.readouterr().err == "logrotate is missing\n"
    assert done == ["systemd-tmpfiles", str(cleanup.ENV / "bin" / cleanup.FRAMEWORK)]
