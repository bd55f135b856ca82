"""A host without a web app: it only runs daemons, commands and nights, and all scripts work there too."""

import pytest
from real.apps import make_app, running, scheduler_answers, until
from support import git

DAEMONS = {"rattail": {"datasync": True, "filemon": True}, "wutta": {}}
WEB = ("Tailbone", "WuttaWeb", "pyramid", "Paste")


@pytest.fixture(scope="module", params=DAEMONS)
def node(request, render, tmp_path_factory):
    """An app dir without a web app, set up."""
    folder = tmp_path_factory.mktemp("node") / "poser"
    app = make_app(render, folder, framework=request.param, web=False, **DAEMONS[request.param])
    app.framework = request.param
    app.setup()
    return app


def test_setup_installs_and_writes_nothing_of_a_web_app(node):
    listed = node.run("../bin/python", "-m", "pip", "freeze", "--all").stdout.lower()
    installed = {line.partition("==")[0] for line in listed.splitlines()}
    assert {node.framework if node.framework == "rattail" else "wuttjamaican", "luigi", "supervisor"} <= installed
    assert not installed & {name.lower() for name in WEB}
    assert (node.dir / "secrets.conf").read_text().count("\n[") == 1
    assert "Then open" not in node.output
    # the second time there is nothing to do
    assert node.setup("--quiet") == ""


def test_servers_run_and_are_checked(node):
    assert node.checks()["services"][0] == "FAILED"
    command = [node.env / "bin/supervisord", "--nodaemon", "--configuration", node.dir / "supervisor.conf"]
    with running(command, node.env / "supervisord.out", lambda: scheduler_answers(node), cwd="/"):
        until(lambda: node.checks()["services"][0] == "ok")
        found = node.checks()
        assert {f"poser:poser-{name}" for name in ("luigid", *DAEMONS[node.framework])} <= {
            *found["services"][1].removeprefix("up: ").split(", ")
        }
        assert found["web"] == ("ok", "there is none")
        assert {name for name, (status, _) in found.items() if status == "FAILED"} == set()


def test_a_night_a_cleanup_and_a_backup(node):
    node.run("./overnight.sh", "--quiet")
    assert (node.dir / "luigi/log/last-main").read_text().split()[1] == "0"
    node.run("./cleanup.sh", "--quiet")
    node.run("./backup.sh", "--init", "--quiet")
    assert node.checks()["backup"][0] == "ok"


def test_upgrade(node):
    node.run("./upgrade.sh", "--quiet")


def test_the_web_app_comes_by_an_update(node):
    """And goes again, with nothing of it left but its secrets, and what is the user's own."""

    def tracked():
        return [name for name in git("ls-files", cwd=node.dir).splitlines() if not name.startswith("poser/")]

    before, of_before = {path.name for path in node.dir.iterdir()}, tracked()
    node.run("./update.sh", "--data", "web=yes")
    assert {path.name for path in node.dir.iterdir()} - before >= {"web.conf", "sessions"}
    assert "[app:web]" in (node.dir / "secrets.conf").read_text()
    node.run("./update.sh", "--data", "web=no")
    assert not (node.dir / "web.conf").exists()
    assert tracked() == of_before
    assert git("status", "--porcelain", cwd=node.dir) == ""
