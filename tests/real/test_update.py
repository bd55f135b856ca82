"""update.sh with the real software: all of a checked update comes into the app dir, or nothing of it."""

import configparser
import os
import re
import shutil
import signal
import subprocess
import time

import copier
import pytest
from real.apps import ADMIN, KINDS, App, interrupt, make_app
from support import files, git, release, require

# runs stage two of an update, and kills it at its n-th step, or just after it has marked the update as ready
DIES_AT = """
import os, runpy, signal, sys
at = sys.argv.pop(1)
steps, ready = 0, False
def count(event, args):
    global steps, ready
    if event in {"os.rename", "os.chmod", "os.mkdir", "os.remove", "os.rmdir", "subprocess.Popen"}:
        steps += 1
        if ready or at == str(steps):
            os.kill(os.getpid(), signal.SIGKILL)
        ready = at == "ready" and event == "os.rename" and str(args[1]).endswith("/ready")
lib = os.path.abspath(".update/app/lib")
sys.path.insert(0, lib)
sys.argv = [lib, "update-stage-two", os.path.abspath(".update"), *sys.argv[1:]]
os.environ["APPDIR"] = os.getcwd()
sys.addaudithook(count)
runpy.run_path(lib, run_name="__main__")
"""


@pytest.fixture(scope="module")
def versions(template, tmp_path_factory):
    """The template with a newer version 1.1.0 after 1.0.0: it changes, adds and drops files."""
    repo = tmp_path_factory.mktemp("versions") / "template"
    git("clone", "--quiet", template, repo, cwd="/")
    change(repo, "template/web.conf.jinja", "host = {{ web_host }}", "host = {{ web_host }}\n# new in 1.1.0")
    change(repo, "template/cron.conf.jinja", "level = WARNING", "level = ERROR")
    change(repo, "template/luigi/luigi.cfg.jinja", "[core]", "[core]\n# new in 1.1.0")
    change(repo, "template/setup.sh", "set -eu", "set -eu\n# new in 1.1.0")
    (repo / "template/quiet.conf.jinja").unlink()
    (repo / "template/own/deep").mkdir(parents=True)
    (repo / "template/own/deep/hello.sh").write_text("#!/bin/sh\n# Template. New in 1.1.0.\nset -eu\n")
    (repo / "template/own/deep/hello.sh").chmod(0o755)
    (repo / "template/data/new").mkdir()
    (repo / "template/data/new/.gitkeep").touch()
    release(repo, "v1.1.0")
    return repo


def change(repo, name, old, new):
    """Replace a text, which must be there once, in a file of a template."""
    text = (repo / name).read_text()
    assert text.count(old) == 1, (name, old)
    (repo / name).write_text(text.replace(old, new))


def new_app(versions, folder, **answers):
    """Make an app of version 1.0.0, set up."""

    def render(folder, **answers):
        copier.run_copy(str(versions), folder, data=answers, defaults=True, quiet=True, vcs_ref="v1.0.0")

    app = make_app(render, folder, **answers)
    app.setup()
    return app


@pytest.fixture(scope="module")
def made(versions, tmp_path_factory):
    """A WuttaWeb app of version 1.0.0, and a copy of its app dir as it was then."""
    app = new_app(versions, tmp_path_factory.mktemp("update") / "poser", **KINDS["wuttaweb"])
    for path in app.dir.glob("*.conf"):
        path.chmod(0o640)
    (app.dir / "secrets.conf").chmod(0o600)
    (app.dir / "setup.sh").chmod(0o740)
    (app.dir / "luigi").chmod(0o770)
    shutil.copytree(app.dir, app.env / "before", symlinks=True)
    return app


@pytest.fixture
def app(made):
    """The app, with all that an earlier test did to its app dir undone."""
    return put_back(made, made.env / "before")


@pytest.fixture
def updated(made):
    """The app as it is after an update, which is run once."""
    if not (made.env / "after").exists():
        put_back(made, made.env / "before").run("./update.sh")
        shutil.copytree(made.dir, made.env / "after", symlinks=True)
    return put_back(made, made.env / "after")


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


