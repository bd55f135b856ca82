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
