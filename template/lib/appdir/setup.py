"""Makes the app dir ready to run: each step does only what is missing."""

import getpass
import os
import secrets
import shutil
import sys

from appdir import assets, database, git, packages, permissions, rendering, secretsconf, users
from appdir.answers import BACKUPS, OFFLINE_ASSETS, SERVICE_USER, SERVICES, URL
from appdir.core import APPDIR, ENV, RESTORE, Stop, kept, report, say, would, write

RESTIC_ENV = APPDIR / "restic.env"
HEADER = """\
# Made by setup.sh: what restic reads from its environment; yours to edit, never in git, private.
# Keep a copy elsewhere: without this password, no backup can be opened.
# Keys that a repository needs go here too, such as AWS_ACCESS_KEY_ID=..., or another RESTIC_REPOSITORY=...
"""
INSTALL = f"{'sudo ' * bool(SERVICE_USER)}{APPDIR}/services.sh install"
START = {
    "systemd": INSTALL,
    "supervisor": f"{APPDIR}/services.sh start",
    "none": f"{ENV}/bin/pserve file+ini:{APPDIR}/web.conf" if URL else INSTALL,
}


def main(options):
    """Run all steps, or with --check only look at permissions."""
    if options.check:
        permissions.check()
        kept("permissions", "all correct")
        return
    check_socket()
    may_create = options.new_database or not users.run_as_owner(".", git.had_database)
    if not (may_create or secretsconf.SECRETS.exists()):
        raise Stop(f"secrets.conf is missing; {RESTORE}, or start with ./setup.sh --new-database")
    permissions.main()
    packages.install_missing()
    packages.let_app_import_lib()
    secretsconf.complete(options.ask_database)
    if OFFLINE_ASSETS:
        users.run_as_owner("data", assets.complete)
    if not options.keep_database:
        create_admin(has_admin=users.run_as_owner("log", database.prepare, may_create))
    if BACKUPS:
        create_restic_password()
    if users.run_as_owner(".", git.is_tracked):  # git refuses to look for root
        kept("git", "config and scripts are in git")
    else:
        would("git", "commit config and scripts")
        users.run_as_owner(".", commit)
        say("git", "config and scripts committed; secrets, data and logs are left out")
    if not report.preview:
        users.run_as_owner(".", remember)
    if not (report.quiet or report.preview or report.json):
        user = f"sudo -u {SERVICE_USER} " if SERVICE_USER and SERVICES == "supervisor" else ""
        print(f"\nReady. Start the app with:\n\n    {user}{START[SERVICES]}" + f"\n\nThen open {URL}" * bool(URL))


def check_socket():
    """Stop if the path is too long for supervisor's socket, with which its servers would never start."""
    path = APPDIR / "log/supervisor.sock.1234567"  # as supervisor names it at first
    if SERVICES == "supervisor" and len(os.fsencode(path)) > 107:  # sun_path in unix(7)
        raise Stop(f"the path {ENV} is too long for supervisor's socket; move the env to a shorter one")


def create_admin(has_admin):
    """Create the first admin, unless there is one, with a password that is given, asked for twice, or generated."""
    if has_admin:
        kept("admin", "there is an admin")
        return
    would("admin", "create the user admin")
    password = os.environ.get("ADMIN_PASSWORD")
    if not password and sys.stdin.isatty():
        ask = "Password for the user admin (empty: generate one): "
        password = getpass.getpass(ask)
        while password and getpass.getpass("The same again: ") != password:
            print("They differ; try again.")
            password = getpass.getpass(ask)
    users.run_as_owner("log", database.create_admin, password or None)


def create_restic_password():
    """Create restic.env with a new password, or add one to it."""
    text = RESTIC_ENV.read_text() if RESTIC_ENV.exists() else HEADER
    if "\nRESTIC_PASSWORD" in f"\n{text}":
        kept("backup", "restic.env has a password")
    else:
        would("backup", "generate a password for backups")
        text += "" if text.endswith("\n") else "\n"
        write(RESTIC_ENV, f"{text}RESTIC_PASSWORD={secrets.token_urlsafe(24)}\n".encode(), 0o600, shared=False)
        say("backup", "restic.env created: keep a copy elsewhere, since no backup can be opened without its password")
    if not shutil.which("restic"):
        kept("backup", "restic is missing, and backup.sh needs it; install it with: apt-get install restic")


def commit():
    """Create a repository and its first commit, of all files but those that .gitignore names."""
    if git.attempt("check-ignore", "--quiet", ".copier-answers.yml").returncode != 1:
        git.git("init", "--quiet", "--initial-branch=main", "--template=")
    git.settle_identity()
    git.git("add", "--all", ".")
    git.git("commit", "--quiet", "--no-verify", "--message", "Render the app dir", "--", ".")
    if not git.is_tracked():
        raise Stop("git did not commit .copier-answers.yml; see: git status --ignored")


def remember():
    """Keep what only now is known: that there is a database, and what the template rendered, where updates begin."""
    git.git("config", git.database_key(), "yes")
    if git.attempt("rev-parse", "--verify", "--quiet", rendering.ref_name()).returncode:
        try:
            rendering.keep(rendering.base(git.tree_of("HEAD")))
        except (Stop, OSError) as stop:
            kept("template", f"not rendered again, which the first update has to do: {stop}")
