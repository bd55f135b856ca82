"""`copier update` of every old version, set of answers and kind of edit loses nothing that a user or the app wrote."""

import pytest
import yaml
from matrix.versions import NOW, VERSIONS, commit, conflicted, update, without
from support import ANSWERS, files, framework_of, git, questions

# what goes off and on again, as (question, off, on); None is the answer of before
PARTS = [(name, False, True) for name, entry in questions().items() if entry["type"] == "bool"]
PARTS += [(name, [], None) for name, entry in questions().items() if entry["type"] == "yaml"]
PARTS += [("batch_types", ["inventory"], None), ("export_types", ["report_output"], None)]
PARTS += [
    (name, choice, entry["choices"][0])
    for name, entry in questions().items()
    for choice in entry.get("choices", [])[1:]
    if name != "framework"
]
# each with the number of a set of answers for Rattail, and of one for Wutta if that has it
PARTS = [(n, *part) for n in (0, 1) for part in PARTS if n == 0 or framework_of(questions()[part[0]]) != "rattail"]


# each kind of edit takes the app dir and returns the files that must be in it, so, after the update


def no_edit(app):
    return {}


def configs(app):
    """Return the configs of an app dir but those that a version drops."""
    found = [*app.glob("*.conf"), *app.glob("luigi/*.c*f*")]
    return [path for path in found if path.name not in ("secrets.conf", "noisy.conf")]


def changed_value(app):
    """Another value in the last line of each config that has one."""
    edited = {}
    for path in configs(app):
        lines = path.read_text().rstrip("\n").split("\n")
        assert " = " in lines[-1], path
        lines[-1] = lines[-1].split(" = ")[0] + f" = mine in {path.name}"
        path.write_text("\n".join([*lines, ""]))
        edited[path.relative_to(app).as_posix()] = lines[-1].encode()
    assert {"quiet.conf", "web.conf", "cron.conf"} <= edited.keys()
    return edited


def added_section(app):
    for path in configs(app):
        path.write_text(path.read_text() + "\n[mine]\nkey = value\n")
    return {path.relative_to(app).as_posix(): b"[mine]\nkey = value\n" for path in configs(app)}


def own_files(app):
    """Scripts, config, tasks and binary files beside ours."""
    own = {"mine.sh": b"#!/bin/sh\n", "local.conf": b"[mine]\n", "luigitasks/overnight_mine.py": b"mine = 1\n"}
    own |= {"caf\xe9 .txt": b"\xff\xfe\x00", "own/deep/er": b"\x00"}
    if (app / "luigitasks/overnight_main.py").exists():
        own["luigitasks/overnight_main.py"] = b"changed = 1\n"
    for name, data in own.items():
        (app / name).parent.mkdir(exist_ok=True, parents=True)
        (app / name).write_bytes(data)
    (app / "mine.sh").chmod(0o755)
    return own


def edited_script(app):
    """A script with a line more, and a config that was made executable."""
    (app / "setup.sh").write_text((app / "setup.sh").read_text() + "# mine\n")
    for name in ("setup.sh", "quiet.conf"):
        (app / name).chmod(0o755)
    return {"setup.sh": b"# mine\n", "quiet.conf": b""}


def removed_file(app):
    """A config, a script and documentation that the user does not want."""
    for name in ("quiet.conf", "upgrade.sh", "README.md"):
        (app / name).unlink()
    return dict.fromkeys(("quiet.conf", "upgrade.sh", "README.md"))


EDITS = [no_edit, changed_value, added_section, own_files, edited_script, removed_file]


# an update to the same version shows nothing by more edits
CASES = [
    (version, number, edit)
    for version in VERSIONS
    for number in range(len(ANSWERS))
    for edit in (EDITS if version != NOW else [no_edit, added_section, own_files])
]


def test_matrix_is_large_enough():
    """The cases of the two tests below, which follow from copier.yml and grow with it."""
    assert len(CASES) + len(PARTS) >= 200


@pytest.mark.parametrize(("version", "number", "edit"), CASES)
def test_matrix(place, fresh, version, number, edit):
    app, data = place(version, number)
    edited = edit(app)
    commit(app)
    before = files(app)
    update(app)
    after = files(app)
    assert {name: after.get(name) for name in data} == data
    assert not conflicted(app)
    for name, text in edited.items():
        assert text in after[name][1] if text is not None else name not in after, name
        if name in after:
            assert after[name][0] & 0o111 == before[name][0] & 0o111, name
    if edit is no_edit:
        assert without(after, data) == fresh(number)
    else:
        others = without(after, data, edited)
        assert others == without(fresh(number), edited)
    if version == NOW:
        assert git("status", "--porcelain", cwd=app) == ""
        assert after == before


@pytest.mark.parametrize(("number", "part", "off", "on"), PARTS)
def test_part_goes_off_and_on(place, number, part, off, on):
    """With an edit in each config and task: what goes is in git's history, with the edit; all data stays."""
    app, data = place(NOW, number)
    on = yaml.safe_load((app / ".copier-answers.yml").read_text()).get(part, on)
    for path in (*configs(app), *app.glob("luigitasks/*.py")):
        path.write_text(path.read_text() + "# mine\n")
    commit(app)
    before, first = files(app), git("rev-parse", "HEAD", cwd=app).strip()
    update(app, **{part: off})
    assert {name: files(app).get(name) for name in data} == data
    for name in before.keys() - files(app).keys():
        assert name.endswith(".gitkeep") or git("show", f"{first}:{name}", cwd=app).encode() == before[name][1]
    commit(app)
    update(app, **{part: on})
    after = files(app)
    assert {name: after.get(name) for name in data} == data
    assert before.keys() - after.keys() == set()
    assert not conflicted(app)
    gone_and_back = git("log", "--format=", "--name-only", "--diff-filter=D", "-z", cwd=app).split("\0")
    for path in (*configs(app), *app.glob("luigitasks/*.py")):
        assert b"# mine" in path.read_bytes() or path.relative_to(app).as_posix() in gone_and_back, path
