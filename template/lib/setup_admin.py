"""Step of setup.sh: make the first admin, if there is none."""

import getpass
import os
import secrets
import socket
import sys

from appdir import fail, load_config, say, say_kept, stop_at_preview

STEP = "admin"


def ask_password():
    """Return a new password, asked for twice on a terminal; None if the reader leaves it empty."""
    while sys.stdin.isatty():
        password = getpass.getpass("Password for the user admin (empty: make one): ")
        if not password:
            break
        if getpass.getpass("The same again: ") == password:
            return password
        print("They differ; once more.")
    return None


def main():
    """Make the first admin, and say what is wrong with a machine on which Rattail can't."""
    try:
        make_admin()
    except socket.gaierror:  # Rattail notes this machine's address with each change of its tables
        name = socket.gethostname()
        fail(STEP, f"this machine does not find its own name; add a line to /etc/hosts: 127.0.1.1 {name}")


def make_admin():
    """Make the user admin with the administrator role, unless some user has that role."""
    app = load_config().get_app()
    auth = app.get_auth_handler()
    with app.short_session(commit=True) as session:
        role = auth.get_role_administrator(session)
        if role.users:
            say_kept(STEP, "there is an admin")
            return
        stop_at_preview(STEP, "make the user admin")
        password = os.environ.get("ADMIN_PASSWORD") or ask_password()
        shown = password or secrets.token_urlsafe(12)
        user = auth.make_user(session=session, username="admin")
        auth.set_user_password(user, shown)
        user.roles.append(role)
        # else the first pages make these roles, and block each other in it
        auth.get_role_anyone(session)
        auth.get_role_authenticated(session)
    if password:
        say(STEP, "user admin made, with your password")
    else:
        say(STEP, f"user admin made, with password {shown} - shown only now")


if __name__ == "__main__":
    main()
