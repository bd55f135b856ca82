"""Each folder of a Rattail app dir is filled by the real software, from the rendered config alone."""

import csv
import html
import io
import re
import zipfile
from urllib.parse import urlsplit

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
    paths_in,
    send,
)
from real.web import Web

MAIL = {"send_mail": True, "mail_to": "operator@example.com", "mail_from": "shop@example.com"}
UPC = "07430500132"  # the product of Tailbone's own catalog template
SEED = f"""
from rattail.config import make_config
app = make_config("silent.conf").get_app()
model = app.model
with app.short_session(commit=True) as session:
    product = model.Product(upc=app.make_gpc({UPC!r}, calc_check_digit="upc"), description="Apple Cider Vinegar")
    product.prices.append(model.ProductPrice(price=5.99, level=1, type=app.enum.PRICE_TYPE_REGULAR))
    product.regular_price = product.prices[0]
    person = model.Person(first_name="Ann", last_name="Lee", display_name="Ann Lee")
    customer = model.Customer(id="1", name="Ann Lee", account_holder=person)
    session.add_all([product, person, customer, model.Vendor(id="1", name="KeHE")])
    session.flush()
    app.save_setting(session, "rattail.vendor.kehe", session.query(model.Vendor).one().uuid)
    print(session.query(model.Vendor).one().uuid)
"""
INVOICE = (
    "InvoiceNumber,InvoiceDate,Upc,ShipItem,Brand,Description,OrderQuantity,ShipQuantity,NetEach,NetBillable,PackSize\n"
    f"77,01/31/2026,{UPC},123456,Bragg,Apple Cider Vinegar,12,12,3.59,43.08,12/32.0 oz\n"
)
LOG_OF = {
    "rattail.conf": "rattail.log", "quiet.conf": "rattail.log", "silent.conf": "rattail.log",
    "cron.conf": "cron.log", "web.conf": "web.log", "webapi.conf": "webapi.log",
    "datasync.conf": "datasync.log", "filemon.conf": "filemon.log",
}  # fmt: skip

# for what has nothing to do with the database
ONE_DATABASE = pytest.mark.parametrize("app", ["postgresql"], indirect=True)
# for what test_luigi.py runs on PostgreSQL
OTHER_DATABASE = pytest.mark.parametrize("app", ["sqlite"], indirect=True)


@pytest.fixture(scope="module", params=["postgresql", "sqlite"])
def app(request, render, tmp_path_factory, mailbox):
    """A Rattail app with a product, a customer and a vendor, which sends its mail to the mailbox."""
    parts = {"datasync": True, "filemon": True, "web_api": True}
    app = make_app(
        render,
        tmp_path_factory.mktemp("folders") / "poser",
        **parts,
        **MAIL,
        mail_server=f"127.0.0.1:{mailbox.port}",
        **KINDS["tailbone"],
    )
    url = {}
    if request.param == "postgresql":
        url["DATABASE_URL"] = request.getfixturevalue("postgresql")("folders")
    app.setup(**url)
    app.vendor = app.run("../bin/python", "-W", "ignore", "-c", SEED).stdout.split()[-1]
    return app


