"""What update.py does without an app: moving files."""

import tempfile
from pathlib import Path

import update
from support import files


def test_file_comes_whole_onto_another_volume(tmp_path):
    volumes = [path for path in (Path("/dev/shm"), Path("/var/tmp")) if path.stat().st_dev != tmp_path.stat().st_dev]
    with tempfile.TemporaryDirectory(dir=volumes[0]) as folder:
        old, new = Path(folder) / "old", tmp_path / "new"
        old.write_text("old")
        new.write_text("new")
        new.chmod(0o640)
        update.put(new, old)
        assert files(Path(folder)) == {"old": (0o640, b"new")}
