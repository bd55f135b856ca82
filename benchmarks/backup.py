"""Print what a backup of many unchanged files costs beside restic alone, and a restore beside restic's.

`nox -s benchmarks -- backup` runs this.  The app dir has a SQLite database; everything happens in a temporary folder.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from update import progress, renderer, run, timed  # beside us, not installed

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from real.apps import KINDS, make_app
from real.backups import repository, variables


def fill(folder, count):
    """Write so many small files, a thousand in each folder."""
    for number in range(count):
        path = folder / f"{number // 1000}/{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}\n" * 20)


def main():
    """Time both, each on a repository of its own, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=100_000, help="files in data/")
    parser.add_argument("--runs", type=int, default=3, help="of which the least counts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        render = renderer(work / "template")
        progress("setting up an app dir")
        app = make_app(render, work / "poser", **KINDS["wuttaweb"])
        app.setup("--quiet")
        fill(app.dir / "data/batches", options.files)
        progress("taking the first backups")
        app.run("./backup.sh", "--init", "--quiet")
        os.environ |= variables(app)
        ours, theirs, restic = repository(app), f"--repo={work / 'alone'}", shutil.which("restic")
        run(restic, theirs, "init")
        run(restic, theirs, "backup", app.dir)
        took = {"backup": [], "restic": [], "restore": [], "restic restore": []}
        for number in range(options.runs):
            progress(f"round {number + 1} of {options.runs}")
            took["backup"].append(timed(app.dir / "backup.sh", "--quiet"))
            took["restic"].append(timed(restic, theirs, "backup", app.dir) + timed(restic, theirs, "check"))
            took["restic restore"].append(timed(restic, theirs, "restore", "latest", f"--target={work / 'files'}"))
            shutil.rmtree(work / "files")
            took["restore"].append(timed("sh", app.dir / "restore.sh", ours, work / "new"))
            shutil.rmtree(work / "new")
        least = {name: min(seconds) for name, seconds in took.items()}
        print(f"\n{options.files} unchanged files, the least of {options.runs} runs")
        print(f"  restic backup and restic check  {least['restic']:6.2f} s")
        print(f"  backup.sh                       {least['backup']:6.2f} s")
        print(f"  ratio                           {least['backup'] / least['restic']:6.2f}    (goal 1.3 or less)")
        print(f"  restic restore                  {least['restic restore']:6.2f} s")
        print(f"  restore.sh, with env and app    {least['restore']:6.2f} s")
        print(f"  ratio                           {least['restore'] / least['restic restore']:6.2f}")


if __name__ == "__main__":
    main()
