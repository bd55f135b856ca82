"""The demo: an app that is set up, served and logged into; `nox -s demo` runs this."""

import argparse
import os
import secrets
import subprocess
import sys
from pathlib import Path

from real.apps import App, free_port
from real.envs import UV

ROOT = Path(__file__).parents[2]


def make(env, framework):
    """Make an env and render the app dir in it, at ports that nobody listens on, as far as that is not done yet."""
    if not (env / "bin/python").exists():
        subprocess.run([UV, "venv", "--quiet", "--seed", "--allow-existing", env], check=True)
    if not (env / "app/setup.sh").exists():
        answers = (f"framework={framework}", f"web_port={free_port()}", "app_name=demo")
        data = [part for answer in answers for part in ("--data", answer)]
        copier = Path(sys.executable).with_name("copier")
        command = [copier, "copy", "--quiet", "--defaults", "--vcs-ref=HEAD", *data, ROOT, env / "app"]
        subprocess.run(command, check=True)


def kept_password(path):
    """Return the admin's password, which the first run makes and keeps for the next ones."""
    if not path.exists():
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(9))
    return path.read_text()


def run(env, framework, once):
    """Set the demo up in an env, serve it, log in, say how to do that, and wait, but for `once`."""
    make(env, framework)
    password = kept_password(env / "password")
    subprocess.run([env / "app/setup.sh", "--quiet"], check=True, env=os.environ | {"ADMIN_PASSWORD": password})
    app = App.at(env)
    with app.supervise() as web:
        web.login("admin", password)
        print(f"{web.base} answers; log in as admin with password {password} (kept in {env / 'password'})")
        if not once:
            print(f"Ctrl-C ends it; the app stays in {env} until you remove that", flush=True)
            app.wait()


def main():
    """Run the demo as the arguments say; where it fails, end with the reason and what to do."""
    parser = argparse.ArgumentParser(prog="nox -s demo --", description=__doc__.partition(";")[0])
    parser.add_argument("framework", nargs="?", choices=["rattail", "wutta"], default="rattail")
    parser.add_argument("--once", action="store_true", help="only check that the login works, and end")
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo", help=argparse.SUPPRESS)
    options = parser.parse_args()
    env = options.folder.absolute() / options.framework
    try:
        run(env, options.framework, options.once)
    except (AssertionError, OSError, RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"demo: {error}\ndemo: to start over, remove {env}")


if __name__ == "__main__":
    main()
