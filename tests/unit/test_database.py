"""A look at the database changes nothing."""

import sys
from types import SimpleNamespace

import pytest
from appdir import check, database
from appdir.core import Stop


def test_sqlite_file_that_is_missing_is_not_created(app_dir, monkeypatch):
    """To connect would create it, and the next backup would be of an empty database."""
    scripts = SimpleNamespace(get_heads=lambda: ["newest"])
    script = SimpleNamespace(ScriptDirectory=SimpleNamespace(from_config=lambda _: scripts))
    migration = SimpleNamespace(MigrationContext=None)
    for name, module in {"sqlalchemy": None, "alembic.script": script, "alembic.runtime.migration": migration}.items():
        monkeypatch.setitem(sys.modules, name, module or SimpleNamespace(exc=SimpleNamespace(SQLAlchemyError=OSError)))
    monkeypatch.setattr(database, "alembic_config", lambda: None)
    path = str(app_dir / "shop.sqlite")
    url = SimpleNamespace(database=path, render_as_string=lambda: f"sqlite:///{path}")
    engine = SimpleNamespace(dialect=SimpleNamespace(name="sqlite"), url=url, connect=(app_dir / "shop.sqlite").touch)
    assert database.revisions(engine) == (set(), {"newest"})
    monkeypatch.setattr(check, "load_config", lambda: SimpleNamespace(appdb_engine=engine))
    with pytest.raises(Stop, match=r"shop\.sqlite is missing or empty; restore it"):
        check.check_database()
    assert list(app_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("dialect", "said", "cure"),
    [
        ("postgresql", "permission denied for schema public", """psql -c 'alter database "shop" owner to "clerk"'$"""),
        ("mysql", "column exists", "load the last backup into a new database, with restore.sh$"),
        ("mariadb", "column exists", "load the last backup into a new database, with restore.sh$"),
    ],
)
def test_migration_that_fails_names_the_cure(monkeypatch, dialect, said, cure):
    def upgrade(*_):
        raise OSError(said)

    for name in ("sqlalchemy", "alembic"):
        stub = SimpleNamespace(exc=SimpleNamespace(SQLAlchemyError=OSError), command=SimpleNamespace(upgrade=upgrade))
        monkeypatch.setitem(sys.modules, name, stub)
    url = SimpleNamespace(database="shop", username="clerk", render_as_string=lambda: f"{dialect}://shop")
    engine = SimpleNamespace(dialect=SimpleNamespace(name=dialect), url=url)
    monkeypatch.setattr(database, "load_config", lambda usedb: SimpleNamespace(appdb_engine=engine))
    monkeypatch.setattr(database, "revisions", lambda _: ({"old"}, {"new"}))
    monkeypatch.setattr(database, "alembic_config", lambda: None)
    with pytest.raises(Stop, match=f"^{dialect}://shop: {said}; .*{cure}"):
        database.migrate(False)


def test_only_a_new_app_dir_gets_a_new_database(monkeypatch):
    url = SimpleNamespace(render_as_string=lambda: "postgresql://shop")
    config = SimpleNamespace(appdb_engine=SimpleNamespace(url=url))
    monkeypatch.setitem(sys.modules, "sqlalchemy", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "alembic", SimpleNamespace(command=None))
    monkeypatch.setattr(database, "load_config", lambda usedb: config)
    monkeypatch.setattr(database, "revisions", lambda _: (set(), {"new"}))
    with pytest.raises(Stop, match="postgresql://shop is missing or empty; restore it") as stop:
        database.migrate(False)
    assert stop.value.facts == {"gone": True}
