"""Permissions go to what was looked at, and root takes from the service user's folders only what is his."""

import os

import pytest
from appdir import permissions, saved_files
from appdir.core import Stop


def change(path, seen):
    """Change the mode of a path, as one that was seen so."""
    permissions.change(path, os.getuid(), os.getgid(), 0o600, seen)
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("swap", ["rename", "hard link"])
def test_what_was_exchanged_meanwhile_stays(app_dir, monkeypatch, swap):
    """So that root gives nobody what is another's: a share, or a file with a second name."""
    monkeypatch.setattr(permissions, "APPDIR", app_dir)
    path, other = app_dir / "data/file", app_dir / "data/other"
    path.parent.mkdir(exist_ok=True)
    for one in (path, other):
        one.touch(0o644)
        one.chmod(0o644)
    seen = path.lstat()
    assert change(path, seen) == 0o600
    path.chmod(0o644)
    if swap == "rename":
        other.replace(path)
    else:
        path.with_name("second").hardlink_to(path)
    assert change(path, seen) == 0o644


NAMES = {"data/poser.sqlite": True, "luigi/history.sqlite": True, "lib": False, "data": False, "data/../lib": False,
         "luigi/luigi.cfg": False, "luigi/./logging.conf": False, "*": False, "web.conf": False}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_he_names_for_a_database_is_in_his_folders(app_dir, monkeypatch, name):
    """Else a backup would lack config or code, or a restore would replace it."""
    monkeypatch.setattr(saved_files, "APPDIR", app_dir)
    monkeypatch.setattr(saved_files, "is_apart", lambda: True)
    assert permissions.is_his(name) == NAMES[name]
    if NAMES[name]:
        assert saved_files.place_of_database(name) == str(app_dir / name)
    else:
        with pytest.raises(Stop, match="not in a folder of the servers"):
            saved_files.place_of_database(name)


def test_name_of_a_database_is_no_pattern(app_dir, monkeypatch):
    monkeypatch.setattr(saved_files, "APPDIR", app_dir)
    assert saved_files.place_of_database("luigi/[a]*.cfg") == f"{app_dir}/luigi/\\[a\\]\\*.cfg"
