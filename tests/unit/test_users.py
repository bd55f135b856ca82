"""What runs as another user: its Stop reaches us whole, and users without a name do not get root's group."""

import os
from types import SimpleNamespace

import pytest
from appdir import users
from appdir.core import Stop


@pytest.fixture
def other(monkeypatch):
    """Let folders of the app dir seem to be another user's, as root sees them."""
    stat = SimpleNamespace(st_uid=54321, st_gid=54321)
    folder = type("Folder", (), {"__truediv__": lambda self, _: self, "stat": lambda _: stat})()
    monkeypatch.setattr(users, "APPDIR", folder)
    monkeypatch.setattr(users, "become_owner", lambda _: None)
    monkeypatch.setattr(users.os, "geteuid", lambda: 0)


def test_stop_of_the_child_reaches_us_with_its_facts(other):
    def refuse():
        raise Stop("web.conf is refused", 3, refused=["web.conf"])

    with pytest.raises(Stop, match=r"^web\.conf is refused$") as stopped:
        users.run_as_owner("log", refuse)
    assert (stopped.value.code, stopped.value.facts) == (3, {"refused": ["web.conf"]})


def test_other_errors_of_the_child_end_with_code_1(other):
    """SQLAlchemy's errors have a code that is a text."""

    def fail():
        error = ValueError("no such table")
        error.code = "e3q8"
        raise error

    with pytest.raises(Stop, match=r"^ValueError: no such table") as stopped:
        users.run_as_owner("log", fail)
    assert stopped.value.code == 1


def test_user_without_a_name(other, monkeypatch):
    assert users.user(54321).pw_gid == 54321
    monkeypatch.setattr(users.os, "geteuid", os.getuid)
    with pytest.raises(Stop, match="run this as that user: sudo -u '#54321' "):
        users.require_owner()


@pytest.mark.parametrize("call", [lambda: users.run_as_owner("log", list), lambda: users.become_owner("log")])
def test_deployer_is_told_who_may_do_it(app_dir, monkeypatch, call):
    """Who deploys, but is neither root nor the service user, touches nothing of that one's himself."""
    (app_dir / "log").mkdir()
    monkeypatch.setattr(users.os, "geteuid", lambda: 54321)
    monkeypatch.setattr(users.shutil, "which", lambda _: None)
    owner = (app_dir / "log").owner()
    with pytest.raises(Stop, match=rf"^#54321 may not act as {owner}; run sudo {app_dir}/.* NOPASSWD: ALL$"):
        call()


def test_secrets_of_backups_stay_with_who_keeps_them(monkeypatch):
    monkeypatch.setattr(users, "private", users.private | {"B2_ACCOUNT_KEY"})
    for name in ("RESTIC_PASSWORD", "AWS_SECRET_ACCESS_KEY", "B2_ACCOUNT_KEY", "LANG"):
        monkeypatch.setenv(name, "x")
    assert users.public().keys() & {"RESTIC_PASSWORD", "AWS_SECRET_ACCESS_KEY", "B2_ACCOUNT_KEY", "LANG"} == {"LANG"}
