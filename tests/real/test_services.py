"""The servers of the app by supervisor and by systemd: up, restarted, closed to others, no more than they need."""

import contextlib
import datetime
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
from real.apps import ADMIN, KINDS, listens, make_app, running, scheduler_answers, until
from real.backups import snapshots
from real.clock import DAY
from real.systemd import booted
from real.users import DEVELOPER, PYTHON, SERVICE_USER, by, open_folder
from real.web import Web
from real.wheels import wheel
from render.test_servers_and_jobs import job_times
from support import require

SERVERS = {"web", "luigid", "datasync", "filemon"}
NIGHT = {"problem-reports", "products-to-csv", "products-to-instacart"}
RESTART = {"luigid": "/luigi/restart-scheduler", "datasync": "/datasync/restart"}


@pytest.fixture(scope="module")
def shop(render):
    """A Rattail app with all daemons, of root, whose servers run as a user of their own; set up by root."""
    with open_folder() as folder:
        app = make_app(
            render, folder / "po+ser", PYTHON, app_name="poser", service_user=SERVICE_USER, datasync=True, filemon=True,
            **KINDS["tailbone"],
        )  # fmt: skip
        app.setup()
        app.run("./backup.sh", "--init", "--quiet")
        yield app


def supervisord(app, config, user):
    """Run supervisord as a user while the `with` lasts, from when the web app and Luigi answer."""
    command = by(user, app.env / "bin/supervisord", "--nodaemon", "--configuration", config)
    return running(
        command, app.env / "supervisord.out", lambda: listens(app.port) and scheduler_answers(app), cwd="/",
    )  # fmt: skip


@pytest.fixture(scope="class")
def supervised(shop):
    """The shop with its servers up, as its own supervisor runs them, without root."""
    with supervisord(shop, shop.dir / "supervisor.conf", SERVICE_USER):
        yield shop


def ctl(app, *args, check=True):
    """Run supervisorctl as the service user, and return what it prints."""
    command = by(SERVICE_USER, app.env / "bin/supervisorctl", "-c", app.dir / "supervisor.conf", *args)
    return app.run(*command, check=check).stdout


def processes(app):
    """Return the process id of each server that supervisor calls RUNNING."""
    shown = ctl(app, "status", check=False)
    return {name: int(pid) for name, pid in re.findall(r"^poser:poser-(\w+) +RUNNING +pid (\d+)", shown, re.MULTILINE)}


def logged_in(app):
    """Return a Web session of the admin with all rights."""
    web = Web(f"http://127.0.0.1:{app.port}")
    web.login(*ADMIN)
    web.become_root()
    return web


@contextlib.contextmanager
def done_for_real(app, job):
    """Check that a nightly job does its work while the `with` lasts: it leaves what nothing else leaves."""
    yesterday = datetime.date.today() - datetime.timedelta(days=1)
    night = app.dir / f"luigi/{yesterday:%Y/%m/%d}"
    shutil.rmtree(night, ignore_errors=True)
    expired = app.dir / "sessions/data/0/00/expired.cache"
    expired.parent.mkdir(parents=True, exist_ok=True)
    expired.touch()
    for path in (expired, expired.parent, expired.parent.parent):
        shutil.chown(path, SERVICE_USER)
    os.utime(expired, (0, time.time() - 31 * DAY))
    backups = snapshots(app)
    yield
    if job.startswith("overnight"):
        assert {path.name for path in night.iterdir()} == NIGHT
    elif job == "backup":
        assert len(snapshots(app)) == len(backups) + 1
        assert " done: " in (app.dir / ".backup/last").read_text()
    elif job == "cleanup":
        assert not expired.exists()
    else:
        assert (app.dir / f"log/job-{job}.out").read_text() == ""


