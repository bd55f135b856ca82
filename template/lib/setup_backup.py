"""Step of setup.sh: make the password of the backups, in restic.env."""

import secrets
import shutil

from appdir import APPDIR, say, say_kept, stop_at_preview, write_new

STEP = "backup"
FILE = APPDIR / "restic.env"
HEADER = """\
# Made by setup.sh: what restic reads from its environment; yours to edit, never in git, for nobody else to read.
# Keep a copy elsewhere: without this password, no backup can be opened.
# Here go also keys that a repository needs, such as AWS_ACCESS_KEY_ID=..., or another RESTIC_REPOSITORY=...
"""


def main():
    """Make restic.env with a new password, or add one to it if it has none."""
    text = FILE.read_text() if FILE.exists() else HEADER
    if "\nRESTIC_PASSWORD" in f"\n{text}":
        say_kept(STEP, "restic.env has a password")
    else:
        stop_at_preview(STEP, "make a password for backups")
        if not text.endswith("\n"):
            text += "\n"
        write_new(FILE, f"{text}RESTIC_PASSWORD={secrets.token_urlsafe(24)}\n".encode(), 0o600)
        say(STEP, "restic.env made: keep a copy elsewhere, since no backup can be opened without its password")
    if not shutil.which("restic"):
        say_kept(STEP, "restic is missing, and backup.sh needs it; install it with: apt-get install restic")


main()
