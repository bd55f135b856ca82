"""update.sh: all of a checked update comes into the app dir, or nothing of it."""

import json
import os
import re
import shutil

import copier
import pytest
from matrix.update.conftest import ANSWERS
from matrix.update.places import change, commit, edit, is_new, put_back, refused, tracked, version
from support import files, git


def test_update_keeps_edits_modes_and_odd_names(app):
    edit(app, "rattail.conf")
    own = os.fsdecode(b"caf\xe9.txt")  # a name that Copier alone dies of
    commit(app, own, "mine")
    latin = (app.dir / "README.md").read_bytes() + b"caf\xe9\n"  # bytes that are not UTF-8
    (app.dir / "README.md").write_bytes(latin)
    git("commit", "--quiet", "--all", "--message", "Edit", cwd=app.dir)
    modes = {"rattail.conf": 0o600, "cron.conf": 0o440, "luigi": 0o700, "secrets.conf": 0o600, "setup.sh": 0o740}
    for name, mode in modes.items():
        (app.dir / name).chmod(mode)
    secrets = (app.dir / "secrets.conf").read_text()
    output = app.run("./update.sh").stdout
    assert is_new(app)
    assert "v1.0.0 -> v1.1.0" in output
    assert "gone (but in git): quiet.conf" in output
    assert (app.dir / "rattail.conf").read_text().endswith("# mine\n")
    assert (app.dir / own).read_text() == "mine"
    assert (app.dir / "README.md").read_bytes() == latin
    assert "level = ERROR" in (app.dir / "cron.conf").read_text()
    assert (app.dir / "data/new/.gitkeep").exists()
    assert os.access(app.dir / "own/deep/hello.sh", os.X_OK)
    assert {name: (app.dir / name).stat().st_mode & 0o777 for name in modes} == modes
    assert (app.dir / "secrets.conf").read_text() == secrets


def test_part_that_goes_on_gets_its_secret(app):
    secrets = (app.dir / "secrets.conf").read_text()
    app.run("./update.sh", "--data", "web_api=true", "--data", "batch_types=[inventory, other]")
    assert is_new(app)
    after = (app.dir / "secrets.conf").read_text()
    assert after.startswith(secrets)
    assert re.search(r"^\[app:webapi\]\n.*\nbeaker.session.secret = \w{64}$", after, re.MULTILINE)
    assert (app.dir / "data/batches/other").is_dir()


def test_second_update_has_nothing_to_do(updated):
    before, head = tracked(updated), git("rev-parse", "HEAD", cwd=updated.dir)
    assert updated.run("./update.sh", "--quiet", COPIER="/bin/false").stdout == ""  # it renders nothing
    assert "nothing to do" in updated.run("./update.sh").stdout
    assert (tracked(updated), git("rev-parse", "HEAD", cwd=updated.dir)) == (before, head)
    assert is_new(updated)


def test_update_equals_a_fresh_copy(updated, versions, tmp_path):
    copier.run_copy(str(versions), tmp_path / "app", data=ANSWERS, defaults=True, quiet=True)
    fresh = {name: data for name, (_, data) in files(tmp_path / "app").items()}
    ours = {name: data for name, (_, data) in files(updated.dir).items() if name in fresh}
    assert ours == fresh
    assert sorted(git("ls-files", cwd=updated.dir).split()) == sorted(
        name for name in fresh if not name.startswith(("data/", "log/", "sessions/", "work/", "luigi/log/"))
    )


def test_result_as_json(app):
    shown = json.loads(app.run("./update.sh", "--json", "--preview").stdout)
    assert (shown["ok"], shown["changed"], "web.conf" in shown["files"]) == (True, True, True)
    done = json.loads(app.run("./update.sh", "--json").stdout)
    assert done["commit"] == git("rev-parse", "HEAD", cwd=app.dir).strip()
    assert done["files"] == shown["files"]
    assert json.loads(app.run("./update.sh", "--json").stdout)["changed"] is False


def test_conflict_leaves_the_app_dir_alone_until_it_is_fixed(app):
    text = (app.dir / "web.conf").read_text()
    commit(app, "web.conf", text.replace("host = 127.0.0.1", "host = 127.0.0.1\n# my line"))
    (app.dir / "web.conf").chmod(0o600)
    before = tracked(app)
    assert "Merge conflict in web.conf" in refused(app)
    assert tracked(app) == before
    text = (app.dir / ".update/app/web.conf").read_text()
    assert "<<<<<<< your version\n" in text
    assert ">>>>>>> template v1.1.0\n" in text
    for again in ([], ["--preview"]):  # a second run does not throw away what is being fixed
        assert "an update waits in" in refused(app, *again)
    assert "conflict markers are left in web.conf" in refused(app, "--continue")
    assert tracked(app) == before
    lines = [line for line in text.splitlines(keepends=True) if not line.startswith(("<<<<<<<", "=======", ">>>>>>>"))]
    (app.dir / ".update/app/web.conf").write_text("".join(lines))
    app.run("./update.sh", "--continue")
    assert is_new(app)
    assert {"# my line", "# new in 1.1.0"} <= set((app.dir / "web.conf").read_text().splitlines())
    assert (app.dir / "web.conf").stat().st_mode & 0o777 == 0o600


