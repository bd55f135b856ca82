"""Servers and nightly jobs: the same commands under supervisor, cron and systemd, at the times of the docs."""

import configparser
import re

import pytest
from support import ROOT

PARTS = {"app_name": "poser", "web_api": True, "datasync": True, "filemon": True, "overnight": ["main", "weekly"]}
PARTS["time_zone"] = "America/Chicago"
JOBS = {
    "poser-overnight-main": "overnight.sh",
    "poser-overnight-weekly": "overnight.sh",
    "poser-backup": "backup.sh",
    "poser-cleanup": "cleanup.sh",
    "poser-check": "check.sh",
}
SERVERS = {
    "poser-web": "bin/pserve file+ini:HERE/web.conf",
    "poser-webapi": "bin/pserve file+ini:HERE/webapi.conf",
    "poser-luigid": "bin/luigid --unix-socket luigid.sock",
    "poser-datasync": "bin/rattail -c HERE/datasync.conf datasync --pidfile HERE/log/datasync.pid start",
    "poser-filemon": "bin/rattail -c HERE/filemon.conf filemon --pidfile HERE/log/filemon.pid start",
}


def job_times():
    """Return the times at which the docs say that each script runs."""
    text = (ROOT / "docs/operating.md").read_text()
    return {script: time for time, script in re.findall(r"^\| (\d\d:\d\d) \| `(\w+\.sh)` \|", text, re.MULTILINE)}


@pytest.fixture(scope="module")
def app_of(render, tmp_path_factory):
    """A function that gives the app dir with one kind of services."""
    return lambda services: render(tmp_path_factory.mktemp("jobs") / "app", **PARTS, services=services)


def read(path):
    """Return the parser of a unit of systemd."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, comment_prefixes=("#",))
    parser.optionxform = str
    parser.read_string(path.read_text())
    return parser


def test_docs_name_each_script_of_a_job():
    assert job_times().keys() == set(JOBS.values())


@pytest.mark.parametrize("services", ["supervisor", "none"])
def test_cron(app_of, services):
    """Each job is a line that runs every day, as the service user."""
    lines = (app_of(services) / "system/crontab").read_text().splitlines()
    found = {}
    assert any(re.match("PATH=.*/usr/local/bin:.*/usr/bin:", line) for line in lines)  # cron has none of /usr/local
    for line in lines:
        if not line.startswith(("#", "@", "MAILTO=", "PATH=")):
            minute, hour, *days, user, command = line.split(maxsplit=6)
            assert (days, user) == (["*"] * 3, "@USER@")
            found[command.removeprefix("@APPDIR@/lib/run job ")] = f"{int(hour):02}:{int(minute):02}"
    assert found == {name.removeprefix("poser-"): job_times()[script] for name, script in JOBS.items()}
    at_boot = "@reboot @USER@ @ENV@/bin/supervisord -c @APPDIR@/supervisor.conf"
    assert (at_boot in lines) == (services == "supervisor")


def test_systemd(app_of):
    """Each job has a service and a timer, which is on; each server has a service that is on."""
    system = app_of("systemd") / "system"
    assert {path.name for path in system.glob("poser-*")} == {
        *(f"{name}.service" for name in {**JOBS, **SERVERS}), *(f"{name}.timer" for name in JOBS)
    }  # fmt: skip
    for name, script in JOBS.items():
        service, timer = read(system / f"{name}.service"), read(system / f"{name}.timer")
        assert service["Service"]["ExecStart"] == f"@APPDIR@/lib/run job {name.removeprefix('poser-')}"
        assert timer["Timer"]["OnCalendar"] == f"*-*-* {job_times()[script]}:00 America/Chicago"
        assert timer["Install"]["WantedBy"] == "timers.target"
    for name, command in SERVERS.items():
        service = read(system / f"{name}.service")
        assert service["Service"]["ExecStart"] == "@ENV@/" + command.replace("HERE", "@APPDIR@")
        assert service["Install"]["WantedBy"] == "multi-user.target"


def test_supervisor(app_of):
    programs = configparser.ConfigParser(defaults={"here": "HERE"})
    programs.read(app_of("supervisor") / "supervisor.conf")
    assert set(programs["group:poser"]["programs"].split(", ")) == SERVERS.keys()
    found = {name: programs[f"program:{name}"]["command"] for name in SERVERS}
    assert found == {name: f"HERE/../{command}" for name, command in SERVERS.items()}
