"""What a new version, or a new place of the template, may do: rename, drop, ask otherwise, move, forget its history."""

import shutil

import copier
import pytest
from matrix.update.conftest import ANSWERS
from matrix.update.places import change, commit, edit, is_new, refused, version
from matrix.versions import carry_over, rename, rename_question
from support import git, release


def rename_config(repo):
    """Rename a config, and move another into a folder."""
    rename(repo, "quiet.conf", "hushed.conf")
    rename(repo, "cron.conf", "config/cron.conf")


def test_edit_follows_a_renamed_file(at, newer):
    app = at(newer(rename_config))
    for name in ("quiet.conf", "cron.conf"):
        edit(app, name)
    phases = app.run("./update.sh").stdout.splitlines()[:2]
    assert phases[0] == "update      rendering v1.1.0"
    assert phases[1].startswith("update      looking whether ")
    assert is_new(app)
    for name in ("hushed.conf", "config/cron.conf"):
        assert (app.dir / name).read_text().endswith("# mine\n")
    assert not (app.dir / "quiet.conf").exists()


def change_yours(repo):
    """Rename, change and drop files that are written once, and add one."""
    rename(repo, "poser/poser/handlers.py", "poser/poser/handling.py")
    rename(repo, "luigitasks/overnight_main.py", "luigitasks/night_main.py")
    path = repo / "template/poser/poser/exports.py"
    path.write_text(path.read_text() + "# new in 1.1.0\n")
    shutil.rmtree(repo / "template/poser/poser/reports")
    (repo / "template/local-requirements.txt").unlink()


@pytest.mark.parametrize("edited", [False, True])
def test_yours_stays(at, newer, edited):
    app = at(newer(change_yours))
    names = ["poser/poser/handlers.py", "luigitasks/overnight_main.py", "poser/poser/exports.py"]
    names += ["poser/poser/reports/__init__.py", "local-requirements.txt"]
    for name in names if edited else ():
        edit(app, name)
    before = {name: (app.dir / name).read_bytes() for name in names}
    app.run("./update.sh")
    assert is_new(app)
    assert {name: (app.dir / name).read_bytes() for name in names} == before
    assert (app.dir / "poser/poser/handling.py").exists()


def test_yours_that_was_removed_stays_away(app):
    git("rm", "--quiet", "-r", "poser/poser/reports", "local-requirements.txt", cwd=app.dir)
    git("commit", "--quiet", "--message", "Edit", cwd=app.dir)
    app.run("./update.sh")
    assert is_new(app)
    assert not (app.dir / "poser/poser/reports").exists()
    assert not (app.dir / "local-requirements.txt").exists()


def move_question(repo):
    """Rename a question, and let it begin with the answer that app dirs have."""
    rename_question(repo, "mail_to", "operator_mail")
    carry_over(repo, "mail_to", "operator_mail")


def test_answer_follows_a_renamed_question(at, newer, versions):
    app = at(versions)
    app.run("./update.sh", "--vcs-ref", "v1.0.0", "--data", "mail_to=shop@example.com")
    at(newer(move_question))
    output = app.run("./update.sh").stdout
    assert is_new(app)
    answers = (app.dir / ".copier-answers.yml").read_text()
    assert "\noperator_mail: shop@example.com\n" in answers
    assert "mail_to" not in answers
    assert "no longer asked: mail_to" in output


def tighten(repo):
    """Refuse an answer that was good until now."""
    change(repo, "../copier.yml", "such as America/Chicago.", "such as America/Chicago, but not UTC.")
    text = (repo / "copier.yml").read_text()
    (repo / "copier.yml").write_text(text.replace("time_zone:\n", "time_zone:\n  choices: [Europe/Paris]\n", 1))


def test_answer_that_no_longer_fits_is_named(at, newer):
    app = at(newer(tighten))
    assert "time_zone" in refused(app).splitlines()[-1]
    app.run("./update.sh", "--data", "time_zone=Europe/Paris")
    assert is_new(app)


