"""Each framework and published app runs from a rendered app dir: on each database and Python."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from real.apps import ADMIN, KINDS

CASES = [
    *[(kind, database, "3.11") for kind in KINDS for database in ("sqlite", "postgresql")],
    *[(kind, "sqlite", python) for kind in ("tailbone", "wuttaweb") for python in ("3.12", "3.13")],
]


@pytest.fixture
def app(app_of, kind, database, python):
    """An app of each kind, on a database and with a Python."""
    return app_of(kind, database, python)


@pytest.mark.parametrize(("kind", "database", "python"), CASES)
@pytest.mark.proves("log", "sessions/data", "sessions/lock")
def test_admin_logs_in(app):
    """An app that setup.sh made serves its pages, logs, and keeps the login in a file."""
    with app.serve() as web:
        assert web.user() is None
        assert web.get("/users/").url == f"{web.base}/login"
        web.login(*ADMIN)
        web.become_root()
        many_pages_at_once(web)
    assert [path for path in app.dir.glob("sessions/data/**/*") if path.suffix == ".cache"]
    assert list(app.dir.glob("sessions/lock/**/*.lock"))
    assert (app.dir / "log/web.log").stat().st_size


def many_pages_at_once(web):
    """Ask for pages as a browser does, which loads a page's files at once, and as some users do."""
    with ThreadPoolExecutor(8) as users:
        found = list(users.map(web.page, ["/", "/users/"] * 30, ["Home", "Users"] * 30))
    assert {page.user for page in found} == {ADMIN[0]}
