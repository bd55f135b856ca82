"""Earlier versions of the template, made from the work tree, and app dirs of them, for tests of `copier update`.

A clean clone has no tags, and must not need any.  Each version is the work tree with some
changes taken back, of the kinds that real releases make: a question, a folder or a file that
came, went or got another name, and lines that changed in config, scripts and README.
"""

import os
import shutil

import copier
from support import files, git, release

NOW = "v1.0.0"
MARKER = b"\n<<<<<<< before updating\n"


def replace(repo, name, old, new):
    """Replace text in a file of the template; ValueError if it is not there."""
    path = repo / name
    text = path.read_text()
    if old not in text:
        raise ValueError(f"{name} does not hold {old!r}")
    path.write_text(text.replace(old, new))


def add_placeholder(repo, folder):
    """Add a folder of the app dir, with a placeholder in it."""
    (repo / "template" / folder).mkdir(parents=True)
    (repo / "template" / folder / ".gitkeep").touch()


def third(repo):
    """v0.3.0: other lines in config and README."""
    replace(repo, "template/cron.conf.jinja", "level = WARNING", "level = ERROR")
    replace(repo, "template/README.md.jinja", "## Folders", "## All folders")


def second(repo):
    """v0.2.0: also without the file silent.conf and a folder, with a folder under its old name, and other scripts."""
    third(repo)
    (repo / "template/silent.conf.jinja").unlink()
    shutil.rmtree(repo / "template/data/templates")
    add_placeholder(repo, "data/mail-templates")
    replace(repo, "template/setup.sh.jinja", "umask 027", "umask 077")


def first(repo):
    """v0.1.0: also without the question luigi_port, with a question, folder and file that went, other web config."""
    second(repo)
    text = (repo / "copier.yml").read_text()
    start = text.index("luigi_port:")
    gone = "\nimport_types:\n  type: yaml\n  help: Types of imports, as a list.\n  default: [products]\n"
    (repo / "copier.yml").write_text(text[:start] + text[text.index("web_api:", start) :] + gone)
    for path in [repo / "copier.yml", *repo.glob("template/**/*.jinja")]:
        path.write_text(path.read_text().replace("{{ luigi_port }}", "8082").replace(", luigi_port]", "]"))
    add_placeholder(repo, "data/imports")
    (repo / "template/noisy.conf").write_text("# Template. As cron.conf, but it tells all.\n\n[noisy]\nlevel = DEBUG\n")
    replace(repo, "template/web.conf.jinja", "pyramid.default_locale_name = en", "pyramid.default_locale_name = de")


VERSIONS = {"v0.1.0": first, "v0.2.0": second, "v0.3.0": third, NOW: None}


def make_history(source, repo):
    """Make a git repository with each version as a tagged commit; the newest renders as `source` does."""
    git("init", "--quiet", repo, cwd=source)
    for tag, change in VERSIONS.items():
        for path in repo.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copy2(source / "copier.yml", repo)
        for folder in ("includes", "template"):
            shutil.copytree(source / folder, repo / folder)
        if change:
            change(repo)
        release(repo, tag)
    git("gc", "--quiet", cwd=repo)  # Copier clones it five times for an update, which is faster packed
    return repo


def commit(app):
    """Commit all that git does not ignore."""
    git("add", "--all", cwd=app)
    git("commit", "--quiet", "--allow-empty", "--message", "State", cwd=app)


def write_data(app):
    """Write a file next to each placeholder, with a name that is not UTF-8, secrets, and what Luigi leaves."""
    paths = [path.with_name(os.fsdecode(b"made by th\xe9 app")) for path in app.rglob(".gitkeep")]
    paths += [app / "secrets.conf", app / "luigi/2026/01/31/task", app / "data/poser.sqlite"]
    for number, path in enumerate(paths):
        if (app / "luigi").exists() or "luigi" not in path.parts:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"\x00\xff%d" % number)
    (app / "secrets.conf").chmod(0o600)
    written = {str(path.relative_to(app)) for path in paths}
    return {name: found for name, found in files(app).items() if name in written}


def update(app, version=NOW, **answers):
    """Update an app dir as Copier's API does it, never with `unsafe`."""
    copier.run_update(str(app), data=answers, defaults=True, overwrite=True, quiet=True, vcs_ref=version)


def without(found, *others):
    """Return those files that are not in one of the others."""
    return {name: value for name, value in found.items() if not any(name in other for other in others)}


def conflicted(app):
    """Return the names of the files that hold conflict markers."""
    return [name for name, (_, data) in files(app).items() if MARKER in b"\n" + data]
