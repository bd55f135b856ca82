"""Fixtures for tests of `copier update`: app dirs of each version of the template."""

import shutil

import copier
import pytest
from matrix.versions import NOW, commit, make_history, write_data
from support import ANSWERS, files, git


@pytest.fixture(scope="session")
def history(template, tmp_path_factory):
    """The template's repository with all its versions."""
    return make_history(template, tmp_path_factory.mktemp("history"))


@pytest.fixture(scope="session")
def rendered(history, tmp_path_factory):
    """A function that gives an app dir of a version and a set of answers, rendered once and committed."""
    made = {}

    def rendered(version, number):
        if (version, number) not in made:
            app = tmp_path_factory.mktemp("rendered") / "poser/app"
            answers = {"app_name": "poser"} | ANSWERS[number]
            copier.run_copy(str(history), app, data=answers, defaults=True, quiet=True, vcs_ref=version)
            git("init", "--quiet", cwd=app)
            commit(app)
            made[version, number] = app
        return made[version, number]

    return rendered


@pytest.fixture(scope="session")
def fresh(rendered):
    """A function that gives the files of a fresh copy of the newest version, with a set of answers."""
    return lambda number: files(rendered(NOW, number))


@pytest.fixture
def place(rendered, tmp_path):
    """A function that gives an app dir of its own, with what a user and the app wrote: (app dir, their files)."""

    def place(version, number=0):
        app = tmp_path / "poser/app"
        shutil.copytree(rendered(version, number), app)
        return app, write_data(app)

    return place
