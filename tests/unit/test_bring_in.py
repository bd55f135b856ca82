"""How a file of an update comes into the app dir."""

import os
import threading

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
    """Whoever reads it meanwhile sees the old file or the new one, and never none or a part."""
    path, versions = tmp_path / "file", [bytes([65 + number]) * 300_000 for number in range(2)]
    path.write_bytes(versions[0])
    seen, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            try:
                seen.append(path.read_bytes() in versions)
            except FileNotFoundError:
                seen.append(False)

    reader = threading.Thread(target=read)
    reader.start()
    while len(seen) < 500:
        for version in versions:
            bring_in.put(path, ("100644", version))
    stop.set()
    reader.join()
    assert all(seen)
