"""What nightly jobs tell: the mails and pings of good and bad runs, and none where none is due."""

import json
import os
import re
import time

import pytest
from real.apps import KINDS, free_port, make_app, until
from real.clock import DAY, ahead

OPERATOR = "operator@shop.example"


@pytest.fixture(scope="module", params=["tailbone", "wuttaweb"])
def app(request, render, tmp_path_factory, mailbox, pings):
    """An app of each framework that tells both by mail and by heartbeat, set up."""
    server = f"127.0.0.1:{mailbox.port}"
    answers = {"alerts": "both", "mail_server": server, "mail_to": OPERATOR, **KINDS[request.param]}
    app = make_app(render, tmp_path_factory.mktemp("alerts") / "poser", **answers)
    app.setup(HEARTBEAT_URL=pings.url)
    return app


@pytest.fixture
def run(app, mailbox, pings):
    """A function run(job, **environment): runs a job, and gives its exit code, its output, its mails and pings."""

    def run(job, **environment):
        mails, seen = len(mailbox.messages), len(pings.seen)
        done = app.run("lib/run", "job", job, check=False, **environment)
        return done.returncode, done.stdout, mailbox.messages[mails:], pings.seen[seen:]

    return run


def events(job, *names):
    """Return the paths of the pings of a job."""
    return [f"/poser-{job}{name}" for name in names]


def test_good_runs_are_no_news(run):
    for job in ("overnight-main", "cleanup"):
        code, output, mails, seen = run(job)
        assert (code, output, mails) == (0, "", [])
        assert [path for path, _ in seen] == events(job, "/start", "")


def test_failure_is_told_at_first_and_each_week_and_when_it_is_over(app, run):
    """A backup without a repository, or one whose disk is full, fails; later it works."""
    code, output, (mail,), seen = run("backup")
    assert (code, output) == (1, "")
    assert (mail["To"], mail["Subject"]) == (OPERATOR, "[poser] backup ended with exit code 1")
    assert "there is no repository at" in mail.get_content()
    assert str(app.dir) in mail.get_content()
    assert [path for path, _ in seen] == events("backup", "/start", "/fail")
    assert "there is no repository at" in seen[1][1]
    for days in (0, 1, 6):
        code, output, mails, seen = run("backup", **ahead(days * DAY))
        assert (code, output, mails) == (1, "", [])
        assert [path for path, _ in seen] == events("backup", "/start", "/fail")
    assert len(run("backup", **ahead(8 * DAY))[2]) == 1
    app.run("./backup.sh", "--init")
    code, _, (mail,), seen = run("backup")
    assert (code, mail["Subject"]) == (0, "[poser] backup works again")
    assert [path for path, _ in seen] == events("backup", "/start", "")
    assert run("backup")[2] == []


def test_failing_task_is_told_without_secrets(app, run):
    """A task that shows the database's password and the session secret, as tracebacks may."""
    night = app.dir / "luigitasks/overnight_main.py"
    kept, secret = night.read_text(), re.search(r"secret = (\w+)", (app.dir / "secrets.conf").read_text())[1]
    password = re.search("RESTIC_PASSWORD=(.*)", (app.dir / "restic.env").read_text())[1]
    night.write_text(f"raise RuntimeError('no luck with {secret} and {password}')\n")
    code, output, (mail,), seen = run("overnight-main")
    night.write_text(kept)
    text = mail.get_content() + seen[1][1]
    assert (code != 0, output) == (True, "")
    assert "no luck with ... and ..." in text
    assert secret not in text
    assert password not in text
    assert [mail["Subject"] for mail in run("overnight-main")[2]] == ["[poser] overnight-main works again"]


def test_night_that_did_not_run_is_told_by_the_check(app, run):
    """The morning check mails what fails, again only when something else does, and when all is well."""
    with app.supervise():
        until(lambda: not run("check")[0])  # all servers are up
        last = app.dir / "luigi/log/last-main"
        before = last.stat().st_mtime
        os.utime(last, (0, time.time() - 3 * DAY))
        code, _, (mail,), seen = run("check")
        assert (code, mail["Subject"]) == (1, "[poser] check ended with exit code 1")
        assert "overnight   FAILED" in mail.get_content()
        assert seen[1][0] == "/poser-check/fail"
        assert run("check")[2] == []
        backup = app.dir / ".backup/last"
        text = backup.read_text()
        backup.write_text("2020-01-01T00:00:00+00:00 done: long ago\n")
        assert "backup      FAILED" in run("check")[2][0].get_content()
        backup.write_text(text)
        os.utime(last, (0, before))
        assert run("check")[2][0]["Subject"] == "[poser] check works again"


def test_job_that_takes_too_long(app, run):
    """It goes on, and somebody is told; its end is told too."""
    module = app.dir / "lib/appdir/job.py"
    kept = module.read_text()
    module.write_text(kept.replace('"cleanup": 1', '"cleanup": 0.0001'))
    assert module.read_text() != kept
    code, _, mails, seen = run("cleanup")
    module.write_text(kept)
    assert code == 0
    assert [mail["Subject"] for mail in mails] == [
        "[poser] cleanup has run for 0.0001 hours, and goes on",
        "[poser] cleanup works again",
    ]
    assert [path for path, _ in seen] == events("cleanup", "/start", "/fail", "")


def test_nobody_answers(app, run, mailbox, pings):
    """The job has its own exit code, and what could not be told goes to cron, without the key of the heartbeat."""
    core = next(path for path in (app.dir / "rattail.conf", app.dir / "wutta.conf") if path.exists())
    kept, secrets = core.read_text(), (app.dir / "secrets.conf").read_text()
    core.write_text(kept.replace(f"127.0.0.1:{mailbox.port}", f"127.0.0.1:{free_port()}"))
    (app.dir / "secrets.conf").write_text(secrets.replace(pings.url, f"http://127.0.0.1:{free_port()}{pings.key}"))
    assert run("cleanup")[0] == 0
    code, output, mails, seen = run("backup", RESTIC_REPOSITORY="/nowhere")
    assert (code, mails, seen) == (1, [], [])
    assert "there is no repository at /nowhere" in output
    assert "no mail can be sent" in output
    assert pings.key not in output
    core.write_text(kept)
    (app.dir / "secrets.conf").write_text(secrets)
    assert not (app.dir / ".backup/alert-backup").exists()


def test_heartbeat_without_a_url_is_named(app):
    path = app.dir / "secrets.conf"
    kept = path.read_text()
    path.write_text(re.sub("(?m)^heartbeat.url = .*", "heartbeat.url =", kept))
    status, text = json.loads(app.run("./check.sh", "--json", check=False).stdout)["checks"]["alerts"].values()
    path.write_text(kept)
    assert (status, "heartbeat.url of [alerts]" in text) == ("FAILED", True)
