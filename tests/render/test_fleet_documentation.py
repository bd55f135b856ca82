"""The fleet is sound Ansible: its linter finds nothing, and its documentation shows every option."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support import ROOT, generated

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


@pytest.mark.parametrize("path", sorted(ROLE.glob("tasks/*.yml")), ids=lambda path: path.stem)
def test_no_task_depends_on_the_wording_of_a_message(path):
    for task in yaml.safe_load(path.read_text()):
        for key in ("when", "until", "failed_when", "changed_when"):
            assert not re.search(r"\b(msg|stdout|stderr)\b", str(task.get(key, ""))), (task["name"], key)


@pytest.fixture(scope="module")
def points():
    """The entry points of the role, as ansible-doc shows them."""
    done = run("ansible-doc", "--type", "role", "--roles-path", "roles", "--json", "app_dir")
    return json.loads(done.stdout)["app_dir"]["entry_points"]


def yaml_of_fleet():
    """Return all YAML of the fleet, but for what documents its variables."""
    left_out = ("argument_specs.yml", "inventory.yml")
    return "\n".join(path.read_text() for path in FLEET.rglob("*.yml") if path.name not in left_out)


def used(text):
    """Return the variables of the role that YAML of the fleet uses, but those that it sets itself."""
    others = {path.stem for path in ROLE.glob("library/*.py")}
    others |= set(re.findall(r'"(app_dir_\w+)":', (ROLE / "filter_plugins/app_dir_report.py").read_text()))
    others |= set(re.findall(r"register: (\w+)", yaml_of_fleet()))
    return set(re.findall(r"\bapp_dir_\w+", text)) - others


def test_each_variable_is_documented_where_it_is_used(points):
    """With its description, in the entry point that reads it, and in no other."""
    for name, point in points.items():
        text = (ROLE / f"tasks/{name}.yml").read_text()
        for part in re.findall(r"import_tasks: (\S+)", text):
            text += (ROLE / "tasks" / part).read_text()
        options = point.get("options", {})
        assert all(option["description"] for option in options.values())
        # the name of an env comes from the path, by a default
        assert used(text) | ({"app_dir_path"} if options else set()) == options.keys(), name
    assert {path.stem for path in FLEET.glob("*.yml")} - {"setup", "inventory"} <= points.keys()
    documented = {name for point in points.values() for name in point.get("options", {})}
    assert used(yaml_of_fleet()) == documented


def test_the_page_of_many_hosts_has_each_variable(points):
    playbooks = {"main": "setup"}
    options, users = {}, {}
    for name, point in points.items():
        for variable, option in point.get("options", {}).items():
            options[variable] = option
            users.setdefault(variable, []).append(f"`{playbooks.get(name, name)}`")
    rows = ["| variable | what it is | playbooks |", "| --- | --- | --- |"]
    for variable, option in sorted(options.items()):
        parts = option["description"]
        text = " ".join(parts if isinstance(parts, list) else [parts])
        text = re.sub(r"C\(([^)]*)\)", r"`\1`", text)
        who = "all" if len(users[variable]) == len(points) - 1 else ", ".join(users[variable])
        rows.append(f"| `{variable}` | {text} | {who} |")
    generated("many-hosts.md", "variables", "\n".join(rows))
    page = (ROOT / "docs/many-hosts.md").read_text()
    of_playbooks = re.findall(r"\{\{ (\w+) \|", "\n".join(path.read_text() for path in FLEET.glob("*.yml")))
    assert of_playbooks
    assert [name for name in of_playbooks if f"-e {name}=" not in page] == []


@pytest.mark.parametrize("module", sorted(ROLE.glob("library/*.py")), ids=lambda path: path.stem)
def test_documentation_of_the_modules(module):
    done = run("ansible-doc", "--module-path", "roles/app_dir/library", "--json", module.stem)
    shown = json.loads(done.stdout)[module.stem]
    assert shown["doc"]["description"]
    assert yaml.safe_load(shown["examples"])
