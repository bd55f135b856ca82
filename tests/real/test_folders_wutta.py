"""Each folder of a Wutta app dir is filled by the real software, from the rendered config alone."""

import json

import pytest
from real.apps import ADMIN, KINDS, make_app
from real.folders import (
    FULL,
    check_cleanup,
    check_commands_share_a_log,
    check_log_is_rotated,
    check_logs_are_apart,
    copied_cookie,
    only_file,
)
from real.web import Web

MAIL = {"send_mail": True, "mail_to": "operator@example.com", "mail_from": "shop@example.com"}
LOG_OF = {
    "wutta.conf": "wutta.log", "quiet.conf": "wutta.log", "silent.conf": "wutta.log",
    "cron.conf": "cron.log", "web.conf": "web.log",
}  # fmt: skip
KEEP_FILE = """
from wuttjamaican.conf import make_config
app = make_config("silent.conf").get_app()
handler = app.get_batch_handler("neworder")
with app.short_session() as session:
    batch = session.query(app.model.NewOrderBatch).filter_by(executed=None).one()
    with open(handler.get_data_path(batch, "wish.txt", makedirs=True), "w") as file:
        file.write("ripe ones")
    print(batch.uuid.hex)
"""
CUSTOMER = {"first_name": "Ann", "last_name": "Lee", "phone_number": "555-0100"}
PRODUCT = {"scancode": "07430500132", "description": "Apple Cider Vinegar", "unit_price_reg": 5.99}


WITH_ORDERS = pytest.mark.parametrize("app", ["sideshow-sqlite", "sideshow-postgresql"], indirect=True)
# for what has nothing to do with the app and its database
ONE_APP = pytest.mark.parametrize("app", ["wuttaweb-sqlite"], indirect=True)


@pytest.fixture(scope="module", params=["wuttaweb-sqlite", "sideshow-sqlite", "sideshow-postgresql"])
def app(request, render, tmp_path_factory, mailbox):
    """An app which sends its mail to the mailbox."""
    kind, database = request.param.split("-")
    app = make_app(
        render,
        tmp_path_factory.mktemp("folders") / "poser",
        **MAIL,
        mail_server=f"127.0.0.1:{mailbox.port}",
        **KINDS[kind],
    )
    url = {}
    if database == "postgresql":
        url["DATABASE_URL"] = request.getfixturevalue("postgresql")(f"folders-{kind}")
    app.setup(**url)
    return app


@pytest.fixture(scope="module")
def web(app):
    """The app, served, with the admin logged in and all rights taken; its log was full before."""
    (app.dir / "log/web.log").write_bytes(FULL * b"\n")
    with app.serve() as web:
        web.login(*ADMIN)
        web.become_root()
        yield web


def press(web, page, action, **data):
    """Do what a button of the page New Order does, and return the answer."""
    answer = json.loads(web.post_json("/orders/new", {"action": action, **data}, web.csrf_token(page)).text)
    assert "error" not in answer, answer
    return answer


def kept_file(app, batch):
    """Return the file that Sideshow keeps for a batch: its folder is the end and the begin of the batch's UUID."""
    return only_file(app.dir / "data/batches/neworder" / batch[-2:] / batch[:-2])


def body(mail):
    """Return the text of a mail as people see it."""
    return mail.get_body().get_content()


@pytest.mark.proves("data/batches/neworder")
@WITH_ORDERS
def test_batch_of_an_order(app, web):
    """A file of an order's batch stays with it when the order is submitted, and goes when it is cancelled."""
    page = web.page("/orders/new", "New Order")
    submitted = app.run("../bin/python", "-W", "ignore", "-c", KEEP_FILE).stdout.split()[-1]
    press(web, page, "set_pending_customer", **CUSTOMER)
    press(web, page, "add_item", product_info=PRODUCT, order_qty=2, order_uom="CS")
    shown = web.get(press(web, page, "submit_order")["next_url"].removeprefix(web.base)).text
    assert "Ann Lee" in shown
    assert "Apple Cider Vinegar" in shown
    assert kept_file(app, submitted).read_text() == "ripe ones"

    page = web.page("/orders/new", "New Order")
    cancelled = app.run("../bin/python", "-W", "ignore", "-c", KEEP_FILE).stdout.split()[-1]
    kept = kept_file(app, cancelled)
    web.post("/orders/new", {"action": "cancel_order", "_csrf": web.csrf_token(page)})
    assert not kept.exists()
    assert kept_file(app, submitted).exists()


def test_mails_without_own_template(app, web, mailbox):
    page = web.page("/", "Home")
    fields = {"_csrf": web.csrf_token(page), "referrer": page.url, "user_name": "Ann", "message": "Fine shop"}
    assert json.loads(web.post("/feedback", fields).text) == {"ok": True}
    app.run("../bin/wutta", "-c", "wutta.conf", "runner", "echo all is well")
    by_page, by_command = map(body, mailbox.messages[-2:])
    assert "Fine shop" in by_page
    assert "all is well" in by_command


@pytest.mark.proves("data/templates")
def test_template_of_a_mail(app, mailbox):
    """A mail is sent from the template that lies there, before Wutta's own."""
    (app.dir / "data/templates/runner_result.html.mako").write_text("<p>Our own words: ${output}</p>")
    app.run("../bin/wutta", "-c", "wutta.conf", "runner", "--subject", "Night", "echo all is well")
    mail = mailbox.messages[-1]
    assert "Our own words: all is well" in body(mail)
    assert mail["Subject"] == "[Poser] Night"
    assert (mail["To"], mail["From"]) == (MAIL["mail_to"], MAIL["mail_from"])


@pytest.mark.proves("sessions/data", "sessions/lock")
def test_sessions(app, web):
    """A login has its file; a logout ends it; and the command cleanup removes what expired, and only that."""
    other = Web(web.base)
    other.login(*ADMIN)
    assert Web(web.base).user(Cookie=copied_cookie(other)) == ADMIN[0]
    other.get("/logout")
    assert other.user() is None
    check_cleanup(app, web)


@ONE_APP
def test_each_process_has_its_log(app, web):
    """Web app, commands and nights have a log each; only the server rotates its own, and it loses no line."""
    check_logs_are_apart(app, "wutta", LOG_OF)
    check_log_is_rotated(app)


@pytest.mark.proves("log")
@ONE_APP
def test_commands_share_a_log(app):
    """Commands at work at once write to one log, and none of them rotates it."""
    check_commands_share_a_log(app, "wutta.log", "../bin/wutta", "-c", "quiet.conf", "runner", "--skip-if-empty")
