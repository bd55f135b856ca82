#!/usr/bin/python
"""Ansible module: bring an app dir to a version of the template and to answers, or leave it as it was."""

DOCUMENTATION = r"""
module: app_dir_update
short_description: Bring an app dir to a version of the template and to answers
description:
  - Runs update.sh of the app dir, which brings all of a checked update, or nothing.
  - >-
    Where the update comes in, but setup.sh then fails, or the restarted app no longer passes a check of check.sh that
    it passed before, the update is taken back and the app restarted.
  - >-
    Where edits are in the way, the update is dropped by C(update.sh --abort), and the files are named. To mend them,
    run update.sh in the app dir: it stops again, and leaves its clone for you.
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
      - Shell command that restarts the app's servers, run in the app dir after an update and after taking it back.
      - Without it nothing restarts, so the servers go on with the config that they read, and no check is made.
    type: str
"""
EXAMPLES = r"""
- name: Update an app dir
  app_dir_update:
    path: /srv/envs/poser/app
    restart: ../bin/supervisorctl -c supervisor.conf restart all
"""
RETURN = r"""
edits:
  description: Files whose edits are in the way; the app dir is as it was.
  returned: failed
  type: list
  elements: str
update:
  description: What update.sh did.
  returned: success
  type: str
"""

import re

from ansible.module_utils.app_dir import AppDir, as_data, reason
from ansible.module_utils.basic import AnsibleModule

IN_THE_WAY = [
    r"the update touch the same lines of (.*?)(?:; the app dir is as it was|$)",
    r"not committed: (.*?); (?:run: |commit it)",
    r"an update waits in (.*?): mend it",
]


def edits(text):
    """Return the files that are in the way of an update, as update.sh names them."""
    found = filter(None, (re.search(pattern, text) for pattern in IN_THE_WAY))
    return [name for match in found for name in match[1].split(", ")]


def preview(app, options):
    """Tell what an update would change."""
    code, out, err = app.run("./update.sh", "--preview", *options)
    changes = out.partition("\n")[2].strip()
    diff = {"prepared": changes + "\n"} if changes else {}
    if code:
        app.module.fail_json(msg=f"{app.path}: {reason(err)}", edits=edits(reason(err)), diff=diff)
    app.module.exit_json(changed=bool(changes), update=out.partition("\n")[0], diff=diff)


def take_back(app, head):
    """Take back an update that is in, and return a sentence about how that went."""
    code, _, err = app.run("./update.sh", "--undo", "--quiet")
    if app.run("git", "diff", "--quiet", head, "HEAD")[0] or app.git("status", "--porcelain"):
        return f"it could not be taken back: {reason(err)}"
    return "the update was taken back" + (f", and setup.sh fails as well without it: {reason(err)}" if code else "")


def main():
    """Update; whatever fails, the app dir is as it was."""
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
    options = [*(["--vcs-ref", version] if version else []), *as_data(changed_answers)]
    if module.check_mode:
        preview(app, options)
    before = app.failing() if module.params["restart"] else {}
    head = app.git("rev-parse", "HEAD")
    stopped = app.path / ".update/.git/stopped"
    waited = stopped.exists()
    code, out, err = app.run("./update.sh", "--quiet", *options)
    came_in = app.git("rev-parse", "HEAD") != head
    if code and came_in:
        module.fail_json(msg=f"{app.path}: {reason(err)}; {take_back(app, head)}", stdout=out, stderr=err)
    if code:
        if stopped.exists() and not waited:
            app.run("./update.sh", "--abort")
        why = re.sub(r"\. Mend it in .*", "", reason(err))
        module.fail_json(msg=f"{app.path}: {why}", edits=edits(why), stdout=out, stderr=err)
    if came_in and (broken := app.restart_and_check(before)):
        back = take_back(app, head)
        still = app.restart_and_check(before)
        module.fail_json(msg=f"{app.path}: after the update, {broken}; {back}" + (f", but {still}" if still else ""))
    diff = {"prepared": app.git("diff", head, "HEAD") + "\n"} if came_in else {}
    module.exit_json(changed=came_in, update=out, diff=diff)


if __name__ == "__main__":
    main()
