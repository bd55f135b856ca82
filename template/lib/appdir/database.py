"""The database's schema: where it is, and how it comes to the newest version."""

import importlib

from appdir import users
from appdir.core import CORE_CONFIG, FRAMEWORK, Stop, first_line, kept, load_config, note, say, would

STEP = "database"


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
        kept(STEP, "schema is up to date")
        return
    would(STEP, f"bring the schema of {where} up to date")
    say(STEP, f"bringing the schema of {where} up to date")
    if engine.dialect.name == "sqlite":
        if FRAMEWORK == "rattail":  # as its migrations do, which make the tables of versions whatever the config says
            importlib.import_module("rattail.db.config").configure_versioning(config, force=True)
        sa.orm.configure_mappers()
        config.get_app().model.Base.metadata.create_all(bind=engine)
        command.stamp(alembic_config(), "heads")
        if current:
            say(STEP, "new tables created; SQLite cannot change columns, PostgreSQL can")
    else:
        command.upgrade(alembic_config(), "heads")
    current, heads = revisions(engine)
    if current != heads:
        raise Stop(f"the schema of {where} is at {sorted(current)}, not at {sorted(heads)}, after the migration")
    note(migrated=True)
