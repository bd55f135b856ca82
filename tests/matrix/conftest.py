"""Fixtures for tests of `copier update`: app dirs of frozen versions and of the work tree, with data in them."""

import shutil

import copier
import pytest
import yaml
from freeze import set_address
from matrix.edits import commit, write_data
from support import ANSWERS, files, git


@pytest.fixture(scope="session")
def fresh(tmp_path_factory):
    """A function that gives the files of a fresh copy of a template's newest version: fresh(repository, answers)."""
    made = {}

    def fresh(repo, answers):
        key = repo, yaml.safe_dump(answers)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("fresh") / "poser/app"
            copier.run_copy(str(repo), made[key], data=answers, defaults=True, quiet=True)
        return files(made[key])

    return fresh


@pytest.fixture(scope="session")
def rendered(template_repo, tmp_path_factory):
    """A function that gives an app dir of the work tree's version with a set of answers, committed."""
    made = {}

    def rendered(number):
        if number not in made:
            app = tmp_path_factory.mktemp("rendered") / "poser/app"
            answers = {"app_name": "poser"} | ANSWERS[number]
            copier.run_copy(str(template_repo), app, data=answers, defaults=True, quiet=True)
            git("init", "--quiet", cwd=app)
            commit(app)
            made[number] = app
        return made[number]

    return rendered


@pytest.fixture
def place(rendered, template_repo, tmp_path):
    """A function that gives an app dir of the work tree's version, with data: (app dir, what the app wrote there).

    Like `frozen` it takes the number of a set of answers, and the repository of the template, with newer versions.
    """

    def place(number=0, repo=template_repo):
        app = tmp_path / "poser/app"
        shutil.copytree(rendered(number), app)
        set_address(app, repo)
        commit(app)
        return app, write_data(app)

    return place
