"""The database: how its schema comes to the newest version, and the first admin in it."""

import importlib
import os
import secrets
import socket

from appdir import users
from appdir.core import CORE_CONFIG, FRAMEWORK, Stop, first_line, kept, load_config, note, say, would


def main(_):
    """Migrate, as a command of its own: an upgrade runs it with the new packages."""
    users.run_as_owner("log", migrate)


def alembic_config():
    """Return Alembic's config of this app."""
    from alembic.config import Config

    return Config(str(CORE_CONFIG))


def revisions(engine):
    """Return the sets of revisions at which the schema is and should be; Stop if the database does not answer."""
    import sqlalchemy as sa
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    heads = set(ScriptDirectory.from_config(alembic_config()).get_heads())
    if engine.dialect.name == "sqlite" and not os.path.exists(engine.url.database or "."):
        return set(), heads  # to connect would create it
    try:
        with engine.connect() as connection:
            return set(MigrationContext.configure(connection).get_current_heads()), heads
    except sa.exc.SQLAlchemyError as error:
        raise Stop(f"{engine.url.render_as_string()} does not answer: {first_line(error)}") from error


def migrate():
    """Create all tables on SQLite, where upstream's migrations cannot run; migrate elsewhere."""
    import sqlalchemy as sa
    from alembic import command

    config = load_config(usedb=False)  # there may be no table of settings yet
    engine = config.appdb_engine
    where = engine.url.render_as_string()
    current, heads = revisions(engine)
    if current == heads:
        kept("database", "schema is up to date")
        return
    would("database", f"bring the schema of {where} up to date")
    say("database", f"bringing the schema of {where} up to date")
    if engine.dialect.name == "sqlite":
        if FRAMEWORK == "rattail":  # as its migrations do, which make the tables of versions whatever the config says
            importlib.import_module("rattail.db.config").configure_versioning(config, force=True)
        sa.orm.configure_mappers()
        config.get_app().model.Base.metadata.create_all(bind=engine)
        command.stamp(alembic_config(), "heads")
        if current:
            say("database", "new tables created; SQLite cannot change columns, PostgreSQL can")
    else:
        command.upgrade(alembic_config(), "heads")
    current, heads = revisions(engine)
    if current != heads:
        raise Stop(f"the schema of {where} is at {sorted(current)}, not at {sorted(heads)}, after the migration")
    note(migrated=True)


def prepare():
    """Bring the schema to the newest version, and return whether it has an administrator."""
    migrate()
    app = load_config().get_app()
    with app.short_session() as session:
        return bool(app.get_auth_handler().get_role_administrator(session).users)


def create_admin(password):
    """Create the user admin with a password, generated if None."""
    app = load_config().get_app()
    auth, shown = app.get_auth_handler(), password or secrets.token_urlsafe(12)
    try:
        with app.short_session(commit=True) as session:
            user = auth.make_user(session=session, username="admin")
            auth.set_user_password(user, shown)
            user.roles.append(auth.get_role_administrator(session))
            # else the first pages make these roles, and block each other in it
            auth.get_role_anyone(session)
            auth.get_role_authenticated(session)
    except socket.gaierror:  # Rattail notes this machine's address with each change of its tables
        name = socket.gethostname()
        raise Stop(f"this machine does not know its own name; add a line to /etc/hosts: 127.0.1.1 {name}") from None
    with app.short_session() as session:
        if not auth.authenticate_user(session, "admin", shown):
            raise Stop("the user admin was created, but its password does not log in; report this, please")
    note(admin_created=True)
    say("admin", "user admin created, with " + ("your password" if password else f"password {shown} - shown only now"))
