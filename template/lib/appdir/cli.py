"""The command line of all scripts: each command, its options and its help are here, and nowhere else."""

import argparse
import contextlib
import importlib
import os
import re
import sys
import time

from appdir.answers import TIME_ZONE
from appdir.core import APPDIR, ENV, PYTHON, Stop, report, stop_of

# of each command: its options and arguments, what it is for, notes, and an example
HELP = """
setup --ask-database --keep-database --new-database --check --preview --quiet --json
Makes the app dir ready to run. Run it as often as you like: it does only what is missing.
The database is the one of the environment variable DATABASE_URL, or else SQLite in data/. The first admin is "admin";
the password is the environment variable ADMIN_PASSWORD, or asked for on a terminal, or else generated and shown once.
With --preview, it ends at the first thing that is missing, with exit code 3.
./setup.sh --ask-database

check --quiet --json
Checks the app and its folder, and shows one line for each thing. It changes nothing.
The exit code is 0 if all is well, and 1 if something failed. The environment variable COPIER names the copier command,
which looks for updates, if it is not on PATH.
./check.sh --quiet

update --data --vcs-ref --template --continue --abort --undo --diff --no-restart --preview --quiet --json
Updates the template: merges a newer version with your edits, checks it, and brings in all of it or nothing.
Servers that run are restarted. The environment variable COPIER names the copier command, if it is not on PATH.
./update.sh --preview

upgrade --verbose --no-restart --preview --quiet --json
Upgrades the packages in requirements.txt, and then the database. If anything fails, the old packages return.
Servers that run are restarted. A folder in data/upgrades/ gets the packages before and after, and the output.
./upgrade.sh --verbose

backup --init --rehearse --restore --snapshot --with --quiet --json
Takes a backup while the app runs: its database, the versions of its packages, and this folder.
The environment variable RESTIC_REPOSITORY, or else restic.env, may name another repository than the answer; a relative
path begins at this folder. The result is in .backup/last. restore.sh restores a backup.
./backup.sh --init

cleanup --quiet
Rotates logs, and removes old logins, uploads and work files.
The ages are in lib/appdir/cleanup.py and system/logrotate.conf.
./cleanup.sh --quiet

services ACTION
Installs the servers and nightly jobs of the app on this system, or starts, stops and shows the servers.
./services.sh install

overnight --quiet NAME DATE
Runs an overnight automation for a date. What is done for that date is not done again.
A task that failed runs again.
./overnight.sh main 2026-01-31

restore --snapshot --ask-database REPOSITORY ENV
Restores env, packages, database and app dir from a backup, on a machine that has nothing of them.
The database is that of the backup, or the one of --ask-database or of the environment variable DATABASE_URL. The
password of the repository is asked for, unless restic finds it in the environment. If this is interrupted, run it
again.
./restore.sh /mnt/backups/poser /srv/envs/poser
"""
OPTIONS = {
    "--quiet": "show only what is new or wrong, for cron",
    "--json": "show the result as JSON",
    "--preview": "show what would be done, and change nothing",
    "--check": "only check permissions, and change nothing",
    "--ask-database": "ask for the database URL, without showing it",
    "--new-database": "create a database although this app dir had one, which is lost",
    "--keep-database": "leave the database alone: no migration, no first admin",
    "--data": "change an answer, such as luigi=false; you may repeat it",
    "--vcs-ref": "use this version of the template, not the newest",
    "--template": "the template has moved to this address",
    "--continue": "go on after you fixed what the update stopped at",
    "--abort": "drop an update that stopped or was interrupted",
    "--undo": "undo the last update",
    "--diff": "show what you have changed relative to the template",
    "--no-restart": "leave the servers alone, which go on with what they loaded",
    "--verbose": "show the output of pip too",
    "--init": "create the repository first, if there is none",
    "--rehearse": "take none, but restore the newest into a temporary env and database, and start the app there",
    "--restore": "take none, but restore this path of the app dir, or the database; what was there stays beside it",
    "--with": "include log, sessions, uploads or work, which are left out; you may repeat it",
    "--snapshot": "restore this snapshot of restic, not the newest",
    "ACTION": "install: start the servers, now and at each boot, and schedule the jobs; again after each change. "
    "remove: stop and remove them; the app dir stays. start, stop, restart, status: of the servers, now",
    "NAME": "a module luigitasks/overnight_NAME.py",
    "DATE": "YYYY-MM-DD; yesterday if you give none",
    "REPOSITORY": "the repository, as restic names it",
    "ENV": "the folder of the new env, such as /srv/envs/poser; it must be empty",
}
ACTIONS = ("--continue", "--abort", "--undo", "--diff")  # of which one can be given
COMMANDS = {block.split()[0]: block.splitlines() for block in HELP.strip().split("\n\n")}
# what other commands call
OTHERS = """
update-stage-two --continue --abort --no-restart --preview --quiet --json PATH
permissions
packages --preview --quiet --json PATH
secrets --json
database --preview --json
check-app --json PATH
prove-restore --json
restore-database --ask-database PATH
job NAME
job-failed NAME
stop-luigid
stop-datasync
call --quiet --json --preview --no-restart NAME
"""
COMMANDS |= {line.split()[0]: [line, "", ""] for line in OTHERS.strip().splitlines()}
MODULES = {
    "secrets": "secretsconf",
    "check-app": "check_config",
    "restore-database": "dumps",
    "job-failed": "job",
    "stop-luigid": "luigi",
    "stop-datasync": "datasync",
}


