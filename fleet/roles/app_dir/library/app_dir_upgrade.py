#!/usr/bin/python
"""Ansible module: upgrade the packages of an app dir's env, and its database."""

DOCUMENTATION = r"""
module: app_dir_upgrade
short_description: Upgrade the packages of an app dir's env, and its database
description:
  - Runs upgrade.sh of the app dir, which puts the packages of before back if anything fails.
  - >-
    Where the restarted app no longer passes a check of check.sh that it passed before, the module fails, but takes
    nothing back, since the database may be newer than the packages of before, which the message names.
  - In check mode, pip tells what it would install.
author: appdir-template
options:
  path:
    description: The app dir.
    type: path
    required: true
  restart:
    description: Shell command that restarts the app's servers, run in the app dir after an upgrade.
    type: str
"""
EXAMPLES = r"""
- name: Upgrade an app dir
  app_dir_upgrade:
    path: /srv/envs/poser/app
"""
RETURN = r"""
run:
  description: Folder with the packages before and after, and the output.
  returned: success
  type: str
"""

import json
import re

from ansible.module_utils.app_dir import AppDir, reason
from ansible.module_utils.basic import AnsibleModule


def preview(app):
    """Tell what an upgrade would install; the module ends."""
    command = ["../bin/python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--dry-run"]
    options = ["--upgrade", "--upgrade-strategy", "eager", "--report", "-", "-r", "requirements.txt"]
    code, out, err = app.run(*command, *options)
    if code:
        app.module.fail_json(msg=f"pip of {app.path}: {reason(err)}")
    found = sorted(f"{one['metadata']['name']}=={one['metadata']['version']}\n" for one in json.loads(out)["install"])
    app.module.exit_json(changed=bool(found), diff={"prepared": "".join(found)} if found else {})


def main():
    """Upgrade, and see by the lists of packages, and the output, whether that changed anything."""
    module = AnsibleModule(
        {"path": {"type": "path", "required": True}, "restart": {"type": "str"}}, supports_check_mode=True
    )
    app = AppDir(module)
    app.require()
    if module.check_mode:
        preview(app)
    checked = app.failing() if module.params["restart"] else {}
    code, out, err = app.run("./upgrade.sh", "--quiet")
    if code:
        module.fail_json(msg=f"{app.path}: {reason(err)}", stdout=out, stderr=err)
    run = max(path.parent for path in app.path.glob("data/upgrades/*/requirements-after.txt"))
    before, after = ((run / f"requirements-{name}.txt").read_text() for name in ("before", "after"))
    migrated = re.search(r"^database +bringing ", (run / "output.txt").read_text(), re.MULTILINE)
    changed = before != after or bool(migrated)
    if changed and (broken := app.restart_and_check(checked)):
        kept = run / "requirements-before.txt"
        module.fail_json(msg=f"{app.path}: after the upgrade, {broken}; the packages of before are listed in {kept}")
    headers = {"before_header": f"{run}/requirements-before.txt", "after_header": f"{run}/requirements-after.txt"}
    module.exit_json(changed=changed, run=str(run), diff={"before": before, "after": after, **headers})


if __name__ == "__main__":
    main()