@pytest.fixture(scope="module")
def tmp(app, tmp_path_factory):
    """The folder that the app's processes take for /tmp, once it is set up."""
    folder = tmp_path_factory.mktemp("tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def web(app, tmp):
    """The app, served, with the admin logged in and all rights taken; its log was full before."""
    (app.dir / "log/web.log").write_bytes(FULL * b"\n")
    with app.serve() as web:
        web.login(*ADMIN)
        web.become_root()
        yield web


def upload(name, content):
    """Return the fields of a form that sends a file."""
    return {"__start__": "filename:mapping", "upload": (name, content), "__end__": "filename:mapping"}


def record_folder(app, folder, page):
    """Return where Rattail keeps the files of the record that a page shows: by its UUID, below `folder`."""
    uuid = urlsplit(page.url).path.rstrip("/").rsplit("/", 1)[-1]
    return app.dir / folder / uuid[:2] / uuid[2:]


def template_for_users(web):
    """Return the file that the page of catalogs offers for download, to be filled in."""
    page = web.page("/vendors/catalogs/", "Vendor Catalog Batches")
    link = re.search(r'<a href="([^"]+)">Download Default Template', page.text)[1]
    return web.get(html.unescape(link).removeprefix(web.base)).body


def words(xlsx):
    """Return all texts of a spreadsheet's cells, from the bytes of its file."""
    with zipfile.ZipFile(io.BytesIO(xlsx)) as archive:
        parts = [archive.read(name).decode() for name in archive.namelist() if name.startswith("xl/")]
    return re.findall("<t(?: [^>]*)?>([^<]*)</t>", "".join(parts))


@pytest.mark.proves("data/uploads", "data/batches/vendor_catalog")
def test_catalog_batch(app, web, tmp):
    """A price list sent by its form passes through the folder of uploads, and its batch keeps it and shows its rows."""
    before = paths_in(app, "data/uploads")
    sheet = template_for_users(web)
    page = send(
        web, "/vendors/catalogs/new",
        **upload("prices.xlsx", sheet), parser_key="rattail.contrib.generic", vendor_uuid=app.vendor,
    )  # fmt: skip
    assert "Apple Cider Vinegar" in page.text
    kept = only_file(record_folder(app, "data/batches/vendor_catalog", page))
    assert kept.name == "prices.xlsx"
    assert kept.read_bytes() == sheet
    (passed,) = paths_in(app, "data/uploads") - before
    assert passed.read_bytes() == sheet
    assert list(tmp.rglob("*")) == []
    assert paths_in(app, "work/tmp") == set()


@pytest.mark.proves("data/batches/vendor_invoice")
def test_invoice_batch(app, web):
    """An invoice sent by its form is kept by its batch, which shows its rows."""
    fields = {"parser_key": "rattail.contrib.kehe", "purchase_order_number": "4711"}
    page = send(web, "/vendors/invoices/new", **upload("invoice.csv", INVOICE.encode()), **fields)
    assert "Apple Cider Vinegar" in page.text
    kept = only_file(record_folder(app, "data/batches/vendor_invoice", page))
    assert kept.name == "invoice.csv"
    assert kept.read_text() == INVOICE


@pytest.mark.proves("data/batches/inventory")
def test_inventory_batch(app, web, tmp_path):
    """The command make-batch keeps a count's file with its batch, which the web page shows."""
    count = tmp_path / "count.csv"
    count.write_text(f"upc,cases,units\n{UPC},1,2\n")
    before = paths_in(app, "data/batches/inventory")
    command = ["make-batch", "inventory", "--input-file", count, "--kwargs", "{}"]  # it fails without kwargs
    app.run("../bin/rattail", "-c", "rattail.conf", "--runas", ADMIN[0], *command)
    (kept,) = paths_in(app, "data/batches/inventory") - before
    assert kept.read_bytes() == count.read_bytes()
    page = web.get(f"/batch/inventory/{kept.parent.parent.name}{kept.parent.name}")
    assert re.fullmatch(r"Inventory » \d{8}", page.title)


@pytest.mark.proves("data/exports/report_output")
def test_report(app, web):
    """A report run from its page is kept, and downloaded again as it was."""
    page = send(web, "/reports/generated/new/customer_mailing")
    kept = only_file(record_folder(app, "data/exports/report_output", page)).read_bytes()
    assert {"Ann", "Lee"} <= set(words(kept))
    assert web.get(urlsplit(page.url).path + "/download").body == kept


@pytest.mark.proves("poser")
def test_own_report(app, web):
    """A report of the app's own, written by the page Poser Reports, is found there and runs."""
    fields = {"report_name": "Who Buys", "description": "All customers", "flavor": "customer_py"}
    send(web, "/poser/reports/new", report_key="who_buys", include_comments="true", **fields)
    assert "Who Buys" in (app.dir / "poser/poser/reports/who_buys.py").read_text()
    assert "Users and Roles" in web.page("/poser/reports/", "Poser Reports").text
    for key, expected in [("users_and_roles", ADMIN[0]), ("who_buys", "Ann Lee")]:
        page = send(web, f"/reports/generated/new/poser_{key}")
        assert expected in words(only_file(record_folder(app, "data/exports/report_output", page)).read_bytes())


@pytest.mark.proves("data/exports/instacart_product_export")
def test_own_export(app, web):
    """A page of the app's own makes a file of products with its record, which is downloaded again as it was."""
    assert "InstacartProductExportView" in web.page("/poser/views/", "Poser Views").text
    page = send(web, "/instacart/product-exports/new")
    kept = only_file(record_folder(app, "data/exports/instacart_product_export", page))
    (row,) = csv.DictReader(kept.read_text().splitlines())
    assert row["item_name"] == "Apple Cider Vinegar"
    assert row["price"] == "5.99"
    assert web.get(f"{urlsplit(page.url).path}/download?filename={kept.name}").body == kept.read_bytes()


@pytest.mark.proves("data/exports/instacart_product_export", "work/csv")
@OTHER_DATABASE
def test_night(app, web):
    """The starter tasks of a night make a file of products with its record, and the table of products as CSV."""
    exports = app.dir / "data/exports/instacart_product_export"
    before = set(exports.rglob("*.csv"))
    log = app.dir / "log/cron.log"
    logged = log.stat().st_size if log.exists() else 0
    app.run("./overnight.sh", "--quiet", "main", "2026-01-31")
    assert log.stat().st_size > logged
    (made,) = set(exports.rglob("*.csv")) - before
    assert "Apple Cider Vinegar" in made.read_text()
    records = web.page("/instacart/product-exports/", "Instacart Product Exports").text
    assert made.parent.parent.name + made.parent.name in records
    (row,) = csv.DictReader((app.dir / "work/csv/Product.csv").read_text().splitlines())
    assert row["description"] == "Apple Cider Vinegar"


@pytest.mark.proves("data/templates")
def test_template_for_users(app, web):
    """A spreadsheet set on the page Configure is kept, and is what users download to fill in."""
    path, prefix = "/vendors/catalogs/configure", "rattail.batch.vendor_catalog.input_file_template.default"
    fields = {"_csrf": web.csrf_token(web.get(path)), f"{prefix}.mode": "hosted", f"{prefix}.file": ""}
    web.post(path, {**fields, f"{prefix}.url": "", f"{prefix}.file.upload": ("ours.xlsx", b"our columns")})
    hosted = app.dir / "data/templates/input_files/vendorcatalogs/default/0001/ours.xlsx"
    assert hosted.read_bytes() == b"our columns"
    assert template_for_users(web) == b"our columns"


@pytest.mark.proves("data/templates")
@ONE_DATABASE
def test_template_of_a_mail(app, mailbox):
    """A mail is sent from the template that lies there, before Rattail's own."""
    (app.dir / "data/templates/run_n_mail.html.mako").write_text("<p>Our own words: ${output}</p>")
    app.run("../bin/rattail", "-c", "rattail.conf", "run-n-mail", "--subject", "Night", "echo all is well")
    mail = mailbox.messages[-1]
    assert "Our own words: all is well" in mail.get_content()
    assert mail["Subject"] == "[Poser] Night"
    assert (mail["To"], mail["From"]) == (MAIL["mail_to"], MAIL["mail_from"])


@pytest.mark.proves("sessions/data", "sessions/lock")
@ONE_DATABASE
def test_sessions(app, web):
    """A login has its file; a logout ends its use; and the command cleanup removes what expired, and only that."""
    other = Web(web.base)
    other.login(*ADMIN)
    cookie = copied_cookie(other)
    stranger = Web(web.base)
    assert stranger.user(Cookie=cookie) == ADMIN[0]
    other.get("/logout")
    assert other.user() is None
    assert stranger.user(Cookie=cookie) is None
    check_cleanup(app, web)


@pytest.mark.proves("work/generated-projects")
def test_project(app, web):
    """A project made by the page Generate Project is kept as a folder and as the archive that is downloaded."""
    path = "/generated-projects/new/rattail_shopfoo"
    fields = {"integration_name": "Foo", "integration_url": "https://www.example.com/", "name": "rattail-foo"}
    fields |= {"pkg_name": "rattail_foo", "pypi_name": "rattail-foo", "extends_config": "true", "extends_db": "true"}
    page = web.post(path, {"_csrf": web.csrf_token(web.get(path)), **fields})
    projects = app.dir / "work/generated-projects"
    assert (projects / "rattail-foo.zip").read_bytes() == page.body
    assert (projects / "rattail-foo/rattail_foo/__init__.py").is_file()


@ONE_DATABASE
def test_each_process_has_its_log(app, web):
    """Web app, commands, nights and daemons have a log each; only a server rotates its own, and it loses no line."""
    check_logs_are_apart(app, "rattail", LOG_OF)
    check_log_is_rotated(app)


@pytest.mark.proves("log")
@ONE_DATABASE
def test_commands_share_a_log(app):
    """Commands at work at once write to one log, and none of them rotates it."""
    check_commands_share_a_log(
        app, "rattail.log", "../bin/rattail", "-c", "quiet.conf", "run-n-mail", "--skip-if-empty"
    )
