"""Wheels: small ones that a test writes, and those of an env, so that pip installs it again without asking an index."""

import base64
import hashlib
import tempfile
import zipfile
from pathlib import Path

from real import envs


def wheel(folder, name, version, requires=(), files=()):
    """Write a small wheel into a folder: a package `name` with a module of its version, and more `files`."""
    info = f"{name}-{version}.dist-info"
    contents = {
        f"{name}/__init__.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {one}\n" for one in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **dict(files),
    }
    digest = {path: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
              for path, text in contents.items()}  # fmt: skip
    record = "".join(f"{path},sha256={digest[path]},{len(text.encode())}\n" for path, text in contents.items())
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in {**contents, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(path, text)


def keep(app):
    """Keep the packages of an app's env as wheels, from which `settings` let pip install them again."""
    frozen = app.run("../bin/python", "-m", "pip", "freeze", "--all").stdout

    def fetch(_):
        with tempfile.TemporaryDirectory(dir=house()) as folder:
            pins = Path(folder) / "pins"
            pins.write_text(frozen)
            options = ["--quiet", "--no-deps", "--requirement", pins, "--wheel-dir", folder]
            app.run("../bin/python", "-m", "pip", "wheel", *options)
            for path in Path(folder).glob("*.whl"):
                path.rename(house() / path.name)

    house().mkdir(parents=True, exist_ok=True)
    envs.once(house() / hashlib.sha256(frozen.encode()).hexdigest()[:16], fetch)


def house():
    """Return the folder of this run's wheels."""
    return envs.shared_envs / "wheels"


def settings():
    """Return environment variables with which pip installs from the kept wheels alone, and compiles nothing."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(house()), "PIP_NO_COMPILE": "1"}
