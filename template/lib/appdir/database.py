"""The database: how its schema comes to the newest version, and the first admin in it."""

import importlib
import os
import secrets
import socket

from appdir import users
from appdir.core import CORE_CONFIG, FRAMEWORK, RESTORE, Stop, first_line, kept, load_config, note, say, would


def main(_):
    """Migrate, as a command of its own: an upgrade runs it with the new packages."""
    users.run_as_owner("log", migrate, False)


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
        is_damaged = type(error) is sa.exc.DatabaseError  # as SQLite says it of a file that it cannot read
        problem = f"is damaged; {RESTORE}" if is_damaged else "does not answer"
        raise Stop(f"{engine.url.render_as_string()} {problem}: {first_line(error)}") from error


def change(engine, metadata):
    """Create the tables that SQLite lacks, where upstream's migrations cannot run: all of them, or none."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with engine.begin() as connection:
        connection.exec_driver_sql("begin")  # which Python's driver leaves out
        metadata.create_all(bind=connection)
        script = ScriptDirectory.from_config(alembic_config())
        MigrationContext.configure(connection).stamp(script, "heads")


def migrate(may_create):
    """Bring the schema to the newest version; Stop at a database that is gone, unless a new one may be created."""
    import sqlalchemy as sa
    from alembic import command

    config = load_config(usedb=False)  # there may be no table of settings yet
    engine = config.appdb_engine
    where = engine.url.render_as_string()
    current, heads = revisions(engine)
    if current == heads:
        kept("database", "schema is up to date")
        return
    if not (current or may_create):
        text = f"the database {where} is missing or empty; {RESTORE}, or start with ./setup.sh --new-database"
        raise Stop(text, gone=True)
    would("database", f"bring the schema of {where} up to date")
    say("database", f"bringing the schema of {where} up to date")
    if engine.dialect.name == "sqlite":
        if FRAMEWORK == "rattail":  # as its migrations do, which make the tables of versions whatever the config says
            importlib.import_module("rattail.db.config").configure_versioning(config, force=True)
        sa.orm.configure_mappers()
        change(engine, config.get_app().model.Base.metadata)
        if current:
            say("database", "new tables created; SQLite cannot change columns, PostgreSQL can")
    else:
        try:
            command.upgrade(alembic_config(), "heads")
        except sa.exc.SQLAlchemyError as error:
            if engine.dialect.name in ("mysql", "mariadb"):
                how = "MySQL keeps half of a migration; load the last backup into a new database, with restore.sh"
                raise Stop(f"{where}: {first_line(error)}; {how}") from error
            if "permission denied" not in str(error):
                raise
            owner = f'alter database "{engine.url.database}" owner to "{engine.url.username}"'
            how = f"let its user change it: sudo -u postgres psql -c '{owner}'"
            raise Stop(f"{where}: {first_line(error)}; {how}") from error
    current, heads = revisions(engine)
    if current != heads:
        raise Stop(f"the schema of {where} is at {sorted(current)}, not at {sorted(heads)}, after the migration")
    note(migrated=True)


def prepare(may_create):
    """Bring the schema to the newest version, and return whether it has an administrator."""
    migrate(may_create)
    app = load_config().get_app()
    with app.short_session() as session:
        return bool(app.get_auth_handler().get_role_administrator(session).users)


def create_admin(password):
    """Create the user admin with a password, generated if None."""
    app = load_config().get_app()
    auth, shown = app.get_auth_handler(), password or secrets.token_urlsafe(12)
    with app.short_session() as session:
        if session.query(app.model.User).filter_by(username="admin").count():
            raise Stop("the user admin is no administrator, and no other is; give somebody the role Administrator")
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
