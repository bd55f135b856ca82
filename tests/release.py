"""Release a version of the template: `nox -s release -- X.Y.Z` runs this, first with --check, then without.

It dates the changelog, freezes the version for the tests of updates, commits and tags, and says what to push.
"""

import argparse
import datetime
import re
import sys

from freeze import freeze, versions
from support import ROOT, git

CHANGELOG = ROOT / "CHANGELOG.md"
UNRELEASED = re.compile(r"^## \[Unreleased\]\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def problem(version):
    """Return in one line why a version cannot be released, or None."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        return f"'{version}' is not a version; use X.Y.Z"
    if git("status", "--porcelain", cwd=ROOT):
        return "the work tree has changes; commit them first"
    tags = re.findall(r"^v(\d+\.\d+\.\d+)$", git("tag", cwd=ROOT), re.MULTILINE)
    newest = max([*tags, *versions()], key=numbers)
    if numbers(version) <= numbers(newest):
        return f"{version} is not newer than {newest}"
    section = UNRELEASED.search(CHANGELOG.read_text())
    if not section or not section[1].strip():
        return "CHANGELOG.md has nothing under [Unreleased]; say there what is new"
    return None


def numbers(version):
    """Return the numbers of a version, for comparison."""
    return [int(number) for number in version.split(".")]


def release(version):
    """Date the changelog, freeze the version, commit and tag."""
    bundle = freeze(version)
    heading = f"## [Unreleased]\n\n## [{version}] - {datetime.date.today()}\n"
    CHANGELOG.write_text(UNRELEASED.sub(lambda found: heading + found[1], CHANGELOG.read_text(), count=1))
    git("add", CHANGELOG, bundle, cwd=ROOT)
    git("commit", "--quiet", "--message", f"Release {version}", cwd=ROOT)
    git("tag", "--annotate", "--message", f"Release {version}", f"v{version}", cwd=ROOT)


def main():
    """Release the version that the command line names, or with --check only say whether that is possible."""
    parser = argparse.ArgumentParser(description="Release a version of the template.")
    parser.add_argument("version", nargs="?", default="", help="the version, such as 1.2.0")
    parser.add_argument("--check", action="store_true", help="only check that it can be released")
    options = parser.parse_args()
    if reason := problem(options.version):
        sys.exit(f"release: {reason}")
    if not options.check:
        release(options.version)
        branch = git("branch", "--show-current", cwd=ROOT).strip()
        print(f"Tagged v{options.version}; now push it: git push --atomic origin {branch} v{options.version}")


if __name__ == "__main__":
    main()
