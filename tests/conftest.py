"""Fixtures that every test shares: the template as a tagged release, and how to render it."""

import os
from pathlib import Path

import copier
import pytest
from support import questions, release_work_tree


@pytest.fixture(scope="session", autouse=True)
def isolated(tmp_path_factory):
    """Keep the configuration of git and Copier on this machine out of the tests."""
    home = tmp_path_factory.mktemp("home")
    (home / "copier.yml").write_text("{}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
        patch.setenv("COPIER_SETTINGS_PATH", str(home / "copier.yml"))
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Test")
            patch.setenv(f"GIT_{role}_EMAIL", "test@localhost")
        for name in ("DATABASE_URL", "ADMIN_PASSWORD", "REDIS_URL", "VIRTUAL_ENV"):
            patch.delenv(name, raising=False)
        # where a machine sets it, each process would compile all of its modules anew
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A git repository with the template as the work tree has it now, tagged v1.0.0."""
    return release_work_tree(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def render(template):
    """A function that copies the template: render(folder, **answers) returns the folder.

    Questions without an answer get their default.  An answer to no question is
    a ValueError, since Copier itself takes it without a word.
    """

    def render(folder, **answers):
        if unknown := answers.keys() - questions().keys():
            raise ValueError(f"no such question: {', '.join(sorted(unknown))}")
        copier.run_copy(str(template), folder, data=answers, defaults=True, quiet=True)
        return Path(folder)

    return render
