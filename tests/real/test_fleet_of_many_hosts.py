"""The fleet: Ansible over real sshd, three hosts, ten app dirs, and one host that loses its network in the middle."""

import contextlib
import json
import os
import re
import secrets
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from real.apps import make_app, running
from real.backups import watching
from real.hosts import SSHD, call, lacks_rights, network
from support import ROOT, files, git, release, require

FLEET = ROOT / "fleet"
BIN = Path(sys.executable).parent
INVENTORY = re.search(r"<!-- inventory -->\n```yaml\n(.*?)```", (ROOT / "docs/many-hosts.md").read_text(), re.DOTALL)[1]
PASSWORD = "S3cret-of-the-fleet"
CONFLICT = "your edits conflict: CONFLICT (content): Merge conflict in cron.conf; the app dir has not changed"
# app dirs beside those of the documented inventory: {shop: names}; the third shop is a host of its own
MORE = {"north": ["n1", "n2", "n3"], "south": ["s1", "s2"], "west": ["w1", "w2"]}


class Fleet:
    """Hosts with app dirs, an inventory, and the playbooks."""

    def __init__(self, network, hosts, template, folder):
        self.network, self.hosts, self.template, self.folder = network, hosts, template, folder
        self.inventories = [folder / "inventory.yml"]
        self.inventories[0].write_text(INVENTORY)

    def command(self, playbook, *options):
        """Return the command that runs a playbook at the controller."""
        inventories = [part for path in self.inventories for part in ("-i", path)]
        return self.network.inside(BIN / "ansible-playbook", *inventories, playbook, *options)

    @property
    def settings(self):
        """The arguments with which a playbook is started: where, and in which environment."""
        environment = {
            "ANSIBLE_SSH_COMMON_ARGS": f"-F {self.network.folder}/ssh_config",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "cp"),
            "ANSIBLE_RETRY_FILES_SAVE_PATH": str(self.folder),
            "ANSIBLE_LOG_PATH": str(self.folder / "ansible.log"),
        }
        return {"cwd": FLEET, "env": os.environ | environment}

    def play(self, playbook, *options, check=True):
        """Run a playbook; return the process, with all output as `stdout`."""
        return call(self.command(playbook, *options), check=check, **self.settings)

    def env(self, name):
        """Return the env of an app dir as the test sees it."""
        shop = name.split("-")[0] if "-" in name else {"n": "north", "s": "south", "w": "west"}[name[0]]
        return self.hosts[shop].srv / "envs" / (name.split("-")[1] if "-" in name else name)

    def app(self, name):
        """Return an app dir as the test sees it."""
        return self.env(name) / "app"

    def release(self, tag, changes):
        """Make a release of the template in which texts of files changed: {file: (old, new)}."""
        for name, (old, new) in changes.items():
            text = (self.template / "template" / name).read_text()
            assert text.count(old) == 1, name
            (self.template / "template" / name).write_text(text.replace(old, new))
        release(self.template, tag)
        git("push", "--quiet", self.network.folder / "git/appdir-template.git", "HEAD", tag, cwd=self.template)


def recap(output):
    """Return what the last lines of a playbook count: {app dir: {word: number}}."""
    lines = re.findall(r"^(\S+) +: (ok=.*)$", output[output.rindex("PLAY RECAP") :], re.MULTILINE)
    return {name: {word: int(number) for word, number in re.findall(r"(\w+)=(\d+)", line)} for name, line in lines}


def told(output):
    """Return an output on one line: Ansible wraps long messages."""
    return " ".join(output.split())


def changed(output):
    """Return the names of the app dirs in which a playbook changed something."""
    return {name for name, counted in recap(output).items() if counted["changed"]}


def failed(output):
    """Return the names of the app dirs for which a playbook failed."""
    return {name for name, counted in recap(output).items() if counted["failed"] or counted["unreachable"]}


def state(app):
    """Return the mode and bytes of all files of an app dir, but those that any command may write."""
    theirs = ("log/", "sessions/", "data/upgrades/", "data/till.sqlite", ".update/")
    return {
        name: found for name, found in files(app).items() if not name.startswith(theirs) and "__pycache__" not in name
    }


