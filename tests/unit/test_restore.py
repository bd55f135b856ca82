"""What restore.sh decides from the list of backups and packages, and how it follows links to other volumes."""

import json
import os

import pytest
from appdir import restore
from appdir.core import Stop


def test_packages_that_only_this_machine_can_install():
    lines = [
        "# Python 3.11",
        "rattail==0.21",
        "mine @ file:///srv/mine.whl",
        "far @ git+https://example.com/far@1",
        "# Editable install with no version control (ours==1.0)",
        "-e /srv/ours",
        "",
    ]
    wanted, local = restore.split_packages(lines)
    assert wanted == ["rattail==0.21", "far @ git+https://example.com/far@1"]
    assert local == {"mine": "mine @ file:///srv/mine.whl", "ours": "-e /srv/ours"}


@pytest.mark.parametrize("path", ["/volume/data", "../volume/data"])
def test_data_of_another_volume_takes_the_place_of_its_link(tmp_path, path):
    app = tmp_path / "restored"
    (app / "volume/data").mkdir(parents=True)
    (app / "volume/data/file").write_text("kept")
    (app / "data").symlink_to(path)
    restore.follow_links(app, ["/app", "/volume/data"])
    assert not (app / "data").is_symlink()
    assert (app / "data/file").read_text() == "kept"
    assert [found.name for found in app.iterdir()] == ["data"]


def test_link_to_what_was_left_out_becomes_a_folder(tmp_path):
    (tmp_path / "log").symlink_to("/no/such/volume")
    (tmp_path / "etc").symlink_to("/etc")
    restore.follow_links(tmp_path, ["/srv/envs/poser/app"])
    assert (tmp_path / "log").is_dir()
    assert not (tmp_path / "log").is_symlink()
    assert os.readlink(tmp_path / "etc") == "/etc"


def snapshot(time, owner, run):
    """Return a snapshot as restic lists it."""
    return {"time": time, "id": run, "tags": ["poser", "appdir", f"owner-{owner}", f"run-{run}"]}


@pytest.fixture
def backups(monkeypatch):
    """A function that lets restic list some snapshots, and a dump of each."""

    def backups(*found):
        def restic(_, __, tags, *___, cwd):
            run = tags.rpartition("run-")[2]
            dumps = [{"id": f"dump of {run}"}] if run != "files only" else []
            return json.dumps(dumps if "database" in tags else found)

        monkeypatch.setattr(restore, "restic", restic)

    return backups


def test_newest_backup_with_its_dump(backups, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    backups(snapshot("2026-02", "root", "b"), snapshot("2026-10", "root", "c"), snapshot("2026-01", "root", "a"))
    found, dump = restore.find("")
    assert (found["id"], dump) == ("c", "dump of c")
    backups(snapshot("2026-02", "root", "files only"))
    assert restore.find("")[1] is None


@pytest.mark.parametrize(
    ("uid", "owner", "reason"),
    [(0, "joe", "the app dir belonged to joe"), (1000, "root", "the app dir belonged to root")],
)
def test_backup_of_another_is_refused(backups, monkeypatch, uid, owner, reason):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    backups(snapshot("2026-02", owner, "a"))
    with pytest.raises(Stop, match=reason):
        restore.find("")


def test_empty_repository(backups):
    backups()
    with pytest.raises(Stop, match="has no backup with tags poser,appdir"):
        restore.find("")


def test_copies_bring_databases_alone(tmp_path, monkeypatch):
    """The app may have put anything beside the copies of its databases, which root brings to their places."""
    copies = tmp_path / restore.COPIES
    for name in ("data/poser.sqlite", "lib/run", "poser.sqlite"):
        (copies / name).parent.mkdir(parents=True, exist_ok=True)
        (copies / name).touch()
    (copies / "data/link").symlink_to("/etc/passwd")
    assert {str(name) for name in restore.copies_in(tmp_path)} == {"data/poser.sqlite", "lib/run", "poser.sqlite"}
    monkeypatch.setattr(restore, "SERVICE_USER", "shop")
    assert list(map(str, restore.copies_in(tmp_path))) == ["data/poser.sqlite"]
    copies.rename(tmp_path / "elsewhere")
    copies.symlink_to(tmp_path / "elsewhere")
    assert restore.copies_in(tmp_path) == []
