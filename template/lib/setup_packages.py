"""Step of setup.sh: install what requirements.txt names, if something of it is missing."""

import subprocess
import sys

from appdir import APPDIR, become_owner, fail, say, say_kept, stop_at_preview

STEP = "packages"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
INSTALL = ["install", "-r", str(APPDIR / "requirements.txt")]


def main():
    """Ask pip without network whether all is there; install only if not."""
    become_owner(".")
    offline = subprocess.run([*PIP, "--quiet", *INSTALL, "--dry-run", "--no-index"], capture_output=True)
    if not offline.returncode:
        say_kept(STEP, "all of requirements.txt is installed")
        return
    if subprocess.run([*PIP, "--version"], capture_output=True).returncode:
        fail(STEP, f"this env has no pip; install it with: uv pip install --python {sys.executable} pip")
    stop_at_preview(STEP, "install requirements.txt")
    say(STEP, "installing requirements.txt, which takes a minute or two")
    quiet = [] if sys.stdout.isatty() and "--quiet" not in sys.argv else ["--quiet"]
    if subprocess.run([*PIP, *quiet, *INSTALL]).returncode:
        fail(STEP, "pip could not install requirements.txt, see above; mend that and run setup.sh again")


main()
