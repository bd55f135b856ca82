"""The packages of the env belong to an update: what it installed goes with it, when it fails or is undone."""

import pytest
from matrix.update.places import is_new, refused, tracked, version
from real.wheels import wheel
from support import git


def need_trinket(repo):
    """Need one package more."""
    (repo / "template/requirements.txt.jinja").write_text("# Template. What the app needs.\ntrinket\n")


@pytest.fixture
def app(at, newer, tmp_path, monkeypatch):
    """The app, to which a version comes that needs the package trinket; pip finds its version 1."""
    wheel(tmp_path, "trinket", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    app = at(newer(need_trinket))
    (app.dir / ".git/info").mkdir(exist_ok=True)
    (app.dir / ".git/info/exclude").write_text("/problem\n")
    yield app
    app.run("../bin/python", "-m", "pip", "uninstall", "--quiet", "--yes", "trinket")


def packages(app):
    """Return what pip says is installed; no copy of the packages may be left."""
    assert not list(app.env.glob(".*-*"))
    return app.run("../bin/python", "-m", "pip", "freeze", "--all").stdout


def test_failed_update_leaves_the_packages(app):
    before, old = packages(app), tracked(app)
    (app.dir / "problem").write_text('{"ok": false, "message": "broken"}')
    for options in ([], ["--continue"]):
        assert "broken; the app dir has not changed" in refused(app, *options)
        assert packages(app) == before
    app.run("./update.sh", "--abort")
    assert packages(app) == before
    (app.dir / "problem").unlink()
    assert tracked(app) == old
    app.run("./update.sh")
    assert is_new(app)
    assert "trinket==1\n" in packages(app)


def test_undo_restores_the_packages(app):
    before = packages(app)
    app.run("./update.sh")
    new = packages(app)
    assert "trinket==1\n" in new
    (app.dir / "problem").write_text('{"ok": false, "message": "broken"}')
    refused(app, "--undo")
    assert packages(app) == new
    app.run("./update.sh", "--abort")
    (app.dir / "problem").unlink()
    app.run("./update.sh", "--undo")
    assert version(app) == "v1.0.0"
    assert packages(app) == before


def test_preview_tells_that_packages_come(app):
    before = packages(app)
    assert "packages    would be changed" in app.run("./update.sh", "--preview").stdout
    assert packages(app) == before


def test_packages_that_cannot_be_installed(app, monkeypatch, tmp_path):
    before = packages(app)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "none"))
    assert "pip could not install everything" in refused(app)
    assert packages(app) == before
    app.run("./update.sh", "--abort")


def test_own_packages_have_their_own_file(app, tmp_path):
    """setup.sh and upgrade.sh read it, and no update touches it."""
    own = app.dir / "local-requirements.txt"
    own.write_text(own.read_text() + "trinket\n")
    git("commit", "--quiet", "--all", "--message", "Edit", cwd=app.dir)
    app.run("./setup.sh", "--keep-database")
    assert "trinket==1\n" in packages(app)
    wheel(tmp_path, "trinket", "2")
    assert "trinket==2" in app.run("./upgrade.sh", "--preview").stdout.splitlines()
    app.run("./update.sh")
    assert is_new(app)
    assert own.read_text().endswith("trinket\n")