def refused(app, *options, **environment):
    """Run update.sh, which must fail with one calm line at the end, and return its output."""
    done = app.run("./update.sh", *options, check=False, **environment)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    assert done.stdout.splitlines()[-1].startswith("update.sh: ")
    return done.stdout


def is_new(app):
    """Return whether the app dir is of version 1.1.0, whole and committed."""
    assert git("status", "--porcelain", cwd=app.dir) == ""
    assert not (app.dir / ".update").exists()
    return "_commit: v1.1.0" in (app.dir / ".copier-answers.yml").read_text()


@pytest.mark.parametrize("kind", ["wuttaweb", "tailbone"])
def test_update_brings_the_new_version_and_the_app_runs(kind, versions, made, tmp_path, request):
    """With an own edit, an own file, narrowed modes, and parts that go on, whose secrets are new."""
    app = request.getfixturevalue("app") if kind == "wuttaweb" else new_app(versions, tmp_path / "e", **KINDS[kind])
    core = "wutta.conf" if kind == "wuttaweb" else "rattail.conf"
    commit(app, core, (app.dir / core).read_text().replace("production = true", "# mine\nproduction = true"))
    own = os.fsdecode(b"caf\xe9.txt")  # a name that Copier alone dies of
    commit(app, own, "mine")
    latin = (app.dir / "README.md").read_bytes() + b"caf\xe9\n"  # bytes that are not UTF-8
    (app.dir / "README.md").write_bytes(latin)
    git("commit", "--quiet", "--all", "--message", "Edit", cwd=app.dir)
    for name, mode in {core: 0o600, "cron.conf": 0o440, "luigi": 0o700, "secrets.conf": 0o600}.items():
        (app.dir / name).chmod(mode)
    secrets = configparser.RawConfigParser()
    secrets.read(app.dir / "secrets.conf")
    parts = ["--data", "web_api=true"] if kind == "tailbone" else ["--data", "batch_types=[neworder, other]"]

    output = app.run("./update.sh", *parts).stdout

    assert is_new(app)
    assert "v1.0.0 -> v1.1.0" in output
    assert "gone (but in git): quiet.conf" in output
    assert "# mine" in (app.dir / core).read_text()
    assert (app.dir / own).read_text() == "mine"
    assert "level = ERROR" in (app.dir / "cron.conf").read_text()
    assert (app.dir / "data/new/.gitkeep").exists()
    assert os.access(app.dir / "own/deep/hello.sh", os.X_OK)
    modes = {name: (app.dir / name).stat().st_mode & 0o777 for name in (core, "cron.conf", "luigi", "secrets.conf")}
    assert modes == {core: 0o600, "cron.conf": 0o440, "luigi": 0o700, "secrets.conf": 0o600}
    for section in secrets.sections():
        after = configparser.RawConfigParser()
        after.read(app.dir / "secrets.conf")
        assert dict(after[section]) == dict(secrets[section])
    if kind == "tailbone":
        assert after.has_option("app:webapi", "beaker.session.secret")
    else:
        assert (app.dir / "data/batches/other").is_dir()
    with app.serve() as web:
        web.login(*ADMIN)


def test_second_update_has_nothing_to_do(updated):
    before, head = tracked(updated), git("rev-parse", "HEAD", cwd=updated.dir)
    assert updated.run("./update.sh", "--quiet").stdout == ""
    assert "nothing to do" in updated.run("./update.sh").stdout
    assert (tracked(updated), git("rev-parse", "HEAD", cwd=updated.dir)) == (before, head)
    assert is_new(updated)


def test_update_equals_a_fresh_copy(updated, versions, tmp_path):
    answers = {"app_name": "poser", "framework": "wutta", "web_port": str(updated.port)}
    answers["web_api_port"] = "9081"
    copier.run_copy(str(versions), tmp_path / "app", data=answers, defaults=True, quiet=True)
    fresh = {name: data for name, (_, data) in files(tmp_path / "app").items()}
    ours = {name: data for name, (_, data) in files(updated.dir).items() if name in fresh}
    assert ours == fresh
    assert sorted(git("ls-files", cwd=updated.dir).split()) == sorted(
        name for name in fresh if not name.startswith(("data/", "log/", "sessions/", "work/", "luigi/log/"))
    )


