"""The playbook upgrade.yml: the canary first and alone, then ten at a time, and no batch after one that fails."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support import ROOT

BIN = Path(sys.executable).parent
TILLS = [f"till{number:02}" for number in range(13)]
CANARY = TILLS[5]
# stands for an upgrade, whose own tests are elsewhere: it notes when it begins and ends, and fails where it is told to
UPGRADE = """#!/bin/sh
cd "$(dirname "$0")"
till=$(basename "$(dirname "$PWD")")
echo "begin $till" >> ../../log
echo "end $till" >> ../../log
[ ! -e ../fails ] || { echo '{"ok": false, "message": "no such column"}'; exit 1; }
touch requirements-before.txt requirements-after.txt
printf '{"ok": true, "message": "", "changed": true, "run": "%s"}' "$PWD"
"""


@pytest.fixture
def tills(tmp_path):
    """A folder with 13 app dirs and the inventory that names them and the canary."""
    hosts = {}
    for name in TILLS:
        app = tmp_path / name / "app"
        app.mkdir(parents=True)
        (app / ".copier-answers.yml").write_text("_commit: v1.0.0\n")
        (app / "upgrade.sh").write_text(UPGRADE)
        (app / "upgrade.sh").chmod(0o755)
        hosts[name] = {"app_dir_path": str(app)}
    every = {"ansible_connection": "local", "app_dir_copier_env": sys.prefix, "app_dir_template": "none"}
    groups = {"all": {"hosts": hosts, "vars": every, "children": {"canary": {"hosts": {CANARY: {}}}}}}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(groups))
    return tmp_path


def upgrade(folder, *options):
    """Run the playbook; return its exit code, its output, and the batches: sets of the app dirs that it upgraded."""
    command = [BIN / "ansible-playbook", "-i", folder / "inventory.yml", "upgrade.yml", *options]
    environment = os.environ | {"ANSIBLE_RETRY_FILES_ENABLED": "false"}
    done = subprocess.run(command, cwd=ROOT / "fleet", env=environment, capture_output=True, text=True)
    plays = done.stdout.split("PLAY [Upgrade")[1:]
    batches = [set(re.findall(r"^(?:changed|fatal): \[(\w+)\]", play, re.MULTILINE)) for play in plays]
    lines = (folder / "log").read_text().splitlines()
    for batch in filter(None, batches):  # each began when the one before had ended
        now, lines = lines[: 2 * len(batch)], lines[2 * len(batch) :]
        assert {*now} == {f"{event} {name}" for event in ("begin", "end") for name in batch}
    assert not lines
    return done.returncode, done.stdout + done.stderr, batches


def test_canary_then_tens(tills):
    code, output, batches = upgrade(tills)
    assert code == 0, output
    rest = [name for name in TILLS if name != CANARY]
    assert batches == [{CANARY}, set(rest[:10]), set(rest[10:])]
    assert set(re.findall(r"^(\S+) +: ok=\d+ +changed=1 .*failed=0", output, re.MULTILINE)) == set(TILLS)


@pytest.mark.parametrize(("fails", "batches_begun"), [(CANARY, 1), ("till07", 2)])
def test_first_failure_ends_it(tills, fails, batches_begun):
    """The others of its batch go on to their end; no further batch begins."""
    (tills / fails / "fails").touch()
    code, output, batches = upgrade(tills)
    assert code == 2, output
    assert len(batches) == batches_begun
    assert [len(batch) for batch in batches] == [1, 10][:batches_begun]
    assert "no such column" in output


def test_another_canary_and_other_batches(tills):
    code, output, batches = upgrade(tills, "-e", '{"serial": [2, 11], "canary": "till01:till02"}')
    assert code == 0, output
    assert batches == [{"till01", "till02"}, set(TILLS) - {"till01", "till02"}]
