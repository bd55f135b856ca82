"""The command line of all scripts: each command, its options and its help are here, and nowhere else."""

import argparse
import importlib
import os
import re

from appdir.core import APPDIR, ENV, PYTHON, Stop, report

# option: its help, then what argparse is told beside that; one in capitals takes a value
OPTIONS = {
    "--quiet": "show only what is new or wrong, for cron",
    "--json": "show the result as JSON",
    "--preview": "show what would be done, and change nothing",
    "--check": "only check permissions, and change nothing",
    "--ask-database": "ask for the database URL, without showing it",
    "--keep-database": "leave the database alone: no migration, no first admin",
    "--data NAME=VALUE": "change an answer, such as luigi=false; you may repeat it",
    "--vcs-ref REF": "use this version of the template, not the newest",
    "--template ADDRESS": "the template has moved to this address",
    "--continue": "go on after you fixed what the update stopped at",
    "--abort": "drop an update that stopped or was interrupted",
    "--undo": "undo the last update",
    "--diff": "show what you have changed relative to the template",
    "--verbose": "show the output of pip too",
    "--init": "create the repository first, if there is none",
    "--with FOLDER": "include log, sessions, uploads or work, which are left out; you may repeat it",
    "--snapshot ID": "restore this snapshot of restic, not the newest",
}
REPEATED = {"--data": {}, "--with": {"choices": ["log", "sessions", "uploads", "work"]}}
ARGUMENTS = {
    "ACTION": "install: start the servers, now and at each boot, and schedule the jobs; again after each change. "
    "remove: stop and remove them; the app dir stays",
    "[NAME]": "a module luigitasks/overnight_NAME.py",
    "[DATE]": "YYYY-MM-DD; yesterday if you give none",
    "REPOSITORY": "the repository, as restic names it",
    "ENV": "the folder of the new env, such as /srv/envs/poser; it must be empty",
    "PATH": "",
    "[PATH]": "",
}
# command: (module, options, what it is for, example, notes); the last ones are not for people
COMMANDS = {
    "setup": (
        "setup",
        "--ask-database|--keep-database|--check|--preview|--quiet|--json",
        "Makes the app dir ready to run. Run it as often as you like: it does only what is missing.",
        "ADMIN_PASSWORD=secret ./setup.sh",
        "The database is the one of the environment variable DATABASE_URL, or else SQLite in data/. The first admin is "
        '"admin"; the password is the environment variable ADMIN_PASSWORD, or asked for on a terminal, or else '
        "generated and shown once. With --preview, the exit code is 3 if something is missing.",
    ),
    "check": (
        "check",
        "--quiet|--json",
        "Checks the app and its folder, and shows one line for each thing. It changes nothing.",
        "./check.sh --quiet",
        "The exit code is 0 if all is well, and 1 if something failed. The environment variable COPIER names the "
        "copier command, which looks for updates, if it is not on PATH.",
    ),
    "update": (
        "update",
        "--data NAME=VALUE|--vcs-ref REF|--template ADDRESS|--continue|--abort|--undo|--diff|--preview|--quiet|--json",
        "Updates the template: merges a newer version with your edits, checks it, and brings in all of it or nothing.",
        "./update.sh --preview",
        "The environment variable COPIER names the copier command, if it is not on PATH.",
    ),
    "upgrade": (
        "upgrade",
        "--verbose|--preview|--quiet|--json",
        "Upgrades the packages in requirements.txt, and then the database. If anything fails, the old packages return.",
        "./upgrade.sh --verbose",
        "A folder in data/upgrades/ gets the packages before and after, and the output.",
    ),
    "backup": (
        "backup",
        "--init|--with FOLDER|--quiet|--json",
        "Takes a backup while the app runs: its database, the versions of its packages, and this folder.",
        "./backup.sh --init",
        "The environment variable RESTIC_REPOSITORY, or else restic.env, may name another repository than the answer; "
        "a relative path begins at this folder. The result is in log/last-backup. restore.sh restores a backup.",
    ),
    "cleanup": (
        "cleanup",
        "--quiet",
        "Rotates logs, and removes old logins, uploads and work files.",
        "./cleanup.sh --quiet",
        "The ages are in lib/appdir/cleanup.py and system/logrotate.conf.",
    ),
    "services": (
        "services",
        "ACTION",
        "Installs the servers and nightly jobs of the app on this system, or removes them.",
        "sudo ./services.sh install",
        "",
    ),
    "overnight": (
        "overnight",
        "--quiet|[NAME]|[DATE]",
        "Runs an overnight automation for a date. What is done for that date is not done again.",
        "./overnight.sh main 2026-01-31",
        "A task that failed runs again.",
    ),
    "restore": (
        "restore",
        "--snapshot ID|--ask-database|REPOSITORY|ENV",
        "Restores env, packages, database and app dir from a backup, on a machine that has nothing of them.",
        "./restore.sh /mnt/backups/poser /srv/envs/poser",
        "The database is that of the backup, or the one of --ask-database or of the environment variable DATABASE_URL. "
        "The password of the repository is asked for, unless restic finds it in the environment. If this is "
        "interrupted, run it again.",
    ),
    "update-stage-two": (
        "update_stage_two",
        "--continue|--abort|--preview|--quiet|--json|PATH",
        "The new version's part of an update.",
        "",
        "",
    ),
    "permissions": ("permissions", "", "Corrects owners and modes.", "", ""),
    "packages": ("packages", "--preview|--quiet", "Installs what is missing.", "", ""),
    "secrets": ("secretsconf", "--quiet", "Completes secrets.conf.", "", ""),
    "database": ("database", "--quiet", "Brings the database to the newest version.", "", ""),
    "check-app": ("check_config", "[PATH]", "Loads every config and builds the web apps.", "", ""),
    "restore-database": ("restore_database", "--ask-database|PATH", "Loads the dump of a restore.", "", ""),
}