def conflict(app):
    """Let an update stop at an edit of cron.conf, and return the text that it should have."""
    commit(app, "cron.conf", (app.dir / "cron.conf").read_text().replace("WARNING", "CRITICAL"))
    assert "Merge conflict in cron.conf" in refused(app)
    text = (app.dir / ".update/app/cron.conf").read_text()
    return re.sub(r"<<<<<<< .*\n(.*\n)=======\n.*\n>>>>>>> .*\n", r"\1", text)


def test_abort_drops_what_waits(app):
    conflict(app)
    before = tracked(app)
    (app.dir / "own.txt").write_text("not committed")
    app.run("./update.sh", "--abort")
    assert tracked(app).pop("own.txt")
    (app.dir / "own.txt").unlink()
    assert tracked(app) == before
    assert not (app.dir / ".update").exists()
    assert "no update in progress" in refused(app, "--abort")


def test_commit_while_an_update_waits(app):
    (app.dir / ".update/app/cron.conf").write_text(conflict(app))
    commit(app, "notes.txt", "mine")
    assert "run ./update.sh --abort, then ./update.sh" in refused(app, "--continue")
    app.run("./update.sh", "--abort")
    assert (app.dir / "notes.txt").read_text() == "mine"
    assert not (app.dir / ".update").exists()


def test_app_that_cannot_start_stays_as_it_is(app):
    """And what git ignores, such as the cause here, can be fixed where it is, and stays out of git."""
    (app.dir / ".git/info").mkdir(exist_ok=True)
    (app.dir / ".git/info/exclude").write_text("/problem\n")
    (app.dir / "problem").write_text('{"ok": false, "message": "web.conf: the app cannot start: broken for a test"}')
    before = tracked(app)
    assert "the app cannot start: broken for a test; the app dir has not changed" in refused(app)
    assert tracked(app) == before
    assert (app.dir / ".update/app/problem").is_symlink()
    (app.dir / "problem").unlink()
    app.run("./update.sh", "--continue")
    assert is_new(app)
    assert "problem" not in git("ls-files", cwd=app.dir)


def test_preview_shows_and_touches_nothing(app):
    before, refs = files(app.dir), git("show-ref", cwd=app.dir)
    git_dir = str(app.dir / ".git")  # as a git hook sets it
    output = app.run("./update.sh", "--preview", GIT_DIR=git_dir, GIT_INDEX_FILE=f"{git_dir}/index").stdout
    assert output.startswith("Update the template: v1.0.0 -> v1.1.0\n")
    assert "\n-level = WARNING\n+level = ERROR\n" in output
    assert "new folder data/new" in output
    assert git("show-ref", cwd=app.dir) == refs
    assert files(app.dir) == before


def test_diff_shows_what_the_operator_changed(app):
    edit(app, "web.conf")
    (app.dir / "cron.conf").write_text("# not committed\n")
    git("rm", "--quiet", "silent.conf", cwd=app.dir)
    git("mv", "README.md", "NOTES.md", cwd=app.dir)
    git("commit", "--quiet", "--message", "Edit", "--", "silent.conf", "README.md", "NOTES.md", cwd=app.dir)
    shutil.rmtree(app.dir / "data/templates")
    before = files(app.dir)
    output = app.run("./update.sh", "--diff").stdout
    assert "\n+# mine\n" in output
    assert "\n+# not committed\n" in output
    assert "rename to NOTES.md" in output
    facts = json.loads(app.run("./update.sh", "--diff", "--json").stdout)
    assert facts["edited"] == ["NOTES.md", "cron.conf", "web.conf"]
    assert facts["removed"] == ["silent.conf"]
    assert facts["missing_folders"] == ["data/templates"]
    assert files(app.dir) == before


def test_undo_keeps_later_edits_and_modes(app):
    before = tracked(app)
    app.run("./update.sh")
    edit(app, "rattail.conf")
    assert "v1.1.0" in app.run("./update.sh", "--undo", "--preview").stdout
    assert is_new(app)
    app.run("./update.sh", "--undo")
    assert version(app) == "v1.0.0"
    after = tracked(app)
    mode, data = before.pop("rattail.conf")
    assert after.pop("rattail.conf") == (mode, data + b"# mine\n")
    assert "data/new/.gitkeep" in after  # an empty folder more
    del after["data/new/.gitkeep"]
    assert after.pop("quiet.conf")[1] == before.pop("quiet.conf")[1]  # it was gone, so its mode is a new file's
    assert after == before
    assert "there is no update to undo" in refused(app, "--undo")
    app.run("./update.sh")
    assert is_new(app)


