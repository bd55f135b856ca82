"""A page that fails mails its traceback to the operator, by the app's own mail settings."""

import pytest
from real.apps import KINDS, make_app

OPERATOR, SENDER = "operator@shop.example", "app@shop.example"
# a page that fails
BROKEN = """
def view(request):
    return 1 / 0


def includeme(config):
    config.add_route("broken", "/broken")
    config.add_view(view, route_name="broken")
"""


@pytest.fixture
def failing_page(mailbox, tmp_path, monkeypatch):
    """A function that lets an app have a page /broken, and gives its status and the mails that came of it."""
    (tmp_path / "broken.py").write_text(BROKEN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def failing_page(app):
        web_conf = app.dir / "web.conf"
        text = web_conf.read_text()
        assert text.count("\npyramid.includes = ") == 1
        web_conf.write_text(text.replace("\npyramid.includes = ", "\npyramid.includes = broken "))
        before = len(mailbox.messages)
        with app.serve() as web:
            status = web.get("/broken?item=41").status
        return status, mailbox.messages[before:]

    return failing_page


@pytest.mark.parametrize("kind", ["tailbone", "wuttaweb"])
def test_error_is_mailed(render, failing_page, kind, mailbox, tmp_path):
    server = f"127.0.0.1:{mailbox.port}"
    answers = {"send_mail": True, "mail_server": server, "mail_to": OPERATOR, "mail_from": SENDER}
    app = make_app(render, tmp_path / "poser", **answers, **KINDS[kind])
    app.setup()
    status, (mail,) = failing_page(app)
    assert status == 500
    assert (mail["To"], mail["From"], mail["Subject"]) == (OPERATOR, SENDER, "[poser] error")
    text = mail.get_content()
    assert "Traceback (most recent call last)" in text
    assert "ZeroDivisionError: division by zero" in text
    assert "/broken?item=41" in text


def test_without_mail_nothing_is_sent(app_of, failing_page):
    app = app_of("wuttaweb")
    text = (app.dir / "web.conf").read_text()
    status, mails = failing_page(app)
    (app.dir / "web.conf").write_text(text)
    assert (status, mails) == (500, [])
    assert "ZeroDivisionError: division by zero" in (app.dir / "log/web.log").read_text()
