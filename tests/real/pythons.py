"""The versions of Python with which the tests run apps, wherever this machine has them."""

import os
import shutil
import subprocess
from pathlib import Path

VERSIONS = ["3.11", "3.12", "3.13"]
# where pyenv and uv keep theirs; taken before the tests move HOME
PYENV = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
DATA = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
OF_UV = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or DATA / "uv/python")


def find_python(version):
    """Return the path of a Python of a version such as 3.12 that runs on this machine, or None."""
    name = f"python{version}"
    found = [
        shutil.which(name),
        *PYENV.glob(f"versions/{version}.*/bin/{name}"),
        *OF_UV.glob(f"cpython-{version}.*/bin/{name}"),
    ]
    works = (path for path in found if path and not subprocess.run([path, "-c", ""], capture_output=True).returncode)
    return next(works, None)
