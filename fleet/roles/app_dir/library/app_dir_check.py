#!/usr/bin/python
"""Ansible module: tell in what an app dir differs from the inventory, and what is wrong with it."""

DOCUMENTATION = r"""
module: app_dir_check
short_description: Tell in what an app dir differs from the inventory, and what is wrong
description:
  - Changes nothing.
  - >-
    Edited files are found by C(update.sh --diff), which compares the app dir with the pristine rendering of its own
    version and answers, so neither a newer version nor your own files count.
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
    permissions:
      description: What is wrong with permissions.
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

from ansible.module_utils.app_dir import AppDir
from ansible.module_utils.basic import AnsibleModule


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
    result = app.result("./check.sh")
    checks = result["checks"]
    version = app.answers().get("_commit")
    if not version:
        module.fail_json(msg=f"{app.path} is of a template without versions, so nothing can be compared")
    wanted = module.params["version"] or result.get("latest_version", version)
    compared = app.result("./update.sh", "--diff")
    if not compared["ok"]:
        app.fail(compared)
    found = {
        "version": {"found": version, "wanted": wanted},
        "answers": app.differing(module.params["answers"]),
        "edited": compared["edited"],
        "removed": compared["removed"],
        "uncommitted": [line[3:] for line in app.git("status", "--porcelain", "--no-renames").splitlines()],
        "missing": compared["missing_folders"],
        "permissions": [line["text"] for line in [checks["permissions"]] if line["status"] == "FAILED"],
        "backup": checks["backup"],
        "checks": checks,
    }
    wrong = [name for name in ("answers", "uncommitted", "missing", "permissions") if found[name]]
    wrong += ["version"] if wanted.lstrip("v") != version.lstrip("v") else []
    found["wrong"] = wrong + [name for name, one in checks.items() if one["status"] == "FAILED" and name not in wrong]
    module.exit_json(changed=False, found=found)


if __name__ == "__main__":
    main()
