"""The files that forges, editors and pre-commit read are well formed, and run nothing but nox; benchmarks start."""

import re
import subprocess
import sys

import pytest
import yaml
from support import ROOT, git

FORMS = sorted(path for path in ROOT.glob(".github/ISSUE_TEMPLATE/*.yml") if path.stem != "config")


def sessions():
    """Return the names of all nox sessions."""
    return set(re.findall(r"^@nox\.session\ndef (\w+)", (ROOT / "noxfile.py").read_text(), re.MULTILINE))


def test_the_forge_calls_only_what_people_call():
    """Beside git, which .ci/run needs to be there."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert commands == ["apt-get update && apt-get install --yes git", ".ci/run"]


def test_pre_commit_runs_the_linters_of_nox():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    entries = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    assert [re.match(r"nox --session (\w+)", entry)[1] for entry in entries] == ["lint"]
    assert "lint" in sessions()


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_issue_forms(form):
    """Forges show only a form with a name, a description, and for each field a type, an own id and a label."""
    content = yaml.safe_load(form.read_text())
    assert content["name"]
    assert content["description"]
    fields = content["body"]
    assert fields
    assert {field["type"] for field in fields} <= {"input", "textarea", "dropdown", "checkboxes"}
    assert all(field["attributes"]["label"] for field in fields)
    assert len({field["id"] for field in fields}) == len(fields)


def test_files_follow_editorconfig():
    """No line ends with a space or a carriage return, and text files end with a line feed, but for Jinja's snippets."""
    for name in git("ls-files", "-z", cwd=ROOT).split("\0")[:-1]:
        data = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        if data and b"\0" not in data:
            assert data.endswith(b"\n") or name.startswith("includes/"), name
            assert not re.search(rb"[ \t\r]\n", data), name


@pytest.mark.parametrize("name", ["backup", "fleet", "setup", "update"])
def test_benchmarks_start(name):
    """What they share with the tests is still where they look for it."""
    done = subprocess.run([sys.executable, ROOT / f"benchmarks/{name}.py", "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_license():
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n")
