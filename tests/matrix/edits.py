"""Edits that operators make in an app dir, what the app itself writes there, and how to update and look after it."""

import os
import re

import copier
import yaml
from freeze import ANSWERS_FILE
from support import files, git, questions

MARKER = b"\n<<<<<<< before updating\n"


# each kind of edit takes the app dir and returns what must be in it afterwards, so: {name: text, or None for no file}


def configs(app):
    """Return the configs that the app dir has, but secrets.conf."""
    found = [*app.glob("*.conf"), *app.glob("luigi/*.c*f*")]
    return [path for path in found if path.name not in ("secrets.conf", "local.conf")]


def removed_file(app):
    """Files that the operator does not want: a config and scripts; but a placeholder comes back."""
    (app / "log/.gitkeep").unlink()
    names = ("silent.conf", "upgrade.sh", "cleanup.sh")
    for name in names:
        (app / name).unlink()
    return dict.fromkeys(names)


def changed_value(app):
    """Another value in the last line of each config that has one."""
    edited = {}
    for path in configs(app):
        lines = path.read_text().rstrip("\n").split("\n")
        assert " = " in lines[-1], path
        lines[-1] = lines[-1].split(" = ")[0] + f" = mine in {path.name}"
        path.write_text("\n".join([*lines, ""]))
        edited[path.relative_to(app).as_posix()] = lines[-1].encode()
    assert {"quiet.conf", "cron.conf"} <= edited.keys()
    return edited


def added_section(app):
    """A section more at the end of each config."""
    for path in configs(app):
        path.write_text(path.read_text() + "\n[mine]\nkey = value\n")
    return {path.relative_to(app).as_posix(): b"[mine]\nkey = value\n" for path in configs(app)}


def own_files(app):
    """Scripts, config, tasks and binary files beside ours."""
    own = {"mine.sh": b"#!/bin/sh\n", "local.conf": b"[mine]\n", "luigitasks/overnight_mine.py": b"mine = 1\n"}
    own |= {"caf\xe9 .txt": b"\xff\xfe\x00", "own/deep/er": b"\x00"}
    for name, data in own.items():
        (app / name).parent.mkdir(exist_ok=True, parents=True)
        (app / name).write_bytes(data)
    (app / "mine.sh").chmod(0o755)
    return own


def edited_code(app):
    """Lines more in scripts, in the README and in each file of the operator's own code; a config made executable."""
    names = ["setup.sh", "services.sh", "README.md"]
    names += [path.relative_to(app).as_posix() for path in app.rglob("*") if path.suffix in (".py", ".txt")]
    names = [name for name in names if name in names[:3] or is_yours(name)]
    for name in names:
        (app / name).write_text((app / name).read_text() + f"# mine in {name}\n")
    (app / "quiet.conf").chmod(0o755)
    return {name: f"# mine in {name}\n".encode() for name in names} | {"quiet.conf": b""}


KINDS = [removed_file, changed_value, added_section, own_files, edited_code]


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


def commit(app):
    """Commit all that git does not ignore."""
    git("add", "--all", cwd=app)
    git("commit", "--quiet", "--allow-empty", "--message", "State", cwd=app)


def update(app, version=None, **answers):
    """Update an app dir to the newest version, or another, as Copier's API does it, never with `unsafe`."""
    copier.run_update(str(app), data=answers, defaults=True, overwrite=True, quiet=True, vcs_ref=version)


def answers_of(app):
    """Return the answers of an app dir by name."""
    answers = yaml.safe_load((app / ANSWERS_FILE).read_text())
    return {name: answer for name, answer in answers.items() if not name.startswith("_")}


def expected_answers(old, template, changelog):
    """Return the answers of an older app dir as they must be in the version of a template.

    An answer is carried over, under the new name of its question where the changelog says
    "question `old` is now `new`"; an answer that gets lost must be named: "question `old` is gone".
    """
    known, expected = questions(template), {}
    for name, answer in old.items():
        new = name
        while new not in known and (found := re.search(rf"question `{new}` is now `(\w+)`", changelog)):
            new = found[1]
        if new in known:
            expected[new] = answer
        else:
            assert f"question `{new}` is gone" in changelog, f"CHANGELOG.md does not say what became of `{new}`"
    return expected


def check_answers(app, expected):
    """Check that an app dir has answers; a number may have become one that was text."""
    answers = answers_of(app)
    lost = {name: answer for name, answer in expected.items() if str(answers.get(name)) != str(answer)}
    assert not lost, f"the update lost these answers: {lost}"


def differing(found, wanted):
    """Return the names of the files that differ, each with the modes and the lines that are not the same in both."""
    names = [name for name in found | wanted if found.get(name) != wanted.get(name)]
    return {
        name: [difference(found.get(name), wanted.get(name)), difference(wanted.get(name), found.get(name))]
        for name in names
    }


def difference(this, other):
    """Return the mode of a file and its lines that another one lacks, or None for no file."""
    return this and (oct(this[0]), [line for line in this[1].splitlines() if not other or line not in other[1]][:20])


def is_yours(name):
    """Return whether a file of an app dir is the operator's own: it is written once, and never changed."""
    return name.startswith(("luigitasks/", "poser/")) or name == "local-requirements.txt"


def without(found, *others):
    """Return those files that are not in one of the others."""
    return {name: value for name, value in found.items() if not any(name in other for other in others)}


def conflicted(app):
    """Return the names of the files that hold conflict markers."""
    return [name for name, (_, data) in files(app).items() if MARKER in b"\n" + data]
