"""Envs for the tests: made by uv in seconds, each once in a run, and copied."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

from real.pythons import find_python

UV = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
# taken before the tests move HOME, so that each package is fetched once
PIP_CACHE = os.environ.get("PIP_CACHE_DIR") or str(Path.home() / ".cache/pip")
UV_CACHE = subprocess.run([UV, "cache", "dir"], capture_output=True, text=True).stdout.strip()
RARE = {"3.12", "3.13"}  # Pythons with which an app is set up once, so that to compile all would take longer
shared_envs = None  # the folder in which the tests of this run keep the envs that they share


def make_env(folder, python, requirements=None):
    """Make an env with pip, and the packages that a file of requirements names, if one is given."""
    uv("venv", "--quiet", "--seed", "--allow-existing", "--python", find_python(python) or python, folder)
    if requirements:
        install(folder, requirements)
        if python not in RARE and shared_envs:  # benchmarks share none
            compile_packages(folder)


def install(env, requirements):
    """Install into an env what a file of requirements names."""
    uv("pip", "install", "--quiet", "--python", env / "bin/python", "-r", requirements)


def compile_packages(env):
    """Compile the packages of an env, each file once for all envs, which hold it with the same time."""
    store = shared_envs / "compiled"
    store.mkdir(exist_ok=True)
    new = {}
    for path in env.glob("lib/python3.*/site-packages/**/*.py"):
        os.utime(path, (0, 0))
        compiled, known = Path(cache_from_source(path)), store / hashlib.sha256(path.read_bytes()).hexdigest()
        compiled.parent.mkdir(exist_ok=True)
        if known.exists():
            compiled.hardlink_to(known)
        else:
            new[path] = compiled, known
    command = [env / "bin/python", "-m", "compileall", "-q", "-i", "-"]  # -i -: the names come by stdin
    subprocess.run(command, input="\n".join(map(str, new)), text=True, capture_output=True)  # some are templates
    for compiled, known in new.values():
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            known.hardlink_to(compiled)


def shared_env(folder, python, requirements):
    """Return an env to be copied, made by whichever test needs it first."""
    return once(folder, lambda folder: make_env(folder, python, requirements))


def once(folder, make):
    """Let `make` make a folder for all tests of the run, in whichever worker is first; return it when it is made."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = folder.with_suffix(".made")
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make(folder)
            made.touch()
    return folder


def copy_env(source, folder):
    """Copy an env to a folder: by hard links where it can, but for the scripts, which hold its path."""
    linked = ["--link"] * (os.stat(source).st_dev == os.stat(folder).st_dev)
    subprocess.run(["cp", "--archive", *linked, f"{source}/.", folder], check=True)
    shutil.rmtree(folder / "bin")
    shutil.copytree(source / "bin", folder / "bin", symlinks=True)
    for path in (folder / "bin").iterdir():
        if not path.is_symlink():
            path.write_bytes(path.read_bytes().replace(os.fsencode(source), os.fsencode(folder)))


def uv(*args):
    """Run uv, which makes envs in seconds; an error shows what it printed."""
    environment = os.environ | {"UV_PYTHON_DOWNLOADS": "never", "UV_CACHE_DIR": UV_CACHE}
    done = subprocess.run([UV, *map(str, args)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"uv {args}:\n{done.stderr}"
