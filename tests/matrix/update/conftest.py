"""Fixtures for tests of update.sh: app dirs in an env without packages, where whatever needs the framework succeeds."""

import shutil
import sys
from pathlib import Path

import pytest
from matrix.update.places import change, put_back
from real.apps import App
from real.envs import make_env
from support import copy_work_tree, git, release

HERE = Path(__file__).parent
ANSWERS = {"app_name": "poser", "offline_assets": "false"}
PYTHON = """\
#!/bin/sh
case " $* " in
    *" --keep-database "*) ;;
    *"/lib check-app "*) cat "$APPDIR/problem" 2> /dev/null || echo '{"ok": true}'; exit 0 ;;
    *"/lib setup "*) [ ! -e "$APPDIR/data/damaged" ] || { echo "setup.sh: damaged" >&2; exit 1; }; exit 0 ;;
esac
exec "$(dirname -- "$0")/real-python" "$@"
"""


@pytest.fixture(scope="session", autouse=True)
def copier_once(tmp_path_factory):
    """Let update.sh use a Copier that renders the same only once."""
    folder = tmp_path_factory.mktemp("copier")
    real = Path(sys.executable).with_name("copier")
    (folder / "copier").write_text(f'#!/bin/sh\nexec {sys.executable} -I {HERE / "copier_once.py"} {real} "$@"\n')
    (folder / "copier").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COPIER", str(folder / "copier"))
        yield folder / "copier"


@pytest.fixture(scope="session")
def first(tmp_path_factory):
    """The template without packages, released as 1.0.0."""
    repo = tmp_path_factory.mktemp("first") / "template"
    copy_work_tree(repo, "copier.yml", "includes", "template", ".gitattributes")
    (repo / "template/requirements.txt.jinja").write_text("# Template. What the app needs.\n")
    git("init", "--quiet", cwd=repo)
    release(repo, "v1.0.0")
    return repo


@pytest.fixture(scope="session")
def newer(first, tmp_path_factory):
    """A function that invents a version after 1.0.0: newer(change, tag) returns a repository that has both."""
    made = {}

    def newer(function, tag="v1.1.0"):
        if function not in made:
            repo = tmp_path_factory.mktemp("newer") / "template"
            git("clone", "--quiet", first, repo, cwd=first)
            function(repo)
            release(repo, tag)
            made[function] = repo
        return made[function]

    return newer


def news(repo):
    """Change, add and drop files."""
    change(repo, "web.conf.jinja", "host = {{ web_host }}", "host = {{ web_host }}\n# new in 1.1.0")
    change(repo, "cron.conf.jinja", "level = WARNING", "level = ERROR")
    change(repo, "setup.sh", "set -eu", "set -eu\n# new in 1.1.0")
    (repo / "template/quiet.conf.jinja").unlink()
    (repo / "template/own/deep").mkdir(parents=True)
    (repo / "template/own/deep/hello.sh").write_text("#!/bin/sh\n# Template. New in 1.1.0.\nset -eu\n")
    (repo / "template/own/deep/hello.sh").chmod(0o755)
    (repo / "template/data/new").mkdir()
    (repo / "template/data/new/.gitkeep").touch()


@pytest.fixture(scope="session")
def versions(newer):
    """The template with a version 1.1.0, which changes, adds and drops files."""
    return newer(news)


@pytest.fixture(scope="session")
def made(versions, copier_once, tmp_path_factory):
    """An app of version 1.0.0 in an env with pip alone, and copies of its app dir: `before`, and later `after`."""
    app = App(tmp_path_factory.mktemp("update") / "poser", 0)
    make_env(app.env, sys.executable)
    (app.env / "bin/python").rename(app.env / "bin/real-python")
    (app.env / "bin/python").write_text(PYTHON)
    (app.env / "bin/python").chmod(0o755)
    data = [part for item in ANSWERS.items() for part in ("--data", "{}={}".format(*item))]
    app.dir.mkdir()
    app.run(copier_once, "copy", "--quiet", "--defaults", "--vcs-ref", "v1.0.0", *data, versions, app.dir)
    app.run("./setup.sh", "--quiet", "--keep-database")
    shutil.copytree(app.dir, app.env / "before", symlinks=True)
    return app


@pytest.fixture
def app(made):
    """The app at version 1.0.0, with all that an earlier test did to its app dir undone."""
    return put_back(made, made.env / "before")


@pytest.fixture
def updated(made):
    """The app as it is after an update, which is run once."""
    if not (made.env / "after").exists():
        put_back(made, made.env / "before").run("./update.sh")
        shutil.copytree(made.dir, made.env / "after", symlinks=True)
    return put_back(made, made.env / "after")


@pytest.fixture
def at(app):
    """A function that lets the app belong to the template at another address, as if it had been copied from there."""

    def at(address):
        answers = app.dir / ".copier-answers.yml"
        lines = answers.read_text().splitlines()
        text = "\n".join(f"_src_path: {address}" if line.startswith("_src_path") else line for line in lines)
        answers.write_text(f"{text}\n")
        git("commit", "--quiet", "--all", "--amend", "--no-edit", cwd=app.dir)
        return app

    return at
