"""The fleet is sound Ansible: its linter finds nothing, and its documentation shows every option."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support import ROOT

FLEET = ROOT / "fleet"
ROLE = FLEET / "roles/app_dir"
BIN = Path(sys.executable).parent


def run(command, *arguments):
    """Run a command of Ansible in the folder of the fleet, and return the process."""
    path = f"{BIN}:{os.environ['PATH']}"  # ansible-lint calls the others
    environment = os.environ | {"PATH": path}
    return subprocess.run([BIN / command, *arguments], cwd=FLEET, env=environment, capture_output=True, text=True)


def test_lint():
    done = run("ansible-lint", "--offline", "--strict", "--nocolor", "--profile", "production")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Profile 'production' was required, and it passed" in done.stderr
    assert int(re.search(r"in (\d+) files processed", done.stderr)[1]) > 15


def test_documentation_of_the_role():
    """Every variable that the role reads is an option, with its description, of the entry point that reads it."""
    done = run("ansible-doc", "--type", "role", "--roles-path", "roles", "--json", "app_dir")
    points = json.loads(done.stdout)["app_dir"]["entry_points"]
    documented = {name for point in points.values() for name in point.get("options", {})}
    assert {path.stem for path in FLEET.glob("*.yml")} - {"setup", "inventory"} <= points.keys()
    for name, point in points.items():
        text = (ROLE / f"tasks/{name}.yml").read_text()
        if "import_tasks: copier.yml" in text:
            text += (ROLE / "tasks/copier.yml").read_text()
        read = set(re.findall(r"app_dir_\w+", text)) & documented
        options = point.get("options", {})
        assert all(option["description"] for option in options.values())
        assert read == options.keys(), name


@pytest.mark.parametrize("module", sorted(ROLE.glob("library/*.py")), ids=lambda path: path.stem)
def test_documentation_of_the_modules(module):
    done = run("ansible-doc", "--module-path", "roles/app_dir/library", "--json", module.stem)
    shown = json.loads(done.stdout)[module.stem]
    assert shown["doc"]["description"]
    assert yaml.safe_load(shown["examples"])
