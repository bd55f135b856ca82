"""Step of setup.sh: keep config and scripts in git, as `copier update` needs it."""

import shutil
import subprocess

from appdir import APPDIR, become_owner, fail, say, say_kept, stop_at_preview

STEP = "git"
IDENTITY = {"user.name": "appdir", "user.email": "appdir@localhost"}


def git(*args, check=True):
    """Run git in the app dir and return the finished process; with `check`, a failure ends the step."""
    done = subprocess.run(["git", *args], cwd=APPDIR, capture_output=True, text=True)
    if check and done.returncode:
        fail(STEP, f"git said: {(done.stderr.strip().splitlines() or ['nothing'])[0]}; mend that, run setup.sh again")
    return done


def main():
    """Make a repository and its first commit, unless the app dir is in one already."""
    become_owner(".")
    if not shutil.which("git"):
        fail(STEP, "git is missing; install it and run setup.sh again")
    tracked = git("check-ignore", "--quiet", ".copier-answers.yml", check=False).returncode == 1
    if tracked and git("cat-file", "-e", "HEAD:./.copier-answers.yml", check=False).returncode == 0:
        say_kept(STEP, "config and scripts are in git")
        return
    stop_at_preview(STEP, "commit config and scripts")
    if not tracked:
        git("init", "--quiet", "--initial-branch=main")
    unset = [key for key in IDENTITY if git("config", key, check=False).returncode]
    identity = [part for key in unset for part in ("-c", f"{key}={IDENTITY[key]}")]
    git("add", "--all", ".")
    git(*identity, "commit", "--quiet", "--message", "Render the app dir", "--", ".")
    say(STEP, "config and scripts committed; secrets, data and logs are left out")


main()
