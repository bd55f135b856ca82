"""The commands of the README and of docs/install.md, pasted line by line, do what the text around them says."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pexpect
import pytest
import yaml
from real.apps import App, free_port
from real.envs import install
from support import ROOT, require

INSTALL = (ROOT / "docs/install.md").read_text()
COMMANDS = re.search(r"<!-- install -->\n```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1].splitlines()


@pytest.fixture
def settings(tmp_path):
    """Environment variables with a home of its own, and ports that nobody uses as Copier's defaults."""
    path = tmp_path / "settings.yml"
    path.write_text(yaml.safe_dump({"defaults": {"web_port": free_port()}}))
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


def test_debian_has_the_packages():
    """Each package that the docs install exists under that name."""
    require(shutil.which("apt-get"), "apt-get")
    pages = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    lines = re.findall(r"^apt-get install --yes (.*)$", pages, re.MULTILINE)
    wanted = {name for line in lines for name in line.split()}
    assert wanted > {"git", "restic", "postgresql"}
    done = subprocess.run(["apt-get", "install", "--simulate", *wanted], capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stderr}\nif the names are right, run: apt-get update"


def test_postgresql(postgresql):
    """The commands make a user and a database of his, which the URL of the text opens; he can create tables in it."""
    require(os.getuid() == 0, "root", install="sudo")
    section = INSTALL.partition("## Use PostgreSQL")[2].partition("\n## ")[0]
    server = re.fullmatch(r"postgresql://(\w+):(.*)@(.*):(\d+)/\w+", postgresql("documented"))
    user, password, host, port = server.groups()
    environment = {"PGHOST": host, "PGPORT": port, "PGUSER": user, "PGPASSWORD": password, "PGDATABASE": "documented"}
    for line in re.findall(r"^su postgres .*$", section, re.MULTILINE):
        child = pexpect.spawn("bash", ["-c", line.replace("poser", "shop")], env=os.environ | environment, timeout=60)
        while child.expect(["password.*: |again: ", pexpect.EOF]) == 0:
            child.sendline("s3cret")
        child.close()
        assert child.exitstatus == 0, f"{line}\n{child.before}"
    url = re.search(r"`(postgresql://.*?)`", section)[1].replace("poser", "shop").replace("PASSWORD", "s3cret")
    sql = "create table t(); select current_user || '@' || current_database()"
    command = ["psql", "--no-align", "--tuples-only", "--quiet", "-c", sql, url.replace("localhost", f"{host}:{port}")]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PGPASSWORD": ""})
    assert done.stdout == "shop@shop\n", done.stderr
