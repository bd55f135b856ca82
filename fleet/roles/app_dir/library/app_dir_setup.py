#!/usr/bin/python
"""Ansible module: make an app dir ready to run, by its setup.sh."""

DOCUMENTATION = r"""
module: app_dir_setup
short_description: Make an app dir ready to run
description:
  - Runs setup.sh of the app dir, if it says by C(--preview) that something is missing.
  - >-
    Secrets reach it by its environment alone, and this module by its standard input,
    so no process list shows them, and no log.
author: appdir-template
options:
  path:
    description: The app dir.
    type: path
    required: true
  database_url:
    description: URL of the database, used by the first setup; SQLite without it.
    type: str
  redis_url:
    description: URL of Redis, where the app keeps its sessions there.
    type: str
  admin_password:
    description:
      - Password of the first admin.
      - Without it, one is made and left on the host, in the file C(admin-password) beside the app dir, mode 0600.
    type: str
  secrets_file:
    description:
      - File on the host that only its owner may read, with lines such as C(DATABASE_URL=postgresql://...).
      - It may hold C(DATABASE_URL), C(REDIS_URL) and C(ADMIN_PASSWORD); the options above come before it.
    type: path
"""
EXAMPLES = r"""
- name: Set up an app dir
  app_dir_setup:
    path: /srv/envs/poser/app
    admin_password: "{{ vault_admin_password }}"
"""
RETURN = r"""
steps:
  description: What setup.sh did, or in check mode the first thing that it would do.
  returned: changed
  type: str
"""

import os
import secrets
from pathlib import Path

from ansible.module_utils.app_dir import AppDir
from ansible.module_utils.basic import AnsibleModule

NAMES = {"DATABASE_URL": "database_url", "REDIS_URL": "redis_url", "ADMIN_PASSWORD": "admin_password"}


def read_secrets(module):
    """Return the secrets that are given, by the names of their environment variables."""
    found = {}
    if name := module.params["secrets_file"]:
        path = Path(name)
        if not path.is_file() or path.stat().st_mode & 0o077:
            module.fail_json(msg=f"{path} must be a file that only its owner can read")
        lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
        found = dict(line.partition("=")[::2] for line in lines)
    if not found.keys() <= NAMES.keys():
        module.fail_json(msg=f"{name} may hold {', '.join(f'{key}=...' for key in NAMES)}, and nothing else")
    module.no_log_values.update(filter(None, found.values()))
    return found | {name: module.params[option] for name, option in NAMES.items() if module.params[option]}


def kept_password(app, path):
    """Return the admin's password that a file on the host keeps, made if it is missing."""
    if not path.exists():
        draft = path.with_name(".admin-password.new")
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(12) + "\n")
        draft.replace(path)
    password = path.read_text().strip()
    app.module.no_log_values.add(password)
    return password


def main():
    """Look whether something is missing; if so, let setup.sh do it."""
    secret = {"type": "str", "no_log": True}
    module = AnsibleModule(
        {
            "path": {"type": "path", "required": True},
            "database_url": secret,
            "redis_url": secret,
            "admin_password": secret,
            "secrets_file": {"type": "path", "no_log": False},
        },
        supports_check_mode=True,
    )
    app = AppDir(module)
    if not app.path.exists() and module.check_mode:
        module.exit_json(changed=True, steps="all of setup.sh")
    app.require()
    found = read_secrets(module)
    result = app.result("./setup.sh", "--preview")
    steps = "".join(f"{line['step']:<11} {line['text']}\n" for line in result["lines"])
    if result["ok"]:
        module.exit_json(changed=False)
    if result["code"] != 3:
        module.fail_json(msg=f"setup.sh of {app.path}: {result['message']}")
    if module.check_mode:
        module.exit_json(changed=True, steps=steps, diff={"prepared": steps})
    kept = app.path.parent / "admin-password"
    was_kept, given = kept.exists(), "ADMIN_PASSWORD" in found
    if not given:
        found["ADMIN_PASSWORD"] = kept_password(app, kept)
    result = app.result("./setup.sh", **found)
    if not result["ok"]:
        module.fail_json(msg=f"setup.sh of {app.path}: {result['message']}", steps=result["lines"])
    steps = "".join(f"{line['step']:<11} {line['text']}\n" for line in result["lines"])
    if not given and result.get("admin_created"):
        steps += f"admin       the password is in {kept}, on the host\n"
    elif not given and not was_kept:
        kept.unlink()  # there was an admin
    module.exit_json(changed=bool(steps), steps=steps, diff={"prepared": steps})


if __name__ == "__main__":
    main()
