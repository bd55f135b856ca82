#!/usr/bin/python
"""Ansible module: tell in what an app dir differs from the inventory, and what is wrong with it."""

DOCUMENTATION = r"""
module: app_dir_check
short_description: Tell in what an app dir differs from the inventory, and what is wrong
description:
  - Changes nothing.
  - >-
    Edited files are found by rendering the app dir's own version with its own answers over a clone of it, so neither
    a newer version nor your own files count.
author: appdir-template
options:
  path:
    description: The app dir.
    type: path
    required: true
  version:
    description: Version of the template that it should have; without it, the newest.
    type: str
  answers:
    description: Answers that it should have.
    type: dict
    default: {}
"""
EXAMPLES = r"""
- name: Check an app dir
  app_dir_check:
    path: /srv/envs/poser/app
"""
RETURN = r"""
found:
  description: What was found.
  returned: success
  type: dict
  contains:
    version:
      description: Version of the template, as C(found) and C(wanted).
      type: dict
    answers:
      description: The answers that differ, each as C(found) and C(wanted).
      type: dict
    edited:
      description: Files of the template with edits of the app dir's own.
      type: list
      elements: str
    removed:
      description: Files of the template that were removed.
      type: list
      elements: str
    uncommitted:
      description: Files with changes that are not committed, at which an update stops.
      type: list
      elements: str
    missing:
      description: Folders that are missing.
      type: list
      elements: str
    modes:
      description: What is wrong with modes and owners.
      type: list
      elements: str
    backup:
      description: What check.sh says of the last backup, as C(status) and C(text).
      type: dict
    checks:
      description: All that check.sh found, as C(status) and C(text) of each check.
      type: dict
    wrong:
      description: The names of those of the above, and of the failed checks, that somebody has to act on.
      type: list
      elements: str
"""

import re
import tempfile
from pathlib import Path

from ansible.module_utils.app_dir import ANSWERS, COPIER, AppDir, reason
from ansible.module_utils.basic import AnsibleModule


def compare(app, version):
    """Return the files that are edited, those that were removed, and the folders that are missing, as lists."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder)
        top, prefix = app.git("rev-parse", "--show-toplevel"), app.git("rev-parse", "--show-prefix")
        app.git("clone", "--quiet", top, clone)
        fresh = clone / prefix
        command = [COPIER, "recopy", "--quiet", "--defaults", "--overwrite", "--vcs-ref", version, fresh]
        code, _, err = app.run(*command)
        if code:
            app.module.fail_json(msg=f"Copier could not render {version} to compare {app.path}: {reason(err)}")
        app.git("-C", clone, "add", "--all", "--intent-to-add")
        lines = app.git("-C", clone, "diff", "--name-status", "--no-renames", "--relative=" + prefix).splitlines()
        changed = [line.split("\t") for line in lines if not line.endswith((".gitkeep", ANSWERS))]
        folders = sorted({path.parent.relative_to(fresh) for path in fresh.rglob(".gitkeep")})
    edited = [name for status, name in changed if status != "A"]
    removed = [name for status, name in changed if status == "A"]
    return edited, removed, [str(name) for name in folders if not (app.path / name).is_dir()]


def wrong_modes(app, checks):
    """Return what is wrong with modes and owners: what check.sh found, or where it does not look, the least."""
    if "modes" in checks:
        return [checks["modes"]["text"]] if checks["modes"]["status"] == "FAILED" else []
    names = {".": 0o007, "secrets.conf": 0o177}  # the bits that must not be there
    return [
        f"{'the app dir' if name == '.' else name} has mode {(app.path / name).stat().st_mode & 0o7777:04o}"
        for name, bits in names.items()
        if (app.path / name).exists() and (app.path / name).stat().st_mode & bits
    ]


def main():
    """Look at all, and tell."""
    module = AnsibleModule(
        {
            "path": {"type": "path", "required": True},
            "version": {"type": "str"},
            "answers": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    app = AppDir(module)
    app.require()
    checks = app.checks()
    version = app.answers().get("_commit")
    if not version:
        module.fail_json(msg=f"{app.path} is of a template without versions, so nothing can be compared")
    waits = re.match(r"version (\S+) waits", checks.get("template", {}).get("text", ""))
    wanted = module.params["version"] or (waits[1] if waits else version)
    edited, removed, missing = compare(app, version)
    found = {
        "version": {"found": version, "wanted": wanted},
        "answers": app.differing(module.params["answers"]),
        "edited": edited,
        "removed": removed,
        "uncommitted": [line[3:] for line in app.git("status", "--porcelain", "--no-renames").splitlines()],
        "missing": missing,
        "modes": wrong_modes(app, checks),
        "backup": checks.get("backup", {"status": "unknown", "text": "check.sh of this version does not look at it"}),
        "checks": checks,
    }
    wrong = [name for name in ("answers", "uncommitted", "missing", "modes") if found[name]]
    wrong += ["version"] if wanted.lstrip("v") != version.lstrip("v") else []
    found["wrong"] = wrong + [name for name, one in checks.items() if one["status"] == "FAILED" and name not in wrong]
    module.exit_json(changed=False, found=found)


if __name__ == "__main__":
    main()
