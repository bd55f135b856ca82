"""Each app that PyPI has for these frameworks, tried from a rendered app dir; `nox -s apps` runs this.

What was seen goes into docs/compatibility.md.  An app that does not work is no failure here:
its row says why.  But the bare frameworks must work.
"""

import configparser
import datetime
import json
import re

import pytest
from real.apps import ADMIN, make_app
from real.envs import install
from real.menu_walk import walk
from support import ROOT

FRAMEWORKS = {"rattail": ("rattail", "Tailbone"), "wutta": ("WuttJamaican", "WuttaWeb")}
APPS = {
    "Tailbone": {"framework": "rattail"},
    "rattail-demo": {"framework": "rattail", "app_package": "rattail_demo", "web_app": "egg:rattail-demo"},
    "rattail-tutorial": {"framework": "rattail", "app_package": "rattail_tutorial", "web_app": "egg:rattail-tutorial"},
    "corporal": {"framework": "rattail", "app_package": "corporal"},
    "messkit": {"framework": "rattail", "app_package": "messkit"},
    "tailbone-theo": {"framework": "rattail", "app_package": "theo", "web_app": "egg:tailbone-theo"},
    "WuttaWeb": {"framework": "wutta"},
    "wutta-demo": {"framework": "wutta", "web_app": "egg:wutta-demo"},
    "Sideshow": {"framework": "wutta", "app_package": "sideshow", "web_app": "egg:Sideshow"},
    # its tables need SQLAlchemy 2, with which Luigi 3 cannot keep its history
    "WuttaFarm": {"framework": "wutta", "app_package": "wuttafarm", "web_app": "egg:WuttaFarm", "luigi": False},
    "WuttaPOS": {"framework": "wutta", "app_package": "wuttapos", "web_app": "egg:WuttaPOS"},
}
# what an app asks of its site beside the answers, in local.conf: values by section
SITE = {"WuttaFarm": {"wutta": {"farmos_integration_mode": "none"}, "farmos": {"url.base": "http://127.0.0.1:1"}}}
COLUMNS = ["app", "rendered with", "framework", "Python", "SQLite", "PostgreSQL", "tried on"]
VERSIONS = """
import json, platform, sys
from importlib.metadata import version
print(json.dumps([platform.python_version(), *map(version, sys.argv[1:])]))
"""
TABLE = re.compile(r"(?<=<!-- apps -->\n).*?(?=\n\n|\n?\Z)", re.DOTALL)


def put_into_table(name, *cells):
    """Write an app's row into docs/compatibility.md, in the place of its old one."""
    page = ROOT / "docs/compatibility.md"
    text = page.read_text()
    rows = {line.split()[1]: line for line in TABLE.search(text)[0].splitlines()[2:]}
    rows[name] = f"| {' | '.join(cells)} |"
    head = [f"| {' | '.join(COLUMNS)} |", "| --- " * len(COLUMNS) + "|"]
    lines = head + [rows[name] for name in APPS if name in rows]
    page.write_text(TABLE.sub(lambda match: "\n".join(lines), text))


def reason(error, app):
    """Return in one line why something failed: the last that a command or the server said."""
    said = str(error)
    if isinstance(error, RuntimeError):  # of the server, which leaves its words in a file
        said += "\n" + (app.env / "web.conf.out").read_text(errors="replace")
    line = said.strip().splitlines()[-1].replace(f"{app.env}/", "").replace("|", "/")
    return line.strip()[:200]


def rendered_with(name):
    """Return what the row of an app says about its answers, and what it needs in local.conf."""
    answers = [f"`{key}={str(value).lower() if value is False else value}`" for key, value in APPS[name].items()]
    site = [f"`[{section}] {key}`" for section, values in SITE.get(name, {}).items() for key in values]
    return " ".join(answers) + (f"; {', '.join(site)} in local.conf" if site else "")


def try_out(app, look, **database):
    """Set the app up on a database, log in, and return what `look(web)` sees then, or why that fails."""
    (app.dir / "secrets.conf").unlink(missing_ok=True)
    try:
        app.setup(**database)
        with app.serve() as web:
            web.login(*ADMIN)
            web.become_root()
            return look(web)
    except (AssertionError, LookupError, OSError, RuntimeError) as error:
        return f"no: {reason(error, app)}"


def look_at_all(web):
    """Open each page of the menu, and return how many fail."""
    found = walk(web)
    failed = {path: status for path, status in found.items() if status != 200}
    if not failed:
        return f"works, {len(found)} pages"
    path, status = next((re.sub("[0-9a-f-]{32,}", "UUID", path), status) for path, status in failed.items())
    return f"works, but {len(failed)} of {len(found)} pages fail, such as `{path}` ({status})"


@pytest.mark.parametrize("name", APPS)
def test_app(name, render, tmp_path, postgresql):
    """An app is set up, served and logged into on SQLite, and on PostgreSQL each page of its menu opened."""
    parts = FRAMEWORKS[APPS[name]["framework"]]
    app = make_app(render, tmp_path / "poser", packages=False, **APPS[name])
    site = configparser.RawConfigParser()
    site.read_dict(SITE.get(name, {}))
    with (app.dir / "local.conf").open("w") as file:
        site.write(file)
    today = datetime.date.today().isoformat()
    try:
        install(app.env, app.dir / "requirements.txt")
    except AssertionError as error:
        put_into_table(name, name, rendered_with(name), "", "", f"no: {reason(error, app)}", "", today)
        assert name not in parts
        return
    python, own, *theirs = json.loads(app.run("../bin/python", "-c", VERSIONS, name, *parts).stdout)
    framework = ", ".join(map(" ".join, zip(parts, theirs, strict=True)))
    sqlite = try_out(app, lambda web: "works")
    production = try_out(app, look_at_all, DATABASE_URL=postgresql(f"published-{name}"))
    put_into_table(name, f"{name} {own}", rendered_with(name), framework, python, sqlite, production, today)
    assert name not in parts or (sqlite, production[:7]) == ("works", "works, ")
