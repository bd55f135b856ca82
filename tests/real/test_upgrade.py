"""upgrade.sh: good upgrades, and each way in which one can fail, which leaves the packages as they were."""

import fcntl
import os
import re
import shutil
import signal
import time

import pytest
from real.apps import ADMIN, KINDS, interrupt, make_app
from real.wheels import wheel
from support import git

DATABASE, BUILD = "lib/appdir/database.py", "lib/appdir/check_config.py"  # steps of an upgrade


@pytest.fixture(scope="module")
def app(render, tmp_path_factory):
    """An app dir in an env that holds only pip: what an upgrade does beside packages needs a framework, and is off."""
    app = make_app(render, tmp_path_factory.mktemp("upgrade") / "poser", packages=False, **KINDS["wuttaweb"])
    for step in (DATABASE, BUILD):
        (app.dir / step).write_text("def main(options):\n    pass\n")
    return app


@pytest.fixture(scope="module")
def served(render, tmp_path_factory):
    """A WuttaWeb app that is set up."""
    app = make_app(render, tmp_path_factory.mktemp("served") / "poser", **KINDS["wuttaweb"])
    app.setup()
    app.wanted = (app.dir / "requirements.txt").read_text().splitlines()
    return app


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index of the test's own, with trinket 1."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    wheel(tmp_path, "trinket", "1")
    return tmp_path


@pytest.fixture
def trinket(app, index):
    """The folder in which trinket 1 is installed."""
    return install_trinket(app)


def install_trinket(app):
    """Install trinket 1, let requirements.txt ask for no more, and return its folder."""
    app.run("../bin/python", "-m", "pip", "install", "--quiet", "--force-reinstall", "trinket==1")
    ask_for(app, "trinket")
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


@pytest.fixture
def step(app):
    """A function that lets a step of the upgrade run other code."""
    kept = {}

    def step(name, code):
        path = app.dir / name
        kept.setdefault(path, path.read_text())
        path.write_text(f"def main(options):\n    {code}\n")

    yield step
    for path, text in kept.items():
        path.write_text(text)


def test_good_upgrade(app, index, trinket):
    wheel(index, "trinket", "2")
    output = app.run("./upgrade.sh").stdout
    run = runs(app)[-1]
    assert str(run) in output
    assert "trinket==2" in packages(app)
    assert "trinket==1" in (run / "requirements-before.txt").read_text()
    assert "trinket==2" in (run / "requirements-after.txt").read_text()
    assert "Successfully installed trinket-2" in (run / "output.txt").read_text()
    assert not leftovers(app)


def test_again_with_nothing_new(app, trinket):
    before = packages(app)
    assert app.run("./upgrade.sh", "--quiet").stdout == ""
    assert "already satisfied" in app.run("./upgrade.sh", "--verbose").stdout
    assert packages(app) == before


def test_without_network(app, trinket, tmp_path, says):
    """Else pip would take what is installed for the newest."""
    (tmp_path / "none").mkdir()
    before, old = packages(app), runs(app)
    done = app.run("./upgrade.sh", check=False, PIP_FIND_LINKS=str(tmp_path / "none"))
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    line = says("the network is down: `upgrade.sh`", app, done.stdout)
    assert line.startswith("upgrade.sh: no package index answers with trinket; nothing has changed")
    assert (packages(app), runs(app)) == (before, old)


def test_looking_leaves_checkouts_alone(app, index, trinket, tmp_path):
    """pip would fetch, and drop what was edited there."""
    source = tmp_path / "mine"
    source.mkdir()
    (source / "setup.py").write_text("from setuptools import setup\nsetup(name='mine', version='1')\n")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "one"]):
        git(*command, cwd=source)
    git("clone", "--quiet", source, app.env / "src/mine", cwd=app.env)
    edited = app.env / "src/mine/setup.py"
    edited.write_text("# mine\n" + edited.read_text())
    wheel(index, "trinket", "2")
    ask_for(app, f"-e git+file://{source}#egg=mine", "trinket")
    assert app.run("./upgrade.sh", "--preview").stdout == "trinket==2\n"
    assert app.run("./setup.sh", "--preview", check=False).returncode == 3
    assert edited.read_text().startswith("# mine\n")
    shutil.rmtree(app.env / "src")


def test_by_uv(served):
    """The real index, and uv where it is on PATH; what it installs, whoever runs the servers can read."""
    ask_for(served, *served.wanted, "colorama<0.4")
    assert "colorama==0.3" in upgraded(served)
    ask_for(served, *served.wanted, "colorama")
    assert "colorama==0.4" in upgraded(served)
    assert not [path for path in served.env.glob("lib/**/colorama/*.py") if not path.stat().st_mode & 0o004]


def upgraded(app):
    """Upgrade by uv, and return the packages."""
    assert shutil.which("uv")
    app.run("sh", "-c", "umask 077; ./upgrade.sh")
    output = (runs(app)[-1] / "output.txt").read_text()
    assert re.search(r"^Installed \d+ package", output, re.MULTILINE), output  # as uv says it, not pip
    return packages(app)


def test_package_that_cannot_be_installed(app, index, trinket):
    wheel(index, "trinket", "2")
    before = packages(app)
    assert failing_output(app) == ["no-such-package"]
    assert "no-such-package" in (runs(app)[-1] / "output.txt").read_text()
    assert packages(app) == before


