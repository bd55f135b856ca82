"""`copier update` in any place: what it does alone, and where update.sh must do more."""

import os
import shutil

import copier
import plumbum
import pytest
from matrix.versions import NOW, commit, conflicted, update, without
from support import files, git, require


def test_git_of_copier_has_no_config_of_this_machine():
    assert plumbum.local["git"]("config", "--global", "maintenance.auto") == "false\n"


@pytest.mark.parametrize("version", ["v0.1.0", "v0.2.0", "v0.3.0"])
def test_conflict_is_marked_in_one_file(place, version):
    app, data = place(version)
    cron = app / "cron.conf"
    cron.write_text(cron.read_text().replace("level = ERROR", "level = DEBUG"))
    commit(app)
    update(app)
    assert conflicted(app) == ["cron.conf"]
    assert b"level = DEBUG" in cron.read_bytes()
    assert {name: files(app).get(name) for name in data} == data
    assert "UU cron.conf" in git("status", "--porcelain", cwd=app)


def test_folders_of_old_versions_keep_their_data(place):
    app, data = place("v0.1.0")
    update(app)
    for folder in ("data/imports", "data/mail-templates"):
        assert {path.name for path in (app / folder).iterdir()} == {os.fsdecode(b"made by th\xe9 app")}
    assert (app / "data/templates/.gitkeep").exists()
    assert not (app / "noisy.conf").exists()
    assert "noisy.conf" in git("ls-tree", "--name-only", "HEAD", cwd=app)
    assert len(data) > 10


def test_app_dir_in_a_larger_repository(place, fresh):
    app, data = place("v0.1.0")
    shutil.rmtree(app / ".git")
    (app.parent / "other.txt").write_text("not the app's")
    git("init", "--quiet", cwd=app.parent)
    commit(app.parent)
    update(app)
    assert without(files(app), data) == fresh(0)
    assert {name: files(app).get(name) for name in data} == data


def test_uncommitted_edit_is_refused(place):
    app, _ = place("v0.3.0")
    (app / "web.conf").write_text("mine")
    before = files(app)
    with pytest.raises(copier.errors.UserMessageError, match="dirty"):
        update(app)
    assert files(app) == before


def test_bad_answer_is_refused(place):
    app, _ = place("v0.3.0")
    before = files(app)
    with pytest.raises(copier.errors.UserMessageError, match="'web_port: use a port from 1024 to 65535'"):
        update(app, web_port="80")
    assert files(app) == before


def test_answers_file_with_a_bad_answer_is_refused(place):
    app, _ = place("v0.3.0")
    answers = app / ".copier-answers.yml"
    answers.write_text(answers.read_text().replace("UTC", "Mars/Phobos"))
    commit(app)
    before = files(app)
    with pytest.raises(copier.errors.UserMessageError, match="'time_zone: use a name from"):
        update(app)
    assert files(app) == before


def test_app_dir_without_git_is_refused(place):
    app, _ = place("v0.3.0")
    shutil.rmtree(app / ".git")
    before = files(app)
    with pytest.raises(copier.errors.UserMessageError, match="git-tracked"):
        update(app)
    assert files(app) == before


def test_copier_alone_loses_edits_of_an_ignored_file(place):
    """Why the README tells to use update.sh, which refuses this; if Copier mends it, mend the README."""
    app, _ = place("v0.3.0")
    git("rm", "--quiet", "--cached", "cron.conf", cwd=app)
    (app / ".gitignore").write_text((app / ".gitignore").read_text() + "/cron.conf\n")
    (app / "cron.conf").write_text((app / "cron.conf").read_text() + "# mine\n")
    commit(app)
    update(app)
    assert b"# mine" not in files(app).get("cron.conf", (0, b""))[1]


def test_copier_alone_stops_at_a_link_to_another_volume(place, tmp_path):
    """Half way, but nothing is lost: git has the old files, and the data stay."""
    app, data = place("v0.3.0")
    shutil.move(app / "data", tmp_path / "volume")
    (app / "data").symlink_to(tmp_path / "volume")
    with pytest.raises(copier.errors.ForbiddenPathError, match="data/"):
        update(app)
    git("reset", "--quiet", "--hard", cwd=app)
    assert git("status", "--porcelain", cwd=app) == ""
    assert {name: (app / name).read_bytes() for name in data} == {name: found[1] for name, found in data.items()}


def test_copier_alone_stops_at_a_tracked_name_that_is_not_utf8(place):
    """update.sh does not; if Copier mends it, mend the README."""
    app, data = place("v0.3.0")
    (app / os.fsdecode(b"caf\xe9.txt")).write_text("mine")
    commit(app)
    with pytest.raises(UnicodeDecodeError):
        update(app)
    git("reset", "--quiet", "--hard", cwd=app)
    assert git("status", "--porcelain", cwd=app) == ""
    assert {name: files(app).get(name) for name in data} == data


def test_copier_alone_loses_bytes_that_are_not_utf8(place):
    """update.sh refuses such a file; if Copier mends it, mend the README."""
    app, _ = place(NOW)
    (app / "README.md").write_bytes((app / "README.md").read_bytes() + b"caf\xe9\n")
    commit(app)
    update(app)
    assert (app / "README.md").read_bytes().endswith(b"caf\n")


def test_copier_alone_resets_modes_only_of_what_it_changes(place):
    """Why the README tells to use update.sh, which keeps all; secrets and folders keep theirs in any case."""
    app, _ = place("v0.3.0")
    for name in ("cron.conf", "web.conf"):
        (app / name).chmod(0o600)
    (app / "luigi").chmod(0o700)
    update(app)
    modes = {name: (app / name).stat().st_mode & 0o777 for name in ("cron.conf", "web.conf", "luigi", "secrets.conf")}
    assert modes == {"cron.conf": 0o644, "web.conf": 0o600, "luigi": 0o700, "secrets.conf": 0o600}


def test_flat_folders_of_many_files(place):
    app, _ = place("v0.3.0")
    for folder in ("data/uploads", "sessions/data"):
        for number in range(50_000):
            os.close(os.open(os.fsencode(app / folder) + b"/\xff%d" % number, os.O_CREAT))
    update(app)
    assert "_commit: " + NOW in (app / ".copier-answers.yml").read_text()
    assert [len(os.listdir(app / folder)) for folder in ("data/uploads", "sessions/data")] == [50_002, 50_002]


def test_copier_alone_refuses_the_app_dir_of_another(place):
    require(os.getuid() == 0, "root, to give an app dir to another user", "sudo")
    app, _ = place("v0.3.0")
    before = files(app)
    for path in (app, app / ".git"):
        shutil.chown(path, "nobody")
    with pytest.raises(copier.errors.UserMessageError, match="git-tracked"):
        update(app)
    assert files(app) == before