def answer(text):
    """Return the value of --data, which needs both a name and a value."""
    if not re.match(r"[a-z][a-z0-9_]*=", text):
        raise argparse.ArgumentTypeError(f"use NAME=VALUE, such as luigi=false, not '{text}'")
    return text


REPEATED = {"action": "append", "default": []}
SETTINGS = {
    "--data": {"metavar": "NAME=VALUE", "type": answer, **REPEATED},
    "--with": {"metavar": "FOLDER", "choices": ["log", "sessions", "uploads", "work"], **REPEATED},
    "--vcs-ref": {"metavar": "REF"},
    "--template": {"metavar": "ADDRESS"},
    "--snapshot": {"metavar": "ID"},
    "--restore": {"metavar": "PATH|database"},
}


class Parser(argparse.ArgumentParser):
    """The parser of a command, whose help begins with what the command is for, and ends with an example."""

    def __init__(self, command):
        options, self.summary, *notes, self.example = COMMANDS[command]
        super().__init__(prog=f"{command}.sh", add_help=False, allow_abbrev=False, epilog=" ".join(notes))
        self.add_argument("--help", action="help", help="show this help")
        actions = self.add_mutually_exclusive_group() if "--abort" in options else None
        for name in options.split()[1:]:
            text = OPTIONS.get(name, "")
            if name.startswith("--"):
                group = actions if name in ACTIONS else self
                group.add_argument(name, help=text, **SETTINGS.get(name, {"action": "store_true"}))
            else:  # its command reports a missing one, since argparse would not name an unknown option then
                self.add_argument(name.lower(), metavar=name, nargs="?", help=text)

    def format_help(self):
        """Return the help text."""
        return f"{self.summary}\n\n{super().format_help()}\nExample:\n  {self.example}\n"

    def error(self, message):
        """End with exit code 2 and one line, or with --json the result."""
        report.command, report.json = self.prog.removesuffix(".sh"), "--json" in self.argv
        raise SystemExit(report.end(Stop(f"{message}; see {self.prog} --help", 2)))

    def parse_args(self, argv):
        """Return the options that `argv` holds; the class itself does not keep it."""
        self.argv = argv
        return super().parse_args(argv)


def main(argv):
    """Run the command that `argv` names, and return its exit code."""
    command = argv[0] if argv else ""
    if command not in COMMANDS:
        raise SystemExit(f"lib/run: unknown command '{command}'; use one of {', '.join(COMMANDS)}")
    options = Parser(command).parse_args(argv[1:])
    report.command, report.argv = command, argv
    for name in report.FLAGS:
        setattr(report, name, getattr(options, name, False))
    os.umask(0o027)
    os.environ["TZ"] = TIME_ZONE  # a day is the shop's, wherever the server is
    time.tzset()
    if (report.quiet or report.json) and command != "call":
        # nobody is there to answer: let pip, restic and the rest fail where they would ask, as git always does
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ["PIP_NO_INPUT"] = "1"
    stop = None
    try:
        with contextlib.redirect_stdout(sys.stderr if report.json else sys.stdout):  # the app's code may print
            if command not in ("restore", "permissions"):
                check_place()
            importlib.import_module(f"appdir.{MODULES.get(command, command.replace('-', '_'))}").main(options)
    except KeyboardInterrupt:
        stop = Stop("interrupted; run it again", 130)
    except Exception as error:  # also what the app's code raises
        stop = stop_of(error)
    return report.end(stop)


def check_place():
    """Refuse an app dir that is in no env, or in a path that upstream's config reader cannot read."""
    if not (PYTHON.exists() or (ENV / ".before-upgrade/bin/python").exists()):
        raise Stop("../bin/python is missing; the app dir must be the folder app/ of a virtualenv")
    if re.search(r"[^A-Za-z0-9/._@+-]", str(ENV)):
        raise Stop(f"upstream cannot read config in {APPDIR}; use a path of A-Z a-z 0-9 / . _ @ + -")
