#!/usr/bin/python
"""Ansible module: upgrade the packages of an app dir's env, and its database."""

DOCUMENTATION = r"""
module: app_dir_upgrade
short_description: Upgrade the packages of an app dir's env, and its database
description:
  - Runs upgrade.sh of the app dir, which restores the old packages if anything fails.
  - >-
    Where the restarted app no longer passes a check of check.sh that it passed before, the module fails, but undoes
    nothing, since the database may be newer than the packages of before, which the message names.
  - In check mode, pip tells what it would install.
author: appdir-template
options:
  path:
    description: The app dir.
    type: path
    required: true
  restart:
    description:
      - Shell command that restarts the app's servers, run in the app dir after an upgrade.
      - Without it, upgrade.sh restarts servers that run and looks whether the login page answers.
    type: str
"""
EXAMPLES = r"""
- name: Upgrade an app dir
  app_dir_upgrade:
    path: /srv/envs/poser/app
"""
RETURN = r"""
busy:
  description: Whether another update, upgrade or backup is running, so that a later try may succeed.
  returned: failed
  type: bool
run:
  description: Folder with the packages before and after, and the output.
  returned: success
  type: str
"""

from pathlib import Path

from ansible.module_utils.app_dir import AppDir
from ansible.module_utils.basic import AnsibleModule


def main():
    """Upgrade, and see by the lists of packages, and the output, whether that changed anything."""
    module = AnsibleModule(
        {"path": {"type": "path", "required": True}, "restart": {"type": "str"}}, supports_check_mode=True
    )
    app = AppDir(module)
    app.require()
    checked = app.failing() if module.params["restart"] and not module.check_mode else {}
    result = app.result("./upgrade.sh", *app.no_restart(), *(["--preview"] if module.check_mode else []))
    if not result["ok"]:
        app.fail(result)
    if module.check_mode:
        packages = "".join(f"{line}\n" for line in result["packages"])
        module.exit_json(changed=result["changed"], diff={"prepared": packages} if packages else {})
    names = {kind: Path(result["run"], f"requirements-{kind}.txt") for kind in ("before", "after")}
    if result["changed"] and (broken := app.restart_and_check(checked)):
        kept = names["before"]
        module.fail_json(msg=f"{app.path}: after the upgrade, {broken}; the packages of before are listed in {kept}")
    diff = {kind: path.read_text() for kind, path in names.items()}
    diff |= {f"{kind}_header": str(path) for kind, path in names.items()}
    module.exit_json(changed=result["changed"], run=result["run"], diff=diff)


if __name__ == "__main__":
    main()
