"""Print what setup.sh costs, beside pip alone: on a bare env, and with nothing to do.

`nox -s benchmarks -- setup` runs this.  Packages come from the index that uv and pip use by default, and
from their caches, which a first round fills.  Everything happens in a temporary folder.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from update import progress, renderer, timed  # beside us, not installed

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from real.apps import KINDS, make_app
from real.envs import make_env


def main():
    """Time pip, uv and setup.sh, each on envs of its own, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", default="tailbone", choices=KINDS, help="the app that is set up")
    parser.add_argument("--runs", type=int, default=3, help="of which the least counts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        render = renderer(work / "template")
        took = {"pip": [], "setup": [], "idle": []}
        for number in range(options.runs + 1):
            progress(f"round {number} of {options.runs}")
            app = make_app(render, work / f"app{number}", packages=False, **KINDS[options.kind])
            make_env(work / f"pip{number}", "3.11")
            pip = [work / f"pip{number}/bin/python", "-m", "pip", "install", "--quiet"]
            took["pip"].append(timed(*pip, "-r", app.dir / "requirements.txt"))
            took["setup"].append(timed(app.dir / "setup.sh", "--quiet"))
            took["idle"].append(timed(app.dir / "setup.sh", "--quiet"))
        least = {name: min(seconds[1:]) for name, seconds in took.items()}
        print(f"\nsetup.sh of {options.kind}, the least of {options.runs} runs")
        print(f"  pip install -r requirements.txt  {least['pip']:6.2f} s")
        print(f"  setup.sh on a bare env           {least['setup']:6.2f} s")
        print(f"  ratio                            {least['setup'] / least['pip']:6.2f}    (goal 0.5 or less)")
        print(f"  setup.sh with nothing to do      {least['idle']:6.2f} s  (goal 1 s or less)")


if __name__ == "__main__":
    main()
