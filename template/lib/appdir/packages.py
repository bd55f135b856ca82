"""The packages of the env: which are missing, and how they are installed.

Looking runs no pip: it reads the metadata of what is installed, as pip itself would.
"""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote

from appdir import core
from appdir.core import APPDIR, ENV, PYTHON, Stop, kept, reason, run, say, would, write

FILES = ("requirements.txt", "local-requirements.txt")  # the template's, and yours
# settings of pip with which uv installs the same
HARMLESS = {"cache-dir", "config-file", "disable-pip-version-check", "no-input", "root-user-action", "timeout"}
PIP = [PYTHON, "-m", "pip", "--disable-pip-version-check"]


def requirement_files(folder=APPDIR):
    """Return the files that name what the app needs."""
    if not (folder / FILES[0]).exists():
        raise Stop(core.missing(FILES[0]))
    return [folder / name for name in FILES if (folder / name).exists()]


def as_options(files):
    """Return files of requirements as options for pip."""
    return [part for file in files for part in ("-r", str(file))]


def is_checkout(line):
    """Return whether a requirement is a checkout in src/, to which pip goes back even if it only looks."""
    return re.match(r"(-e|--editable)[\s=]*[a-z]+\+", line)


def lines_of(file):
    """Yield each requirement and option of a file, and of those that it includes."""
    for line in file.read_text().replace("\\\n", " ").splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if match := re.match(r"(?:-r|--requirement)[\s=]*(\S+)", line):
            yield from lines_of(file.parent / match[1])
        elif line:
            yield re.sub(r"\s--(hash|config-settings|global-option)\S.*", "", line)


def sources():
    """Return the URLs and paths from which packages were installed: pip notes them."""
    origins = (json.loads(one.read_text("direct_url.json") or "{}").get("url", "") for one in metadata.distributions())
    return {unquote(url.removeprefix("file://")).rstrip("/") for url in origins}


def is_installed(line, known):
    """Return whether a requirement that names a URL or a path is installed; `known` is what sources() returns."""
    text = re.sub(r"^(?:(?:-e|--editable)[\s=]*)?(?:.*? @ )?", "", line)
    text = re.sub(r"^[a-z]+\+(?=[a-z]+:)|[#;].*|(?<=[a-z])@[^@/]*$", "", text.strip())
    text = text.removeprefix("file://").rstrip("/")
    return not known.isdisjoint({text, str((APPDIR / text).resolve())})


def missing(files):
    """Return the requirements that are not met, with those of the packages that are: a list of texts."""
    try:
        from pip._vendor.packaging import requirements as grammar
    except ImportError:
        return ["pip"]
    seen, found = set(), []
    todo = [(line, "") for file in files for line in lines_of(file) if not re.match(r"-(?!e|-editable)", line)]
    while todo:
        line, extra = todo.pop()
        try:
            wanted = grammar.Requirement(line)
        except grammar.InvalidRequirement:
            wanted = None
        if (line, extra) in seen or (wanted and wanted.marker and not wanted.marker.evaluate({"extra": extra})):
            continue
        seen.add((line, extra))
        if wanted is None or wanted.url:
            found += [] if is_installed(line, sources()) else [line]
            continue
        try:
            package = metadata.distribution(wanted.name)
        except metadata.PackageNotFoundError:
            found.append(line)
            continue
        found += [] if wanted.specifier.contains(package.version, prereleases=True) else [line]
        todo += [(need, name) for need in package.requires or [] for name in ["", *wanted.extras]]
    return found


def pip(*args, **options):
    """Run pip and return the process; whoever runs the servers can read what it installs, whatever the umask."""
    done = run(*PIP, *args, umask=0o022, **options)
    importlib.invalidate_caches()
    return done


def installers(*args, files):
    """Return the commands that install what files of requirements name, the fastest first.

    uv comes before pip where pip has no settings that only pip knows, and no checkout, which uv keeps elsewhere.
    """
    args = ["install", *args, *as_options(files)]
    command = shutil.which("uv", path=f"{ENV}/bin") or shutil.which("uv")
    if not command or any(is_checkout(line) for file in files for line in lines_of(file)):
        return [[*PIP, *args]]
    settings = {line.partition("=")[0].rpartition(".")[2] for line in pip("config", "list").stdout.splitlines()}
    where = ["--python", PYTHON, "--link-mode=copy", "--compile-bytecode"]
    return [[command, "pip", *args, *where]] * (settings <= HARMLESS) + [[*PIP, *args]]


