"""The command line of all scripts: each command, its options and its help stand here, and nowhere else."""

import argparse
import importlib
import os
import re

from appdir.core import APPDIR, ENV, PYTHON, Stop, report

QUIET = ("--quiet", {"action": "store_true", "help": "show only what is new or wrong, for cron"})
JSON = ("--json", {"action": "store_true", "help": "show the result as JSON"})
PREVIEW = ("--preview", {"action": "store_true", "help": "show what would be done, and change nothing"})


def flag(name, text):
    """Return an option without a value."""
    return name, {"action": "store_true", "help": text}


def answer(text):
    """Return a NAME=VALUE of --data as it is, if it is one."""
    if not re.match(r"[a-z][a-z0-9_]*=", text):
        raise argparse.ArgumentTypeError(f"use NAME=VALUE, such as luigi=false, not '{text}'")
    return text


# name: (module, what it is for, example, options, notes)
COMMANDS = {
    "setup": (
        "setup",
        "Makes the app dir ready to run. Run it as often as you like: it does only what is missing.",
        "ADMIN_PASSWORD=secret ./setup.sh",
        [
            flag("--ask-database", "ask for the database URL, without showing it"),
            flag("--check", "only check permissions, and change nothing"),
            ("--preview", {"action": "store_true", "help": "show the first thing that is missing, with exit code 3"}),
            QUIET,
            JSON,
        ],
        "The database is the one of the environment variable DATABASE_URL, or else SQLite in data/. The first "
        'admin is "admin"; the password is the environment variable ADMIN_PASSWORD, or asked for on a terminal, '
        "or else generated and shown once.",
    ),
    "check": (
        "check",
        "Checks the app and its folder, and shows one line for each thing. It changes nothing.",
        "./check.sh --quiet",
        [("--quiet", {"action": "store_true", "help": "show only what is wrong, for cron"}), JSON],
        "The exit code is 0 if all is well, and 1 if something failed. The environment variable COPIER names the "
        "copier command, which looks for updates, if it is not on PATH.",
    ),
    "update": (
        "update",
        "Update the template: merges a newer version of it with your edits, checks the result, and brings in all or "
        "nothing.",
        "./update.sh --preview",
        [
            (
                "--data",
                {
                    "action": "append",
                    "default": [],
                    "type": answer,
                    "metavar": "NAME=VALUE",
                    "help": "change an answer, such as luigi=false",
                },
            ),
            ("--vcs-ref", {"metavar": "REF", "help": "use this version of the template, not the newest"}),
            ("--template", {"metavar": "ADDRESS", "help": "the template has moved to this address"}),
            [
                flag("--continue", "go on after you fixed what the update stopped at"),
                flag("--abort", "drop an update that stopped or was interrupted"),
                flag("--undo", "undo the last update"),
                flag("--diff", "show what you have changed relative to the template"),
            ],
            PREVIEW,
            QUIET,
            JSON,
        ],
        "The environment variable COPIER names the copier command, if it is not on PATH.",
    ),
    "upgrade": (
        "upgrade",
        "Upgrade the packages in requirements.txt, and then the database. If anything fails, the old packages return.",
        "./upgrade.sh --verbose",
        [flag("--verbose", "show the output of pip too"), PREVIEW, QUIET, JSON],
        "A folder in data/upgrades/ gets the packages before and after, and the output.",
    ),
    "backup": (
        "backup",
        "Takes a backup while the app runs: its database, the versions of its packages, and this folder.",
        "./backup.sh --init",
        [
            flag("--init", "create the repository first, if there is none"),
            (
                "--with",
                {
                    "action": "append",
                    "default": [],
                    "dest": "wanted",
                    "metavar": "FOLDER",
                    "choices": ["log", "sessions", "uploads", "work"],
                    "help": "include log, sessions, uploads or work, which are left out",
                },
            ),
            QUIET,
            JSON,
        ],
        "The environment variable RESTIC_REPOSITORY, or else restic.env, may name another repository than the answer; "
        "a relative path begins at this folder. The result is in log/last-backup. restore.sh restores a backup.",
    ),
    "cleanup": (
        "cleanup",
        "Rotates logs, and removes old logins, uploads and work files.",
        "./cleanup.sh --quiet",
        [("--quiet", {"action": "store_true", "help": "show only what is wrong, for cron"})],
        "The ages are in lib/appdir/cleanup.py and system/logrotate.conf.",
    ),
    "services": (
        "services",
        "Installs the servers and nightly jobs of the app on this system, or removes them.",
        "sudo ./services.sh install",
        [
            (
                "action",
                {
                    "nargs": "?",
                    "choices": ["install", "remove"],
                    "help": "install: start the servers, now and at each boot, and "
                    "schedule the jobs; again after each change. remove: stop and remove them; the app dir stays",
                },
            )
        ],
        "",
    ),
    "overnight": (
        "overnight",
        "Runs an overnight automation for a date. What is done for that date is not done again.",
        "./overnight.sh main 2026-01-31",
        [
            ("name", {"nargs": "?", "metavar": "NAME", "help": "a module luigitasks/overnight_NAME.py"}),
            ("date", {"nargs": "?", "metavar": "YYYY-MM-DD", "help": "yesterday if you give none"}),
            ("--quiet", {"action": "store_true", "help": "show only what is wrong, for cron"}),
        ],
        "A task that failed runs again.",
    ),
    "restore": (
        "restore",
        "Restores env, packages, database and app dir from a backup, on a machine that has nothing of them.",
        "./restore.sh /mnt/backups/poser /srv/envs/poser",
        [
            ("--snapshot", {"default": "", "metavar": "ID", "help": "restore this snapshot of restic, not the newest"}),
            flag("--ask-database", "ask for the URL of an empty database, without showing it"),
            ("repository", {"metavar": "REPOSITORY", "help": "the repository, as restic names it"}),
            ("env", {"metavar": "ENV", "help": "the folder of the new env, such as /srv/envs/poser; it must be empty"}),
        ],
        "The database is that of the backup, or the one of --ask-database or of the environment variable DATABASE_URL. "
        "The password of the repository is asked for, unless restic finds it in the environment. If this is "
        "interrupted, run it again. To get this script out of the repository, see docs/backup-and-restore.md.",
    ),
    # not for people: what one command starts in another env or version
    "update-stage-two": (
        "update_stage_two",
        "Checks an update and brings it in, with the new version's code.",
        "",
        [("work", {}), flag("--continue", ""), flag("--abort", "")],
        "",
    ),
    "secrets": ("secretsconf", "Completes secrets.conf.", "", [QUIET], ""),
    "permissions": ("permissions", "Corrects owners and modes.", "", [QUIET], ""),
    "database": ("database", "Brings the database to the newest version.", "", [PREVIEW, QUIET], ""),
    "check-app": ("check_config", "Loads every config and builds the web apps.", "", [], ""),
    "restore-database": (
        "restore_database",
        "Loads the dump of a restore.",
        "",
        [("plan", {}), flag("--ask-database", "")],
        "",
    ),
}


