"""upgrade.sh: good upgrades, and each way in which one can fail, which leaves the packages as they were."""

import re
import signal
import subprocess
import time

import pytest
from real.apps import ADMIN, KINDS, interrupt, make_app
from real.wheels import wheel


@pytest.fixture(scope="module")
def app(render, tmp_path_factory):
    """A WuttaWeb app that is set up, and upgrades the package `trinket` from a folder of wheels."""
    app = make_app(render, tmp_path_factory.mktemp("upgrade") / "poser", **KINDS["wuttaweb"])
    app.setup()
    app.wanted = (app.dir / "requirements.txt").read_text().splitlines()
    return app


@pytest.fixture
def index(app, tmp_path, monkeypatch):
    """A package index of the test's own, with trinket 1, which is installed."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    wheel(tmp_path, "trinket", "1")
    app.run("../bin/python", "-m", "pip", "install", "--quiet", "--force-reinstall", "trinket==1")
    ask_for(app, "trinket")
    return tmp_path


@pytest.fixture
def trinket(app, index):
    """The folder in which trinket is installed."""
    (path,) = app.env.glob("lib/python*/site-packages/trinket")
    return path


def packages(app):
    """Return what pip says is installed."""
    return app.run("../bin/python", "-m", "pip", "freeze", "--all").stdout


def ask_for(app, *names):
    """Let requirements.txt name these packages."""
    (app.dir / "requirements.txt").write_text("".join(f"{name}\n" for name in names))


def runs(app):
    """Return the folders of all upgrades so far, oldest first."""
    return sorted(path for path in (app.dir / "data/upgrades").iterdir() if path.is_dir())


def works(app):
    """Return whether the app's command still starts."""
    return app.run("../bin/wutta", "--help").returncode == 0


def test_good_upgrade(app, index):
    wheel(index, "trinket", "2")
    output = app.run("./upgrade.sh").stdout
    assert "Upgraded" in output
    assert "trinket==2" in packages(app)
    run = runs(app)[-1]
    assert "trinket==1" in (run / "requirements-before.txt").read_text()
    assert "trinket==2" in (run / "requirements-after.txt").read_text()
    assert "Successfully installed trinket-2" in (run / "output.txt").read_text()
    assert works(app)


def test_again_with_nothing_new(app, index):
    before = packages(app)
    assert app.run("./upgrade.sh", "--quiet").stdout == ""
    assert "already satisfied" in app.run("./upgrade.sh", "--verbose").stdout
    assert packages(app) == before


def test_package_that_cannot_be_installed(app, index):
    wheel(index, "trinket", "2")
    ask_for(app, "trinket", "no-such-package")
    before = packages(app)
    done = app.run("./upgrade.sh", "--quiet", check=False)
    assert done.returncode == 1
    assert "the packages are those of before" in done.stdout
    assert "no-such-package" in (runs(app)[-1] / "output.txt").read_text()
    assert packages(app) == before
    assert works(app)


def test_migration_that_fails(app, index):
    """The package comes, but the database step breaks: the package goes again."""
    step = app.dir / "lib/setup_database.py"
    good = step.read_text()
    wheel(index, "trinket", "2")
    before = packages(app)
    step.write_text("import trinket\nassert trinket.VERSION == '2'\nraise SystemExit('no such column')\n")
    done = app.run("./upgrade.sh", check=False)
    step.write_text(good)
    assert done.returncode == 1
    assert "no such column" in (runs(app)[-1] / "output.txt").read_text()
    assert packages(app) == before


def stop_when(reached, app, by=signal.SIGKILL):
    """Begin an upgrade, send all of it a signal as soon as `reached()` is true, and return what it said."""
    said = interrupt(["./upgrade.sh"], app.dir, reached=reached, by=by)
    app.run("flock", ".", "true")  # pip may take a moment longer to end
    return said


def leftovers(app):
    """Return what an upgrade has left beside the packages."""
    return list(app.env.glob(".*-*"))


def big_wheel(index):
    """Write trinket 2 with so many files that it takes a while to install."""
    wheel(index, "trinket", "2", files=[(f"trinket/part{n}.py", "x = 1\n" * 200) for n in range(300)])


def fails(app):
    """Run an upgrade that can only fail."""
    ask_for(app, "trinket", "no-such-package")
    done = app.run("./upgrade.sh", check=False)
    return done.returncode == 1 and "the packages are those of before" in done.stdout


# moments of an upgrade in the order in which they come: a file or folder that is there then, below one of its places
POINTS = [
    ("record", "."),
    ("record", "requirements-before.txt"),
    ("env", ".new-snapshot/lib"),
    ("env", ".before-upgrade"),
    ("record", "output.txt"),
    ("packages", "~rinket"),  # pip moves the old package away
    ("packages", "trinket/part100.py"),
    ("packages", "trinket-2.dist-info"),
    ("record", "requirements-after.txt"),
    ("record", "succeeded"),
    ("env", ".old-snapshot"),
]


