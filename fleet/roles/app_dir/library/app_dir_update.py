#!/usr/bin/python
"""Ansible module: bring an app dir to a version of the template and to answers, or leave it unchanged."""

DOCUMENTATION = r"""
module: app_dir_update
short_description: Bring an app dir to a version of the template and to answers
description:
  - Runs update.sh of the app dir, which brings all of a checked update, or nothing.
  - >-
    Where the app that C(restart) restarted no longer passes a check of check.sh that it passed before, the update is
    undone and the app restarted.
  - >-
    Where edits conflict, the update is dropped by C(update.sh --abort), and the files are named. To fix them, run
    update.sh in the app dir: it stops again, and keeps the merged files in C(.update/app) for you.
  - In check mode, C(update.sh --preview) shows the changes.
author: appdir-template
options:
  path:
    description: The app dir.
    type: path
    required: true
  version:
    description: Version of the template; without it, the newest.
    type: str
  answers:
    description: Answers that the app dir must have; it keeps the others.
    type: dict
    default: {}
  restart:
    description:
      - Shell command that restarts the app's servers, run in the app dir after an update and after undoing it.
      - Without it, update.sh restarts servers that run and looks whether the login page answers.
    type: str
"""
EXAMPLES = r"""
- name: Update an app dir
  app_dir_update:
    path: /srv/envs/poser/app
    restart: sudo systemctl restart poser-web
"""
RETURN = r"""
edits:
  description: Files whose edits conflict; the app dir has not changed.
  returned: failed
  type: list
  elements: str
busy:
  description: Whether another update, upgrade or backup is running, so that a later try may succeed.
  returned: failed
  type: bool
update:
  description: What update.sh did.
  returned: success
  type: str
"""

from ansible.module_utils.app_dir import AppDir, as_data
from ansible.module_utils.basic import AnsibleModule


def undo(app, head):
    """Undo an update that is in, and return a sentence about how that went."""
    result = app.result("./update.sh", "--undo", *app.no_restart())
    if app.run("git", "diff", "--quiet", head, "HEAD")[0] or app.git("status", "--porcelain"):
        return f"it could not be undone: {result['message']}"
    still = "" if result["ok"] else f", and setup.sh fails as well without it: {result['message']}"
    return f"the update was undone{still}"


def main():
    """Update; whatever fails, the app dir stays unchanged."""
    module = AnsibleModule(
        {
            "path": {"type": "path", "required": True},
            "version": {"type": "str"},
            "answers": {"type": "dict", "default": {}},
            "restart": {"type": "str"},
        },
        supports_check_mode=True,
    )
    app = AppDir(module)
    app.require()
    changed_answers = {name: pair["wanted"] for name, pair in app.differing(module.params["answers"]).items()}
    version = module.params["version"]
    options = [*app.no_restart(), *(["--vcs-ref", version] if version else []), *as_data(changed_answers)]
    before = app.failing() if module.params["restart"] and not module.check_mode else {}
    head = app.git("rev-parse", "HEAD")
    waited = (app.path / ".update").exists()
    result = app.result("./update.sh", *(["--preview"] if module.check_mode else []), *options)
    came_in = "commit" in result
    if not result["ok"]:
        if "waits" in result and not waited:
            app.run("./update.sh", "--abort")
        app.fail(result, edits=result.get("edits", []))
    if came_in and (broken := app.restart_and_check(before)):
        back = undo(app, head)
        still = app.restart_and_check(before)
        module.fail_json(msg=f"{app.path}: after the update, {broken}; {back}" + (f", but {still}" if still else ""))
    shown = app.git("diff", head, "HEAD") + "\n" if came_in else result.get("diff", "")
    diff = {"prepared": shown} if shown else {}
    module.exit_json(changed=result["changed"], update=result.get("subject", ""), diff=diff)


if __name__ == "__main__":
    main()
