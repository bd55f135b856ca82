#!/usr/bin/python
"""Ansible module: render an app dir if it is missing."""

DOCUMENTATION = r"""
module: app_dir_render
short_description: Render an app dir if it is missing
description:
  - Renders the template by Copier, which checks the answers; an existing app dir is not changed.
  - A bad answer is refused by name, and nothing is written.
author: appdir-template
options:
  path:
    description: The app dir, a folder in a virtualenv.
    type: path
    required: true
  template:
    description: Address of the template, as Copier takes it.
    type: str
    required: true
  version:
    description: Version of the template; without it, the newest.
    type: str
  answers:
    description: Answers to the template's questions; the others get their default.
    type: dict
    default: {}
"""
EXAMPLES = r"""
- name: Render an app dir
  app_dir_render:
    path: /srv/envs/poser/app
    template: gh:org/appdir-template
    answers:
      framework: wutta
"""
RETURN = r"""
files:
  description: The files that are new.
  returned: changed
  type: list
  elements: str
"""

import shutil
import tempfile
from pathlib import Path

import yaml
from ansible.module_utils.app_dir import ANSWERS, COPIER, AppDir, as_data, reason
from ansible.module_utils.basic import AnsibleModule


def render(app, folder):
    """Render into a folder for the while, and return the app dir in it; the module ends if an answer is bad."""
    module, params = app.module, app.module.params
    fresh = folder / app.path.parent.name / "app"  # the default of app_name is the name of the env
    version = ["--vcs-ref", params["version"]] if params["version"] else []
    command = [COPIER, "copy", "--quiet", "--defaults", *version, *as_data(params["answers"]), params["template"]]
    code, _, err = app.run(*command, fresh)
    if code:
        module.fail_json(msg=f"Copier could not render: {reason(err)}")
    known = yaml.safe_load((fresh / ANSWERS).read_text())
    if unknown := sorted(params["answers"].keys() - known.keys()):
        names = ", ".join(f"answer_{name}" for name in unknown)
        module.fail_json(msg=f"no such question with these answers: {names}")
    return fresh


def main():
    """Render beside the app dir, and bring it there as a whole."""
    module = AnsibleModule(
        {
            "path": {"type": "path", "required": True},
            "template": {"type": "str", "required": True},
            "version": {"type": "str"},
            "answers": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    app = AppDir(module)
    if (app.path / ANSWERS).exists():
        module.exit_json(changed=False)
    if app.path.exists() and any(app.path.iterdir()):
        module.fail_json(msg=f"{app.path} holds files, but is no app dir of the template; move them away")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) if module.check_mode else app.path.parent / ".rendering"
        shutil.rmtree(folder, ignore_errors=True)  # of an interrupted run
        try:
            fresh = render(app, folder)
            files = sorted(str(path.relative_to(fresh)) for path in fresh.rglob("*") if path.is_file())
            if not module.check_mode:
                fresh.rename(app.path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    diff = {
        "before_header": str(app.path),
        "after_header": str(app.path),
        "before": "",
        "after": "\n".join(files) + "\n",
    }
    module.exit_json(changed=True, files=files, diff=diff)


if __name__ == "__main__":
    main()
