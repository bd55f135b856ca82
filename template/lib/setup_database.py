"""Step of setup.sh and upgrade.sh: bring the database's schema to the newest version."""

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from appdir import CORE_CONFIG, fail, load_config, say, say_kept

STEP = "database"


def main():
    """Make all tables on SQLite, where upstream's migrations can't run; migrate elsewhere."""
    config = load_config()
    engine = config.appdb_engine
    alembic = Config(str(CORE_CONFIG))
    heads = set(ScriptDirectory.from_config(alembic).get_heads())
    try:
        with engine.connect() as connection:
            current = set(MigrationContext.configure(connection).get_current_heads())
    except sa.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        fail(STEP, f"{engine.url.render_as_string()} does not answer: {reason}")
    if current == heads:
        say_kept(STEP, "schema is up to date")
        return
    say(STEP, f"bringing the schema of {engine.url.render_as_string()} up to date")
    if engine.dialect.name == "sqlite":
        sa.orm.configure_mappers()
        config.get_app().model.Base.metadata.create_all(bind=engine)
        command.stamp(alembic, "heads")
        if current:
            say(STEP, "new tables made; SQLite can't take changes of columns, PostgreSQL can")
    else:
        command.upgrade(alembic, "heads")


main()
