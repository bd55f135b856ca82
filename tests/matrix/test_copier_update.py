"""`copier update` in any place: what it does alone, and where update.sh must do more."""

import os
import shutil

import copier
import plumbum
import pytest
from freeze import ANSWERS_FILE
from matrix.edits import commit, conflicted, differing, update, without
from matrix.versions import add_last_line, change_all
from support import NEXT, files, git, require


@pytest.fixture
def app_and_data(place, next_version):
    """An app dir with data, of a version after which one came that changes only web.conf."""
    return place(0, next_version(add_last_line))


@pytest.fixture
def app(app_and_data):
    """The same app dir alone."""
    return app_and_data[0]


def test_git_of_copier_has_no_config_of_this_machine():
    assert plumbum.local["git"]("config", "--global", "maintenance.auto") == "false\n"


def test_conflict_is_marked_in_one_file(app_and_data):
    app, data = app_and_data
    for name in ("web.conf", "cron.conf"):
        (app / name).write_text((app / name).read_text() + "# mine\n")
    commit(app)
    update(app)
    assert conflicted(app) == ["web.conf"]
    text = (app / "web.conf").read_text()
    assert "# mine\n" in text
    assert "# last in the next version\n" in text
    assert "# mine\n" in (app / "cron.conf").read_text()
    assert differing({name: files(app).get(name) for name in data}, data) == {}
    assert "UU web.conf" in git("status", "--porcelain", cwd=app)


def test_folders_that_go_keep_their_data(place, next_version):
    app, _ = place(0, next_version(change_all))
    update(app)
    assert [path.name for path in (app / "data/templates").iterdir()] == [os.fsdecode(b"made by th\xe9 app")]
    assert [path.name for path in (app / "data/mail-templates").iterdir()] == [".gitkeep"]
    assert not (app / "services.sh").exists()
    assert "services.sh" in git("ls-tree", "--name-only", "HEAD", cwd=app).split()


def test_folder_that_was_removed_comes_back(app):
    """Also where the operator let git track its placeholder, so that the removal is in git's history."""
    git("add", "--force", "log/.gitkeep", cwd=app)
    commit(app)
    shutil.rmtree(app / "log")
    commit(app)
    update(app)
    assert (app / "log/.gitkeep").exists()


def test_app_dir_in_a_larger_repository(app_and_data, fresh, next_version):
    app, data = app_and_data
    shutil.rmtree(app / ".git")
    (app.parent / "other.txt").write_text("not the app's")
    git("init", "--quiet", cwd=app.parent)
    commit(app.parent)
    update(app)
    wanted = fresh(next_version(add_last_line), {"app_name": "poser"})
    assert differing(without(files(app), data), wanted) == {}
    assert differing({name: files(app).get(name) for name in data}, data) == {}


def test_uncommitted_edit_is_refused(app):
    (app / "web.conf").write_text("mine")
    before = files(app)
    with pytest.raises(copier.errors.UserMessageError, match="dirty"):
        update(app)
    assert files(app) == before


def test_bad_answer_is_refused(app):
    before = files(app)
    with pytest.raises(ValueError, match="question 'web_port': Enter a port from 1024"):
        update(app, web_port="80")
    assert files(app) == before


def test_answers_file_with_a_bad_answer_is_refused(app):
    answers = app / ANSWERS_FILE
    answers.write_text(answers.read_text().replace("UTC", "mars"))
    commit(app)
    before = files(app)
    with pytest.raises(ValueError, match="question 'time_zone': Enter a name from"):
        update(app)
    assert files(app) == before


def test_app_dir_without_git_is_refused(app):
    shutil.rmtree(app / ".git")
    before = files(app)
    with pytest.raises(copier.errors.UserMessageError, match="git-tracked"):
        update(app)
    assert files(app) == before


def test_copier_alone_loses_edits_of_an_ignored_file(app):
    """Why the docs advise update.sh, which refuses this; if Copier fixes it, change the docs."""
    git("rm", "--quiet", "--cached", "cron.conf", cwd=app)
    (app / ".gitignore").write_text((app / ".gitignore").read_text() + "/cron.conf\n")
    (app / "cron.conf").write_text((app / "cron.conf").read_text() + "# mine\n")
    commit(app)
    update(app)
    assert b"# mine" not in files(app).get("cron.conf", (0, b""))[1]


def test_copier_alone_stops_at_a_link_to_another_volume(app_and_data, tmp_path):
    """Half way, but nothing is lost: git has the old files, and the data stay."""
    app, data = app_and_data
    shutil.move(app / "data", tmp_path / "volume")
    (app / "data").symlink_to(tmp_path / "volume")
    with pytest.raises(copier.errors.ForbiddenPathError, match="data/"):
        update(app)
    git("reset", "--quiet", "--hard", cwd=app)
    assert git("status", "--porcelain", cwd=app) == ""
    assert {name: (app / name).read_bytes() for name in data} == {name: found[1] for name, found in data.items()}


def test_copier_alone_stops_at_a_tracked_name_that_is_not_utf8(app_and_data):
    """update.sh does not; if Copier fixes it, change the docs."""
    app, data = app_and_data
    (app / os.fsdecode(b"caf\xe9.txt")).write_text("mine")
    commit(app)
    with pytest.raises(UnicodeDecodeError):
        update(app)
    git("reset", "--quiet", "--hard", cwd=app)
    assert git("status", "--porcelain", cwd=app) == ""
    assert differing({name: files(app).get(name) for name in data}, data) == {}


def test_copier_alone_loses_bytes_that_are_not_utf8(app):
    """update.sh refuses such a file; if Copier fixes it, change the docs."""
    (app / "README.md").write_bytes((app / "README.md").read_bytes() + b"caf\xe9\n")
    commit(app)
    update(app)
    assert (app / "README.md").read_bytes().endswith(b"caf\n")


def test_copier_alone_resets_modes_only_of_what_it_changes(app):
    """Why the docs advise update.sh, which keeps all; secrets and folders keep theirs in any case."""
    for name in ("cron.conf", "web.conf"):
        (app / name).chmod(0o600)
    (app / "luigi").chmod(0o700)
    update(app)
    modes = {name: (app / name).stat().st_mode & 0o777 for name in ("web.conf", "cron.conf", "luigi", "secrets.conf")}
    assert modes == {"web.conf": 0o644, "cron.conf": 0o600, "luigi": 0o700, "secrets.conf": 0o600}


def test_flat_folders_of_more_names_than_a_command_line_takes(app):
    folders = ("data/uploads", "sessions/data")
    number = os.sysconf("SC_ARG_MAX") // 200
    for folder in folders:
        for count in range(number):
            os.close(os.open(os.fsencode(app / folder) + b"/\xff%0200d" % count, os.O_CREAT))
    update(app)
    assert f"_commit: {NEXT}\n" in (app / ANSWERS_FILE).read_text()
    assert [len(os.listdir(app / folder)) for folder in folders] == [number + 2, number + 2]


def test_copier_alone_refuses_the_app_dir_of_another(app):
    require(os.getuid() == 0, "root, to give an app dir to another user", "sudo")
    before = files(app)
    for path in (app, app / ".git"):
        shutil.chown(path, "nobody")
    with pytest.raises(copier.errors.UserMessageError, match="git-tracked"):
        update(app)
    assert files(app) == before
