"""Renders an app dir with each set of answers, as another user does on another host, years later.

tests/render/test_tree.py runs it as a process of its own: `elsewhere.py TEMPLATE FOLDER` writes FOLDER/0, FOLDER/1 ...
"""

import datetime
import os
import subprocess
import sys

import copier
import time_machine
from support import ANSWERS, ROOT

# no part of a date or time is the same after it, not even the weekday
LATER = datetime.timedelta(days=2237, hours=5, minutes=7, seconds=11)
PLACE = {
    "HOME": "/elsewhere",
    "HOSTNAME": "elsewhere",
    "LC_ALL": "C",
    "LOGNAME": "nobody",
    "PYTHONHASHSEED": "1",
    "PYTHONPATH": str(ROOT / "tests"),
    "TZ": "Pacific/Kiritimati",
    "USER": "nobody",
}


def render_elsewhere(template, folder):
    """Start this file as a process in another place; raise CalledProcessError if it fails."""
    subprocess.run([sys.executable, __file__, template, folder], cwd="/", env=os.environ | PLACE, check=True)


if __name__ == "__main__":
    template, folder = sys.argv[1:]
    with time_machine.travel(datetime.datetime.now(datetime.UTC) + LATER):
        for number, answers in enumerate(ANSWERS):
            answers = {"app_name": "poser"} | answers
            copier.run_copy(template, f"{folder}/{number}", data=answers, defaults=True, quiet=True)