def test_second_undo_is_of_the_update_before(updated):
    updated.run("./update.sh", "--data", "title=Second")
    updated.run("./update.sh", "--undo")
    assert is_new(updated)
    output = updated.run("./update.sh", "--undo", "--preview").stdout
    assert output.startswith("Undo: Update the template: v1.0.0 -> v1.1.0\n")


def test_undo_keeps_what_lies_in_the_place_of_its_files(updated):
    app = updated
    edit(app, ".gitignore", "/quiet.conf\n")
    (app.dir / "quiet.conf").write_text("# mine")
    assert "quiet.conf is not as git has it" in refused(app, "--undo")
    assert (app.dir / "quiet.conf").read_text() == "# mine"
    (app.dir / "quiet.conf").unlink()
    (app.dir / "quiet.conf").mkdir()
    assert "quiet.conf is a folder, but the update has such a file" in refused(app, "--undo")
    (app.dir / "quiet.conf").rmdir()
    app.run("./update.sh", "--undo")
    assert (app.dir / "quiet.conf").is_file()


def test_part_goes_off_and_on_and_what_is_yours_stays(app):
    commit(app, "luigitasks/overnight_mine.py", "MINE = True\n")
    edit(app, "luigitasks/overnight_main.py")
    (app.dir / "luigi/2026/01/02").mkdir(parents=True)
    (app.dir / "luigi/2026/01/02/done").write_text("mine")
    output = app.run("./update.sh", "--data", "luigi=false").stdout
    assert "luigi/logging.conf, luigi/luigi.cfg" in output
    assert is_new(app)
    assert not (app.dir / "luigi/luigi.cfg").exists()
    for step in range(2):
        assert (app.dir / "luigi/2026/01/02/done").read_text() == "mine"
        assert (app.dir / "luigitasks/overnight_mine.py").read_text() == "MINE = True\n"
        assert (app.dir / "luigitasks/overnight_main.py").read_text().endswith("# mine\n")
        if not step:
            app.run("./update.sh", "--data", "luigi=true")
    assert is_new(app)
    assert (app.dir / "luigi/luigi.cfg").exists()


def test_data_on_another_volume(app, tmp_path):
    (app.dir / "data/uploads/file").write_text("mine")
    shutil.move(app.dir / "data", tmp_path / "volume")
    (app.dir / "data").symlink_to(tmp_path / "volume")
    app.run("./update.sh")
    assert is_new(app)
    assert (app.dir / "data").is_symlink()
    assert (tmp_path / "volume/new/.gitkeep").exists()
    assert (tmp_path / "volume/uploads/file").read_text() == "mine"


def test_moved_app_dir(app, tmp_path):
    home = app.env
    app.env = home.rename(tmp_path / "moved")
    try:
        app.run("./update.sh")
        assert is_new(app)
    finally:
        app.env = app.env.rename(home)


def test_check_update_of_copier_tells(made, updated, copier_once):
    command = [copier_once, "check-update", "--output-format", "json", made.dir]
    done = put_back(made, made.env / "before").run(*command)
    assert '"update_available": true' in done.stdout
    assert "1.1.0" in done.stdout
    assert '"update_available": false' in put_back(made, made.env / "after").run(*command).stdout


def test_failing_setup_is_reported(app):
    """What setup.sh finds wrong after the update undoes it, and ends update.sh too."""
    (app.dir / "data/damaged").touch()
    output = refused(app)
    assert "setup.sh fails: setup.sh: damaged; the update was undone" in output
    assert not is_new(app)


def rename_modules(repo):
    """Rename modules of the program that update.sh and setup.sh run."""
    lib = repo / "template/lib/appdir"
    for old, new in {"bring_in": "carry_in", "env": "packages_kept", "update": "updating"}.items():
        (lib / f"{old}.py").rename(lib / f"{new}.py")
        for path in lib.glob("*.py"):
            text = re.sub(rf"(?<=import ){old}\b(?!\.)|(?<=, ){old}\b(?=,|$)", f"{new} as {old}", path.read_text())
            text = text.replace(f"from appdir.{old} import", f"from appdir.{new} import")
            path.write_text(text)
    change(repo, "lib/appdir/cli.py", "MODULES = {", 'MODULES = {"update": "updating", ')


def test_version_that_renames_modules_comes_in(at, newer):
    app = at(newer(rename_modules))
    app.run("./update.sh")
    assert is_new(app)
    assert (app.dir / "lib/appdir/updating.py").exists()
    assert "nothing to do" in app.run("./update.sh").stdout
    app.run("./update.sh", "--undo")
    assert version(app) == "v1.0.0"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("lugi=false", "--data lugi: no such question"),
        ("web_port=80", "question 'web_port': Enter a port from 1024 to 65535"),
    ],
)
def test_bad_answer_is_refused(app, answer, reason):
    before = tracked(app)
    assert reason in refused(app, "--data", answer)
    assert tracked(app) == before
