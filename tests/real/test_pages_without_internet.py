"""Pages work without internet: a browser that reaches 127.0.0.1 only shows them and logs in."""

import urllib.parse

import pytest
from real import browser
from real.apps import ADMIN, free_port, make_app
from real.proxies import nginx
from support import require


@pytest.fixture(autouse=True)
def chromium():
    """Chromium and its driver, or a skip that nobody misses."""
    require(not browser.unavailable(), "Chromium", "chromium chromium-driver")


@pytest.fixture
def app(app_of, kind):
    """An app of each framework."""
    return app_of(kind)


@pytest.mark.proves("data/libcache")
@pytest.mark.parametrize("kind", ["tailbone", "wuttaweb"])
def test_admin_logs_in_without_internet(app):
    """A browser that reaches only the app misses a file that is gone; once setup.sh has put it back, it logs in."""
    (app.dir / "data/libcache/buefy-0.9.25.min.js").unlink()
    with app.serve() as web:
        with browser.Browser() as window, pytest.raises(AssertionError, match="buefy"):
            window.login(web.base, *ADMIN)
        app.setup()
        with browser.Browser() as window:
            window.login(web.base, *ADMIN)
            window.become_root(web.base, ADMIN[0])
            window.visit(web.base + "/users/", "Users", "Username")


@pytest.mark.parametrize("framework", ["rattail", "wutta"])
def test_behind_a_url_prefix(render, tmp_path_factory, framework):
    """With a prefix, all that a page loads is found below it too; and the headers of nginx forbid nothing of it."""
    app = make_app(render, tmp_path_factory.mktemp("prefix") / "poser",
                   framework=framework, reverse_proxy="http", url_prefix="/shop", domain="127.0.0.1")  # fmt: skip
    app.setup()
    port, folder = free_port(), tmp_path_factory.mktemp("nginx")
    site = (app.dir / "system/nginx.conf").read_text()
    with (
        app.serve(),
        app.scheduler(),
        nginx(folder, site, {"http": port, "https": port}),
        browser.Browser() as window,
    ):
        base = f"http://127.0.0.1:{port}/shop"
        window.login(base, *ADMIN)
        window.become_root(base, ADMIN[0])
        window.visit(f"{base}/users/", "Users", "Username")
        window.visit(f"{base}/appinfo/configure", "Configure App Info", "Basics")
        window.driver.get(f"{base}/luigi/scheduler/")
        window.check(base)
        window.see("Dependency Graph")


@pytest.mark.parametrize("path", ["missing.js", "..%2f..%2fsecrets.conf", "../../secrets.conf", ""])
def test_libcache_serves_nothing_else(app_of, path):
    app = app_of("wuttaweb")
    with app.serve() as web:
        page = web.get("/libcache/" + path, Accept="text/html")
    assert page.status == 404
    assert str(app.dir) not in urllib.parse.unquote(page.text)
    assert "beaker" not in page.text
