"""Parts of an app dir go off and on by `copier update`, with an edit in each config and task.

What goes is in git's history, with the edit; all data stays.
"""

import pytest
from freeze import ANSWERS_FILE
from matrix.edits import answers_of, commit, configs, conflicted, differing, is_yours, update
from support import choices_of, files, framework_of, git, questions

QUESTIONS = questions()
EDIT = "# mine\n"
SWITCHES = [name for name, entry in QUESTIONS.items() if entry["type"] == "bool"]
LISTS = [name for name, entry in QUESTIONS.items() if entry["type"] == "yaml"]
CHOICES = {name: choices_of(entry) for name, entry in QUESTIONS.items() if "choices" in entry and name != "framework"}
# the number of a set of answers for each framework, in which nearly all parts are on
FRAMEWORKS = {"rattail": 0, "wutta": 1}
# several answers change at once, so that few updates show all
CHANGES = {
    "all switches off": dict.fromkeys(SWITCHES, False),
    "all switches on": dict.fromkeys(SWITCHES, True),
    "empty lists": {name: [] for name in LISTS},
    "other lists": {name: ["other"] for name in LISTS},
}
CHANGES |= {
    f"choices {number}": {name: choices[min(number, len(choices) - 1)] for name, choices in CHOICES.items()}
    for number in range(max(map(len, CHOICES.values())))
}


def edited(app):
    """Return the files that get an edit."""
    return [*configs(app), *app.glob("luigitasks/*.py")]


@pytest.fixture
def change(fresh, template_repo):
    """A function that updates an app dir to other answers, and checks that nothing got lost that is nowhere else."""

    def change(app, data, answers):
        first, before, commit_before = answers_of(app), files(app), git("rev-parse", "HEAD", cwd=app).strip()
        update(app, **answers)
        after = files(app)
        assert differing({name: after.get(name) for name in data}, data) == {}
        assert not conflicted(app)
        for name in before.keys() - after.keys():
            committed = name.endswith(".gitkeep") or git("show", f"{commit_before}:{name}", cwd=app).encode()
            assert committed in (True, before[name][1]), name
        new = fresh(template_repo, first | answers)
        assert {name for name in after if name not in data} == new.keys()
        unedited = {name for name in new if not (is_yours(name) or after[name][1].endswith(EDIT.encode()))}
        unedited -= {ANSWERS_FILE}  # where a number may be text
        assert differing({name: after[name] for name in unedited}, {name: new[name] for name in unedited}) == {}

    return change


@pytest.mark.parametrize("answers", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_parts_go_off_and_on(place, change, framework, answers):
    app, data = place(FRAMEWORKS[framework])
    answers = {name: answer for name, answer in answers.items() if framework_of(QUESTIONS[name]) in (None, framework)}
    first = answers_of(app)
    for path in edited(app):
        path.write_text(path.read_text() + EDIT)
    commit(app)
    before = files(app)
    change(app, data, answers)
    commit(app)
    update(app, **{name: first[name] for name in answers if name in first})
    after = files(app)
    assert differing({name: after.get(name) for name in data}, data) == {}
    assert before.keys() - after.keys() == set()
    assert not conflicted(app)
    gone_and_back = git("log", "--format=", "--name-only", "--no-renames", "--diff-filter=D", "-z", cwd=app).split("\0")
    for path in edited(app):
        assert path.read_text().endswith(EDIT) or path.relative_to(app).as_posix() in gone_and_back, path


# all at once could hide that one alone takes away a file of another
@pytest.mark.parametrize("name", SWITCHES)
def test_one_part_changes_alone(place, change, name):
    app, data = place()
    change(app, data, {name: not answers_of(app)[name]})