def version(app):
    """Return the template's version of an app dir."""
    return yaml.safe_load((app / ".copier-answers.yml").read_text())["_commit"]


def commit(app, name, text):
    """Write a file of an app dir, and commit it."""
    (app / name).write_text(text)
    git("add", "--all", cwd=app)
    git("commit", "--quiet", "--message", "Edit", cwd=app)


@pytest.fixture(scope="module")
def base(render, tmp_path_factory):
    """An env with the packages of a WuttaWeb app, and no app dir."""
    app = make_app(render, tmp_path_factory.mktemp("base") / "poser", framework="wutta")
    shutil.rmtree(app.dir)
    return app.env


@pytest.fixture(scope="module")
def fleet(template, base, tmp_path_factory):
    """A Fleet of three hosts, which have envs with packages, and no app dirs."""
    require(Path(SSHD).exists(), "sshd", "openssh-server")
    require(shutil.which("ip"), "ip", "iproute2")
    require(not lacks_rights(), "unshare, or root's right to make network namespaces,", "util-linux")
    folder = tmp_path_factory.mktemp("fleet")
    call([base / "bin/python", "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, "wutta-demo==0.1.1"])
    (folder / "gitconfig").write_text('[url "git://192.0.2.1/"]\n\tinsteadOf = https://github.com/org/\n')
    git("clone", "--quiet", template, folder / "template", cwd="/")
    with contextlib.ExitStack() as stack:
        net = stack.enter_context(network(folder / "network"))
        git("clone", "--quiet", "--bare", template, net.folder / "git/appdir-template.git", cwd="/")
        environment = {"GIT_CONFIG_GLOBAL": folder / "gitconfig", "PIP_NO_INDEX": 1, "PIP_FIND_LINKS": folder}
        hosts = {
            shop: stack.enter_context(net.host(address, **environment))
            for shop, address in {"north": "192.0.2.11", "south": "192.0.2.12", "west": "192.0.2.13"}.items()
        }
        made = Fleet(net, hosts, folder / "template", folder)
        for host in hosts.values():
            (host.srv / "envs/.copier").symlink_to(sys.prefix)
        for name in ("north-poser", "south-poser", "south-till"):
            call(["cp", "-al", base, made.env(name)])
        yield made


@pytest.fixture(scope="module")
def shops(fleet):
    """The Fleet after setup.yml, which gave the texts `output` and `north`; `processes` are those of that time."""
    vault, key = fleet.folder / "vault.yml", fleet.folder / "vault.key"
    key.write_text(secrets.token_hex())
    vault.write_text(yaml.safe_dump({"app_dir_admin_password": PASSWORD}))
    call([BIN / "ansible-vault", "encrypt", "--vault-password-file", key, vault])
    # one app dir has its secrets from its host
    (fleet.env("north-poser").parent / "secrets").write_text("DATABASE_URL=sqlite:////srv/envs/poser/own.sqlite\n")
    (fleet.env("north-poser").parent / "secrets").chmod(0o600)
    options = ["-vvvv", "--vault-password-file", key, "-e", f"@{vault}", "--limit", "south"]
    with watching() as seen:
        fleet.output = fleet.play("setup.yml", *options).stdout
    fleet.processes = seen
    fleet.north = fleet.play("setup.yml", "--limit", "north", "-e", "app_dir_secrets_file=/srv/envs/secrets").stdout
    return fleet


def authenticates(fleet, name, password):
    """Return whether the app knows its admin by a password."""
    code = (
        "import sys; sys.path.insert(0, 'lib'); from appdir.core import load_config; app = load_config().get_app()\n"
        "with app.short_session() as s: print(app.get_auth_handler().authenticate_user(s, 'admin', sys.argv[1]))"
    )
    shop = fleet.hosts[name.split("-")[0]]
    path = f"/srv/envs/{name.split('-')[1]}/app"
    done = shop.run("sh", "-c", 'cd "$1" && ../bin/python -W ignore -c "$2" "$3"', "sh", path, code, password)
    return done.stdout.strip().endswith("admin")


def test_readme_inventory_is_set_up(shops):
    assert not failed(shops.output) | failed(shops.north)
    wanted = {"north-poser": ("America/Chicago", 9080), "south-poser": ("America/New_York", 9080)}
    for name, found in {**wanted, "south-till": ("America/New_York", 9090)}.items():
        answers = yaml.safe_load((shops.app(name) / ".copier-answers.yml").read_text())
        assert (answers["time_zone"], answers["web_port"], answers["framework"]) == (*found, "wutta")
        assert git("status", "--porcelain", cwd=shops.app(name)) == ""
    again = shops.play("setup.yml", "--limit", "south-till").stdout
    assert not changed(again) | failed(again)


def test_secrets_show_in_no_log_and_no_process(shops):
    assert len(shops.processes) > 50
    assert any(b"/lib" in line and b"setup" in line for line in shops.processes)
    assert not [line for line in shops.processes if PASSWORD.encode() in line]
    for text in (shops.output, (shops.folder / "ansible.log").read_text()):
        assert "app_dir_setup" in text
        assert PASSWORD not in text
    assert authenticates(shops, "south-till", PASSWORD)
    assert not authenticates(shops, "south-till", "another")


def test_secrets_of_the_host(shops):
    assert "sqlite:////srv/envs/poser/own.sqlite" in (shops.app("north-poser") / "secrets.conf").read_text()
    kept = shops.env("north-poser") / "admin-password"
    assert kept.stat().st_mode & 0o777 == 0o600
    password = kept.read_text().strip()
    assert authenticates(shops, "north-poser", password)
    assert password not in shops.north + (shops.folder / "ansible.log").read_text()
    assert "the password is in /srv/envs/poser/admin-password, on the host" in shops.north


def test_unknown_question_is_refused_by_name(shops):
    env = shops.hosts["south"].srv / "envs/new"
    (env / "bin").mkdir(parents=True)
    (env / "bin/python").touch()
    options = ["--limit", "south-poser", "-e", "app_dir_path=/srv/envs/new/app", "-e", "answer_lugi=false"]
    done = shops.play("setup.yml", *options, check=False)
    assert done.returncode == 2
    assert "no such question with these answers: answer_lugi" in told(done.stdout)
    assert [path.name for path in env.iterdir()] == ["bin"]


@pytest.fixture(scope="module")
def ten(shops):
    """The Fleet with ten app dirs of version 1.0.0, those of MORE made as copies, and version 1.1.0 of the template."""
    more = {}
    for shop, names in MORE.items():
        more[shop] = {"hosts": {name: {} for name in names}}
        for name in names:
            call(["cp", "-al", shops.env("south-till"), shops.env(name)])
            shutil.rmtree(shops.app(name))
            shutil.copytree(shops.app("south-till"), shops.app(name), symlinks=True)
            more[shop]["hosts"][name] = {"app_dir_path": f"/srv/envs/{name}/app", "answer_title": f"Till {name}"}
    more["west"]["vars"] = {"ansible_host": shops.hosts["west"].address}
    shops.inventories.append(shops.folder / "more.yml")
    shops.inventories[1].write_text(yaml.safe_dump({"all": {"children": more}}))
    changes = {"cron.conf.jinja": ("level = WARNING", "level = ERROR"), "web.conf.jinja": ("[app:web]", "[app:web]")}
    shops.release("v1.1.0", {name: (old, f"# new in 1.1.0\n{new}") for name, (old, new) in changes.items()})
    return shops


def test_check_mode_shows_what_an_update_changes(ten):
    before = state(ten.app("w1"))
    done = ten.play("update.yml", "--check", "--diff", "--limit", "w1").stdout
    assert changed(done) == {"w1"}
    assert "+# new in 1.1.0" in done
    assert "-title: Till" in done.replace("title: till", "title: Till")
    assert "+title: Till w1" in done
    assert state(ten.app("w1")) == before


@pytest.fixture(scope="module")
def rolled(ten):
    """The Fleet after a roll-out of 1.1.0 in which n1 had an edit that conflicts, and the host west lost its network.

    `before` is the state of n1 then, `output` what the roll-out said, `code` its exit code.
    """
    commit(ten.app("n1"), "cron.conf", (ten.app("n1") / "cron.conf").read_text().replace("WARNING", "INFO"))
    commit(ten.app("s1"), "silent.conf", (ten.app("s1") / "silent.conf").read_text() + "# mine\n")
    ten.before = state(ten.app("n1"))
    log = ten.folder / "rollout.log"
    begun = [ten.app(name) / ".update" for name in MORE["west"]]
    with running(
        ten.command("update.yml"), log, lambda: any(map(Path.exists, begun)), seconds=600, **ten.settings
    ) as process:
        ten.hosts["west"].cable("down")
        ten.code = process.wait(900)
    ten.output = log.read_text()
    return ten


def test_rollout_goes_on_where_a_host_loses_its_network(rolled):
    reached = {"north-poser", "south-poser", "south-till", "n1", "n2", "n3", "s1", "s2"}
    assert rolled.code == 2
    assert failed(rolled.output) == {"n1", "w1", "w2"}
    assert changed(rolled.output) == reached - {"n1"}
    for name in reached - {"n1"}:
        assert version(rolled.app(name)) == "v1.1.0"
        assert git("status", "--porcelain", cwd=rolled.app(name)) == ""
    assert "title: Till s2\n" in (rolled.app("s2") / ".copier-answers.yml").read_text()
    assert "# mine\n" in (rolled.app("s1") / "silent.conf").read_text()
    # the canary came first, alone
    assert re.search(r"TASK \[app_dir : Update the app dir\] \*+\nchanged: \[south-till\]\n\nTASK", rolled.output)


def test_app_dir_with_a_conflict_has_not_changed(rolled):
    assert state(rolled.app("n1")) == rolled.before
    assert not (rolled.app("n1") / ".update").exists()
    end = told(rolled.output[rolled.output.index("PLAY [List") :])
    assert f"/srv/envs/n1/app: {CONFLICT}" in end


@pytest.fixture(scope="module")
def report(rolled):
    """What check.yml shows, and its JSON by app dir, while west has no network, after many kinds of changes."""
    s1, s2, n2 = map(rolled.app, ("s1", "s2", "n2"))
    shutil.rmtree(s2 / "work/csv")
    (s2 / "secrets.conf").chmod(0o644)
    git("rm", "--quiet", "quiet.conf", cwd=s1)
    git("commit", "--quiet", "--message", "Not wanted", cwd=s1)
    (n2 / "web.conf").write_text((n2 / "web.conf").read_text() + "# not committed\n")
    found = rolled.folder / "report.json"
    options = ["-e", f"app_dir_report={found}", "-e", '{"answer_web_host": "localhost"}', "--limit", "!south-poser"]
    done = rolled.play("check.yml", *options, check=False)
    assert done.returncode == 2
    return done.stdout, {row["app_dir"]: row for row in json.loads(found.read_text())}


def test_report_as_json(report):
    _, rows = report
    assert len(rows) == 9
    assert rows["n1"]["version"] == {"found": "v1.0.0", "wanted": "1.1.0"}
    assert rows["n1"]["edited"] == ["cron.conf"]
    assert rows["n3"]["version"] == {"found": "v1.1.0", "wanted": "v1.1.0"}
    assert rows["n3"]["answers"] == {"web_host": {"found": "127.0.0.1", "wanted": "localhost"}}
    assert (rows["s1"]["edited"], rows["s1"]["removed"]) == (["silent.conf"], ["quiet.conf"])
    assert (rows["s2"]["missing"], rows["s2"]["permissions"]) == (
        ["work/csv"],
        ["secrets.conf has mode 0644, not 0640; ./setup.sh corrects that"],
    )
    assert rows["n2"]["uncommitted"] == rows["n2"]["edited"] == ["web.conf"]
    assert rows["n3"]["checks"]["web"]["status"] == "FAILED"  # nothing serves them
    assert rows["n3"]["wrong"] == ["answers", "services", "web"]
    for row in (rows[name] for name in ("n3", "north-poser", "south-till")):
        assert not row["edited"] + row["removed"] + row["missing"] + row["permissions"]
    for name in MORE["west"]:
        assert (rows[name]["reached"], rows[name]["wrong"]) == (False, ["NOT REACHED"])


def test_report_as_table(report):
    output, _ = report
    lines = {
        line.split()[0]: line.split() for line in output.splitlines() if re.match(r"\s+\S+ +192\.0\.2\.1\d ", line)
    }
    assert len(lines) == 9
    assert lines["s2"][:3] == ["s2", "192.0.2.12", "v1.1.0"]
    assert "work/csv" in lines["s2"]
    assert lines["w1"][2:4] == ["NOT", "REACHED:"]
    assert " ".join(lines["n1"][2:5]) == "v1.0.0 (wanted: 1.1.0)"


def test_next_run_finishes_what_was_interrupted(report, rolled):
    rolled.hosts["west"].cable("up")
    done = rolled.play("update.yml", "--limit", f"@{rolled.folder}/update.retry,!n1,n3")
    assert not failed(done.stdout)
    assert recap(done.stdout).keys() == {"w1", "w2", "n3"}
    assert changed(done.stdout) <= {"w1", "w2"}  # what was begun there may have gone on by itself
    for name in MORE["west"]:
        assert version(rolled.app(name)) == "v1.1.0"
        assert f"title: Till {name}\n" in (rolled.app(name) / ".copier-answers.yml").read_text()
        assert git("status", "--porcelain", cwd=rolled.app(name)) == ""


def test_canary_that_is_left_ends_the_rollout(report, rolled):
    done = rolled.play("update.yml", "-e", "canary=n1", "--limit", "n1,n2", check=False)
    assert done.returncode == 2
    assert CONFLICT in told(done.stdout)
    assert "nothing more is rolled out" in told(done.stdout)
    assert recap(done.stdout).keys() == {"n1"}


# serves the app, after the end of what served it before
RESTART = """#!/bin/sh
set -eu
cd "$(dirname "$0")"
[ ! -e web.pid ] || kill "$(cat web.pid)" 2> /dev/null || :
rm -f web.pid
setsid ./bin/python -m pyramid.scripts.pserve file+ini:app/web.conf > web.out 2>&1 < /dev/null &
echo $! > web.pid
"""


def test_rollout_ends_at_the_first_failure(rolled):
    """The canary is well; in the next batch one does not serve its pages after the update; no other batch begins."""
    restart = rolled.env("w2") / "restart.sh"
    restart.write_text(RESTART)
    restart.chmod(0o755)
    rolled.hosts["west"].run("/srv/envs/w2/restart.sh")
    listens = "until true 2> /dev/null > /dev/tcp/127.0.0.1/9090; do sleep 0.2; done"
    rolled.hosts["west"].run("timeout", 60, "bash", "-c", listens)
    bad = "{% if title == 'Till w2' %}\nno_such_option = 1{% endif %}"
    rolled.release("v1.2.0", {"web.conf.jinja": ("[server:main]", f"[server:main]{bad}")})
    others = {name: state(rolled.app(name)) for name in ("w2", "n1", "s2")}
    options = ["-e", json.dumps({"serial": [1, 2], "canary": "w1:w2"}), "--limit", "w1,w2,n1,s2"]
    more = rolled.inventories[1]
    more.write_text(more.read_text().replace("w2:\n", "w2:\n          app_dir_restart: ../restart.sh\n"))
    done = rolled.play("update.yml", *options, check=False)
    assert done.returncode == 2
    assert version(rolled.app("w1")) == "v1.2.0", done.stdout
    assert failed(done.stdout) == {"w2"}
    assert recap(done.stdout).keys() == {"w1", "w2", "n1"}  # n1 has the edit that conflicts
    why = "after the update, the check services fails: .*; the check web fails: .*; "
    why += "the update was undone; nothing more is rolled out"
    assert re.search(why, told(done.stdout))
    for name, before in others.items():
        assert state(rolled.app(name)) == before
    found = rolled.hosts["west"].run("/srv/envs/w2/app/check.sh", check=False).stdout  # Luigi's server is not up
    assert "http://127.0.0.1:9090/login answers" in found
