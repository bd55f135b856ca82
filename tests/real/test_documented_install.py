"""The README's commands for a server, pasted line by line and answered with Enter, give an app that runs."""

import os
import re
import shutil
from pathlib import Path

import pexpect
import pytest
import yaml
from real.apps import App, free_port
from real.envs import install
from support import ROOT, require

COMMANDS = re.search(r"<!-- install -->\n```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1].splitlines()


@pytest.fixture
def settings(tmp_path):
    """Environment variables with a home of its own, and ports that nobody uses as Copier's defaults."""
    path = tmp_path / "settings.yml"
    path.write_text(yaml.safe_dump({"defaults": {"web_port": free_port(), "luigi_port": free_port()}}))
    home = tmp_path / "home"
    home.mkdir()
    return os.environ | {"HOME": str(home), "COPIER_SETTINGS_PATH": str(path), "TERM": "dumb"}


def paste(line, settings):
    """Run a command on a terminal, press Enter at each question, and return what it shows; it must succeed."""
    child = pexpect.spawn("bash", ["-c", line], env=settings, encoding="utf-8", timeout=600)
    shown = ""
    while child.expect([r"🎤.*\n", r"Password.*: ", pexpect.EOF]) != 2:
        shown += child.before + child.after
        child.send("\r")
    shown += child.before
    child.close()
    assert child.exitstatus == 0, f"{line}\n{shown}"
    return shown


def test_install(template, settings, tmp_path):
    require(shutil.which("pipx"), "pipx", "pipx")
    env = tmp_path / "envs/poser"
    env.parent.mkdir()
    for line in COMMANDS:
        line = line.replace("gh:org/appdir-template", str(template)).replace("/srv/envs/poser", str(env))
        shown = paste(line, settings)
        if (env / "app/requirements.txt").exists() and not (env / "bin/pserve").exists():
            install(env, env / "app/requirements.txt")  # by uv, which saves a minute
    password = re.search(r"user admin .*password (\S+)", shown)[1]
    app = App.at(env)
    with app.serve() as web:
        web.login("admin", password)
    assert Path(settings["HOME"], ".local/bin/copier").exists()
