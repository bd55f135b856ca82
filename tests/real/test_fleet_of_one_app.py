"""The fleet with one app dir, on this machine: from nothing, backed up, upgraded, updated."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from real.apps import App
from real.backups import snapshots
from real.envs import uv
from real.pythons import find_python
from support import ROOT, files, git, release, require

BIN = Path(sys.executable).parent
PIN = "v1.0.0"


class One:
    """An app dir that only an inventory knows, and the playbooks."""

    def __init__(self, template, folder):
        self.template = template
        self.env, self.inventory = folder / "envs/poser", folder / "inventory.yml"
        self.app = self.env / "app"
        variables = {
            "ansible_connection": "local",
            "app_dir_template": str(template),
            "app_dir_python": find_python("3.11"),
            "app_dir_path": str(self.app),
            "app_dir_version": PIN,
            **{f"answer_{name}": False for name in ("luigi", "offline_assets")},
            "answer_framework": "wutta",
        }
        self.inventory.write_text(yaml.safe_dump({"all": {"hosts": {"one": variables}}}))

    def play(self, playbook, *options, code=0, changes=None):
        """Run a playbook, which must end with an exit code and, if told, change something or not; return its output."""
        command = [BIN / "ansible-playbook", "-i", self.inventory, playbook, *options]
        environment = os.environ | {"ANSIBLE_RETRY_FILES_ENABLED": "false"}
        done = subprocess.run(command, cwd=ROOT / "fleet", env=environment, capture_output=True, text=True)
        output = done.stdout + done.stderr
        assert done.returncode == code, output
        assert changes is None or ("changed=0" not in done.stdout) == changes, output
        return " ".join(output.split())  # Ansible wraps long messages

    def python(self, *arguments):
        """Run the env's Python, and return what it prints."""
        return subprocess.run([self.env / "bin/python", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def nothing(template, tmp_path_factory):
    """One, of which nothing is there but the inventory and a template of its own."""
    folder = tmp_path_factory.mktemp("one")
    git("clone", "--quiet", template, folder / "template", cwd="/")
    config = folder / "template/template/cron.conf.jinja"
    config.write_text(config.read_text() + "# new in 1.1.0\n")
    release(folder / "template", "v1.1.0")
    return One(folder / "template", folder)


@pytest.fixture(scope="module")
def one(nothing):
    """One after setup.yml, in two runs: the first could not fetch packages."""
    nothing.play("setup.yml", "--check", "--diff", changes=True)
    assert not nothing.env.parent.exists()
    output = nothing.play("setup.yml", "-e", "answer_web_port=80", code=2)
    assert "question 'web_port': Enter a port from 1024 to 65535" in output
    assert not nothing.app.exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        output = nothing.play("setup.yml", code=2)
    assert "setup.sh of" in output
    assert "pip could not install everything, see above" in output
    assert "No matching distribution found" in output  # what is above on the host
    uv("pip", "install", "--quiet", "--python", nothing.env / "bin/python", "-r", nothing.app / "requirements.txt")
    nothing.output = nothing.play("setup.yml", changes=True)
    return nothing


def test_from_nothing(one):
    assert git("status", "--porcelain", cwd=one.app) == ""
    assert (one.app / "data/poser.sqlite").exists()
    assert (one.env.parent / ".copier/bin/copier").exists()
    assert f"the password is in {one.env}/admin-password, on the host" in one.output


def test_check_mode_tells_what_setup_lacks(one):
    (one.app / "restic.env").rename(one.env / "restic.env")
    assert "would generate a password for backups" in one.play("setup.yml", "--check", "--diff", changes=True)
    assert not (one.app / "restic.env").exists()
    (one.env / "restic.env").rename(one.app / "restic.env")


def test_upgrade(one):
    uv("pip", "install", "--quiet", "--python", one.env / "bin/python", "MarkupSafe==2.1.5")
    before = one.python("-m", "pip", "freeze")
    output = one.play("upgrade.yml", "--check", "--diff", changes=True)
    assert "MarkupSafe==3" in output.replace("markupsafe", "MarkupSafe")
    assert one.python("-m", "pip", "freeze") == before
    one.play("upgrade.yml", changes=True)
    assert "MarkupSafe==3" in one.python("-m", "pip", "freeze")
    one.play("upgrade.yml", "--check", changes=False)


def test_upgrade_that_fails(one):
    before = one.python("-m", "pip", "freeze")
    text = (one.app / "requirements.txt").read_text()
    (one.app / "requirements.txt").write_text(text + "MarkupSafe==0.0.1\n")
    output = one.play("upgrade.yml", code=2)
    (one.app / "requirements.txt").write_text(text)
    assert "the packages are those of before" in output
    assert one.python("-m", "pip", "freeze") == before


def test_backup(one):
    require(shutil.which("restic"), "restic", "restic")
    assert "there is no repository" in one.play("backup.yml", code=2)
    one.play("backup.yml", "-e", "app_dir_backup_init=true", changes=True)
    one.play("backup.yml", changes=True)
    assert len(snapshots(App.at(one.env))) == 2
    (one.app / "restic.env").rename(one.env / "restic.env")
    assert "restic.env, which has the repository" in one.play("backup.yml", code=2)
    (one.env / "restic.env").rename(one.app / "restic.env")
    (one.app / "backup.sh").rename(one.env / "backup.sh")
    assert "has no backup.sh, so nothing backs it up" in one.play("backup.yml", changes=False)
    (one.env / "backup.sh").rename(one.app / "backup.sh")


def test_pinned_version(one):
    """The inventory's version is rendered and kept where a newer one is out, until it names that."""
    assert f"_commit: {PIN}\n" in (one.app / ".copier-answers.yml").read_text()
    one.play("update.yml", changes=False)
    report = one.env / "report.json"
    one.play("check.yml", "-e", f"app_dir_report={report}", code=2)  # nothing serves it
    assert json.loads(report.read_text())[0]["version"] == {"found": PIN, "wanted": PIN}
    one.play("update.yml", "-e", "app_dir_version=v1.1.0", changes=True)
    assert "_commit: v1.1.0\n" in (one.app / ".copier-answers.yml").read_text()
    assert "# new in 1.1.0" in (one.app / "cron.conf").read_text()


def test_update_whose_setup_fails_is_undone(one):
    """The new version loads, so it comes in; a step of its setup.sh then fails."""
    step = one.template / "template/lib/appdir/database.py"
    step.write_text(step.read_text() + "\n\ndef prepare(*_):\n    raise Stop('no such role')\n")
    release(one.template, "v1.2.0")
    before = files(one.app)
    output = one.play("update.yml", "-e", "app_dir_version=v1.2.0", code=2)
    assert "no such role" in output, output
    after = files(one.app)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert not [name for name in changed if not name.startswith("log/") and "__pycache__" not in name]
    assert git("status", "--porcelain", cwd=one.app) == ""
