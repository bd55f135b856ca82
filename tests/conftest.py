"""Fixtures that every test shares: the template as a tagged release, and how to render it."""

import os
from pathlib import Path

import copier
import jinja2
import plumbum
import pytest
import yaml
from support import questions, release_work_tree

pytest_plugins = ["real.proofs"]


@pytest.fixture(scope="session", autouse=True)
def isolated(tmp_path_factory):
    """Keep the configuration of git and Copier on this machine out of the tests."""
    home = tmp_path_factory.mktemp("home")
    (home / "copier.yml").write_text("{}\n")
    # without what only costs time: sample hooks in each clone, waiting for disks, and a look for garbage at each commit
    settings = "[init]\ntemplateDir =\n[core]\nfsync = none\n[maintenance]\nauto = false\n"
    (home / "gitconfig").write_text(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
        patch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
        patch.setenv("COPIER_SETTINGS_PATH", str(home / "copier.yml"))
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Test")
            patch.setenv(f"GIT_{role}_EMAIL", "test@localhost")
        for name in ("DATABASE_URL", "ADMIN_PASSWORD", "REDIS_URL", "VIRTUAL_ENV"):
            patch.delenv(name, raising=False)
        # where a machine sets it, each process would compile all of its modules anew
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        # Copier's git gets the environment that plumbum saw when it was imported
        with plumbum.local.env():
            plumbum.local.env.clear()
            plumbum.local.env.update(os.environ)
            yield


@pytest.fixture(scope="session", autouse=True)
def fast_parsers():
    """Let Jinja compile each text once in a session, and PyYAML parse in C: else they take half of Copier's time."""
    compiled, compile_anew = {}, jinja2.Environment.compile

    def compile_once(self, source, name=None, filename=None, raw=False, defer_init=False):
        # Jinja has one lexer for all environments of the same syntax
        key = type(self), id(self.lexer), frozenset(self.extensions), source, name, raw, defer_init
        self.preprocess(source, name, filename)  # there Copier's extension forgets the last `yield`
        if key not in compiled:
            compiled[key] = compile_anew(self, source, name, filename, raw, defer_init)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2.Environment, "compile", compile_once)
        patch.setattr(yaml, "SafeLoader", yaml.CSafeLoader)
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
