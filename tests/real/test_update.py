"""update.sh with the real software: what comes in runs, and what does not load or start stays out.

All else about updates is in tests/matrix/update, where no framework is needed.
"""

import configparser
import os

import copier
import pytest
from matrix.update.places import change, edit, is_new, refused, tracked
from real.apps import ADMIN, KINDS, make_app
from real.wheels import wheel
from support import git, release


@pytest.fixture(scope="module")
def versions(template, tmp_path_factory):
    """The template with versions after 1.0.0: 1.1.0 is good, `unreadable` does not load, and `broken` cannot start."""
    repo = tmp_path_factory.mktemp("versions") / "template"
    git("clone", "--quiet", template, repo, cwd="/")
    git("branch", "first", cwd=repo)
    change(repo, "cron.conf.jinja", "level = WARNING", "level = ERROR")
    (repo / "template/quiet.conf.jinja").unlink()
    release(repo, "v1.1.0")
    for branch, changes in {"unreadable": UNREADABLE, "broken": BROKEN}.items():
        git("switch", "--quiet", "--create", branch, "first", cwd=repo)
        for name, texts in changes.items():
            change(repo, name, *texts)
        git("commit", "--quiet", "--all", "--message", branch, cwd=repo)
    return repo


UNREADABLE = {
    "cron.conf.jinja": ("[handler_console]\n", "[handler_console\n"),
    "web.conf.jinja": ("use = {{ web_app }}", "use = egg:no-such-app"),
    "quiet.conf.jinja": ("require = ", "require = %(nowhere)s"),
    "silent.conf.jinja": ("%(here)s/", "%(here)s/missing-"),
    "setup.sh": ("set -eu", "if set -eu"),
    "luigi/luigi.cfg.jinja": ("[core]", "[core"),
}
BROKEN = {
    "web.conf.jinja": ("pyramid.includes = pyramid_exclog", "pyramid.includes = pyramid_exclog no_such_package"),
    "requirements.txt.jinja": ("# upstream needs", "trinket\n# upstream needs"),
}


def new_app(versions, folder, **answers):
    """Make an app of version 1.0.0, set up."""

    def render(folder, **answers):
        copier.run_copy(str(versions), folder, data=answers, defaults=True, quiet=True, vcs_ref="v1.0.0")

    app = make_app(render, folder, **answers)
    app.setup()
    return app


@pytest.fixture(scope="module")
def app(versions, tmp_path_factory):
    """A WuttaWeb app of version 1.0.0."""
    return new_app(versions, tmp_path_factory.mktemp("update") / "poser", **KINDS["wuttaweb"])


def test_version_that_does_not_load_stays_out(app):
    before = tracked(app)
    output = refused(app, "--vcs-ref", "unreadable")
    for name in UNREADABLE:
        assert f"{name.removesuffix('.jinja')}: " in output
    assert tracked(app) == before
    app.run("./update.sh", "--abort")


def test_version_that_cannot_start_stays_out_with_its_packages(app, tmp_path):
    """Each of its files loads; only an app that is really built shows that it does not start."""
    wheel(tmp_path, "trinket", "1")
    packages, before = app.run("../bin/python", "-m", "pip", "freeze", "--all").stdout, tracked(app)
    index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    output = refused(app, "--vcs-ref", "broken", **index)
    assert "web.conf: the app cannot start: ModuleNotFoundError: No module named 'no_such_package'" in output
    assert tracked(app) == before
    assert app.run("../bin/python", "-m", "pip", "freeze", "--all").stdout == packages
    app.run("./update.sh", "--abort")


@pytest.mark.parametrize("kind", ["wuttaweb", "tailbone"])
def test_update_brings_the_new_version_and_the_app_runs(kind, versions, app, tmp_path):
    """With an own edit, and parts that go on, whose secrets are new."""
    if kind == "tailbone":
        app = new_app(versions, tmp_path / "poser", **KINDS[kind])
    core = "wutta.conf" if kind == "wuttaweb" else "rattail.conf"
    edit(app, core)
    secrets = configparser.RawConfigParser()
    secrets.read(app.dir / "secrets.conf")
    parts = ["--data", "web_api=true"] if kind == "tailbone" else ["--data", "batch_types=[neworder, other]"]
    output = app.run("./update.sh", *parts).stdout
    assert is_new(app)
    assert "gone (but in git): quiet.conf" in output
    assert (app.dir / core).read_text().endswith("# mine\n")
    assert "level = ERROR" in (app.dir / "cron.conf").read_text()
    after = configparser.RawConfigParser()
    after.read(app.dir / "secrets.conf")
    for section in secrets.sections():
        assert dict(after[section]) == dict(secrets[section])
    if kind == "tailbone":
        assert after.has_option("app:webapi", "beaker.session.secret")
    else:
        assert os.path.isdir(app.dir / "data/batches/other")
    with app.serve() as web:
        web.login(*ADMIN)
