"""The repository of backups: how restic.env is read, and which backups and dumps go."""

import json
import os

import pytest
from appdir import repository
from appdir.core import Stop


@pytest.fixture
def restic_env(app_dir, monkeypatch):
    """A function that writes restic.env; restic is there, and its variables are not set."""
    for name in ("RESTIC_REPOSITORY", "RESTIC_REPOSITORY_FILE", "RESTIC_PASSWORD", "AWS_KEY"):
        monkeypatch.setenv(name, "")  # so that what is set meanwhile goes at the end
        monkeypatch.delenv(name)
    monkeypatch.setattr(repository.shutil, "which", lambda name: f"/usr/bin/{name}")
    return (app_dir / "restic.env").write_text


def test_variables_of_restic_env(restic_env, monkeypatch):
    restic_env("# comment\nRESTIC_PASSWORD='a b#c'\nAWS_KEY=from-file # why\n")
    monkeypatch.setenv("AWS_KEY", "from environment")
    repository.read_environment()
    assert os.environ["RESTIC_PASSWORD"] == "a b#c"
    assert os.environ["AWS_KEY"] == "from environment"
    assert os.environ["RESTIC_REPOSITORY"] == repository.BACKUP_REPOSITORY


def test_repository_may_be_named_in_a_file(restic_env):
    restic_env("RESTIC_REPOSITORY_FILE=/etc/repository\n")
    repository.read_environment()
    assert "RESTIC_REPOSITORY" not in os.environ
    assert repository.address() == "/etc/repository"


def test_broken_or_missing_restic_env(restic_env, app_dir):
    with pytest.raises(Stop, match=r"restic\.env, .*, is missing"):
        repository.read_environment()
    restic_env("RESTIC_PASSWORD='open\n")
    with pytest.raises(Stop, match=r"restic\.env cannot be read, fix it by hand"):
        repository.read_environment()


def test_address_is_shown_without_password(monkeypatch):
    monkeypatch.setenv("RESTIC_REPOSITORY", "rest:https://user:secret@host/poser")
    assert repository.address() == "rest:https://host/poser"


@pytest.mark.parametrize(
    ("named", "path"),
    [("local:../../backups/poser", "backups/poser"), ("../../backups", "backups"), ("sftp:host:/srv", None)],
)
def test_path_on_this_machine(app_dir, monkeypatch, named, path):
    monkeypatch.setenv("RESTIC_REPOSITORY", named)
    assert repository.local_path() == (app_dir.parent.parent / path if path else None)


@pytest.mark.parametrize("named", ["backups", "./backups", "../backups", "local:../backups"])
def test_repository_inside_the_env_is_refused(app_dir, monkeypatch, named):
    monkeypatch.setenv("RESTIC_REPOSITORY", str(app_dir / named) if named == "backups" else named)
    with pytest.raises(Stop, match="is inside the env, and would be lost with it"):
        repository.local_path()


def test_dumps_without_a_backup_go(monkeypatch):
    called = []

    def restic(*args):
        called.append(args)
        if args[0] == "snapshots":
            kinds = [tag.removeprefix("--tag=poser,") for tag in args if tag.startswith("--tag=")]
            runs = {"database": ("a", "b", "lost"), repository.UNPROVEN: ("killed",)}
            return json.dumps([{"id": run, "tags": ["poser", f"run-{run}"]} for kind in kinds for run in runs[kind]])
        keep = [{"tags": ["poser", "appdir", f"run-{run}"]} for run in ("a", "b")]
        return json.dumps([{"keep": keep, "remove": None}]) if "--json" in args else ""

    monkeypatch.setattr(repository, "restic", restic)
    repository.forget("run-b")
    assert called[2:] == [("forget", "--quiet", "lost", "killed"), ("prune", "--quiet")]
    with pytest.raises(Stop, match="the backup that was just taken is not in the repository"):
        repository.forget("run-c")
