"""`copier update` of every frozen app dir, with each kind of edit, loses nothing that a user or the app wrote."""

import re
import subprocess

import pytest
import yaml
from freeze import ANSWERS_FILE, all_app_dirs, versions
from matrix.edits import (
    KINDS,
    answers_of,
    check_answers,
    commit,
    conflicted,
    differing,
    expected_answers,
    is_yours,
    update,
    without,
    write_data,
)
from matrix.versions import CHANGELOG, TEMPLATE_FILES, YOURS, change_all, lose_an_answer
from support import ANSWERS, ROOT, files, git

# files that a new version has no more, or by another name; of the work tree, CHANGELOG.md must name them
RENAMED = {*TEMPLATE_FILES, *YOURS, *re.findall("The file `(.*?)` is gone", (ROOT / "CHANGELOG.md").read_text())}
EXCLUDED = "poser/poser/web/repairs.py"  # gone from the template, and named in _exclude, so that it stays


@pytest.fixture(params=["the work tree", "an invented version"])
def new(request, template_repo, next_version):
    """A version that comes next: (repository, changelog)."""
    if request.param == "the work tree":
        return template_repo, (ROOT / "CHANGELOG.md").read_text()
    return next_version(change_all), CHANGELOG


def edit(app, kinds):
    """Make edits of some kinds: {name: texts that must be in the file afterwards, or None for no file}."""
    edited = {}
    for kind in kinds:
        for name, text in kind(app).items():
            edited[name] = None if text is None else [*edited.get(name, []), text]
    return edited


def can_merge(folder, *texts):
    """Return whether git can merge three texts of a file: mine, the one of before, and the new one."""
    for number, text in enumerate(texts):
        (folder / f"{number}.txt").write_bytes(text)
    merge = ["git", "merge-file", "-p", "-q", *(f"{number}.txt" for number in range(3))]
    conflicts = subprocess.run(merge, cwd=folder, stdout=subprocess.DEVNULL).returncode
    assert conflicts <= 127, "git failed"  # as its manual says
    return conflicts == 0


def as_texts(answers):
    """Return what an answers file says, all of it as text."""
    return {name: str(answer) for name, answer in yaml.safe_load(answers).items()}


@pytest.fixture
def check(frozen, fresh, tmp_path):
    """A function that updates a frozen app dir with edits of some kinds, and checks what comes out."""

    def check(version, number, kinds, repo, changelog):
        app = frozen(version, number, repo)
        pristine = files(app)
        expected = expected_answers(answers_of(app), repo, changelog)
        data, edited = write_data(app), edit(app, kinds)
        commit(app)
        before, new = files(app), fresh(repo, expected)
        update(app)
        after = files(app)
        check_answers(app, expected)
        # a number that was text stays text in the answers file
        assert as_texts(after.pop(ANSWERS_FILE)[1]) == as_texts(new.pop(ANSWERS_FILE)[1])
        # of Yours, Copier alone keeps what the new version has too, or excludes
        kept = data | {name: found for name, found in before.items() if is_yours(name) and name in {*new, EXCLUDED}}
        assert differing({name: after.get(name) for name in kept}, kept) == {}
        for name, texts in edited.items():
            if texts is None:
                assert name not in after, name
            elif name in after:
                assert not [text for text in texts if text not in after[name][1]], name
                assert after[name][0] & 0o111 == before[name][0] & 0o111, name
            else:  # Copier alone removes a file that the new version lacks; git still has the edit
                assert name in RENAMED, name
                assert name not in new, name
        for name in conflicted(app):
            assert not can_merge(tmp_path, *(found[name][1] for found in (before, pristine, new))), name
        assert differing(without(after, kept, edited), without(new, kept, edited)) == {}

    return check


@pytest.mark.parametrize("kinds", [[], KINDS], ids=["unedited", "edited"])
@pytest.mark.parametrize(("version", "number"), all_app_dirs())
def test_update(check, new, version, number, kinds):
    check(version, number, kinds, *new)


# all edits at once could hide what one alone meets
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [0, 1])
def test_update_with_one_kind_of_edit(check, next_version, number, kind):
    check(versions()[-1], number, [kind], next_version(change_all), CHANGELOG)


@pytest.mark.parametrize("number", range(len(ANSWERS)))
def test_update_to_the_same_version_changes_nothing(place, number):
    app, _ = place(number)
    edit(app, KINDS)
    commit(app)
    before = files(app)
    update(app)
    assert differing(files(app), before).keys() == {"log/.gitkeep"}  # which comes back
    assert git("status", "--porcelain", cwd=app) == ""


def test_lost_answer_turns_these_tests_red(frozen, next_version):
    """A question gets another name, but its answers are neither carried over nor named as gone."""
    repo = next_version(lose_an_answer)
    app = frozen("0.9.0", 2, repo)
    old = answers_of(app)
    assert old["mail_to"] == "operator@example.com"
    with pytest.raises(AssertionError, match="does not say what became of `mail_to`"):
        expected_answers(old, repo, (ROOT / "CHANGELOG.md").read_text())
    expected = expected_answers(old, repo, CHANGELOG)
    update(app)
    with pytest.raises(AssertionError, match="lost these answers"):
        check_answers(app, expected)