class TestOwnSupervisor:
    """As the service user starts it, without root."""

    def test_all_servers_run_as_the_service_user(self, supervised):
        pids = until(lambda: processes(supervised).keys() == SERVERS and processes(supervised))
        logged_in(supervised)
        for name, pid in pids.items():
            assert Path(f"/proc/{pid}").owner() == SERVICE_USER, name
            told = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
            secret = re.search(r"secret = (\w+)", (supervised.dir / "secrets.conf").read_text())[1]
            assert secret.encode() not in told
        log = supervised.dir / "log"
        assert {"supervisord.log", *(f"{name}.out" for name in SERVERS)} <= {path.name for path in log.iterdir()}
        assert supervised.checks(*by(SERVICE_USER))["services"][0] == "ok"

    def test_control_socket_is_closed_to_others(self, supervised):
        socket = supervised.dir / "log/supervisor.sock"
        assert stat.S_ISSOCK(socket.stat().st_mode)
        assert socket.stat().st_mode & 0o077 == 0
        command = by(DEVELOPER, supervised.env / "bin/supervisorctl", "-s", f"unix://{socket}", "pid")
        assert "Permission denied" in subprocess.run(command, capture_output=True, text=True, cwd="/").stdout

    def test_killed_web_app_comes_back(self, supervised):
        killed = processes(supervised)["web"]
        os.kill(killed, signal.SIGKILL)
        until(lambda: processes(supervised).get("web", killed) != killed)
        until(lambda: listens(supervised.port))
        logged_in(supervised)

    @pytest.mark.parametrize("name", RESTART)
    def test_restart_button(self, supervised, name):
        """What the page's button sends ends that server alone, and it is started again."""
        web = logged_in(supervised)
        before = until(lambda: processes(supervised).keys() == SERVERS and processes(supervised))
        page = web.post(RESTART[name], {"_csrf": web.csrf_token(web.get("/"))}, Referer=web.base + "/")
        assert "has been restarted" in page.text, page.text[-3000:]
        after = until(lambda: processes(supervised).get(name, before[name]) != before[name] and processes(supervised))
        assert {other for other in SERVERS if after[other] != before[other]} == {name}

    def test_stopped_server_is_named(self, supervised):
        ctl(supervised, "stop", "poser:poser-datasync")
        status, text = supervised.checks(*by(SERVICE_USER))["services"]
        ctl(supervised, "start", "poser:poser-datasync")
        assert (status, "poser:poser-datasync is STOPPED" in text) == ("FAILED", True)


def test_start_restart_and_stop(shop):
    """By the service user, or by root as him; each says it is done when it is."""
    as_user = by(SERVICE_USER, "./services.sh")
    assert "web" in shop.run(*as_user, "start").stdout
    logged_in(shop)
    before = processes(shop)
    assert before.keys() == SERVERS
    assert "luigid" in shop.run("./services.sh", "restart").stdout
    after = processes(shop)
    assert not {*before.values()} & {*after.values()}
    assert {Path(f"/proc/{pid}").owner() for pid in after.values()} == {SERVICE_USER}
    assert "/login answers" in shop.run(*as_user, "status").stdout
    refused = shop.run(*by(DEVELOPER, "sh", "-c", f"{shop.dir}/services.sh stop || true"), check=False)
    assert "Permission denied" in refused.stdout  # the app dir is closed to him
    shop.run("./services.sh", "stop")
    assert not listens(shop.port)
    done = shop.run("./services.sh", "status", check=False)
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    assert "is closed; start them: ./services.sh start" in done.stdout


def test_service_user_cannot_change_packages(supervised):
    done = supervised.run(*by(SERVICE_USER), "./upgrade.sh", check=False)
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    assert f"{SERVICE_USER} may not change the env; run {supervised.dir}/upgrade.sh as root\n" in done.stdout


def test_supervisor_that_root_starts(shop):
    """No server runs as root, nor does supervisor itself."""
    with supervisord(shop, shop.dir / "supervisor.conf", "root"):
        pids = until(lambda: (found := processes(shop)).keys() == SERVERS and found)
        pids["supervisord"] = int((shop.dir / "log/supervisord.pid").read_text())
        assert {Path(f"/proc/{pid}").owner() for pid in pids.values()} == {SERVICE_USER}
        logged_in(shop)


def test_cron_and_own_supervisor(shop):
    """services.sh puts the jobs into cron.d, and starts the servers; each job runs as cron would run it."""
    with booted() as run:
        run(shop.dir / "services.sh", "install")
        until(lambda: listens(shop.port) and scheduler_answers(shop))
        run(shop.dir / "services.sh", "install")
        _, path, *lines = run("cat", "/etc/cron.d/poser").stdout.splitlines()
        assert "/usr/local/bin:" in path
        jobs = [line.split(maxsplit=6)[5:] for line in lines if not line.startswith("@")]
        names = [command.split()[-1] for _, command in jobs]
        assert names == ["overnight-main", "backup", "cleanup", "check"]
        assert [user for user, _ in jobs] == [SERVICE_USER, "root", SERVICE_USER, SERVICE_USER]
        (at_boot,) = (line.removeprefix(f"@reboot {SERVICE_USER} ") for line in lines if line.startswith("@"))
        assert run("stat", "-c", "%U %a", "/etc/cron.d/poser").stdout == "root 644\n"  # else cron refuses it
        as_cron = ["env", "-i", path, "sh", "-c"]
        for name, (user, command) in zip(names, jobs, strict=True):
            with done_for_real(shop, name):
                done = run(*by(user, *as_cron), command)
            assert (done.stdout, done.stderr) == ("", ""), command
        ctl(shop, "shutdown")
        until(lambda: not (shop.dir / "log/supervisord.pid").exists())  # the last that supervisord does
        run(*by(SERVICE_USER, *as_cron), at_boot)
        until(lambda: listens(shop.port) and scheduler_answers(shop))
        logged_in(shop)
        run(shop.dir / "services.sh", "remove")
        until(lambda: not listens(shop.port))
        assert run("ls", "/etc/cron.d").stdout == ""