def test_conflict_leaves_the_app_dir_alone_until_it_is_mended(app):
    text = (app.dir / "web.conf").read_text()
    commit(app, "web.conf", text.replace("host = 127.0.0.1", "host = 127.0.0.1\n# my line"))
    before = tracked(app)
    output = refused(app)
    assert "Merge conflict in web.conf" in output
    assert tracked(app) == before
    assert "<<<<<<< your version" in (app.dir / ".update/app/web.conf").read_text()
    assert "--continue" in refused(app)  # a second run does not throw away what is being mended
    assert "conflict markers are left in web.conf" in refused(app, "--continue")
    assert tracked(app) == before
    mended = (app.dir / ".update/app/web.conf").read_text().splitlines(keepends=True)
    (app.dir / ".update/app/web.conf").write_text(
        "".join(line for line in mended if not line.startswith(("<<<<<<<", "=======", ">>>>>>>")))
    )
    app.run("./update.sh", "--continue")
    assert is_new(app)
    text = (app.dir / "web.conf").read_text()
    assert "# my line" in text
    assert "# new in 1.1.0" in text
    assert (app.dir / "web.conf").stat().st_mode & 0o777 == 0o640


def conflict(app):
    """Let an update stop at an edit of cron.conf."""
    commit(app, "cron.conf", (app.dir / "cron.conf").read_text().replace("WARNING", "CRITICAL"))
    assert "Merge conflict in cron.conf" in refused(app)
    text = (app.dir / ".update/app/cron.conf").read_text()
    return re.sub(r"<<<<<<< .*\n(.*\n)=======\n.*\n>>>>>>> .*\n", r"\1", text)  # mended, with the edit


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


def test_secrets_stay_out_of_git_while_an_update_waits(app):
    (app.dir / ".git/info").mkdir(exist_ok=True)
    (app.dir / ".git/info/exclude").write_text("/local.conf\n")
    (app.dir / "local.conf").write_text("[own\n")  # stops the check
    assert "local.conf" in refused(app)
    (app.dir / "local.conf").write_text("[own]\npassword = hunter2\n")
    assert (app.dir / ".update/app/local.conf").is_symlink()
    app.run("./update.sh", "--continue")
    assert is_new(app)
    assert "local.conf" not in git("ls-files", cwd=app.dir)


