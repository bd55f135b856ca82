"""An app dir of the oldest frozen version, followed through the releases after it, each of which renames something."""

import pytest
from freeze import versions
from matrix.edits import answers_of, check_answers, commit, conflicted, differing, expected_answers, update, write_data
from matrix.versions import CHANGELOG, carry_over, change_all, rename, rename_question
from support import NEXT, NOW, ROOT, files

AFTER_NEXT = "v102.0.0"
EDITED = ("web.conf", "rattail.conf")
CHANGELOGS = [
    (ROOT / "CHANGELOG.md").read_text(),
    CHANGELOG,
    f"{CHANGELOG} The question `operator_mail` is now `mail`.",
]


def rename_again(repo):
    """Give a question and files their third names."""
    rename_question(repo, "operator_mail", "mail")
    carry_over(repo, "operator_mail", "mail")
    rename(repo, "hushed.conf", "quietest.conf")
    rename(repo, "poser/poser/handling.py", "poser/poser/handled.py")


@pytest.fixture(scope="session")
def generations(template_repo, next_version):
    """The template's repository at each of the releases: the work tree, and two invented ones."""
    second = next_version(change_all)
    return [template_repo, second, next_version(rename_again, AFTER_NEXT, second)]


def edit(app, text):
    """Add a line to configs."""
    for name in EDITED:
        (app / name).write_text((app / name).read_text() + text)


@pytest.mark.parametrize("steps", [[0, 1, 2], [2]], ids=["one by one", "at once"])
def test_generations(frozen, fresh, generations, steps):
    app = frozen(versions()[0], 2, generations[-1])
    first, data, texts = answers_of(app), write_data(app), []
    for step in steps:
        texts.append(f"# mine before generation {step}\n")
        edit(app, texts[-1])
        commit(app)
        update(app, version=[NOW, NEXT, AFTER_NEXT][step])
        check_answers(app, expected_answers(first, generations[step], CHANGELOGS[step]))
        assert not conflicted(app)
    after = files(app)
    assert differing({name: after.get(name) for name in data}, data) == {}
    for name in EDITED:
        assert not [text for text in texts if text.encode() not in after[name][1]], name
    assert "quietest.conf" in after
    assert not {"quiet.conf", "hushed.conf"} & after.keys()