def test_template_that_moved(at, versions, tmp_path):
    app = at(tmp_path / "gone")
    assert f"could not render {tmp_path}/gone" in (output := refused(app))
    assert "if the template has moved, use --template ADDRESS" in output
    app.run("./update.sh", "--template", versions)
    assert is_new(app)
    assert f"_src_path: {versions}\n" in (app.dir / ".copier-answers.yml").read_text()


def test_template_that_moved_before_its_rendering_was_kept(at, versions, tmp_path):
    app = at(tmp_path / "gone")
    git("update-ref", "-d", "refs/appdir/template", cwd=app.dir)
    edit(app, "web.conf")
    app.run("./update.sh", "--template", versions)
    assert is_new(app)
    assert (app.dir / "web.conf").read_text().endswith("# mine\n")


def test_history_that_was_squashed(at, versions, tmp_path):
    shutil.copytree(versions, tmp_path / "template")
    shutil.rmtree(tmp_path / "template/.git")
    git("init", "--quiet", cwd=tmp_path / "template")
    release(tmp_path / "template", "v1.1.0")
    app = at(tmp_path / "template")
    edit(app, "web.conf")
    app.run("./update.sh")
    assert is_new(app)
    text = (app.dir / "web.conf").read_text()
    assert "# new in 1.1.0" in text
    assert text.endswith("# mine\n")


def test_template_copied_from_a_relative_path(made, versions, tmp_path, monkeypatch):
    """What Copier notes is absolute: so every later update finds it, from anywhere."""
    git("clone", "--quiet", versions, tmp_path / "clone", cwd="/")
    git("clone", "--quiet", "--bare", versions, tmp_path / "bare.git", cwd="/")
    monkeypatch.chdir(tmp_path)
    for source in ("./clone", "clone", "bare.git", str(tmp_path / "clone")):
        copier.run_copy(source, tmp_path / "app", data=ANSWERS, defaults=True, quiet=True, overwrite=True)
        answers = (tmp_path / "app/.copier-answers.yml").read_text()
        assert f"_src_path: {tmp_path}/{source.rpartition('/')[2]}\n" in answers, source


def test_update_after_plain_copier_update(app):
    """What is kept is stale then; the version of the answers file is rendered again."""
    edit(app, "rattail.conf")
    copier.run_update(app.dir, defaults=True, overwrite=True, quiet=True)
    git("add", "--all", cwd=app.dir)
    git("commit", "--quiet", "--message", "By hand", cwd=app.dir)
    app.run("./update.sh", "--data", "title=Mine")
    assert version(app) == "v1.1.0"
    assert "app_title = Mine" in (app.dir / "rattail.conf").read_text()
    assert (app.dir / "rattail.conf").read_text().endswith("# mine\n")


def test_edits_before_setup_are_not_taken_for_the_template(made, versions, tmp_path, copier_once):
    """An edit that was made between copy and setup is an edit, not the base of later updates."""
    app = made
    shutil.rmtree(app.dir)
    app.dir.mkdir()
    data = [part for item in ANSWERS.items() for part in ("--data", "{}={}".format(*item))]
    app.run(copier_once, "copy", "--quiet", "--defaults", "--vcs-ref", "v1.0.0", *data, versions, app.dir)
    (app.dir / "web.conf").write_text((app.dir / "web.conf").read_text() + "# mine\n")
    output = app.run("./setup.sh", "--keep-database", COPIER="/no/copier").stdout
    assert [line for line in output.splitlines() if line.startswith("template ")]
    assert git("for-each-ref", "refs/appdir", cwd=app.dir) == ""
    app.run("./setup.sh", "--quiet", "--keep-database")
    assert git("diff", "--name-only", "refs/appdir/template", "HEAD", cwd=app.dir) == "web.conf\n"
    commit(app, "notes.txt", "mine")
    app.run("./update.sh")
    assert is_new(app)
    assert (app.dir / "web.conf").read_text().endswith("# mine\n")
