"""`copier update`: equal to a fresh copy, and nothing that a user or the app wrote is lost."""

import os
import shutil

import copier
import pytest
import yaml
from support import files, git, questions
from test_render import ANSWERS
from versions import NOW, VERSIONS, make_history

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
MARKER = b"\n<<<<<<< before updating\n"


@pytest.fixture(scope="session")
def history(template, tmp_path_factory):
    """The template's repository with all its versions."""
    return make_history(template, tmp_path_factory.mktemp("history"))


@pytest.fixture(scope="session")
def rendered(history, tmp_path_factory):
    """A function that gives an app dir of a version and a set of answers, rendered once and committed."""
    made = {}

    def rendered(version, number):
        if (version, number) not in made:
            app = tmp_path_factory.mktemp("rendered") / "poser/app"
            answers = {"app_name": "poser"} | ANSWERS[number]
            copier.run_copy(str(history), app, data=answers, defaults=True, quiet=True, vcs_ref=version)
            git("init", "--quiet", cwd=app)
            commit(app)
            made[version, number] = app
        return made[version, number]

    return rendered


@pytest.fixture(scope="session")
def fresh(rendered):
    """A function that gives the files of a fresh copy of the newest version, with a set of answers."""
    return lambda number: files(rendered(NOW, number))


@pytest.fixture
def place(rendered, tmp_path):
    """A function that gives an app dir of its own, with what a user and the app wrote: (app dir, their files)."""

    def place(version, number=0):
        app = tmp_path / "poser/app"
        shutil.copytree(rendered(version, number), app)
        return app, write_data(app)

    return place


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


def test_matrix_is_large_enough():
    """The cases of the two tests below, which follow from copier.yml and grow with it."""
    assert len(VERSIONS) * len(ANSWERS) * len(EDITS) + 2 * len(PARTS) >= 200


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("number", range(len(ANSWERS)))
@pytest.mark.parametrize("version", VERSIONS)
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


@pytest.mark.parametrize("framework", ["rattail", "wutta"])
@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part[0]}-{part[1]}")
def test_part_goes_off_and_on(place, part, framework):
    """With an edit in each config and task: what goes is in git's history, with the edit; all data stays."""
    app, data = place(NOW, ["rattail", "wutta"].index(framework))
    part, off, on = part
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


@pytest.mark.parametrize("version", ["v0.1.0", "v0.2.0", "v0.3.0"])
def test_conflict_is_marked_in_one_file(place, version):
    app, data = place(version)
    cron = app / "cron.conf"
    cron.write_text(cron.read_text().replace("level = ERROR", "level = DEBUG"))
    commit(app)
    update(app)
    assert conflicted(app) == ["cron.conf"]
    assert b"level = DEBUG" in cron.read_bytes()
    assert {name: files(app).get(name) for name in data} == data
    assert "UU cron.conf" in git("status", "--porcelain", cwd=app)


def test_folders_of_old_versions_keep_their_data(place):
    app, data = place("v0.1.0")
    update(app)
    for folder in ("data/imports", "data/mail-templates"):
        assert {path.name for path in (app / folder).iterdir()} == {os.fsdecode(b"made by th\xe9 app")}
    assert (app / "data/templates/.gitkeep").exists()
    assert not (app / "noisy.conf").exists()
    assert "noisy.conf" in git("ls-tree", "--name-only", "HEAD", cwd=app)
    assert len(data) > 10


def test_app_dir_in_a_larger_repository(place, fresh):
    app, data = place("v0.1.0")
    shutil.rmtree(app / ".git")
    (app.parent / "other.txt").write_text("not the app's")
    git("init", "--quiet", cwd=app.parent)
    commit(app.parent)
    update(app)
    assert without(files(app), data) == fresh(0)
    assert {name: files(app).get(name) for name in data} == data


def test_uncommitted_edit_is_refused(place):
    app, _ = place("v0.3.0")
    (app / "web.conf").write_text("mine")
    before = files(app)
    with pytest.raises(copier.errors.UserMessageError, match="dirty"):
        update(app)
    assert files(app) == before


