"""Each framework and published app runs from a rendered app dir: on each database and Python."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from real.apps import ADMIN, KINDS
from real.web import Unexpected, Web

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


@pytest.mark.parametrize("kind", ["tailbone", "wuttaweb"])
def test_what_is_refused_is_noticed(app_of, kind):
    """A wrong password, root for nobody, a page that the user may not see, and one that is missing."""
    name, password = ADMIN
    with app_of(kind).serve() as web:
        web.login_is_refused(name, "wrong")
        refused = [
            lambda: web.login(name, "wrong"),
            lambda: web.login("nobody", password),
            web.become_root,
            lambda: web.page("/users/", "Users"),
            lambda: Web(web.base).login_is_refused(*ADMIN),
        ]
        for ask in refused:
            with pytest.raises(Unexpected):
                ask()
        assert web.user() is None
        web.login(*ADMIN)
        for path, title in (("/appinfo/", "App Info"), ("/missing", "Missing"), ("/users/", "Roles")):
            with pytest.raises(Unexpected):
                web.page(path, title)
