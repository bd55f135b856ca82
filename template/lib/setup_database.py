"""Step of setup.sh and upgrade.sh: bring the database's schema to the newest version."""

import importlib

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from appdir import CORE_CONFIG, FRAMEWORK, fail, load_config, say, say_kept, stop_at_preview

STEP = "database"


def revisions(engine, alembic):
    """Return the sets of revisions at which the schema is and should be; ConnectionError if there is no answer."""
    heads = set(ScriptDirectory.from_config(alembic).get_heads())
    try:
        with engine.connect() as connection:
            return set(MigrationContext.configure(connection).get_current_heads()), heads
    except sa.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise ConnectionError(f"{engine.url.render_as_string()} does not answer: {reason}") from error


def main():
    """Make all tables on SQLite, where upstream's migrations can't run; migrate elsewhere."""
    config = load_config(usedb=False)  # there may be no table of settings yet
    engine = config.appdb_engine
    alembic = Config(str(CORE_CONFIG))
    try:
        current, heads = revisions(engine, alembic)
    except ConnectionError as error:
        fail(STEP, error)
    if current == heads:
        say_kept(STEP, "schema is up to date")
        return
    stop_at_preview(STEP, f"bring the schema of {engine.url.render_as_string()} up to date")
    say(STEP, f"bringing the schema of {engine.url.render_as_string()} up to date")
    if engine.dialect.name == "sqlite":
        if FRAMEWORK == "rattail":  # as its migrations do, which make the tables of versions whatever the config says
            importlib.import_module("rattail.db.config").configure_versioning(config, force=True)
        sa.orm.configure_mappers()
        config.get_app().model.Base.metadata.create_all(bind=engine)
        command.stamp(alembic, "heads")
        if current:
            say(STEP, "new tables made; SQLite can't take changes of columns, PostgreSQL can")
    else:
        command.upgrade(alembic, "heads")


if __name__ == "__main__":
    main()
