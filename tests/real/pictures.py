"""The pictures of the docs, from the real app in a real browser; `nox -s pictures` runs this."""

from real import browser
from real.apps import ADMIN
from support import ROOT, require

LARGEST = 150_000  # bytes of a picture


def test_pictures(app_of):
    """Save the home page, a list and the page of Luigi."""
    require(not browser.unavailable(), "Chromium", "chromium chromium-driver")
    app = app_of("tailbone")
    with app.supervise() as web, browser.Browser() as window:
        window.login(web.base, *ADMIN)
        window.become_root(web.base, ADMIN[0])
        for name, path, title, text in (
            ("home", "/", "Home", "Welcome"),
            ("list", "/roles/", "Roles", "Administrator"),
            ("luigi", "/luigi/", "View / Launch Tasks", "Overnight"),
        ):
            window.visit(web.base + path, title, text)
            picture = ROOT / f"docs/{name}.png"
            window.save(picture)
            assert picture.stat().st_size <= LARGEST
