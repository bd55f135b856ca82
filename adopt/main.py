"""The command line of adopt.py."""

import argparse
import fcntl
import os
import sys
import tempfile
from pathlib import Path

from adopt import packages
from adopt.apply import Plan, apply, bring, finish, forget
from adopt.draft import make
from adopt.old import OldApp, check_git, check_place, framework_of
from adopt.report import report, show_diff
from adopt.tools import HERE, fail, git
from adopt.undo import undo

EXAMPLE = "Example: uv run adopt.py /srv/envs/poser/app, and the same with --apply once you like what it shows."


class Parser(argparse.ArgumentParser):
    """A parser that tells of a mistake in one line."""

    def error(self, message):
        fail(f"{message}; see adopt.py --help")


def answer(text):
    """Return the name and the value of an answer."""
    name, sign, value = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE")
    return name, value


def parse(arguments):
    """Return the options of the command line."""
    parser = Parser(
        prog="adopt.py",
        description="Bring an existing app dir under this template. Without an option, show what would change.",
        epilog=EXAMPLE,
    )
    parser.add_argument("appdir", type=Path, help="the app dir, such as /srv/envs/poser/app")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--apply", action="store_true", help="adopt the app dir")
    action.add_argument("--undo", action="store_true", help="undo its adoption")
    parser.add_argument("--data", action="append", default=[], type=answer, metavar="NAME=VALUE", help="an answer")
    parser.add_argument("--replace", action="append", default=[], metavar="FILE", help="replace a file that cron runs")
    parser.add_argument("--vcs-ref", metavar="REF", help="a version of the template (default: the newest)")
    origin = git(HERE, "remote", "get-url", "origin")
    parser.add_argument(
        "--template", default=origin or HERE, help="where updates will come from (default: where this clone came from)"
    )
    options = parser.parse_args(arguments)
    options.data = dict(options.data)
    options.appdir = options.appdir.absolute()
    if ".." in options.appdir.parts:
        options.appdir = options.appdir.resolve()  # the names of its folders count
    return options


def lock(appdir):
    """Make sure that no other adoption or command of the app dir runs until this process ends."""
    try:
        fcntl.flock(os.open(appdir, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fail("another adoption, update, upgrade or backup is running")


def preview(old, options):
    """Show what would change, and touch nothing."""
    with tempfile.TemporaryDirectory() as folder:
        draft = make(old, Path(folder, "draft"), options)
        report(draft)
        show_diff(draft, folder)
    print("Nothing is changed yet; add --apply to adopt the app dir.")


def adopt(options):
    """Show, do or undo what the options say."""
    appdir = options.appdir
    check_place(appdir)
    os.umask(0o027)
    lock(appdir)
    plan = Plan(appdir)
    if options.undo:
        undo(plan)
        return
    adopted = (appdir / ".copier-answers.yml").exists()
    if not options.apply and (plan.ready.exists() or (packages.kept(appdir.parent).exists() and not adopted)):
        fail("an adoption was interrupted; --apply finishes it, --undo undoes it")
    if plan.ready.exists():
        pass  # what is to come in has been checked
    elif not (framework := framework_of(appdir, "service_user" in options.data)):
        print("This app dir is under the template; ./update.sh updates it.")
        return
    else:
        if options.apply:
            forget(plan)
        check_git(appdir)
        old = OldApp(appdir, framework)
        if not options.apply:
            preview(old, options)
            return
        apply(old, plan, options)
    bring(plan)
    finish(plan)


def main():
    """Run the command line; whatever the system refuses is told in one line."""
    sys.stdout.reconfigure(errors="surrogateescape")  # names of files need not be UTF-8
    try:
        adopt(parse(sys.argv[1:]))
    except OSError as error:
        fail(f"{error}; run it again")