@pytest.fixture(scope="module")
def units(shop, pings):
    """The shop, after an update that has turned it over to systemd."""
    shop.run("./update.sh", "--data", "services=systemd", "--data", "alerts=heartbeat")
    secrets = (shop.dir / "secrets.conf").read_text()
    (shop.dir / "secrets.conf").write_text(re.sub("(?m)^heartbeat.url =.*", f"heartbeat.url = {pings.url}", secrets))
    return shop


def test_units_pass_the_tools_of_systemd(units, tmp_path):
    require(Path("/usr/bin/systemd-analyze").exists(), "systemd-analyze", "systemd")
    names = []
    for path in sorted(units.dir.glob("system/*.[st]*")):
        if path.suffix in (".service", ".timer"):
            text = path.read_text().replace("@APPDIR@", str(units.dir)).replace("@ENV@/..", str(units.env.parent))
            text = text.replace("@ENV@", str(units.env))
            (tmp_path / path.name).write_text(text.replace("@USER@", SERVICE_USER))
            names.append(str(tmp_path / path.name))
    assert len(names) == 4 + 2 * 4 + 1
    done = subprocess.run(["systemd-analyze", "verify", *names], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for name in names:
        if name.endswith(".service"):
            command = ["systemd-analyze", "security", "--offline=true", "--threshold=50", "--no-pager", name]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout
            most = 5.0 if name.endswith("poser-backup.service") else 2.0  # which is root
            assert float(re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)[1]) <= most, done.stdout


@pytest.fixture(scope="class")
def run(units):
    """A function that runs a command beside a real systemd, where services.sh has installed the units."""
    with booted() as run:
        run(units.dir / "services.sh", "install")
        until(lambda: listens(units.port) and scheduler_answers(units))
        yield run


@pytest.fixture
def pid(run):
    """A function that returns the process id of a server, as this machine knows it; None if it is not up."""

    def pid(name):
        inside = run("systemctl", "show", "--property=MainPID", "--value", f"poser-{name}").stdout.strip()
        for path in Path("/proc").glob("[0-9]*/status"):
            try:
                text = path.read_text()
            except OSError:  # it has ended meanwhile
                continue
            if re.search(rf"^NSpid:\t\d+\t{inside}$", text, re.MULTILINE):
                return int(path.parent.name)
        return None

    return pid


