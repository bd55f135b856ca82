"""Every rendered file passes the checker of its own language."""

import configparser
import os
import subprocess
import sys

import pytest
import yaml
from support import ANSWERS, ROOT


@pytest.fixture(scope="module", params=ANSWERS, ids=range(len(ANSWERS)))
def app(request, render, tmp_path_factory):
    """An app dir, rendered with each set of answers."""
    return render(tmp_path_factory.mktemp("lint") / "poser/app", **request.param)


def test_shell(app):
    scripts = sorted(app.rglob("*.sh"))
    assert scripts
    check = subprocess.run(["shellcheck", "--shell=sh", *scripts], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout
    for script in scripts:
        lines = script.read_text().splitlines()
        assert lines[0] == "#!/bin/sh", script
        assert lines[1].startswith(("# Template. ", "# Yours. ")), script
        assert "set -eu" in lines, script
        assert len(lines) < 60, script
        assert os.access(script, os.X_OK), script


def test_shell_help_and_bad_use(app):
    for script in sorted(app.rglob("*.sh")):
        shown = subprocess.run([script, "--help"], capture_output=True, text=True)
        assert shown.returncode == 0, script
        first, *others = shown.stdout.splitlines()
        assert first.endswith("."), first
        assert f"usage: {script.name} " in shown.stdout, script
        assert "Example:" in others, script
        bad = subprocess.run([script, "--no-such-option"], capture_output=True, text=True)
        assert bad.returncode == 2, script
        assert len(bad.stderr.splitlines()) == 1, bad.stderr
        assert bad.stderr.startswith(f"{script.name}: "), bad.stderr
        assert "--no-such-option" in bad.stderr


def test_config(app):
    names = [*app.glob("*.conf"), *app.glob("luigi/*.cfg"), *app.glob("luigi/*.conf")]
    assert len(names) >= 4
    for path in names:
        parser = configparser.ConfigParser(defaults={"here": "here", "__file__": "file"})
        parser.read_string(path.read_text(), path.name)
        for section in parser.sections():
            assert dict(parser.items(section, raw=section.startswith("formatter_"))), (path.name, section)
        assert path.read_text().startswith(("# Template. ", "# Yours. ")), path.name


def test_config_has_no_stray_space(app):
    for path in [path for path in app.rglob("*") if path.suffix in {".conf", ".sh", ".py", ".md", ".txt", ".cfg"}]:
        text = path.read_text()
        assert "\n\n\n\n" not in text, path
        assert not [line for line in text.splitlines() if line != line.rstrip()], path
        assert text.endswith("\n"), path
        assert not text.endswith("\n\n"), path


def test_yaml(app):
    assert yaml.safe_load((app / ".copier-answers.yml").read_text())["_src_path"]


def test_python(app):
    check = [sys.executable, "-m", "ruff", "check", "--config", ROOT / "pyproject.toml", "--no-cache", app]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    for path in app.rglob("*.py"):
        compile(path.read_text(), path, "exec")