BROKEN = {
    "cron.conf": ("template/cron.conf.jinja", "[handler_console]\n", "[handler_console\n"),
    "web.conf": ("template/web.conf.jinja", "use = {{ web_app }}", "use = egg:no-such-app"),
    "quiet.conf": ("template/quiet.conf.jinja", "require = ", "require = %(nowhere)s"),
    "silent.conf": ("template/silent.conf.jinja", "%(here)s/", "%(here)s/missing-"),
    "setup.sh": ("template/setup.sh", "set -eu", "if set -eu"),
    "luigi/luigi.cfg": ("template/luigi/luigi.cfg.jinja", "[core]", "[core"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_version_that_does_not_load_stays_out(app, versions, tmp_path, name):
    git("clone", "--quiet", "--branch", "v1.0.0", versions, tmp_path / "template", cwd="/")
    change(tmp_path / "template", *BROKEN[name])
    release(tmp_path / "template", "v1.2.0")
    git("fetch", "--quiet", tmp_path / "template", "v1.2.0", cwd=versions)
    broken = git("rev-parse", "FETCH_HEAD", cwd=versions).strip()
    git("update-ref", "refs/heads/broken", broken, cwd=versions)
    before = tracked(app)
    output = refused(app, "--vcs-ref", "broken")
    assert f"{name}: " in output
    assert tracked(app) == before
    app.run("./update.sh", "--abort")


def test_preview_shows_and_touches_nothing(app):
    before = files(app.dir)
    git_dir = str(app.dir / ".git")  # as a git hook sets it
    output = app.run("./update.sh", "--preview", GIT_DIR=git_dir, GIT_INDEX_FILE=f"{git_dir}/index").stdout
    assert output.startswith("Update the template: v1.0.0 -> v1.1.0\n")
    assert "\n-level = WARNING\n+level = ERROR\n" in output
    assert files(app.dir) == before


def test_undo_takes_it_back_and_keeps_later_edits_and_modes(app):
    before = tracked(app)
    app.run("./update.sh")
    commit(app, "wutta.conf", (app.dir / "wutta.conf").read_text() + "\n[mine]\nkey = value\n")
    assert "v1.1.0" in app.run("./update.sh", "--undo", "--preview").stdout
    assert is_new(app)
    app.run("./update.sh", "--undo")
    assert not is_new(app)
    after = tracked(app)
    assert after.pop("wutta.conf") == (0o640, before.pop("wutta.conf")[1] + b"\n[mine]\nkey = value\n")
    assert after.pop("data/new/.gitkeep")  # an empty folder more
    assert after.pop("quiet.conf")[1] == before.pop("quiet.conf")[1]  # it was gone, so its mode is a new file's
    assert after == before
    assert "there is no update to undo" in refused(app, "--undo")
    app.run("./update.sh")
    assert is_new(app)


def test_second_undo_takes_back_the_update_before(updated):
    updated.run("./update.sh", "--data", "title=Second")
    updated.run("./update.sh", "--undo")
    assert is_new(updated)
    output = updated.run("./update.sh", "--undo", "--preview").stdout
    assert output.startswith("Undo: Update the template: v1.0.0 -> v1.1.0\n")


def test_undo_keeps_what_lies_in_the_place_of_its_files(updated):
    app = updated
    commit(app, ".gitignore", (app.dir / ".gitignore").read_text() + "/quiet.conf\n")
    (app.dir / "quiet.conf").write_text("# mine")
    assert "quiet.conf is not as git has it" in refused(app, "--undo")
    assert (app.dir / "quiet.conf").read_text() == "# mine"
    (app.dir / "quiet.conf").unlink()
    (app.dir / "quiet.conf").mkdir()
    assert "quiet.conf is a folder, but the update has such a file" in refused(app, "--undo")
    (app.dir / "quiet.conf").rmdir()
    app.run("./update.sh", "--undo")
    assert (app.dir / "quiet.conf").is_file()


def test_downgrade_is_refused(updated):
    before = tracked(updated)
    assert "downgrades to v1.0.0 are not supported" in refused(updated, "--vcs-ref", "v1.0.0")
    assert tracked(updated) == before


def test_part_goes_off_and_on_and_its_files_stay(app):
    commit(app, "luigitasks/overnight_mine.py", "MINE = True\n")
    (app.dir / "luigi/2026/01/02").mkdir(parents=True)
    (app.dir / "luigi/2026/01/02/done").write_text("mine")
    output = app.run("./update.sh", "--data", "luigi=false").stdout
    assert "gone (but in git): luigi/logging.conf, luigi/luigi.cfg" in output
    assert is_new(app)
    assert not (app.dir / "luigi/luigi.cfg").exists()
    app.run("./update.sh", "--data", "luigi=true")
    assert is_new(app)
    assert (app.dir / "luigi/luigi.cfg").exists()
    assert (app.dir / "luigi/2026/01/02/done").read_text() == "mine"
    assert (app.dir / "luigitasks/overnight_mine.py").read_text() == "MINE = True\n"


def test_killed_at_any_time_before_it_comes_in(app):
    """At points of time all over the part that works in the clone; nothing changes, and a rerun succeeds."""
    before, start = tracked(app), time.monotonic()
    app.run("./update.sh")
    seconds = time.monotonic() - start
    for step in range(3):
        put_back(app, app.env / "before")
        interrupt(["./update.sh"], app.dir, seconds * (step + 0.5) / 3)
        if not (app.dir / ".update/ready").exists() and not is_finished(app):
            assert tracked(app) == before
        app.run("./update.sh")
        assert is_new(app)
        assert git("fsck", "--no-dangling", cwd=app.dir) == ""


def is_finished(app):
    """Return whether the app dir's last commit is an update."""
    return git("log", "-1", "--format=%s", cwd=app.dir).startswith("Update the template")


LAY_OUT = """
import sys
sys.path.insert(0, "lib")
from appdir import cli, update
update.stage_two = lambda *_: None
sys.exit(cli.main(["update"]))
"""


def lay_out(app):
    """Let an update come so far that its result is laid out in .update, and no farther."""
    app.run("../bin/python", "-c", LAY_OUT, APPDIR=str(app.dir))


def die(app, at, *options):
    """Run stage two of an update, which is killed at a step (see DIES_AT), and return the process."""
    (app.env / "dies_at.py").write_text(DIES_AT)
    return app.run(app.env / "bin/python", "../dies_at.py", at, *options, check=False)


def test_killed_at_every_step_of_coming_in(app, tmp_path):
    """Each rename, chmod, mkdir, removal and child process is a point where it dies; then it goes on, or back."""
    old = tracked(app)
    lay_out(app)
    assert die(app, "ready").returncode == -signal.SIGKILL
    shutil.copytree(app.dir, tmp_path / "ready", symlinks=True)
    app.run("./update.sh", "--continue")
    assert is_new(app)
    new = tracked(app)
    mixed = 0
    for step in range(1, 200):
        put_back(app, tmp_path / "ready")
        done = die(app, step, "--continue")
        found = tracked(app)
        for name in [name for name in found if not name.endswith(".new")]:  # each is whole: the old one or the new one
            assert found[name] in (old.get(name), new.get(name)), (step, name)
        if not (app.dir / ".update/ready").exists():
            assert found == new
            break
        assert done.returncode == -signal.SIGKILL, done.stdout
        if found in (old, new):
            continue
        mixed += 1
        if mixed % 2:
            app.run("./update.sh", "--abort")
            assert tracked(app) == old | {name: new[name] for name in new if name.endswith(".gitkeep")}
            assert git("status", "--porcelain", cwd=app.dir) == ""
        elif mixed == 2:
            app.run("./update.sh")
            assert is_new(app)
            assert tracked(app) == new
    assert step > 30
    assert mixed > 5


def test_edit_between_two_runs_is_not_lost(app):
    lay_out(app)
    assert die(app, "ready").returncode == -signal.SIGKILL
    (app.dir / "web.conf").write_text("# mine")
    assert "web.conf is not as git has it, so an edit would be lost" in refused(app)
    git("commit", "--quiet", "--all", "--message", "Mine", cwd=app.dir)
    assert "--abort undoes what has come in" in refused(app)
    app.run("./update.sh", "--abort")
    assert git("status", "--porcelain", cwd=app.dir) == ""
    assert (app.dir / "web.conf").read_text() == "# mine"


def test_two_at_once(app):
    first = subprocess.Popen(["./update.sh"], cwd=app.dir, stdout=subprocess.DEVNULL)
    while not (app.dir / ".update").exists():
        time.sleep(0.05)
    assert "another update, upgrade or backup is running" in refused(app)
    done = subprocess.run(["./upgrade.sh"], cwd=app.dir, capture_output=True, text=True)
    assert "another update, upgrade or backup is running" in done.stderr
    assert first.wait() == 0
    assert is_new(app)


def test_data_on_another_volume(app, tmp_path):
    shutil.move(app.dir / "data", tmp_path / "volume")
    (app.dir / "data").symlink_to(tmp_path / "volume")
    app.run("./update.sh")
    assert is_new(app)
    assert (app.dir / "data").is_symlink()
    assert (tmp_path / "volume/new/.gitkeep").exists()
    assert (tmp_path / "volume/poser.sqlite").exists()


def test_app_dir_inside_a_larger_repository(app):
    shutil.rmtree(app.dir / ".git")
    (app.env / ".gitignore").write_text("*\n!/app\n!/app/**\n!/notes.txt\n/before\n")
    (app.env / "notes.txt").write_text("not the app's")
    git("init", "--quiet", cwd=app.env)
    try:
        git("add", "--all", cwd=app.env)
        git("commit", "--quiet", "--message", "All of the env", cwd=app.env)
        app.run("./update.sh")
        assert is_new(app)
        assert git("diff", "--name-only", "HEAD^", "HEAD", cwd=app.env).count("app/") >= 5
        assert "notes.txt" not in git("diff", "--name-only", "HEAD^", "HEAD", cwd=app.env)
    finally:
        shutil.rmtree(app.env / ".git")
        (app.env / ".gitignore").unlink()


def uncommitted(app):
    (app.dir / "web.conf").write_text("mine")
    return "not committed: web.conf; commit it"


def without_git(app):
    shutil.rmtree(app.dir / ".git")
    return "git does not keep this app dir, so an update could lose your edits; run ./setup.sh"


def in_an_env_that_git_ignores(app):
    shutil.rmtree(app.dir / ".git")
    (app.env / ".gitignore").write_text("*\n")
    git("init", "--quiet", app.env, cwd="/")
    git("commit", "--quiet", "--allow-empty", "--message", "Env", cwd=app.env)
    return "git does not keep this app dir, so an update could lose your edits; run ./setup.sh"


def ignored_file(app):
    git("rm", "--quiet", "--cached", "cron.conf", cwd=app.dir)
    commit(app, ".gitignore", (app.dir / ".gitignore").read_text() + "/cron.conf\n")
    (app.dir / "cron.conf").write_text((app.dir / "cron.conf").read_text() + "# mine\n")
    return "CONFLICT (modify/delete): cron.conf"


def hidden_edit(app):
    git("update-index", "--skip-worktree", "web.conf", cwd=app.dir)
    (app.dir / "web.conf").write_text((app.dir / "web.conf").read_text() + "# mine\n")
    return "web.conf is not as git has it, so an edit would be lost"


def untracked_file_that_git_does_not_show(app):
    git("config", "status.showUntrackedFiles", "no", cwd=app.dir)
    (app.dir / "own/deep").mkdir(parents=True)
    (app.dir / "own/deep/hello.sh").write_text("mine")
    return "own/deep/hello.sh is not as git has it, so an edit would be lost"


def file_where_a_folder_comes(app):
    (app.dir / "data/new").write_text("mine")
    return "data/new is not a folder, but the update brings data/new/.gitkeep"


def unfinished_git_operation(app):
    (app.dir / ".git/index.lock").touch()
    return "a git operation is unfinished; see git status, or remove .git/index.lock"


def own_folder_of_that_name(app):
    (app.dir / ".update").mkdir()
    (app.dir / ".update/mine").write_text("mine")
    return ".update is not part of an update; move it away"


def not_set_up(app):
    (app.dir / "secrets.conf").unlink()
    return "secrets.conf is missing: run ./setup.sh first"


@pytest.mark.parametrize(
    "place",
    [
        uncommitted,
        without_git,
        in_an_env_that_git_ignores,
        ignored_file,
        hidden_edit,
        untracked_file_that_git_does_not_show,
        file_where_a_folder_comes,
        unfinished_git_operation,
        own_folder_of_that_name,
        not_set_up,
    ],
)
def test_place_where_an_update_would_lose_is_refused(app, place):
    try:
        reason = place(app)
        before = tracked(app)
        assert reason in refused(app)
        assert tracked(app) == before
    finally:
        shutil.rmtree(app.env / ".git", ignore_errors=True)
        (app.env / ".gitignore").unlink(missing_ok=True)


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


def test_root_does_not_update_the_app_dir_of_another(app):
    require(os.getuid() == 0, "root, to give an app dir to another user", "sudo")
    before = tracked(app)
    shutil.chown(app.dir, "nobody")
    assert f"belongs to nobody; run this as that user: sudo -u nobody {app.dir}/update.sh" in refused(app)
    assert tracked(app) == before


def test_moved_app_dir(app, tmp_path):
    moved = App(app.env.rename(tmp_path / "moved"), app.port)
    try:
        moved.run("./update.sh")
        assert is_new(moved)
    finally:
        moved.env.rename(app.env)


def test_check_update_of_copier_tells(made, updated):
    command = [os.environ["COPIER"], "check-update", "--output-format", "json", made.dir]
    done = put_back(made, made.env / "before").run(*command)
    assert '"update_available": true' in done.stdout
    assert "1.1.0" in done.stdout
    assert '"update_available": false' in put_back(made, made.env / "after").run(*command).stdout


def test_failing_setup_is_told(app):
    """What setup.sh finds wrong after the update ends update.sh too, with what to do."""
    (app.dir / "data/poser.sqlite").write_bytes(b"damaged" * 1000)
    output = refused(app)
    assert "FAILED: sqlite" in output
    assert "run ./setup.sh" in output
    assert is_new(app)
