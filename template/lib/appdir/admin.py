"""Creates the first admin, if there is none."""

import secrets
import socket

from appdir.core import Stop, kept, load_config, note, say, would

STEP = "admin"


def create(password):
    """Create the user admin with a password, generated if None, unless some user is an administrator."""
    try:
        create_admin(password)
    except socket.gaierror:  # Rattail notes this machine's address with each change of its tables
        name = socket.gethostname()
        raise Stop(f"this machine does not know its own name; add a line to /etc/hosts: 127.0.1.1 {name}") from None


def create_admin(password):
    """Do what create() says."""
    app = load_config().get_app()
    auth = app.get_auth_handler()
    with app.short_session(commit=True) as session:
        role = auth.get_role_administrator(session)
        if role.users:
            kept(STEP, "there is an admin")
            return
        would(STEP, "create the user admin")
        shown = password or secrets.token_urlsafe(12)
        user = auth.make_user(session=session, username="admin")
        auth.set_user_password(user, shown)
        user.roles.append(role)
        # else the first pages make these roles, and block each other in it
        auth.get_role_anyone(session)
        auth.get_role_authenticated(session)
    with app.short_session() as session:
        if not auth.authenticate_user(session, "admin", shown):
            raise Stop("the user admin was created, but its password does not log in; report this, please")
    note(admin_created=True)
    say(STEP, "user admin created, with " + ("your password" if password else f"password {shown} - shown only now"))
