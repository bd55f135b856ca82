"""Each framework and published app runs from a rendered app dir: on each database and Python."""

import pytest
from real.apps import ADMIN, KINDS

CASES = [
    *[(kind, database, "3.11") for kind in KINDS for database in ("sqlite", "postgresql")],
    *[(kind, "sqlite", python) for kind in KINDS for python in ("3.12", "3.13")],
]


@pytest.mark.parametrize(("kind", "database", "python"), CASES)
def test_admin_logs_in(app_of, kind, database, python):
    app = app_of(kind, database, python)
    with app.serve() as web:
        assert "password" in web.get("/login").text
        assert ADMIN[0] not in web.get("/").text
        page = web.login(*ADMIN)
        assert page.status == 200
        assert ADMIN[0] in page.text
        assert web.get("/users/").status == 200
    assert [path for path in app.dir.glob("sessions/data/**/*") if path.suffix == ".cache"]
    assert (app.dir / "log/web.log").stat().st_size
