"""Servers that run are restarted by an update or upgrade, and parts that it turns on or off start or stop."""

import re

import pytest
from real.apps import ADMIN, KINDS, listens, make_app, processes, taken_port, until
from real.web import Web
from real.wheels import wheel
from support import git


@pytest.fixture(scope="module")
def app(render, tmp_path_factory):
    """A WuttaWeb app that is set up, with a patience of seconds."""
    app = make_app(render, tmp_path_factory.mktemp("restarts") / "poser", **KINDS["wuttaweb"])
    services = app.dir / "lib/appdir/services.py"
    services.write_text(services.read_text().replace("PATIENCE = 90 ", "PATIENCE = 20 "))
    app.setup()
    return app


@pytest.fixture
def supervised(app):
    """The app with its servers up, as supervisor runs them."""
    with app.supervise():
        until(lambda: processes(app).keys() == {"web", "luigid"})
        yield app


def works(app):
    """Assert that the admin logs in."""
    Web(f"http://127.0.0.1:{app.port}").login(*ADMIN)


def test_upgrade(supervised, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    (supervised.dir / "local-requirements.txt").write_text("trinket\n")
    before = processes(supervised)
    wheel(tmp_path, "trinket", "1")
    supervised.run("./upgrade.sh", "--no-restart")
    assert processes(supervised) == before
    wheel(tmp_path, "trinket", "2")
    assert "/login answers" in supervised.run("./upgrade.sh").stdout
    after = processes(supervised)
    assert after.keys() == before.keys()
    assert not {*before.values()} & {*after.values()}
    works(supervised)
    supervised.run("./upgrade.sh")
    assert processes(supervised) == after  # nothing is new
    git("checkout", "--quiet", "local-requirements.txt", cwd=supervised.dir)


def test_update_that_turns_a_part_off_and_on(supervised):
    before = processes(supervised)
    supervised.run("./update.sh", "--data", "luigi=false")
    assert processes(supervised).keys() == {"web"}
    assert processes(supervised)["web"] != before["web"]
    supervised.run("./update.sh", "--undo", "--no-restart")
    assert processes(supervised).keys() == {"web"}
    supervised.run("./services.sh", "restart")
    assert processes(supervised).keys() == before.keys()
    works(supervised)


def test_update_with_which_the_servers_do_not_come_up(supervised):
    """Its port is taken: the update undoes itself, and the servers are up again."""
    before, head = supervised.checks(), git("rev-parse", "HEAD^{tree}", cwd=supervised.dir)
    with taken_port(supervised) as (taken, _):
        done = supervised.run("./update.sh", "--data", f"web_port={taken}", check=False)
    assert done.returncode == 1
    assert re.search(r"(?m)^update.sh: not all servers are up: .*; the update was undone$", done.stdout), done.stdout
    assert git("rev-parse", "HEAD^{tree}", cwd=supervised.dir) == head
    works(supervised)
    after = supervised.checks()
    assert [after.pop("disk")[0], before.pop("disk")[0]] == ["ok", "ok"]  # its line says what is free now
    assert after == before
    supervised.run("./update.sh")  # nothing holds its lock


def test_upgrade_with_which_the_servers_do_not_come_up(supervised, tmp_path, monkeypatch):
    """A package that the build of the app does not use ends the servers: the old one returns, and they are up."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    (supervised.dir / "local-requirements.txt").write_text("bauble\n")
    wheel(tmp_path, "bauble", "1")
    supervised.run("./upgrade.sh")
    ends = "import os, sys\nif 'pserve' in ' '.join(sys.orig_argv):\n    os._exit(1)\n"
    wheel(tmp_path, "bauble", "2", files={"bauble_at_start.pth": "import bauble.start\n", "bauble/start.py": ends})
    done = supervised.run("./upgrade.sh", check=False)
    assert done.returncode == 1
    assert re.search("(?m)^upgrade.sh: not all servers are up: .* are up with them$", done.stdout), done.stdout
    works(supervised)
    assert "bauble==1" in supervised.run("../bin/python", "-m", "pip", "freeze").stdout
    assert not (supervised.env / ".before-upgrade").exists()
    git("checkout", "--quiet", "local-requirements.txt", cwd=supervised.dir)


def test_update_that_leaves_supervisor(supervised):
    """What is left to do is said, as a command that works."""
    said = supervised.run("./update.sh", "--data", "services=none").stdout
    command = re.search("no longer what runs the servers; stop it with: (.*)", said)[1]
    supervised.run(*command.split())
    until(lambda: not listens(supervised.port))
    supervised.run("./update.sh", "--undo")


def test_update_of_an_app_that_is_down_starts_nothing(app):
    app.run("./update.sh", "--data", "luigi=false")
    assert not listens(app.port)
    app.run("./update.sh", "--undo")
    assert not listens(app.port)


def test_servers_never_start_as_root(app):
    done = app.run("./services.sh", "start", check=False)
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    assert done.stdout.startswith("services.sh: the servers must not run as root; name a service user")
