"""The first admin's password: when setup.sh asks for it, and which one the admin gets."""

import socket
import tempfile
from pathlib import Path

import pytest
from appdir import setup
from appdir.core import Stop, report


@pytest.fixture
def created(monkeypatch):
    """The passwords with which an admin is created, instead of one in a database; None stands for a generated one."""
    passwords = []
    monkeypatch.setattr(setup.users, "run_as_owner", lambda _, __, password: passwords.append(password))
    monkeypatch.delenv("ADMIN_PASSWORD", raising=False)
    return passwords


@pytest.fixture
def typed(monkeypatch):
    """What somebody types on a terminal, line by line."""
    lines = []
    monkeypatch.setattr(setup.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(setup.getpass, "getpass", lambda _: lines.pop(0))
    return lines


@pytest.mark.parametrize(
    ("lines", "password"),
    [(["", "never"], None), (["s3cret", "s3cret", "never"], "s3cret"), (["a", "b", "c", "c", "never"], "c")],
)
def test_password_is_asked_for(created, typed, lines, password):
    typed += lines
    setup.create_admin(has_admin=False)
    assert created == [password]
    assert typed == ["never"]


@pytest.mark.parametrize(("length", "refused"), [(79, False), (80, True)])
def test_path_that_is_too_long_for_a_socket(monkeypatch, length, refused):
    """supervisord binds SOCKET.PID first; the longest name that works is one of 107 bytes."""
    monkeypatch.setattr(setup, "SERVICES", "supervisor")
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as server:
        folder = Path(short, "x" * (length - len(short) - 1))
        monkeypatch.setattr(setup, "APPDIR", folder)
        folder.joinpath("log").mkdir(parents=True)
        path = f"{folder}/log/supervisor.sock.1234567"
        if refused:
            with pytest.raises(OSError, match="too long"):
                server.bind(path)
            with pytest.raises(Stop, match="too long for supervisor's socket"):
                setup.check_socket()
        else:
            server.bind(path)
            setup.check_socket()


def test_an_admin_stays(created, typed):
    setup.create_admin(has_admin=True)
    assert created == []


def test_password_of_the_environment(created, typed, monkeypatch):
    monkeypatch.setenv("ADMIN_PASSWORD", "given")
    setup.create_admin(has_admin=False)
    assert created == ["given"]


def test_nobody_is_there_to_ask(created, monkeypatch):
    monkeypatch.setattr(setup.sys.stdin, "isatty", lambda: False, raising=False)
    setup.create_admin(has_admin=False)
    assert created == [None]


def test_preview_asks_nothing(created, typed, monkeypatch):
    monkeypatch.setattr(report, "preview", True)
    with pytest.raises(Stop):
        setup.create_admin(has_admin=False)
    assert created == []
