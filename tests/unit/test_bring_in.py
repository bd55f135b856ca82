"""How a file of an update comes into the app dir."""

import os
import sys

import pytest
from appdir import bring_in
from support import files


@pytest.mark.parametrize(
    ("before", "executable", "after"),
    [(0o600, False, 0o600), (0o640, True, 0o750), (0o740, True, 0o740), (0o750, False, 0o640)],
)
def test_file_keeps_its_mode(tmp_path, before, executable, after):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(before)
    bring_in.put(path, ("100755" if executable else "100644", b"new"))
    assert files(tmp_path) == {"file": (after, b"new")}


def test_link_and_file_replace_each_other(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    bring_in.put(path, ("120000", b"elsewhere"))
    assert os.readlink(path) == "elsewhere"
    bring_in.put(path, ("100644", b"new"))
    assert not path.is_symlink()
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("late", [False, True])
def test_no_link_is_followed(tmp_path, monkeypatch, late):
    """As the service user may put one where a file is written, even at the last moment."""
    victim, draft = tmp_path / "victim", tmp_path / ".file.new"
    victim.write_text("precious")
    if late:
        monkeypatch.setattr(type(draft), "unlink", lambda path, **_: path.symlink_to(victim))
        with pytest.raises(FileExistsError):
            bring_in.put(tmp_path / "file", ("100644", b"new"))
    else:
        draft.symlink_to(victim)
        bring_in.put(tmp_path / "file", ("100644", b"new"))
        assert files(tmp_path)["file"][1] == b"new"
    assert victim.read_text() == "precious"


def test_placeholders_follow_no_link(app_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(bring_in, "APPDIR", app_dir)
    (app_dir / "data/new").mkdir(parents=True)
    (app_dir / "data/new/.gitkeep").symlink_to(tmp_path / "nologin")
    bring_in.make_folders(["data/new", "data/other/deep"])
    assert not (tmp_path / "nologin").exists()
    assert (app_dir / "data/other/deep/.gitkeep").read_bytes() == b""


def test_file_comes_whole(tmp_path):
    """Nothing happens to it but that the new file gets its name: so nobody ever sees none, or a part."""
    path, events, watching = tmp_path / "file", [], True
    path.write_text("old")

    def hook(event, args):
        if watching and event in ("open", "os.remove", "os.rename", "os.truncate") and str(path) in map(str, args[:2]):
            events.append(event)

    sys.addaudithook(hook)  # it stays until Python ends
    bring_in.put(path, ("100644", b"new"))
    watching = False
    assert events == ["os.rename"]
    assert path.read_bytes() == b"new"
