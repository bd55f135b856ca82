"""What the tests of update.sh do to an app dir and to a template, and what they look at."""

import re
import shutil

from support import files, git


def change(repo, name, old, new):
    """Replace a text, which must be there once, in a file of a template."""
    path = repo / "template" / name
    text = path.read_text()
    assert text.count(old) == 1, (name, old)
    path.write_text(text.replace(old, new))


def put_back(app, copy):
    """Make the app dir what a copy of it is, and return the app."""
    shutil.rmtree(app.dir)
    shutil.copytree(copy, app.dir, symlinks=True)
    return app


def tracked(app):
    """Return the mode and bytes of all files but those that an update may write: logs, locks, caches."""
    kept = {name: found for name, found in files(app.dir).items() if not name.startswith(("log/", "data/upgrades/"))}
    return {name: found for name, found in kept.items() if "__pycache__" not in name and ".update/" not in name}


def commit(app, name, text, message="Edit"):
    """Write a file of the app dir and commit it."""
    (app.dir / name).parent.mkdir(exist_ok=True, parents=True)
    (app.dir / name).write_text(text)
    git("add", "--", name, cwd=app.dir)
    git("commit", "--quiet", "--message", message, cwd=app.dir)


def edit(app, name, text="# mine\n"):
    """Add a text to a file of the app dir, and commit that."""
    commit(app, name, (app.dir / name).read_text() + text)


def refused(app, *options, **environment):
    """Run update.sh, which must fail with one calm line at the end, and return its output."""
    done = app.run("./update.sh", *options, check=False, **environment)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    assert done.stdout.splitlines()[-1].startswith("update.sh: ")
    return done.stdout


def version(app):
    """Return the version of an app dir, which must be whole and committed."""
    assert git("status", "--porcelain", cwd=app.dir) == ""
    assert not (app.dir / ".update").exists()
    return re.search("^_commit: (.*)$", (app.dir / ".copier-answers.yml").read_text(), re.MULTILINE)[1]


def is_new(app):
    """Return whether the app dir is of version 1.1.0, whole and committed."""
    return version(app) == "v1.1.0"
