"""Which files a backup holds: what restic saved must be where it says, if it is another user's."""

import os
from datetime import UTC, datetime

import pytest
from appdir import saved_files
from appdir.core import Stop


@pytest.fixture
def node(app_dir):
    """A function that returns a file or folder of the app dir as restic lists it."""
    (app_dir / "data/in").mkdir(parents=True)
    (app_dir / "data/in/file").write_text("root's")

    def node(name):
        now = (app_dir / name).stat()
        time = f"{datetime.fromtimestamp(now.st_mtime, UTC):%Y-%m-%dT%H:%M:%S}.123456789Z"
        found = {"path": f"/{name}", "uid": now.st_uid, "mtime": time, "type": "dir"}
        return found | ({"type": "file", "size": now.st_size} if (app_dir / name).is_file() else {})

    return node


def test_what_is_where_it_was(node):
    assert saved_files.is_there(node("data/in/file"))
    assert saved_files.is_there(node("data/in"))


def test_folder_that_leads_elsewhere(node, app_dir, tmp_path):
    was = node("data/in/file")
    (app_dir / "data/in").rename(tmp_path / "elsewhere")
    (app_dir / "data/in").symlink_to(tmp_path / "elsewhere")
    assert not saved_files.is_there(was)


@pytest.mark.parametrize("change", [{"uid": 54321}, {"size": 7}, {"mtime": "2020-01-01T00:00:00Z"}])
def test_another_file(node, change):
    assert not saved_files.is_there(node("data/in/file") | change)


def test_file_with_another_name(node, app_dir, tmp_path):
    (tmp_path / "secret").hardlink_to(app_dir / "data/in/file")
    assert not saved_files.is_there(node("data/in/file"))


def test_file_that_is_gone(node, app_dir):
    was = node("data/in/file")
    (app_dir / "data/in/file").unlink()
    assert not saved_files.is_there(was)


def test_config_is_in_no_place_of_his(node, app_dir):
    (app_dir / "web.conf").touch()
    assert saved_files.is_there(node("web.conf") | {"uid": 54321, "size": 9})


@pytest.mark.parametrize(("is_apart", "is_followed"), [(True, False), (False, True)])
def test_links_that_he_made_are_not_followed(app_dir, tmp_path, monkeypatch, is_apart, is_followed):
    monkeypatch.setattr(saved_files, "is_apart", lambda: is_apart)
    monkeypatch.setattr(saved_files, "service_user", lambda: type("User", (), {"pw_uid": os.getuid()}))
    (tmp_path / "volume").mkdir()
    (app_dir / "data").mkdir()
    (app_dir / "data/uploads").symlink_to(tmp_path / "volume")
    assert saved_files.target("data/uploads") == (tmp_path / "volume" if is_followed else app_dir / "data/uploads")
    assert saved_files.links([]) == [tmp_path / "volume"] * is_followed


def test_link_is_read_at_once(app_dir, tmp_path, monkeypatch):
    """He exchanges the admin's link for his own after its owner was seen, and before its text is read."""
    monkeypatch.setattr(saved_files, "is_apart", lambda: True)
    monkeypatch.setattr(saved_files, "service_user", lambda: type("User", (), {"pw_uid": 54321}))
    link, look = app_dir / "data/uploads", os.fstat
    link.parent.mkdir()
    link.symlink_to(tmp_path / "volume")

    def swap(at):
        link.unlink()
        link.symlink_to("/etc")
        return look(at)

    monkeypatch.setattr(saved_files.os, "fstat", swap)
    assert saved_files.end_of(link) == tmp_path / "volume"
    assert os.readlink(link) == "/etc"


def test_volume_with_the_name_of_a_folder_of_the_app_dir(app_dir):
    """restic would rename one of both."""
    (app_dir / "tmp").symlink_to("/tmp")
    with pytest.raises(
        Stop, match=r"^tmp leads into /tmp, a name that the app dir has, too; let it .* such as /srv/tmp$"
    ):
        saved_files.links([])
