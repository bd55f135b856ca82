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


def test_two_links_to_one_volume(tmp_path):
    """What they led to comes once, and the second link leads to the first."""
    for name in ("volume/in", "data", "work"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "volume/in/file").write_text("kept")
    (tmp_path / "data/in").symlink_to("/volume/in")
    (tmp_path / "work/in").symlink_to("../../volume/in")
    restore.follow_links(tmp_path, ["/app", "/volume/in"])
    assert {(tmp_path / name / "in/file").read_text() for name in ("data", "work")} == {"kept"}
    links = [os.readlink(tmp_path / name / "in") for name in ("data", "work") if (tmp_path / name / "in").is_symlink()]
    assert links in (["../work/in"], ["../data/in"])


def test_link_to_the_app_dir_itself_stays(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x").symlink_to("..")
    restore.follow_links(tmp_path, ["/srv/app"])
    assert os.readlink(tmp_path / "data/x") == ".."


def test_databases_never_go_where_links_lead(tmp_path, monkeypatch, capsys):
    """Neither from the copies of databases, nor in the place of one, does a link lead root out of what it restores."""
    monkeypatch.setattr(restore, "restic", lambda *_, **__: prepare(env / ".restore/app"))
    monkeypatch.setattr(restore, "give", lambda *_: None)
    outside, env = tmp_path / "outside", tmp_path / "env"
    (outside / "sqlite").mkdir(parents=True)
    for name in ("evil.sqlite", "sqlite/kept"):
        (outside / name).write_text("roots")
    links = {"data/a": outside}

    def prepare(app):
        for name in ("data/a/evil.sqlite", "data/poser.sqlite"):
            (app / restore.COPIES / name).parent.mkdir(parents=True, exist_ok=True)
            (app / restore.COPIES / name).write_text("his")
        for name, target in links.items():
            if (app / name).is_dir():
                (app / name).rename(outside / "his")
            (app / name).symlink_to(target)

    (env / ".restore").mkdir(parents=True)
    snapshot = {"id": "1", "time": "2026", "hostname": "h", "paths": ["/app"], "tags": ["owner-root"]}
    restore.bring_files(env, env / ".restore", snapshot)
    assert (outside / "evil.sqlite").read_text() == "roots"
    assert (env / "app/data/poser.sqlite").read_text() == "his"
    assert "a link leads data/a/evil.sqlite out of the app dir" in capsys.readouterr().out
    assert not (env / "app" / restore.COPIES).exists()
    links |= {"data/backup": outside}
    (env / "app").rename(env / "aside")
    restore.bring_files(env, env / ".restore", snapshot)
    assert (outside / "sqlite/kept").exists()


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
