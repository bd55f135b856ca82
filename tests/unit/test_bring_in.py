"""How a file of an update comes into the app dir."""

import tempfile
from pathlib import Path

from appdir import bring_in
from support import files


def test_file_comes_whole_onto_another_volume(tmp_path):
    volumes = [path for path in (Path("/dev/shm"), Path("/var/tmp")) if path.stat().st_dev != tmp_path.stat().st_dev]
    with tempfile.TemporaryDirectory(dir=volumes[0]) as folder:
        old, new = Path(folder) / "old", tmp_path / "new"
        old.write_text("old")
        old.chmod(0o600)
        new.write_text("new")
        new.chmod(0o640)
        bring_in.put_as(new, old)
        assert files(Path(folder)) == {"old": (0o600, b"new")}
