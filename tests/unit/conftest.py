"""Makes the Python of template/lib importable; its one rendered module has the default answers."""

import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path

import copier
from support import ROOT


def rendered_answers():
    """Return the text of appdir/answers.py as the template renders it with the default answers."""
    with tempfile.TemporaryDirectory() as name:
        source, module = Path(name, "source"), "lib/appdir/answers.py"
        (source / "template" / module).parent.mkdir(parents=True)
        shutil.copytree(ROOT / "includes", source / "includes")
        shutil.copy2(ROOT / f"template/{module}.jinja", source / f"template/{module}.jinja")
        shutil.copy2(ROOT / "copier.yml", source)
        copier.run_copy(str(source), Path(name, "app"), data={"app_name": "poser"}, defaults=True, quiet=True)
        return Path(name, "app", module).read_text()


sys.path.insert(0, str(ROOT / "template/lib"))
answers = importlib.util.module_from_spec(importlib.util.spec_from_loader("appdir.answers", None))
exec(rendered_answers(), vars(answers))
sys.modules["appdir.answers"] = answers
