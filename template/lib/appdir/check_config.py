"""Loads every config of this app dir with the software that reads it, and says which ones it refuses.

Scripts and Python files are only read, not run.  An update does this with the new version, and builds
the web apps as their server would, before anything comes into the app dir.
"""

import configparser

from appdir import users
from appdir.answers import WEB, WEB_API
from appdir.core import APPDIR, CORE_CONFIG, FRAMEWORK, Stop, first_line, load_config, missing, run
from appdir.database import alembic_config
from appdir.env import result

NEEDED = (
    ["requirements.txt", CORE_CONFIG.name, "silent.conf", "cron.conf"] + ["web.conf"] * WEB + ["webapi.conf"] * WEB_API
)
LOADED = ["*.conf", "luigi/*.conf", "luigi/*.cfg", "*.sh", "lib/run"]
LOADED += ["lib/**/*.py", "luigitasks/**/*.py", "poser/**/*.py"]


def load(path):
    """Load a config as the framework and the web server do; let a script or a Python file only be read."""
    if path.suffix == ".py":
        compile(path.read_bytes(), path.name, "exec")
    elif path.suffix in (".conf", ".cfg"):
        parser = configparser.RawConfigParser()
        parser.read_string(path.read_text(), str(path))
        if parser.has_section(f"{FRAMEWORK}.config"):
            load_config(path.name)
        for kind, _, name in (section.partition(":") for section in parser.sections()):
            left = path.name == "secrets.conf" and not (path.parent / f"{name}.conf").exists()  # of a part that is off
            if kind in ("app", "composite", "server") and not left:  # sections that PasteDeploy reads
                from paste.deploy.loadwsgi import APP, SERVER, loadcontext

                loadcontext(SERVER if kind == "server" else APP, f"config:{path}", name)
    elif (done := run("sh", "-n", path)).returncode:
        raise SyntaxError(done.stderr.strip())


def refused():
    """Load all, and return a line for each file that is refused: its name, and why."""
    lines = [missing(name) for name in NEEDED if not (APPDIR / name).exists()]
    for path in (path for pattern in LOADED for path in sorted(APPDIR.glob(pattern))):
        try:
            load(path)
        except Exception as error:  # whatever upstream raises, it does not run from this file
            lines.append(f"{path.relative_to(APPDIR)}: {first_line(error)}")
    return lines


def build(name):
    """Build a web app as `pserve` does, and look that no migration has two successors; return a line a failure."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(alembic_config())
    heads = scripts.get_heads()
    if len(heads) > len(scripts.get_bases()):
        return [f"the migrations have several heads: {', '.join(sorted(heads))}; merge them"]
    if name:
        from paste.deploy import loadapp

        try:
            loadapp(f"config:{name}", relative_to=str(APPDIR))
        except Exception as error:  # whatever upstream raises, it does not start from this file
            return [f"{name}: the app cannot start: {type(error).__name__}: {first_line(error)}"]
    return []


def problems(name, loads_all):
    """Return what is wrong: with all configs, if wanted, or else with the app of one."""
    return (refused() if loads_all else []) or build(name)


def main(options):
    """Load all, and build each web app in a process of its own, as two would disturb each other."""
    found = [name for name in ("web.conf", "webapi.conf") if (APPDIR / name).exists()] or [""]
    name, others = (options.path, []) if options.path else (found[0], found[1:])
    if lines := users.run_as_owner("log", problems, name, not options.path):
        raise Stop("; ".join(lines), refused=lines)
    for other in others:
        if not (found := result("check-app", other))["ok"]:
            raise Stop(found["message"])
