"""Renderings of the template: versions, answers, and what of a tree is merged."""

import pytest
from appdir import rendering
from support import git


@pytest.fixture
def repository(app_dir):
    """An app dir in git, with a file of each owner."""
    git("init", "--quiet", cwd=app_dir)
    for name in ("web.conf", "poser/views.py", "luigitasks/overnight_main.py", rendering.ANSWERS):
        (app_dir / name).parent.mkdir(exist_ok=True)
        (app_dir / name).write_text("_commit: v1.0.0\n_src_path: /template\napp_name: poser\n")
    commit(app_dir)
    return app_dir


def commit(folder, tag=None):
    """Commit all of a folder, and tag it."""
    git("add", "--all", cwd=folder)
    git("commit", "--quiet", "--allow-empty", "--message", "State", cwd=folder)
    if tag:
        git("tag", tag, cwd=folder)


def tree(folder, name="HEAD"):
    """Return the tree of a commit."""
    return git("rev-parse", f"{name}^{{tree}}", cwd=folder).strip()


def test_numbers_of_versions():
    assert rendering.number("v1.10.0") > rendering.number("1.9.3") > rendering.number("v1.9") > ()
    assert rendering.number("v1.0.0rc1") == rendering.number("main") == rendering.number("v1.0.0-3-gabc") == ()


def test_newest_is_the_newest_release(app_dir, tmp_path):
    template = tmp_path / "template"
    template.mkdir()
    git("init", "--quiet", cwd=template)
    for tag in ("v1.9.0", "v1.10.0", "v2.0.0rc1", "nightly", "v1.2"):
        commit(template, tag)
    assert rendering.newest(str(template)) == "v1.10.0"
    assert rendering.newest(str(tmp_path / "none")) is None


def test_settings_and_questions_of_an_answers_file():
    text = "# Changes here\n_commit: v1.0.0\n_src_path: 'gh:org/x'\napp_name: poser\nbatch_types:\n- inventory\n"
    assert [rendering.setting(text, name) for name in ("_commit", "_src_path", "_none")] == ["v1.0.0", "gh:org/x", ""]
    assert rendering.asked(text) == {"app_name", "batch_types"}


def test_tree_without_what_is_yours(repository):
    merged = rendering.edited(tree(repository), drop=rendering.YOURS)
    assert git("ls-tree", "-r", "--name-only", merged, cwd=repository).split() == [rendering.ANSWERS, "web.conf"]


def test_rendering_that_is_kept_is_found_by_its_answers(repository):
    first = rendering.commit_of(tree(repository), ["data", "log"])
    rendering.keep(first)
    second = rendering.commit_of(rendering.edited(tree(repository), drop=["web.conf"]), [])
    rendering.keep(second)
    rendering.keep(first)
    assert git("rev-parse", rendering.ref_name(), f"{second}^", cwd=repository).split() == [second, first]
    (repository / "web.conf").write_text("mine")
    commit(repository)
    assert rendering.base(tree(repository)) == second
    assert rendering.folders_of(first) == ["data", "log"]
    assert rendering.version_of(first) == "v1.0.0"


def test_starters_are_only_those_that_are_new(repository):
    old = tree(repository)
    (repository / "luigitasks/overnight_more.py").write_text("new")
    (repository / "luigitasks/overnight_main.py").write_text("changed")
    (repository / "more.conf").write_text("new")
    commit(repository)
    found = rendering.new_starters(old, tree(repository))
    assert [line.partition("\t")[2] for line in found] == ["luigitasks/overnight_more.py"]
