"""What the template adds to the web apps of upstream: threads, guarded logins, and errors that are told apart."""

import re
import threading
import time

import pytest
from real.apps import ADMIN
from real.folders import copied_cookie
from real.test_login import many_pages_at_once
from real.web import Web

SLOW = '''
import time


def includeme(config):
    """Add a page that works for some seconds."""
    config.add_route("slow", "/slow")
    config.add_view(slow, route_name="slow", renderer="json")


def slow(request):
    """Work, and tell who asked."""
    name = str(request.user)
    time.sleep(20)
    return name
'''
KINDS = ["tailbone", "wuttaweb", "sideshow"]


def add_page(app, work="time.sleep(20)"):
    """Add a page /slow to an app, which does some work in Python before it answers."""
    path = next(app.env.glob("lib/python3*/site-packages")) / "slow_page.py"
    path.write_text(SLOW.replace("time.sleep(20)", work))
    text = (app.dir / "web.conf").read_text()
    (app.dir / "web.conf").write_text(re.sub("exclog (slow_page )?appdir.web", "exclog slow_page appdir.web", text))


@pytest.fixture(scope="module", params=KINDS)
def app(app_of, request):
    """An app of each kind, whose config a test may change."""
    app = app_of(request.param)
    kept = (app.dir / "web.conf").read_text()
    yield app
    (app.dir / "web.conf").write_text(kept)


def test_slow_page_stops_nobody(app):
    """While a page works for one user, another opens the login page and logs in."""
    add_page(app)
    found = []
    with app.serve() as web:
        web.login(*ADMIN)
        waiting = threading.Thread(target=lambda: found.append(web.get("/slow")))
        waiting.start()
        time.sleep(1)
        other = Web(web.base)
        other.page("/login", "Login")
        other.login(*ADMIN)
        assert not found, "the slow page was done before the others were asked for"
        waiting.join()
    assert found[0].text == f'"{ADMIN[0]}"'


def test_login_and_logout_leave_no_session_to_others(app):
    """The session has a new name after a login, and a copy of the cookie is dead after the logout."""
    with app.serve() as web:
        web.get("/login")
        chosen = copied_cookie(web)
        web.login(*ADMIN)
        assert web.user() == ADMIN[0]
        assert web.user(Cookie=chosen) is None
        copied, stranger = copied_cookie(web), Web(web.base)
        assert stranger.user(Cookie=copied) == ADMIN[0]
        web.get("/logout")
        assert stranger.user(Cookie=copied) is None


def test_wrong_passwords_are_logged_and_then_refused(app):
    """After some wrong passwords nobody logs in from that address; each is logged with its user and address."""
    logs = [path for path in app.dir.glob("log/*.log") if path.name in ("rattail.log", "wutta.log", "web.log")]
    before = {path: path.stat().st_size for path in logs}
    with app.serve() as web:
        form = web.page("/login", "Login")
        wrong = {"username": "admin", "password": "wrong", "_csrf": web.csrf_token(form)}
        assert [web.post("/login", wrong).status for _ in range(40)] == [200] * 20 + [429] * 20
        assert web.post("/login", wrong | {"password": ADMIN[1]}).status == 429
    text = b"\n".join(path.read_bytes()[before[path] :] for path in logs).decode()
    assert len(re.findall("login refused for 'admin' from 127.0.0.1$", text, re.MULTILINE)) == 41


def test_errors_are_told_apart(app):
    """A page that is missing, or that fails, has the status of an error."""
    add_page(app, "1 / 0")
    with app.serve() as web:
        web.login(*ADMIN)
        assert web.get("/slow").status == 500
        assert web.get("/missing").status == 404


# pages that only a repair lets work, or hides; when one of them works without, that repair can go
REPAIRED = [
    "/poser/reports/",
    "/appinfo/configure",
    "/tables/app/",
    "/member-equity-payments/new",
    "/products/pending/new",
]


def statuses(app):
    """Return the status of each of these pages, as an admin sees them, and how often the log speaks of repairs."""
    log = app.dir / "log/rattail.log"
    before = len(log.read_text())
    with app.serve() as web:
        web.login(*ADMIN)
        web.become_root()
        found = [web.get(path).status for path in REPAIRED]
        many_pages_at_once(web)
    return found, (log.read_text()[before:] + (app.dir / "log/web.log").read_text()).count("so it is not repaired")


def test_each_repair_is_needed_and_only_for_known_versions(app_of):
    """Of another version Tailbone is as upstream made it, with all its faults, and the log says so once."""
    app = app_of("tailbone")
    assert statuses(app) == ([200, 200, 200, 404, 404], 0)
    (path,) = app.env.glob("lib/python3*/site-packages/[Tt]ailbone-*.dist-info/METADATA")
    kept = path.read_text()
    path.unlink()  # a link to that of all tests
    try:
        path.write_text(re.sub(r"(?m)^Version: .*", "Version: 0.99.0", kept))
        assert statuses(app) == ([500] * 5, 1)
    finally:
        path.write_text(kept)
