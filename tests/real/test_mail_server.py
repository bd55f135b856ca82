"""A mail server that wants a login: all mails arrive, and those of nightly jobs by TLS where it has that."""

import json
import re
import ssl
import subprocess

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from real.apps import KINDS, free_port, make_app
from real.conftest import Mailbox

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")  # the server's, not ours
LOGIN = ("shop@example.com", "se/same 100%")


@pytest.fixture(scope="module", params=["tailbone", "wuttaweb"])
def app(request, render, tmp_path_factory):
    """An app of each framework whose mail server wants a login."""
    answers = {"mail_server": f"localhost:{free_port()}", "mail_user": LOGIN[0], "mail_tls": False, "send_mail": True}
    app = make_app(render, tmp_path_factory.mktemp("mail") / "poser", **answers, **KINDS[request.param])
    app.setup(MAIL_PASSWORD=LOGIN[1])
    app.framework = KINDS[request.param]["framework"]
    app.mail_port = int(answers["mail_server"].rpartition(":")[2])
    return app


@pytest.fixture
def server(app):
    """A function that starts the app's mail server, with options of aiosmtpd, and gives its Mailbox."""
    started = []

    def server(**options):
        mailbox = Mailbox()
        options = {"auth_required": True, "authenticator": lets_in, "hostname": "localhost"} | options
        started.append(Controller(mailbox, port=app.mail_port, **options))
        started[-1].start()
        return mailbox

    yield server
    for one in started:
        one.stop()


def lets_in(server, session, envelope, mechanism, login):
    """Say that only LOGIN may send."""
    return AuthResult(success=(login.login.decode(), login.password.decode()) == LOGIN, handled=False)


def job_fails(app, **environment):
    """Let a nightly job fail, of which nobody was told yet, and return what it prints."""
    (app.dir / ".backup/alert-backup").unlink(missing_ok=True)
    return app.run("lib/run", "job", "backup", check=False, **environment).stdout


def alerts(app, **environment):
    """Return what check.sh says of alerts."""
    shown = app.run("./check.sh", "--json", check=False, **environment).stdout
    return tuple(json.loads(shown)["checks"]["alerts"].values())


def test_login(app, server):
    """Of the framework's own mails too, which know no TLS; check.sh names a password that is wrong or missing."""
    mailbox = server(auth_require_tls=False)
    command = {"rattail": "run-n-mail", "wutta": "runner"}[app.framework]
    app.run(f"../bin/{app.framework}", "-c", f"{app.framework}.conf", command, "--subject", "Night", "echo all is well")
    assert job_fails(app) == ""
    assert [mail["Subject"] for mail in mailbox.messages] == ["[Poser] Night", "[poser] backup ended with exit code 1"]
    assert alerts(app) == ("ok", "go to root@localhost")
    secrets = app.dir / "secrets.conf"
    text = secrets.read_text()
    secrets.write_text(text.replace("se/same", "sesame"))
    assert alerts(app)[0] == "FAILED"
    assert alerts(app)[1].startswith(f"no mail can be sent by localhost:{app.mail_port}: (535, ")
    secrets.write_text(re.sub("(?m)^smtp.password = .*", "smtp.password =", text))
    assert alerts(app)[1].endswith(f"write it into secrets.conf, as smtp.password of [{app.framework}.mail]")
    secrets.write_text(text)


def test_tls(app, server, tmp_path):
    """The password goes to no server that cannot prove its name."""
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]
    subprocess.run([*command, *names], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    mailbox = server(require_starttls=True, tls_context=context)
    assert "certificate verify failed" in job_fails(app)
    assert (mailbox.messages, alerts(app)[0]) == ([], "FAILED")
    assert job_fails(app, SSL_CERT_FILE=str(certificate)) == ""
    assert [mail["Subject"] for mail in mailbox.messages] == ["[poser] backup ended with exit code 1"]


def test_tls_is_demanded(app, server):
    """Nothing goes to a server that offers no TLS, as one seems to whose offer somebody between took away."""
    answers = app.dir / "lib/appdir/answers.py"
    text = answers.read_text()
    changed = text.replace("MAIL_TLS = False", "MAIL_TLS = True")
    assert changed != text
    mailbox = server(auth_require_tls=False)
    try:
        answers.write_text(changed)
        assert "it offers no TLS, which the answer to mail_tls demands" in job_fails(app)
        assert alerts(app)[0] == "FAILED"
    finally:
        answers.write_text(text)
    assert mailbox.messages == []
    assert job_fails(app) == ""
    assert len(mailbox.messages) == 1


def test_nobody_listens(app):
    assert alerts(app)[0] == "FAILED"
    assert f"no mail can be sent by localhost:{app.mail_port}: " in alerts(app)[1]
