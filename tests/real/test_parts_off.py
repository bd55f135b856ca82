"""An app without backups that nothing starts: it is set up, serves, and its checks are right."""

import json

from real.apps import ADMIN, KINDS, make_app


def test_no_services_and_no_backups(render, tmp_path):
    app = make_app(render, tmp_path / "poser", services="none", backups=False, **KINDS["tailbone"])
    ready = app.setup()
    assert f"{app.env}/bin/pserve file+ini:{app.dir}/web.conf" in ready
    assert "supervisor" not in ready
    for name in ("backup.sh", "restore.sh", "restic.env", "supervisor.conf", "programs.conf", "../bin/supervisord"):
        assert not (app.dir / name).exists(), name
    assert not [path for path in app.dir.glob("system/*") if "backup" in path.read_text()]
    app.run("./overnight.sh", "--quiet")
    with app.serve() as web:
        web.login(*ADMIN)
        found = checks(app)
        assert {name for name, status in found.items() if status == "FAILED"} == set()
        assert (found["services"], found["web"], found["backup"]) == ("ok", "ok", "ok")
    found = checks(app)
    assert {name for name, status in found.items() if status == "FAILED"} == {"services", "web"}
    app.run("./cleanup.sh")
    app.setup("--quiet")


def checks(app):
    """Return what check.sh finds, which ends with exit code 1 if something failed: {check: status}."""
    done = app.run("./check.sh", "--json", check=False)
    found = {line["check"]: line["status"] for line in json.loads(done.stdout)}
    assert done.returncode == ("FAILED" in found.values())
    return found
