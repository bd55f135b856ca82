"""upgrade.sh with the frameworks: an older release becomes the newest, and its migrations run on PostgreSQL."""

import os
import re
import subprocess

import pytest
from real.apps import ADMIN, KINDS, make_app

# by kind: an older set of packages, and a column that a migration of the newest adds
OLD = {
    "wuttaweb": (["WuttJamaican==0.32.2", "WuttaWeb==0.33.1"], "upgrade.target_key"),
    "tailbone": (
        [
            "Tailbone==0.21.11",
            "rattail==0.18.12",
            "WuttaWeb==0.14.1",
            "WuttJamaican==0.13.3",
            "SQLAlchemy-Continuum==1.4.2",
            "bcrypt==4.0.1",
        ],
        "batch_purchase.order_parser_key",
    ),
}
# what made an app's database when that Rattail was new; it cannot read the config of today's template
OLD_CONFIG = """
[rattail.db]
default.url = {url}
versioning.enabled = true
[alembic]
script_location = rattail.db:alembic
version_locations = rattail.db:alembic/versions
"""
OLD_ADMIN = """
import os, sys
from rattail.config import make_config
app = make_config([sys.argv[1]]).get_app()
auth = app.get_auth_handler()
with app.short_session(commit=True) as session:
    user = auth.make_user(session=session, username=sys.argv[2])
    auth.set_user_password(user, os.environ["ADMIN_PASSWORD"])
    user.roles.append(auth.get_role_administrator(session))
"""


@pytest.fixture(scope="module", params=OLD)
def old(request, render, postgresql, tmp_path_factory):
    """An app with an older release of its framework, and a database on PostgreSQL which that has made and filled."""
    pins, column = OLD[request.param]
    app = make_app(render, tmp_path_factory.mktemp(request.param) / "poser", pins=pins, **KINDS[request.param])
    app.pins, app.column, app.kind = pins, column, request.param
    app.database = postgresql(f"old-{app.kind}")
    if app.kind == "tailbone":
        password, address = re.fullmatch(r"postgresql://poser:(.*)@(.*)", app.database).groups()
        config, environment = app.env / "old.conf", {"PGPASSWORD": password, "ADMIN_PASSWORD": ADMIN[1]}
        config.write_text(OLD_CONFIG.format(url=f"postgresql://poser@{address}"))
        app.run("../bin/alembic", "-c", config, "upgrade", "heads", **environment)
        app.run("../bin/python", "-c", OLD_ADMIN, config, ADMIN[0], **environment)
    app.run("./setup.sh", check=app.kind == "wuttaweb", DATABASE_URL=app.database, ADMIN_PASSWORD=ADMIN[1])
    sql(app, "insert into setting (name, value) values ('shop.motto', 'fresh daily')")
    return app


def sql(app, query):
    """Run SQL in the database of an app, and return the lines that come back."""
    password, port, name = re.fullmatch(r"postgresql://poser:(.*)@127.0.0.1:(\d+)/(.*)", app.database).groups()
    command = ["psql", "-h", "127.0.0.1", "-p", port, "-U", "poser", "-d", name, "-qAt", "-v", "ON_ERROR_STOP=1"]
    environment = os.environ | {"PGPASSWORD": password}
    done = subprocess.run([*command, "-c", query], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def look(app):
    """Return what an upgrade may change: the schema, its revisions and the packages; and what it may not: data."""
    columns = "select table_name || '.' || column_name from information_schema.columns where table_schema = 'public'"
    return {
        "columns": sorted(sql(app, columns)),
        "revisions": sorted(sql(app, "select version_num from alembic_version")),
        "packages": app.run("../bin/python", "-m", "pip", "freeze", "--all").stdout.splitlines(),
        "data": sql(
            app, "select * from setting where name = 'shop.motto' union select username, uuid::text from \"user\""
        ),
    }


def serves(app):
    """Assert that the app starts, that its admin of before logs in, and sees the setting of before."""
    with app.serve() as web:
        web.login(*ADMIN)
        web.become_root()
        assert "fresh daily" in web.get("/settings/").text


def test_migration_that_fails(old):
    """A column is in the way of a migration: packages and schema stay those of before, and so the app serves."""
    before = look(old)
    table, column = old.column.split(".")
    sql(old, f"alter table {table} add column {column} integer")
    done = old.run("./upgrade.sh", "--verbose", check=False)
    sql(old, f"alter table {table} drop column {column}")
    assert done.returncode == 1
    assert f'column "{column}" of relation "{table}" already exists' in done.stdout
    assert look(old) == before
    if old.kind == "wuttaweb":
        serves(old)


def test_upgrade(old):
    """The newest release comes, its migrations run, data stays, and the app serves."""
    before = look(old)
    assert old.column not in before["columns"]
    assert {*old.pins} <= {*before["packages"]}
    old.run("./upgrade.sh")
    after = look(old)
    assert {old.column, *before["columns"]} <= {*after["columns"]}
    assert not {*before["revisions"]} & {*after["revisions"]}
    assert not {*old.pins} & {*after["packages"]}
    assert after["data"] == before["data"]
    assert len(after["data"]) == 2
    old.setup()
    serves(old)
