"""What a new version may do to files, with every set of answers: they are renamed, moved, split in two and dropped."""

import shutil

import copier
import pytest
import yaml
from matrix.edits import is_yours
from matrix.update.conftest import ANSWERS as SMALL
from matrix.update.places import edit, is_new, refused
from matrix.versions import SPLIT, TEMPLATE_FILES, YOURS, change_all, source, split
from support import ANSWERS, files, git


@pytest.fixture(params=range(len(ANSWERS)))
def app_with_answers(request, made, newer):
    """The app at version 1.0.0 with one set of answers, whose next version changes everything."""
    answers = {name: answer for name, answer in ANSWERS[request.param].items() if name != "service_user"}
    shutil.rmtree(made.dir)
    data = SMALL | answers | {"offline_assets": False}
    copier.run_copy(str(newer(change_all)), made.dir, data=data, defaults=True, quiet=True, vcs_ref="v1.0.0")
    made.run("./setup.sh", "--quiet", "--keep-database")
    return made


def fresh(app, folder):
    """Return the files of a fresh copy of the newest version, with the answers of the app."""
    answers = yaml.safe_load((app.dir / ".copier-answers.yml").read_text())
    data = {name: answer for name, answer in answers.items() if not name.startswith("_")}
    copier.run_copy(answers["_src_path"], folder / "fresh", data=data, defaults=True, quiet=True)
    return {name: found for name, found in files(folder / "fresh").items() if not name.endswith(".gitkeep")}


@pytest.mark.parametrize("edited", [False, True], ids=["unedited", "edited"])
def test_every_kind_of_change(app_with_answers, tmp_path, edited):
    app = app_with_answers
    tracked = git("ls-files", cwd=app.dir).splitlines()
    renamed = {name: new for name, new in TEMPLATE_FILES.items() if new and name in tracked}
    mine = [name for name in tracked if is_yours(name)]
    assert {"quiet.conf", "cron.conf", "README.md"} <= set(tracked)
    if edited:
        for name in [*renamed, *(name for name in [*YOURS, *SPLIT.values(), *SPLIT] if name in mine)]:
            edit(app, name)
        readme = app.dir / "README.md"
        readme.write_text(readme.read_text().replace("\n", "\nMine.\n", 1))  # in the part that stays
        git("commit", "--quiet", "--all", "--message", "Edit", cwd=app.dir)
    before = files(app.dir)
    if edited and "services.sh" in tracked:
        edit(app, "services.sh")
        output = refused(app)
        assert "services.sh deleted in template v1.1.0 and modified in your version" in output
        assert "CONFLICT (content)" not in output
        (app.dir / ".update/app/services.sh").unlink()
        app.run("./update.sh", "--continue")
    else:
        app.run("./update.sh")
    assert is_new(app)
    after, new = files(app.dir), fresh(app, tmp_path)
    assert {name: after[name] for name in mine} == {name: before[name] for name in mine}
    assert set(git("ls-files", cwd=app.dir).splitlines()) == {*mine, *new}
    changed = {"README.md", *renamed.values()} if edited else set()
    for name in new.keys() - set(mine) - changed:
        assert after[name][1] == new[name][1], name
    for name in changed:
        lines = after[name][1].splitlines(keepends=True)
        lines.remove(b"Mine.\n" if name == "README.md" else b"# mine\n")
        assert b"".join(lines) == new[name][1], name


def split_readme(repo):
    """Move a part of a file of the template's into a new file."""
    split(repo, "README.md", SPLIT["README.md"])


def test_edit_in_the_part_that_moves_into_another_file_is_a_conflict(at, newer):
    """git cannot tell where it belongs, so the operator is asked, and sees both sides."""
    app = at(newer(split_readme))
    text = (app.dir / "README.md").read_text()
    edit(app, "README.md", "Mine.\n")
    assert "CONFLICT (content): Merge conflict in README.md" in refused(app)
    waits = app.dir / ".update/app"
    assert (
        "\nMine.\n>>>>>>> your version" in (shown := (waits / "README.md").read_text()) or "\nMine.\n=======" in shown
    )
    (waits / "README.md").write_text(source(newer(split_readme), "README.md").read_text())
    assert text.endswith((waits / "FOLDERS.md").read_text())
    (waits / "FOLDERS.md").write_text((waits / "FOLDERS.md").read_text() + "Mine.\n")
    app.run("./update.sh", "--continue")
    assert is_new(app)
    assert (app.dir / "FOLDERS.md").read_text().endswith("\nMine.\n")
    assert "Mine." not in (app.dir / "README.md").read_text()


def drop_config(repo):
    """Drop a config."""
    source(repo, "quiet.conf").unlink()


@pytest.mark.parametrize("keep", [False, True])
def test_edited_file_that_is_dropped_is_a_conflict(at, newer, keep):
    app = at(newer(drop_config))
    edit(app, "quiet.conf")
    assert "quiet.conf deleted in template v1.1.0 and modified in your version" in refused(app)
    if not keep:
        (app.dir / ".update/app/quiet.conf").unlink()
    app.run("./update.sh", "--continue")
    assert is_new(app)
    assert (app.dir / "quiet.conf").exists() == keep


def test_file_that_is_dropped_goes(at, newer):
    app = at(newer(drop_config))
    assert "gone (but in git): quiet.conf" in app.run("./update.sh").stdout
    assert is_new(app)
    assert not (app.dir / "quiet.conf").exists()
