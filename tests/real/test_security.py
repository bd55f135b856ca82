"""The attacker: the service user, who prepares everything he can before root runs a command of the app dir."""

import shutil
import subprocess

import pytest
from real.apps import KINDS, make_app
from real.attacker import KINDS_OF_TRAPS, attack, canary, end_servers, outside
from real.backups import path_with, repository, restic, snapshots
from real.users import PYTHON, SERVICE_USER, by, open_folder
from real.wheels import wheel

# run by the service user while root upgrades: each new folder becomes a link to a folder of root
SWAP = """
import os, sys
while True:
    for name in os.listdir("data/upgrades"):
        path = f"data/upgrades/{name}"
        if not os.path.islink(path) and os.path.isdir(path) and not name.endswith(".old"):
            os.rename(path, f"{path}.old")
            os.symlink(sys.argv[1], path)
"""


@pytest.fixture(scope="module")
def shop(render):
    """A Rattail app of root whose servers run as a user of their own, and beside it a folder of root."""
    with open_folder() as folder:
        app = make_app(
            render, folder / "poser", PYTHON, service_user=SERVICE_USER,
            **KINDS["tailbone"],
        )  # fmt: skip
        app.index = folder / "wheels"
        app.index.mkdir()
        wheel(app.index, "trinket", "1")
        (app.dir / "local-requirements.txt").write_text("trinket\n")
        app.setup(PIP_FIND_LINKS=str(app.index))
        app.canary = canary(folder)
        yield app
        end_servers(app)


def test_upgrade_while_he_swaps_its_folder(shop):
    """What root writes about an upgrade does not go where the service user leads it meanwhile."""
    before = outside(shop)
    with subprocess.Popen(by(SERVICE_USER, PYTHON, "-c", SWAP, shop.canary), cwd=shop.dir) as attacker:
        done = shop.run("./upgrade.sh", check=False, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(shop.index))
        attacker.kill()
    print(done.stdout)
    assert [path for path in (shop.dir / "data/upgrades").iterdir() if path.is_symlink()]
    assert outside(shop) == before


@pytest.fixture
def backed_up(shop):
    """The shop with a backup that root made, and with its folders as they were once the test ends."""
    shop.run("./backup.sh", "--init", "--quiet")
    mine = shop.dir / "data/in"
    mine.mkdir()
    shutil.chown(mine, SERVICE_USER)
    yield shop
    shutil.rmtree(mine)


def test_backups_are_out_of_his_reach(backed_up):
    """He can neither read the password nor the repository, nor say how a backup went."""
    for command in (
        ["cat", "restic.env"], ["ls", repository(backed_up)], ["touch", ".backup/last"], ["touch", ".backup/new"],
        ["mv", repository(backed_up), "/tmp"],
    ):  # fmt: skip
        done = backed_up.run(*by(SERVICE_USER, *command), check=False)
        assert (done.returncode != 0, "ermission denied" in done.stdout) == (True, True), command
    done = backed_up.run(*by(SERVICE_USER, "./backup.sh"), check=False)
    assert (done.returncode, done.stdout) == (
        1,
        f"backup.sh: only root keeps the backups of an app whose servers run as {SERVICE_USER}: "
        f"sudo {backed_up.dir}/backup.sh\n",
    )
    subprocess.run(["chown", "-R", SERVICE_USER, repository(backed_up)], check=True)
    done = backed_up.run("./backup.sh", check=False)
    subprocess.run(["chown", "-R", "root", repository(backed_up)], check=True)
    assert (done.returncode, f"sudo chown -R root: {repository(backed_up)}" in done.stdout) == (1, True)


def test_backup_of_what_he_has_led_elsewhere(backed_up, tmp_path):
    """A folder of root's in the place of his, while restic reads, comes into no backup; nor does a link to its file."""
    before = snapshots(backed_up)
    inside, hard = backed_up.dir / "data/in", backed_up.dir / "data/in/hard"
    lead = f'mount --bind {backed_up.canary} {inside}\nRESTIC "$@"; code=$?\numount {inside}\nexit $code'
    path = path_with(tmp_path, "restic", f'[ "$1" = backup ] || exec RESTIC "$@"\n{lead}')
    led = backed_up.run("./backup.sh", check=False, PATH=path)
    hard.hardlink_to(backed_up.canary / "file")
    linked = backed_up.run("./backup.sh", check=False)
    hard.unlink()
    for path, done in {"/data/in": led, "/data/in/hard": linked}.items():
        assert (done.returncode, f"dropped: {path}, of another user, came in by a link" in done.stdout) == (1, True)
    assert snapshots(backed_up) == before
    (inside / "roots").write_text("which is there, and stays so")
    backed_up.run("./backup.sh")


def test_backup_holds_all_wherever_his_links_lead(backed_up):
    """He can neither keep config out of it, nor bring in what is elsewhere."""
    for name in ("data/x", "luigi/x"):
        backed_up.run(*by(SERVICE_USER, "ln", "-s", backed_up.canary, name))
    uploads = backed_up.dir / "data/uploads"
    uploads.rename(uploads.with_name("aside"))
    backed_up.run(*by(SERVICE_USER, "ln", "-s", "..", "data/uploads"))
    backed_up.run("./backup.sh")
    uploads.unlink()
    uploads.with_name("aside").rename(uploads)
    found = restic(backed_up, "ls", "--tag=appdir", "latest")
    for name in ("data/x", "luigi/x"):
        (backed_up.dir / name).unlink()
    assert {"/rattail.conf", "/restic.env", "/.git/HEAD", "/data/x", "/luigi/x"} <= set(found.splitlines())
    assert str(backed_up.canary) not in found


@pytest.mark.parametrize("kind", KINDS_OF_TRAPS)
def test_root_touches_nothing_for_him(shop, kind):
    """Whatever he put in the place of what is written, nothing else changes, and no program of his becomes root's."""
    attack(shop, kind, shop.run)
