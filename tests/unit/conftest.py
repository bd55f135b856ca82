"""Makes the Python of adopt/ and template/lib importable; its one rendered module has the default answers."""

import importlib.util
import inspect
import shutil
import sys
import tempfile
from pathlib import Path

import copier
import pytest
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


sys.path[:0] = [str(ROOT), str(ROOT / "template/lib")]
answers = importlib.util.module_from_spec(importlib.util.spec_from_loader("appdir.answers", None))
exec(rendered_answers(), vars(answers))
sys.modules["appdir.answers"] = answers


@pytest.fixture
def app_dir(tmp_path, monkeypatch):
    """An empty app dir in an env, which every module that is imported takes for its own."""
    core = importlib.import_module("appdir.core")
    here, env, folder = core.APPDIR, core.ENV, tmp_path / "env/app"
    folder.mkdir(parents=True)

    def moved(value):
        if not isinstance(value, Path) or value == core.LIB or not value.is_relative_to(env):
            return value
        if value.is_relative_to(here):
            return folder / value.relative_to(here)
        return folder.parent / value.relative_to(env)

    for module in [module for name, module in sys.modules.items() if name.startswith("appdir.")]:
        for name, value in list(vars(module).items()):
            if name != "LIB" and moved(value) is not value:
                monkeypatch.setattr(module, name, moved(value))
            elif inspect.isfunction(value) and value.__module__ == module.__name__:
                monkeypatch.setattr(value, "__defaults__", tuple(map(moved, value.__defaults__ or ())))
                named = {key: moved(default) for key, default in (value.__kwdefaults__ or {}).items()}
                monkeypatch.setattr(value, "__kwdefaults__", named)
    return folder
