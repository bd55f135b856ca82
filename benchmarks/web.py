"""Print how fast the web app answers eight users while one page is slow, with one thread and with four.

`nox -s benchmarks -- web` runs this.  One thread is what upstream's shared database session allowed.
Everything happens in a temporary folder.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from update import progress, renderer  # beside us, not installed

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from real.apps import ADMIN, KINDS, make_app
from real.test_web_app import add_page
from real.web import Web

USERS = 8


def clicks(web, seconds):
    """Let users open the list of users, each as soon as the last page came; return how long each page took."""

    def click(_):
        took, end = [], time.monotonic() + seconds
        while (start := time.monotonic()) < end:
            web.page("/users/", "Users")
            took.append(time.monotonic() - start)
        return took

    with ThreadPoolExecutor(USERS) as users:
        return sorted(one for took in users.map(click, range(USERS)) for one in took)


def measure(app, threads, seconds):
    """Return pages per second and the 95th percentile in seconds, beside a page that works for 8 seconds."""
    config = app.dir / "web.conf"
    text = config.read_text()
    config.write_text(text.replace("\n[server:main]\n", f"\n[server:main]\nthreads = {threads}\n"))
    try:
        with app.serve() as web, ThreadPoolExecutor(1) as other:
            web.login(*ADMIN)
            web.become_root()
            slow = other.submit(Web.get, web, "/slow")
            time.sleep(1)
            took = clicks(web, seconds)
            slow.result()
    finally:
        config.write_text(text)
    return len(took) / seconds, took[int(len(took) * 0.95)]


def main():
    """Time both, and print them side by side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", default="tailbone", choices=KINDS, help="the app that is served")
    parser.add_argument("--seconds", type=int, default=20, help="how long the users click")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        progress("setting up the app")
        app = make_app(renderer(work / "template"), work / "app", **KINDS[options.kind])
        app.setup()
        add_page(app, "time.sleep(8)")
        found = {}
        for threads in (1, 4):
            progress(f"clicking, with {threads} thread{'s' * (threads > 1)}")
            found[threads] = measure(app, threads, options.seconds)
    print(f"\n{options.kind}, {USERS} users beside a page that takes 8 s, for {options.seconds} s")
    print("                      pages/s   95th percentile")
    for threads, (rate, slowest) in found.items():
        print(f"  {threads} thread{'s' * (threads > 1):<1}            {rate:8.1f}   {slowest:8.2f} s")
    print(f"  ratio 4 to 1      {found[4][0] / found[1][0]:10.2f}   {found[4][1] / found[1][1]:8.2f}")


if __name__ == "__main__":
    main()
