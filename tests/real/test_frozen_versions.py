"""Each release but 0.9.0, which was none: an app of it is set up and updated by its own scripts, and works."""

import pytest
from freeze import numbers, set_address, thaw_app, versions
from matrix.update.places import edit
from real.apps import ADMIN, make_app
from support import NEXT, git

EDITED = ("web.conf", "luigitasks/__init__.py")


def rename_modules(repo):
    """Give modules of lib/ that an update uses other names, as a release may: only the hand-over stays."""
    lib = repo / "template/lib/appdir"
    for path in lib.rglob("*.py*"):
        path.write_text(path.read_text().replace("bring_in", "take_in").replace("check_config", "prove_config"))
    (lib / "bring_in.py").rename(lib / "take_in.py")
    (lib / "check_config.py").rename(lib / "prove_config.py")


@pytest.mark.parametrize(("version", "number"), [(name, number) for name in versions()[1:] for number in numbers(name)])
def test_update_by_its_own_script(next_version, tmp_path, version, number):
    repo = next_version(rename_modules)

    def thaw(folder, **_):
        thaw_app(version, number, folder)
        set_address(folder, repo)

    app = make_app(thaw, tmp_path / "poser")
    app.setup()
    app.run("./update.sh", "--vcs-ref", f"v{version}", "--data", f"web_port={app.port}")
    for name in EDITED:
        edit(app, name)
    kept = (app.dir / "secrets.conf").read_text()
    app.run("./update.sh")
    assert f"_commit: {NEXT}\n" in (app.dir / ".copier-answers.yml").read_text()
    assert (app.dir / "lib/appdir/take_in.py").exists()
    assert not (app.dir / "lib/appdir/bring_in.py").exists()
    for name in EDITED:
        assert (app.dir / name).read_text().endswith("# mine\n")
    assert (app.dir / "secrets.conf").read_text().startswith(kept)
    assert git("status", "--porcelain", cwd=app.dir) == ""
    with app.serve() as web:
        web.login(*ADMIN)
    app.run("./update.sh", "--undo")
    assert (app.dir / "lib/appdir/bring_in.py").exists()