def test_app_dir_without_git_is_refused(place):
    app, _ = place("v0.3.0")
    shutil.rmtree(app / ".git")
    before = files(app)
    with pytest.raises(copier.errors.UserMessageError, match="git-tracked"):
        update(app)
    assert files(app) == before


def test_copier_alone_loses_edits_of_an_ignored_file(place):
    """Why the README tells to use update.sh, which refuses this; if Copier mends it, mend the README."""
    app, _ = place("v0.3.0")
    git("rm", "--quiet", "--cached", "cron.conf", cwd=app)
    (app / ".gitignore").write_text((app / ".gitignore").read_text() + "/cron.conf\n")
    (app / "cron.conf").write_text((app / "cron.conf").read_text() + "# mine\n")
    commit(app)
    update(app)
    assert b"# mine" not in files(app).get("cron.conf", (0, b""))[1]


def test_copier_alone_stops_at_a_link_to_another_volume(place, tmp_path):
    """Half way, but nothing is lost: git has the old files, and the data stay."""
    app, data = place("v0.3.0")
    shutil.move(app / "data", tmp_path / "volume")
    (app / "data").symlink_to(tmp_path / "volume")
    with pytest.raises(copier.errors.ForbiddenPathError, match="data/"):
        update(app)
    git("reset", "--quiet", "--hard", cwd=app)
    assert git("status", "--porcelain", cwd=app) == ""
    assert {name: (app / name).read_bytes() for name in data} == {name: found[1] for name, found in data.items()}


def test_copier_alone_stops_at_a_tracked_name_that_is_not_utf8(place):
    """update.sh does not; if Copier mends it, mend the README."""
    app, data = place("v0.3.0")
    (app / os.fsdecode(b"caf\xe9.txt")).write_text("mine")
    commit(app)
    with pytest.raises(UnicodeDecodeError):
        update(app)
    git("reset", "--quiet", "--hard", cwd=app)
    assert git("status", "--porcelain", cwd=app) == ""
    assert {name: files(app).get(name) for name in data} == data


def test_copier_alone_loses_bytes_that_are_not_utf8(place):
    """update.sh refuses such a file; if Copier mends it, mend the README."""
    app, _ = place(NOW)
    (app / "README.md").write_bytes((app / "README.md").read_bytes() + b"caf\xe9\n")
    commit(app)
    update(app)
    assert (app / "README.md").read_bytes().endswith(b"caf\n")


def test_copier_alone_resets_modes_only_of_what_it_changes(place):
    """Why the README tells to use update.sh, which keeps all; secrets and folders keep theirs in any case."""
    app, _ = place("v0.3.0")
    for name in ("cron.conf", "web.conf"):
        (app / name).chmod(0o600)
    (app / "luigi").chmod(0o700)
    update(app)
    modes = {name: (app / name).stat().st_mode & 0o777 for name in ("cron.conf", "web.conf", "luigi", "secrets.conf")}
    assert modes == {"cron.conf": 0o644, "web.conf": 0o600, "luigi": 0o700, "secrets.conf": 0o600}


def test_flat_folders_of_many_files(place):
    app, _ = place("v0.3.0")
    for folder in ("data/uploads", "sessions/data"):
        for number in range(50_000):
            os.close(os.open(os.fsencode(app / folder) + b"/\xff%d" % number, os.O_CREAT))
    update(app)
    assert "_commit: " + NOW in (app / ".copier-answers.yml").read_text()
    assert [len(os.listdir(app / folder)) for folder in ("data/uploads", "sessions/data")] == [50_002, 50_002]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give an app dir to another user")
def test_copier_alone_refuses_the_app_dir_of_another(place):
    app, _ = place("v0.3.0")
    before = files(app)
    for path in (app, app / ".git"):
        shutil.chown(path, "nobody")
    with pytest.raises(copier.errors.UserMessageError, match="git-tracked"):
        update(app)
    assert files(app) == before
