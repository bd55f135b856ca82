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