class TestSystemd:
    """A real systemd runs the units that services.sh has installed."""

    def test_servers_are_up(self, units, run):
        logged_in(units)
        shown = run(units.dir / "check.sh", "--json", check=False).stdout
        found = json.loads(shown)["checks"]["services"]
        assert found["status"] == "ok", found
        assert set(re.findall(r"poser-(\w+)\.service", found["text"])) >= SERVERS

    def test_only_what_the_app_writes_is_writable(self, units, pid):
        """Seen from within the web app's own view of the files, as its user, and as root."""
        web = pid("web")
        for user, reason in {SERVICE_USER: "Permission denied|Read-only file system", "root": "Read-only"}.items():
            for name in ("data", "log", "luigi", "sessions/data", "work"):
                inside(web, user, "touch", units.dir / name / "new", "&&", "rm", units.dir / name / "new")
            for name in ("app/new", "app/web.conf", "app/lib/new", "app/luigi/luigi.cfg", "bin/new", "lib/new"):
                with pytest.raises(subprocess.CalledProcessError) as refused:
                    inside(web, user, "touch", units.env / name)
                assert re.search(reason, refused.value.stderr)

    @pytest.mark.parametrize("job", ["overnight-main", "backup", "cleanup", "check"])
    def test_job(self, units, run, job):
        """Each does its work, and its timer is set for the next night."""
        with done_for_real(units, job):
            done = run("systemctl", "start", f"poser-{job}.service", check=False)
        assert not done.returncode, run("systemctl", "status", "--no-pager", f"poser-{job}", check=False).stdout
        assert run("systemctl", "is-failed", f"poser-{job}.service", check=False).stdout.strip() == "inactive"
        show = ("systemctl", "show", "--value", "--property")
        assert run(*show, "Unit", f"poser-{job}.timer").stdout.strip() == f"poser-{job}.service"
        next_time = run(*show, "NextElapseUSecRealtime", f"poser-{job}.timer").stdout
        assert f" {job_times()[job.removesuffix('-main') + '.sh']}:00 " in next_time

    def test_killed_job_is_told_by_systemd(self, run, pings):
        run("systemctl", "start", "--no-block", "poser-overnight-main")
        until(lambda: ("/poser-overnight-main/start", "") in pings.seen)
        del pings.seen[:]
        run("systemctl", "kill", "--signal=KILL", "poser-overnight-main")
        path, text = until(lambda: pings.seen)[0]
        assert (path, "systemd says so" in text) == ("/poser-overnight-main/fail", True)

    def test_killed_web_app_comes_back(self, units, pid):
        killed = pid("web")
        os.kill(killed, signal.SIGKILL)
        until(lambda: pid("web") not in (None, killed))
        until(lambda: listens(units.port))
        logged_in(units)

    @pytest.mark.parametrize("name", RESTART)
    def test_restart_button(self, units, pid, name):
        before, path = pid(name), f"{units.dir}/datasync.conf".replace("po+ser", "poser")
        other = ["sh", "-c", "sleep 600", units.env / "bin/rattail", "-c", path, "datasync"]
        decoy = subprocess.Popen(by(SERVICE_USER, *other))  # of an app with such a path
        web = logged_in(units)
        page = web.post(RESTART[name], {"_csrf": web.csrf_token(web.get("/"))}, Referer=web.base + "/")
        assert "has been restarted" in page.text, page.text[-3000:]
        until(lambda: pid(name) not in (None, before))
        assert decoy.poll() is None
        decoy.kill()
        decoy.wait()

    def test_upgrade_restarts_them(self, units, run, pid):
        (units.env / "wheels").mkdir()
        wheel(units.env / "wheels", "trinket", "1")
        (units.dir / "local-requirements.txt").write_text("trinket\n")
        index = ["env", "PIP_NO_INDEX=1", f"PIP_FIND_LINKS={units.env}/wheels"]
        before = {name: pid(name) for name in SERVERS}
        run(*index, units.dir / "upgrade.sh")
        assert not {*before.values()} & {pid(name) for name in SERVERS}
        logged_in(units)

    def test_part_that_goes_off_is_taken_out(self, units, run):
        for path in (units.dir / "system").glob("*-filemon.service"):
            path.unlink()
        run(units.dir / "services.sh", "install")
        assert "filemon" not in run("ls", "-R", "/etc/systemd/system").stdout
        assert run("systemctl", "is-active", "poser-filemon", check=False).stdout.strip() == "inactive"
        until(lambda: listens(units.port))

    def test_remove_leaves_nothing(self, units, run):
        run("sh", "-c", "echo mine > /etc/systemd/system/poser-mine.service")
        run(units.dir / "services.sh", "remove")
        assert run("find", "/etc/systemd/system", "-type", "f,l").stdout == "/etc/systemd/system/poser-mine.service\n"
        until(lambda: not listens(units.port) and not scheduler_answers(units))

    def test_unit_of_another_app_is_left_alone(self, units, run):
        run("sh", "-c", "echo mine > /etc/systemd/system/poser-web.service")
        done = run(units.dir / "services.sh", "install", check=False)
        assert done.returncode == 1
        assert "poser-web.service does not come from this app dir" in done.stderr
        assert run("cat", "/etc/systemd/system/poser-web.service").stdout == "mine\n"


def inside(pid, user, *command):
    """Run a shell command in the mount namespace of a process, as a user."""
    shell = ["sh", "-c", " ".join(map(str, command))]
    subprocess.run(
        ["nsenter", "--target", str(pid), "--mount", "--", *by(user, *shell)],
        check=True, capture_output=True, text=True, cwd="/",
    )  # fmt: skip


@pytest.mark.parametrize(("arguments", "code"), [((), 2), (("begin",), 2), (("install", "remove"), 2)])
def test_bad_use(shop, arguments, code):
    done = shop.run("./services.sh", *arguments, check=False)
    assert (done.returncode, done.stdout.count("\n")) == (code, 1)


def test_only_root_installs(shop):
    done = shop.run(*by(SERVICE_USER), "./services.sh", "install", check=False)
    assert (done.returncode, done.stdout) == (
        1,
        f"services.sh: only root can do that: sudo {shop.dir}/services.sh install\n",
    )