def show_error(line):
    """Show a line of what an installer prints as an error."""
    print(line, end="", file=sys.stderr, flush=True)


def install(*args, files, show=show_error):
    """Install what files of requirements name, and return whether that went well.

    `show` gets each line that the installer which did it, or pip, prints.
    """
    eager = os.environ | {"PIP_UPGRADE_STRATEGY": "eager"}  # as uv always is
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    for command in (commands := installers(*args, files=files)):
        # others must be able to read the packages, whatever the umask; and while it lives, our lock holds
        child = subprocess.Popen(list(map(str, command)), cwd=APPDIR, env=eager, umask=0o022, close_fds=False, **pipes)
        lines = []
        for line in child.stdout:
            show(line) if command is commands[-1] else lines.append(line)
        if child.wait() == 0:
            break
    for line in lines if child.returncode == 0 else ():
        show(line)
    let_others_read()
    importlib.invalidate_caches()
    return child.returncode == 0


def let_others_read():
    """Let whoever runs the servers read the packages: uv keeps the modes of its cache, whatever the umask is now."""
    run("chmod", "--recursive", "go+rX", *(ENV / part for part in ("bin", "lib", "share") if (ENV / part).exists()))


def install_missing(files=None):
    """Install what is missing, with everything that it needs."""
    files = files or requirement_files()
    if not (lacking := missing(files)):
        kept("packages", f"all of {' and '.join(file.name for file in files)} is installed")
        return
    would("packages", f"install {', '.join(sorted(lacking)[:5])}")
    if pip("--version").returncode and run(PYTHON, "-m", "ensurepip", "--upgrade").returncode:
        raise Stop(f"this env has no pip; install it with: uv pip install --python {PYTHON} pip")
    say("packages", "installing, which takes a minute or two")
    if not install("--quiet", files=files):
        raise Stop("pip could not install everything, see above; fix that and run this again")
    if lacking := missing(files):
        raise Stop(f"pip reported success, but this is missing: {', '.join(lacking)}")


def let_app_import_lib():
    """Let the env's Python find lib/, which configs and tasks name; the path is relative, for a move."""
    path = Path(sysconfig.get_path("purelib"), "appdir.pth")
    line = os.path.relpath(os.path.realpath(APPDIR / "lib"), os.path.realpath(path.parent))
    if not (path.exists() and path.read_text().strip() == line):
        would("packages", f"create {path}")
        write(path, f"{line}\n".encode(), 0o644)
        say("packages", f"{path.name} created in the env, so that the app finds lib/")


def main(options):
    """Install what is missing, as an adoption does; or what a file holds, as a restore does, and nothing else."""
    if not options.path:
        install_missing()
    elif not install("--quiet", "--no-deps", files=[Path(options.path)]):
        raise Stop("pip could not install the packages, see above; fix that and run this again")


def require_index():
    """Stop unless a package index answers: else the newest version is the one that is installed."""
    found = (re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line) for file in requirement_files() for line in lines_of(file))
    names = [match[0] for match in found if match] or ["pip"]
    if all(pip("index", "versions", "--no-input", "--retries=1", name).returncode for name in names):
        raise Stop(f"no package index answers with {names[0]}; nothing has changed: try again when the network is back")


def freeze():
    """Return the list of packages that are installed in the env itself, as `pip freeze --all` prints it."""
    done = pip("freeze", "--all", "--local")
    if done.returncode:
        raise Stop(f"pip cannot list the packages of {ENV}: {done.stderr.strip()[-300:]}")
    return done.stdout


def go_back_to(frozen, work):
    """Install the packages of a list that freeze() made, and remove what it does not name."""
    (work / "packages.txt").write_text(frozen)
    wanted, now = ({re.split(r"==| @ ", line)[0].lower() for line in text.splitlines()} for text in (frozen, freeze()))
    said = []
    if not install("--quiet", "--no-deps", files=[work / "packages.txt"], show=said.append):
        raise Stop(f"pip could not install the packages of before: {reason(''.join(said))}")
    if extra := sorted(name for name in now - wanted if not name.startswith("-e")):
        pip("uninstall", "--quiet", "--yes", *extra)