@pytest.mark.parametrize(("name", "reason"), [("database", "no such column"), ("check_config", "no such module")])
def test_step_that_fails_after_the_packages_came(app, index, trinket, step, name, reason):
    wheel(index, "trinket", "2")
    before = packages(app)
    step(f"lib/appdir/{name}.py", f"import trinket; raise SystemExit(f'{reason} {{trinket.VERSION}}')")
    done = app.run("./upgrade.sh", check=False)
    assert done.returncode == 1
    assert f"{reason} 2" in (runs(app)[-1] / "output.txt").read_text()
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


def failing_output(app):
    """Run an upgrade that can only fail, and return which of the packages that it asks for its output names."""
    ask_for(app, "trinket", "no-such-package")
    done = app.run("./upgrade.sh", check=False)
    assert (done.returncode, "the packages are those of before" in done.stdout) == (1, True), done.stdout
    return re.findall("No matching distribution found for (\\S+)", (runs(app)[-1] / "output.txt").read_text())


def reached(app, trinket, place, path):
    """Return a function that says whether a file or folder is there, in one of the places that an upgrade changes."""
    old = runs(app)

    def is_there():
        record = next(iter(runs(app)[len(old) :]), app.dir / "no record yet")
        return ({"record": record, "env": app.env, "packages": trinket.parent}[place] / path).exists()

    return is_there


# moments of an upgrade in the order in which they come: a file or folder that is there then, below one of its places.
# Only those at which pip itself is at work; tests/unit/test_upgrade.py has the rest
POINTS = [
    ("env", ".new-snapshot/lib"),
    ("packages", "~rinket"),  # pip moves the old package away
    ("packages", "trinket-2.dist-info"),
    ("record", "requirements-after.txt"),
]


def check_next_run(app, before):
    """Check that the next upgrade begins with the packages of before the killed one, or with all of the new ones."""
    if not (app.env / ".before-upgrade").exists():  # nothing to undo: it had not begun, or was complete
        now = packages(app)
        assert now in (before, before.replace("trinket==1", "trinket==2"))
        before = now
    failing_output(app)
    assert (runs(app)[-1] / "requirements-before.txt").read_text() == before
    assert packages(app) == before
    assert not leftovers(app)


@pytest.mark.parametrize(("place", "path"), POINTS)
def test_killed_upgrade_is_undone_by_the_next(app, index, trinket, place, path):
    before = packages(app)
    big_wheel(index)
    stop_when(reached(app, trinket, place, path), app)
    check_next_run(app, before)


def test_killed_upgrade_of_a_real_env(served, index):
    trinket, before = install_trinket(served), packages(served)
    big_wheel(index)
    stop_when((trinket / "part100.py").exists, served)
    check_next_run(served, before)
    served.run("../bin/wutta", "--help")


def test_ctrl_c(app, index, trinket):
    """The packages are put back at once."""
    before = packages(app)
    big_wheel(index)
    said = stop_when((trinket / "part100.py").exists, app, by=signal.SIGINT)
    assert "the packages are those of before" in said
    assert packages(app) == before
    assert not leftovers(app)


def test_file_changed_in_place_is_put_back(app, trinket, step):
    """As some software does with files of its own, which a hard link would follow."""
    module = trinket / "__init__.py"
    before = module.read_text()
    step(BUILD, f"open({str(module)!r}, 'a').write('1 / 0'); raise SystemExit(1)")
    assert app.run("./upgrade.sh", check=False).returncode == 1
    assert module.read_text() == before


def test_pins_hold(served, index):
    """What requirements.txt keeps below a version stays there, and pip stays."""
    wheel(index, "setuptools", "99")
    install_trinket(served)
    wheel(index, "trinket", "2")
    ask_for(served, "trinket", *served.wanted)
    before = packages(served)
    done = served.run("./upgrade.sh", "--verbose", check=False)
    assert done.returncode == 0, done.stdout
    assert packages(served) == before.replace("trinket==1", "trinket==2")


def test_two_never_run_at_once(app, trinket, says):
    """Nor beside an update or a backup, which hold the same lock."""
    lock, before = os.open(app.dir, os.O_RDONLY), runs(app)
    fcntl.flock(lock, fcntl.LOCK_EX)
    done = app.run("./upgrade.sh", check=False)
    os.close(lock)
    assert done.returncode == 1
    line = says("two run at the same time: `upgrade.sh`", app, done.stdout)
    assert line == "upgrade.sh: another update, upgrade or backup is running"
    assert runs(app) == before


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
        limit, ended = time.monotonic() + 300, None
        while not ended and time.monotonic() < limit:
            time.sleep(1)
            page = web.get(f"/upgrades/{uuid}")
            ended = re.search(">(FAILURE|SUCCESS|execution failed|execution succeeded)<", page.text)
    requirements.write_text(wanted)
    new = {path.name: path for path in set((shop.dir / "data/upgrades").rglob("*")) - old if path.is_file()}
    assert ended, page.text
    assert {"requirements.before.txt", "requirements.after.txt", "stdout.log", "stderr.log"} <= new.keys()
    assert ("fail" in ended[1].lower()) is fails
    after = new["requirements.after.txt"].read_text()
    if fails:
        assert after == new["requirements.before.txt"].read_text()
        assert packages(shop) == before
    else:
        assert "trinket==7" in after
