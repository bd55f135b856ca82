"""Makes the Python of template/lib importable: plain modules from there, others rendered with the defaults."""

import atexit
import shutil
import sys
import tempfile
from pathlib import Path

import copier
from support import ROOT


def rendered_lib():
    """Render what is a template in template/lib into a new folder, and return that; it goes when Python ends."""
    folder = Path(tempfile.mkdtemp(prefix="lib-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    source = folder / "source"
    shutil.copytree(ROOT / "includes", source / "includes")
    for path in (ROOT / "template/lib").glob("*.jinja"):
        (source / "template/lib").mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, source / "template/lib")
    shutil.copy2(ROOT / "copier.yml", source)
    copier.run_copy(str(source), folder / "app", data={"app_name": "poser"}, defaults=True, quiet=True)
    return folder / "app/lib"


sys.path[:0] = [str(ROOT / "template/lib"), str(rendered_lib())]
