"""Print what it costs to update many app dirs by the fleet, against updating them one after the other.

`nox -s benchmarks` runs this.  The app dirs lie on this machine, and share the files of one
env by hard links; everything happens in a temporary folder.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import yaml
from update import COPIER, copy, our_template, progress, run, timed  # beside us, not installed

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from real.apps import make_app

FLEET = Path(__file__).parent.parent / "fleet"


def make_apps(work, template, count):
    """Make app dirs of version 1.0.0, set up, each in an env of its own; return them."""

    def render(folder, **answers):
        data = [part for item in answers.items() for part in ("--data", "{}={}".format(*item))]
        copy(template, folder, "--vcs-ref", "v1.0.0", *data)

    progress("setting up the first app dir")
    app = make_app(render, work / "env0", framework="wutta", app_name="poser")
    app.setup("--quiet")
    progress(f"making {count - 1} more of it")
    for number in range(1, count):
        run("cp", "-al", app.env, work / f"env{number}")
        shutil.rmtree(work / f"env{number}/app")
        shutil.copytree(app.dir, work / f"env{number}/app", symlinks=True)
    return [work / f"env{number}/app" for number in range(count)]


def fleet(work, apps, *options):
    """Return the seconds in which the fleet updates app dirs."""
    hosts = {app.parent.name: {"app_dir_path": str(app)} for app in apps}
    variables = {"ansible_connection": "local", "app_dir_copier_env": sys.prefix, "app_dir_python": sys.executable}
    (work / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": variables}}))
    playbook = Path(sys.executable).with_name("ansible-playbook")
    return timed(playbook, "-i", work / "inventory.yml", FLEET / "update.yml", *options)


def main():
    """Update some app dirs by update.sh, and the others by the fleet, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apps", type=int, default=50, help="app dirs that the fleet updates")
    parser.add_argument("--runs", type=int, default=3, help="app dirs that update.sh updates, for the mean")
    options = parser.parse_args()
    os.environ |= {"COPIER": str(COPIER), "ANSIBLE_CONFIG": str(FLEET / "ansible.cfg")}
    os.environ |= {"ANSIBLE_RETRY_FILES_ENABLED": "false"}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        apps = make_apps(work, our_template(work / "template"), options.apps + options.runs + 1)
        alone, one, many = apps[: options.runs], apps[options.runs : options.runs + 1], apps[options.runs + 1 :]
        progress(f"updating {len(alone)} by update.sh, one after the other")
        mean = sum(timed(app / "update.sh", "--quiet") for app in alone) / len(alone)
        progress("updating one by the fleet")
        single = fleet(work, one)
        progress(f"updating {len(many)} by the fleet")
        seconds = fleet(work, many)
        for app in many:
            if "_commit: v1.1.0" not in (app / ".copier-answers.yml").read_text():
                sys.exit(f"{app} was not updated")
        print(
            f"\nupdating {len(many)} app dirs on {os.cpu_count()} cores, against as many times one (goal 0.6 or less)"
        )
        print(f"  one by update.sh        {mean:7.2f} s")
        print(f"  one by the fleet        {single:7.2f} s")
        print(f"  {len(many)} by the fleet         {seconds:7.2f} s")
        print(f"  against {len(many)} by update.sh {seconds / len(many) / mean:7.2f}")
        print(f"  against {len(many)} by the fleet {seconds / len(many) / single:7.2f}")


if __name__ == "__main__":
    main()