class Parser(argparse.ArgumentParser):
    """The parser of a command, whose help begins with what the command is for, and ends with an example."""

    def __init__(self, command):
        _, options, self.summary, self.example, notes = COMMANDS[command]
        super().__init__(prog=f"{command}.sh", add_help=False, allow_abbrev=False, epilog=notes)
        self.add_argument("--help", action="help", help="show this help")
        actions = self.add_mutually_exclusive_group() if "--abort" in options else None
        for option in filter(None, options.split("|")):
            name, _, value = option.partition(" ")
            if name in REPEATED:
                settings = {"action": "append", "default": [], "metavar": value, "type": checked(value)} | REPEATED[
                    name
                ]
                self.add_argument(name, help=OPTIONS[option], **settings)
            elif value:
                self.add_argument(name, help=OPTIONS[option], metavar=value)
            elif name.startswith("--"):
                group = actions if name in ("--continue", "--abort", "--undo", "--diff") else self
                group.add_argument(name, help=OPTIONS[option], action="store_true")
            else:  # a missing one is reported by its command, since argparse would not name an unknown option then
                self.add_argument(name.strip("[]").lower(), help=ARGUMENTS[name], metavar=name, nargs="?")

    def format_help(self):
        """Return the help text."""
        return f"{self.summary}\n\n{super().format_help()}\nExample:\n  {self.example}\n"

    def error(self, message):
        """End with exit code 2 and one line."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")

    def parse(self, argv):
        """Return the options; one that must be given and is missing is an error."""
        options = self.parse_args(argv)
        for action in self._actions:
            needed = not action.option_strings and action.metavar[-1] != "]"
            if needed and getattr(options, action.dest) is None:
                self.error(f"{action.metavar} is missing")
        return options


def checked(value):
    """Return the type of a value: NAME=VALUE needs both."""

    def pair(text):
        if not re.match(r"[a-z][a-z0-9_]*=", text):
            raise argparse.ArgumentTypeError(f"use NAME=VALUE, such as luigi=false, not '{text}'")
        return text

    return pair if value == "NAME=VALUE" else str


def main(argv):
    """Run the command that `argv` names, and return its exit code."""
    command = argv[0] if argv else ""
    if command not in COMMANDS:
        raise SystemExit(f"lib/run: unknown command '{command}'; use one of {', '.join(COMMANDS)}")
    options = Parser(command).parse(argv[1:])
    report.command = command
    for name in ("quiet", "json", "preview"):
        setattr(report, name, getattr(options, name, False))
    os.umask(0o027)
    if report.quiet or report.json:
        never_prompt()
    try:
        if command not in ("restore", "permissions"):
            check_place()
        importlib.import_module(f"appdir.{COMMANDS[command][0]}").main(options)
    except Stop as stop:
        return report.end(stop)
    except KeyboardInterrupt:
        return report.end(Stop("interrupted; run it again", 130))
    except OSError as error:
        return report.end(Stop(f"{error}; fix that and run it again"))
    return report.end()


def never_prompt():
    """Let git, ssh, pip and restic fail where they would ask: with --quiet and --json, nobody is there to answer."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name, value in {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
        "PIP_NO_INPUT": "1",
    }.items():
        os.environ.setdefault(name, value)


def check_place():
    """Refuse an app dir that is in no env, or in a path that upstream's config reader cannot read."""
    if not (PYTHON.exists() or (ENV / ".before-upgrade/bin/python").exists()):
        raise Stop("../bin/python is missing; the app dir must be the folder app/ of a virtualenv")
    if re.search(r"[^A-Za-z0-9/._@+-]", str(ENV)):
        raise Stop(f"upstream cannot read config in {APPDIR}; use a path of A-Z a-z 0-9 / . _ @ + -")
