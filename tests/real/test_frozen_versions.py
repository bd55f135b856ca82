"""Each release but 0.9.0, which was none: an app of it is updated twice by its own scripts, and works."""

import pytest
from freeze import numbers, set_address, thaw_app, versions
from matrix.update.places import edit
from matrix.versions import rename
from real.apps import ADMIN, make_app
from support import NEXT, git

AFTER_NEXT = "v102.0.0"


def rename_modules(repo):
    """Give modules of lib/ that an update uses other names, as a release may: only the hand-over stays."""
    lib = repo / "template/lib/appdir"
    for path in lib.rglob("*.py*"):
        path.write_text(path.read_text().replace("bring_in", "take_in").replace("check_config", "prove_config"))
    (lib / "bring_in.py").rename(lib / "take_in.py")
    (lib / "check_config.py").rename(lib / "prove_config.py")
    rename(repo, "quiet.conf", "hushed.conf")
    rename(repo, "poser/poser/handlers.py", "poser/poser/handling.py")


def rename_again(repo):
    """Give a config a third name, and put a file of the operator's into a folder."""
    rename(repo, "hushed.conf", "config/quietest.conf")
    rename(repo, "luigitasks/__init__.py", "luigitasks/shop/__init__.py")


@pytest.mark.parametrize(("version", "number"), [(name, number) for name in versions()[1:] for number in numbers(name)])
def test_updates_by_its_own_scripts(next_version, tmp_path, version, number):
    repo = next_version(rename_again, AFTER_NEXT, next_version(rename_modules))

    def thaw(folder, **_):
        thaw_app(version, number, folder)
        set_address(folder, repo)

    app = make_app(thaw, tmp_path / "poser")
    app.setup()
    app.run("./update.sh", "--vcs-ref", f"v{version}", "--data", f"web_port={app.port}")
    framework = "wutta" if (app.dir / "wutta.conf").exists() else "rattail"
    app.run(f"../bin/{framework}", "make-appdir", "--path", app.dir)  # as people did before there was a template
    secrets = (app.dir / "secrets.conf").read_text()
    mine = ["luigitasks/__init__.py", *["poser/poser/handlers.py"] * (app.dir / "poser").exists()]
    for release, config in ((NEXT, "hushed.conf"), (AFTER_NEXT, "config/quietest.conf")):
        for name in ("web.conf", "quiet.conf" if release == NEXT else "hushed.conf", *mine):
            edit(app, name, f"# mine before {release}\n")
        yours = {name: (app.dir / name).read_bytes() for name in mine}
        app.run("./update.sh", "--vcs-ref", release)
        assert f"_commit: {release}\n" in (app.dir / ".copier-answers.yml").read_text()
        for name in ("web.conf", config):
            assert (app.dir / name).read_text().endswith(f"# mine before {release}\n")
        assert {name: (app.dir / name).read_bytes() for name in mine} == yours
        assert (app.dir / "secrets.conf").read_text().startswith(secrets)
        assert git("status", "--porcelain", cwd=app.dir) == ""
    assert f"# mine before {NEXT}\n" in (app.dir / config).read_text()
    assert not [name for name in ("quiet.conf", "hushed.conf", "lib/appdir/bring_in.py") if (app.dir / name).exists()]
    assert (app.dir / "lib/appdir/take_in.py").exists()
    with app.serve() as web:
        web.login(*ADMIN)
    for name in ("hushed.conf", "quiet.conf"):
        app.run("./update.sh", "--undo")
        assert (app.dir / name).read_text().endswith(f"# mine before {NEXT}\n# mine before {AFTER_NEXT}\n")
    assert (app.dir / "lib/appdir/bring_in.py").exists()
    assert {name: (app.dir / name).read_bytes() for name in mine} == yours
