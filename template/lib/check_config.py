"""Load every config of this app dir with the software that reads it, and say which ones it refuses.

Scripts and Python files are only read, not run.  update.py runs this in its clone, before
anything comes into the app dir; run by hand, it tells whether your own edits are sound.
"""

import configparser
import subprocess

from appdir import APPDIR, FRAMEWORK, fail, load_config, say_kept
from paste.deploy.loadwsgi import APP, SERVER, loadcontext

STEP = "config"
SERVED = {"app": APP, "composite": APP, "server": SERVER}  # sections that PasteDeploy reads


def load_ini(path):
    """Load one config: as an ini file, then as the framework and the web server take it."""
    parser = configparser.RawConfigParser()
    parser.read_string(path.read_text(), str(path))
    if parser.has_section(f"{FRAMEWORK}.config"):
        load_config(path.name)
    for section in parser.sections():
        kind, _, name = section.partition(":")
        if kind in SERVED:
            loadcontext(SERVED[kind], f"config:{path}", name)


def load_script(path):
    """Let the shell read a script without running it."""
    done = subprocess.run(["sh", "-n", path], capture_output=True, text=True)
    if done.returncode:
        raise SyntaxError(done.stderr.strip())


def load_python(path):
    """Compile a Python file without running it."""
    compile(path.read_bytes(), path.name, "exec")


def reason(error):
    """Return one line about an exception, without the value it is about: that may be a password."""
    if isinstance(error, configparser.InterpolationError):
        return f"the % in {error.option} of [{error.section}] must be doubled, or name a known value"
    return (str(error).splitlines() or [type(error).__name__])[0]


def refused():
    """Load all, and return a line for each file that is refused: its name, and why."""
    loaders = {
        load_ini: [*APPDIR.glob("*.conf"), *APPDIR.glob("luigi/*.conf"), *APPDIR.glob("luigi/*.cfg")],
        load_script: APPDIR.glob("*.sh"),
        load_python: [path for folder in ("lib", "luigitasks", "poser") for path in APPDIR.glob(f"{folder}/**/*.py")],
    }
    lines = []
    for load, paths in loaders.items():
        for path in sorted(paths):
            try:
                load(path)
            except Exception as error:  # whatever upstream raises, it does not run from this file
                lines.append(f"{path.relative_to(APPDIR)}: {reason(error)}")
    return lines


if __name__ == "__main__":
    if lines := refused():
        fail(STEP, "; ".join(lines))
    say_kept(STEP, "every config loads")
