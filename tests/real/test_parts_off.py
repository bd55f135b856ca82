"""An app without backups that nothing starts: it is set up, serves, and its checks are right."""

from real.apps import ADMIN, KINDS, make_app


def test_no_services_and_no_backups(render, tmp_path):
    app = make_app(render, tmp_path / "poser", services="none", backups=False, **KINDS["tailbone"])
    ready = app.setup()
    assert f"{app.env}/bin/pserve file+ini:{app.dir}/web.conf" in ready
    assert "supervisor" not in ready
    for name in ("backup.sh", "restore.sh", "restic.env", "supervisor.conf", "../bin/supervisord"):
        assert not (app.dir / name).exists(), name
    assert "job overnight-main" in (app.dir / "system/crontab").read_text()
    assert not [path for path in app.dir.glob("system/*") if "backup" in path.read_text()]
    app.run("./overnight.sh", "--quiet")
    with app.serve() as web:
        web.login(*ADMIN)
        found = app.checks()
        assert failed(found) == set()
        assert {found[name][0] for name in ("services", "web", "backup")} == {"ok"}
    assert failed(app.checks()) == {"services", "web"}
    app.run("./cleanup.sh")
    app.setup("--quiet")


def failed(found):
    """Return the names of the checks that failed."""
    return {name for name, (status, _) in found.items() if status == "FAILED"}
