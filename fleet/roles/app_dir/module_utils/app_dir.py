"""What the modules share: an app dir, its scripts and its answers.  They run by the Python of Copier's env."""

import contextlib
import json
import sys
import time
from pathlib import Path

import yaml

COPIER = str(Path(sys.executable).with_name("copier"))
ANSWERS = ".copier-answers.yml"
PAUSES = 5, 15  # seconds after a restart until the servers must answer


def as_data(answers):
    """Return answers (a dict) as options for Copier and update.sh."""
    values = {name: value if isinstance(value, str) else json.dumps(value) for name, value in answers.items()}
    return [part for name, value in sorted(values.items()) for part in ("--data", f"{name}={value}")]


def reason(text):
    """Return the last line of what a command said: there it says what is wrong."""
    return (text.strip().splitlines() or ["it did not say why"])[-1]


class AppDir:
    """The app dir of a module's parameter `path`."""

    def __init__(self, module):
        self.module = module
        self.path = Path(module.params["path"])

    def require(self):
        """End the module unless the app dir is there."""
        if not (self.path / ANSWERS).exists():
            self.module.fail_json(msg=f"there is no app dir in {self.path}; render it with setup.yml")

    def run(self, *command, **environment):
        """Run a command in the app dir; return its exit code, and what it printed to stdout and to stderr."""
        # two Copiers at once break the cache of templates that they share
        copier = {"COPIER": COPIER, "COPIER_CACHE_DIR": self.module.tmpdir}
        return self.module.run_command(
            list(map(str, command)),
            cwd=str(self.path) if self.path.is_dir() else "/",
            environ_update=copier | environment,
            expand_user_and_vars=False,
        )

    def git(self, *args):
        """Return what a git command prints; end the module if it fails."""
        code, out, err = self.run("git", *args)
        if code:
            self.module.fail_json(msg=f"git {args[0]} in {self.path}: {reason(err)}")
        return out.strip("\n")

    def answers(self):
        """Return the answers of the app dir: a dict."""
        return yaml.safe_load((self.path / ANSWERS).read_text())

    def differing(self, wanted):
        """Return those of the wanted answers that the app dir has not: {question: {wanted, found}}."""
        found = self.answers()
        pairs = {name: {"wanted": value, "found": found.get(name)} for name, value in wanted.items()}
        return {name: pair for name, pair in pairs.items() if not same(**pair)}

    def result(self, *command, **environment):
        """Return what a script of the app dir shows with --json; end the module if it shows no result."""
        code, out, err = self.run(*command, "--json", **environment)
        try:
            found = json.loads(out) | {"code": code}
        except ValueError:
            self.module.fail_json(msg=f"{command[0]} in {self.path}: {reason(err or out)}", stdout=out, stderr=err)
        if not found["ok"] and err.strip():
            found["message"] += f" ({reason(err)})"  # what its "see above" means
        return found

    def fail(self, result, **facts):
        """End the module with what result() returned about a script that failed; `busy` says to try again later."""
        self.module.fail_json(msg=f"{self.path}: {result['message']}", busy=result.get("busy", False), **facts)

    def checks(self):
        """Return what check.sh finds: {check: {status, text}}."""
        return self.result("./check.sh")["checks"]

    def failing(self):
        """Return the checks that fail: {check: text}."""
        return {name: found["text"] for name, found in self.checks().items() if found["status"] == "FAILED"}

    def no_restart(self):
        """Return the option with which a script leaves the servers to the module, if it knows how to restart them."""
        return ["--no-restart"] if self.module.params["restart"] else []

    def restart_and_check(self, before):
        """Restart the servers, if the module knows how, and look whether the checks still pass that passed before.

        `before` are the checks that failed then.  Returns a sentence about what is wrong, empty if all is well.
        """
        restart = self.module.params["restart"]
        if not restart:
            return ""
        code, out, err = self.module.run_command(restart, cwd=str(self.path), use_unsafe_shell=True)
        if code:
            return f"the restart failed: {reason(err or out)}"
        for seconds in PAUSES:
            time.sleep(seconds)
            broken = {name: text for name, text in self.failing().items() if name not in before}
            if not broken:
                return ""
        return "; ".join(f"the check {name} fails: {text}" for name, text in broken.items())


def same(wanted, found):
    """Return whether an answer of the inventory is the one of the app dir, in whatever way it is written."""
    if isinstance(wanted, str) and not isinstance(found, str):
        with contextlib.suppress(yaml.YAMLError):
            wanted = yaml.safe_load(wanted)
    return str(wanted) == str(found)