@pytest.mark.parametrize(("place", "path"), POINTS)
def test_killed_upgrade_is_made_good_by_the_next(app, index, trinket, place, path):
    before, old = packages(app), runs(app)
    big_wheel(index)

    def reached():
        record = next(iter(runs(app)[len(old) :]), app.dir / "no record yet")
        return ({"record": record, "env": app.env, "packages": trinket.parent}[place] / path).exists()

    stop_when(reached, app)
    if not (app.env / ".before-upgrade").exists():  # nothing to take back: it had not begun, or was complete
        now = packages(app)
        assert now in (before, before.replace("trinket==1", "trinket==2"))
        before = now
    assert fails(app)
    assert packages(app) == before
    assert not leftovers(app)
    assert works(app)


@pytest.mark.parametrize("part", ["bin", "lib"])
def test_killed_while_it_puts_back(app, index, part):
    before = packages(app)
    ask_for(app, "trinket", "no-such-package")
    stop_when((app.env / ".failed-upgrade" / part).exists, app)
    assert (app.env / ".before-upgrade").exists()
    assert fails(app)
    assert packages(app) == before
    assert not leftovers(app)
    assert works(app)


def test_ctrl_c(app, index, trinket):
    """The packages are put back at once."""
    before = packages(app)
    big_wheel(index)
    said = stop_when((trinket / "part100.py").exists, app, by=signal.SIGINT)
    assert "the packages are those of before" in said
    assert packages(app) == before
    assert not leftovers(app)


def test_file_changed_in_place_is_put_back(app, index, trinket):
    """As some software does with files of its own, which a hard link would follow."""
    module = trinket / "__init__.py"
    before = module.read_text()
    step = app.dir / "lib/setup_database.py"
    good = step.read_text()
    step.write_text(f"open({str(module)!r}, 'a').write('1 / 0')\nraise SystemExit(1)\n")
    assert app.run("./upgrade.sh", check=False).returncode == 1
    step.write_text(good)
    assert module.read_text() == before


def test_two_in_one_second(app, index):
    """The one that fails does not take the success of the other for its own."""
    for second in range(5):
        name = time.strftime("%Y-%m-%d-%H%M%S", time.localtime(time.time() + second))
        folder = app.dir / "data/upgrades" / name
        folder.mkdir(exist_ok=True)
        (folder / "succeeded").touch()
    before = packages(app)
    assert fails(app)
    assert packages(app) == before


def test_pins_hold(app, index):
    """What requirements.txt keeps below a version stays there, and pip stays."""
    wheel(index, "setuptools", "99")
    ask_for(app, "trinket", *app.wanted)
    before = packages(app)
    app.run("./upgrade.sh")
    assert packages(app) == before


def test_two_never_run_at_once(app, index):
    step = app.dir / "lib/setup_database.py"
    good = step.read_text()
    step.write_text("import time\ntime.sleep(5)\n")
    first = subprocess.Popen(["./upgrade.sh", "--quiet"], cwd=app.dir)
    time.sleep(1)
    second = app.run("./upgrade.sh", check=False)
    assert first.wait() == 0
    step.write_text(good)
    assert second.returncode == 1
    assert second.stdout.strip() == "upgrade.sh: another update, upgrade or backup is running"


@pytest.fixture
def shop(app_of, kind):
    """A shop of each framework, on PostgreSQL."""
    return app_of(kind, "postgresql")


@pytest.mark.proves("data/upgrades", of="shop")
@pytest.mark.parametrize(("kind", "fails"), [("sideshow", False), ("sideshow", True), ("tailbone", False)])
def test_from_the_web_page(shop, fails, tmp_path, monkeypatch):
    """An upgrade executed from its page keeps the packages before and after, and its output; a failing one too."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    requirements = shop.dir / "requirements.txt"
    wanted = requirements.read_text()
    wheel(tmp_path, "trinket", "7")
    requirements.write_text("no-such-package\n" if fails else "trinket\n")
    before = packages(shop)
    old = set((shop.dir / "data/upgrades").rglob("*"))
    with shop.serve() as web:
        web.login(*ADMIN)
        web.become_root()
        page = web.page("/upgrades/new", "New Upgrade")
        fields = {"_csrf": web.csrf_token(page), "description": "Test", "notes": "", "__formid__": "deform"}
        for name in re.findall(r'name="(system|enabled|status)"', page.text):
            fields[name] = {"system": "rattail", "enabled": "true", "status": "pending"}[name]
        made = web.post("/upgrades/new", fields)
        uuid = made.url.rstrip("/").rsplit("/", 1)[-1]
        assert re.fullmatch(r"[0-9a-f-]{32,36}", uuid), made.text[:3000]
        web.post(f"/upgrades/{uuid}/execute", {"_csrf": web.csrf_token(made)})
        limit, ended = time.monotonic() + 90, None
        while not ended and time.monotonic() < limit:
            time.sleep(1)
            page = web.get(f"/upgrades/{uuid}")
            ended = re.search(">(FAILURE|SUCCESS|execution failed|execution succeeded)<", page.text)
    requirements.write_text(wanted)
    new = {path.name: path for path in set((shop.dir / "data/upgrades").rglob("*")) - old if path.is_file()}
    assert {"requirements.before.txt", "requirements.after.txt", "stdout.log", "stderr.log"} <= new.keys()
    assert ended, page.text
    assert ("fail" in ended[1].lower()) is fails
    after = new["requirements.after.txt"].read_text()
    if fails:
        assert after == new["requirements.before.txt"].read_text()
        assert packages(shop) == before
    else:
        assert "trinket==7" in after