class Parser(argparse.ArgumentParser):
    """A parser whose help begins with what the command is for, and ends with an example."""

    def __init__(self, command, summary, example, notes):
        super().__init__(prog=f"{command}.sh", add_help=False, allow_abbrev=False, epilog=notes)
        self.summary, self.example = summary, example
        self.add_argument("--help", action="help", help="show this help")

    def format_help(self):
        """Return the help text."""
        return f"{self.summary}\n\n{super().format_help()}\nExample:\n  {self.example}\n"

    def error(self, message):
        """End with exit code 2 and one line."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def parser_of(command):
    """Return the parser of a command."""
    _, summary, example, options, notes = COMMANDS[command]
    parser = Parser(command, summary, example, notes)
    for option in options:
        if isinstance(option, list):
            group = parser.add_mutually_exclusive_group()
            for name, settings in option:
                group.add_argument(name, **settings)
        else:
            parser.add_argument(option[0], **option[1])
    return parser


def main(argv):
    """Run the command that `argv` names, and return its exit code."""
    command = argv[0] if argv else ""
    if command not in COMMANDS:
        raise SystemExit(f"lib/run: unknown command '{command}'; use one of {', '.join(COMMANDS)}")
    options = parser_of(command).parse_args(argv[1:])
    report.command = command
    for name in ("quiet", "json", "preview"):
        setattr(report, name, getattr(options, name, False))
    os.umask(0o027)
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


def check_place():
    """Refuse an app dir that is in no env, or in a path that upstream's config reader cannot read."""
    if not (PYTHON.exists() or (ENV / ".before-upgrade/bin/python").exists()):
        raise Stop("../bin/python is missing; the app dir must be the folder app/ of a virtualenv")
    if re.search(r"[^A-Za-z0-9/._@+-]", str(ENV)):
        raise Stop(f"upstream cannot read config in {APPDIR}; use a path of A-Z a-z 0-9 / . _ @ + -")
