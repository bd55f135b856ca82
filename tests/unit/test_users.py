"""Who somebody is, and how a command becomes another user's: without secrets, and without root's group."""

import os
import subprocess
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from appdir import users
from appdir.core import Stop
from support import require


def test_user_without_a_name(monkeypatch):
    stat = SimpleNamespace(st_uid=54321, st_gid=54321)
    monkeypatch.setattr(users, "APPDIR", SimpleNamespace(stat=lambda: stat))
    assert users.user(54321).pw_gid == 54321
    monkeypatch.setattr(users.os, "geteuid", lambda: 0)
    assert "--clear-groups" in users.start_as(users.user(54321))
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


def test_another_user_gets_neither_secrets_nor_a_terminal():
    """What root's environment holds beside the place of the app dir and the language stays with root."""
    require(os.geteuid() == 0, "root, to run as other users", "sudo")
    variables = {"B2_ACCOUNT_KEY": "x", "SSH_AUTH_SOCK": "x", "LC_TIME": "C", "APPDIR_DEBUG": "1"}
    script = "import os; print(sorted(os.environ), os.getuid() != 0, os.getsid(0) == os.getpid())"
    with patch.dict(os.environ, os.environ | variables):
        start = users.start_as(users.pwd.getpwnam("nobody"))
        shown = subprocess.check_output([*start, "/usr/bin/python3", "-c", script], text=True, cwd="/")
    for name in variables:
        assert (f"'{name}'" in shown) == (name in ("LC_TIME", "APPDIR_DEBUG")), name
    assert ("'HOME'" in shown, shown.endswith(" True True\n")) == (True, True)


def test_environment_is_clean_before_a_process_is_his(tmp_path):
    """Whose process it is can read its environment: so what makes it his has none of root's any more."""
    require(os.geteuid() == 0, "root, to run as other users", "sudo")
    (tmp_path / "setpriv").write_text("#!/bin/sh\nenv\n")
    (tmp_path / "setpriv").chmod(0o755)
    with patch.dict(os.environ, {"PATH": f"{tmp_path}:{os.environ['PATH']}", "RESTIC_PASSWORD": "x"}):
        shown = subprocess.check_output([*users.start_as(users.pwd.getpwnam("nobody")), "true"], text=True, cwd="/")
    assert ("PATH=" in shown, "RESTIC_PASSWORD" in shown) == (True, False)


@pytest.mark.parametrize("is_live", [True, False])
def test_folders_of_an_app_dir_laid_out_are_those_of_the_live_one(app_dir, tmp_path, monkeypatch, is_live):
    require(os.geteuid() == 0, "root, to give files away", "sudo")
    monkeypatch.setattr(users, "APPDIR", tmp_path / "laid-out")
    (tmp_path / "laid-out/log").mkdir(parents=True)
    if is_live:
        (app_dir / "log").mkdir()
        os.chown(app_dir / "log", 33, 33)
    assert users.owner_of("log").pw_uid == (33 if is_live else os.getuid())
