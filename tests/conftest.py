"""Fixtures that every test shares: the template as a tagged release, and how to render it."""

import os
import shutil
from pathlib import Path

import copier
import jinja2
import plumbum
import pytest
import yaml
from copier._main import Worker
from freeze import set_address, thaw_app, thaw_template
from support import NEXT, NOW, PARTS, copy_work_tree, git, questions, release, release_work_tree

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
        # what pip is told on this machine, such as an index of its own
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        for name in [name for name in os.environ if name.startswith("PIP_") and name != "PIP_CONFIG_FILE"]:
            patch.delenv(name)
        # where a machine sets it, each process would compile all of its modules again
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        # Copier's git gets the environment that plumbum saw when it was imported
        with plumbum.local.env():
            plumbum.local.env.clear()
            plumbum.local.env.update(os.environ)
            yield


@pytest.fixture(scope="session", autouse=True)
def fast_copier():
    """Let Jinja compile each text once in a session, and PyYAML parse in C: else they take half of Copier's time.

    And let Copier not ask git about each file it renders, whether the file system has modes: it has.
    """
    compiled, compile_text = {}, jinja2.Environment.compile

    def compile_once(self, source, name=None, filename=None, raw=False, defer_init=False):
        # Jinja has one lexer for all environments of the same syntax
        key = type(self), id(self.lexer), frozenset(self.extensions), source, name, raw, defer_init
        self.preprocess(source, name, filename)  # there Copier's extension forgets the last `yield`
        if key not in compiled:
            compiled[key] = compile_text(self, source, name, filename, raw, defer_init)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2.Environment, "compile", compile_once)
        patch.setattr(yaml, "SafeLoader", yaml.CSafeLoader)
        patch.setattr(Worker, "_sync_git_index_executable_bit", lambda *_: None, raising=False)
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


@pytest.fixture(scope="session")
def template_repo(tmp_path_factory):
    """A git repository with all releases of the template: the frozen ones, and the work tree as the newest, `NOW`."""
    repo = tmp_path_factory.mktemp("releases") / "template"
    thaw_template(repo)
    git("rm", "--quiet", "-r", *PARTS, cwd=repo)
    copy_work_tree(repo, *PARTS)
    release(repo, NOW)
    git("gc", "--quiet", cwd=repo)  # Copier clones it five times for an update, which is faster packed
    return repo


@pytest.fixture(scope="session")
def next_version(template_repo, tmp_path_factory):
    """A function that invents one release more: next_version(change) returns a new repository, which begins with all
    releases of `after`, by default `template_repo`; then change(repository) edits the template, which becomes `tag`.
    """
    made = {}

    def next_version(change, tag=NEXT, after=template_repo):
        if (change, tag, after) not in made:
            repo = tmp_path_factory.mktemp("next") / "template"
            git("clone", "--quiet", after, repo, cwd=after)
            change(repo)
            release(repo, tag)
            made[change, tag, after] = repo
        return made[change, tag, after]

    return next_version


@pytest.fixture(scope="session")
def thawed(tmp_path_factory):
    """A function that gives the one copy of a frozen app dir in this session, which no test may change."""
    made = {}

    def thawed(version, number):
        if (version, number) not in made:
            made[version, number] = tmp_path_factory.mktemp("thawed") / "app"
            thaw_app(version, number, made[version, number])
        return made[version, number]

    return thawed


@pytest.fixture
def frozen(thawed, template_repo, tmp_path):
    """A function that gives an app dir as Copier rendered it when the version was new, committed by its operator:
    frozen(version, number of the set of answers, repository of the template to which it belongs).
    """

    def frozen(version, number=0, repo=template_repo, folder=tmp_path / "poser"):
        app = folder / "app"
        shutil.copytree(thawed(version, number), app)
        set_address(app, repo)
        git("init", "--quiet", cwd=app)
        git("add", "--all", cwd=app)
        git("commit", "--quiet", "--message", "State", cwd=app)
        return app

    return frozen
