"""What tests share beside fixtures: the questions, git, generated tables, and a look at all files of a folder."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
# what Copier needs of the template
PARTS = ("copier.yml", "includes", "template")
# the work tree as a release, and the release after it that a test invents: both newer than all that are frozen
NOW, NEXT = "v100.0.0", "v101.0.0"
# sets of answers that together use every part and every choice, and answer each question otherwise than by its default
ANSWERS = [
    {},
    {"framework": "wutta", "app_name": "corner_shop", "web_port": 9180},
    {
        "title": "Poser's 100% Shop",
        "app_package": "poser",
        "web_app": "egg:poser#main",
        "pypi_name": "Poser-App",
        "time_zone": "America/Chicago",
        "web_api": True,
        "web_api_port": 9181,
        "datasync": True,
        "filemon": True,
        "send_mail": True,
        "mail_server": "mail.example.com:587",
        "mail_user": "shop",
        "mail_tls": False,
        "mail_from": "shop@example.com",
        "mail_to": "operator@example.com",
        "alerts": "both",
    },
    {
        "web_host": "192.0.2.1",
        "reverse_proxy": "https",
        "url_prefix": "/shop",
        "domain": "shop.example.com",
        "sessions": "redis",
        "offline_assets": False,
        "batch_types": ["inventory", "own"],
        "export_types": ["own"],
        "overnight": ["main", "weekly"],
        "backup_repository": "sftp:backup@example.com:/srv/poser",
        "alerts": "heartbeat",
    },
    {"services": "systemd", "service_user": "poser", "datasync": True, "filemon": True, "reverse_proxy": "http"},
    {"batch_types": [], "export_types": [], "overnight": [], "services": "none", "starter": False},
    dict.fromkeys(("batches", "exports", "uploads", "luigi", "work", "offline_assets", "backups"), False),
    {"framework": "wutta", "batches": False, "luigi": False, "work": False, "sessions": "database"},
    {"web": False, "datasync": True, "filemon": True, "services": "systemd"},
    {"framework": "wutta", "web": False, "luigi": False, "reverse_proxy": "https", "url_prefix": "/shop"},
]


def questions(template=ROOT):
    """Return the questions of a template's copier.yml whose answers are kept: a dict of their settings by name.

    Every entry has a type; that of a question for yes or no is "bool".  Choices are a list of their values.
    """
    found = {}
    for name, entry in yaml.safe_load((template / "copier.yml").read_text()).items():
        if name.startswith("_") or entry.get("when") is False or entry.get("secret"):
            continue
        found[name] = {"type": "str", **entry}
        if isinstance(entry.get("choices"), dict):
            found[name]["choices"] = list(entry["choices"].values())
        if found[name].get("choices") == [True, False]:
            found[name]["type"] = "bool"
            del found[name]["choices"]
    return found


def choices_of(entry):
    """Return the values that can be chosen for a question of copier.yml, whether they have labels or not."""
    choices = entry.get("choices", [])
    if isinstance(choices, dict):
        return list(choices.values())
    return [choice[1] if isinstance(choice, list) else choice for choice in choices]


def framework_of(entry):
    """Return the framework that alone has what a question of copier.yml asks for, or None."""
    found = re.search(r"framework == '(\w+)'", str(entry.get("when", "")))
    return found and found[1]


def git(*args, cwd):
    """Run git in the folder `cwd` and return what it prints; raise CalledProcessError if it fails."""
    done = subprocess.run(["git", *map(str, args)], cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout


def release_work_tree(repo):
    """Make a git repository with the project as the work tree has it now, tagged v1.0.0."""
    copy_work_tree(repo)
    git("init", "--quiet", cwd=repo)
    release(repo, "v1.0.0")
    return repo


def copy_work_tree(folder, *names):
    """Copy the project, or some files and folders of it, as the work tree has them now, uncommitted files included."""
    listed = git("ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *names, cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def release(repo, tag):
    """Commit the work tree of a template and tag it."""
    git("add", "--all", cwd=repo)
    git("commit", "--quiet", "--allow-empty", "--message", f"Release {tag}", cwd=repo)
    git("tag", tag, cwd=repo)


def files(folder):
    """Return all files below a folder but those of git: {relative path: (mode, bytes)}."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mode & 0o777, path.read_bytes())
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def generated(page, name, wanted):
    """Assert that the part NAME of a page in docs/ is what was generated; with UPDATE_DOCS=1, write it instead."""
    path = ROOT / "docs" / page
    text = path.read_text()
    found = re.search(rf"(?<=<!-- {name} -->\n).*?(?=\n\n|\n?\Z)", text, re.DOTALL)
    assert found, f"{page} has no <!-- {name} -->"
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(text[: found.start()] + wanted + text[found.end() :])
    else:
        assert found[0] == wanted, f"docs/{page} is out of date; run this again with UPDATE_DOCS=1"


def require(found, what, package=None, install=None):
    """Skip the test aloud if this machine lacks something, of a Debian package or else; in CI that is a failure."""
    if not found:
        message = f"{what} is missing; install it with: {install or f'apt-get install {package}'}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
