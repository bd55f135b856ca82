"""With --quiet, no script waits for an answer, even at a terminal: whatever would ask fails instead."""

import contextlib
import http.server
import os
import pty
import select
import threading

import pytest
from real.apps import KINDS, free_port, listens, make_app, running
from real.hosts import SSHD, call


def on_terminal(app, *command, **environment):
    """Run a command in the app dir at a terminal of its own at which nobody types; return exit code and output."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(app.dir)
        os.execvpe(command[0], command, os.environ | environment)
    shown = b""
    with contextlib.suppress(OSError):  # how Linux says that the program has closed its terminal
        while select.select([terminal], [], [], 100)[0]:
            shown += os.read(terminal, 4096)
        os.kill(pid, 9)
        pytest.fail(f"{command} waits for an answer: {shown.decode(errors='replace')}")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode(errors="replace")


@pytest.fixture(scope="module")
def app(render, tmp_path_factory):
    """A WuttaWeb app, set up by `setup.sh --quiet` at a terminal, which showed `output`."""
    app = make_app(render, tmp_path_factory.mktemp("prompts") / "poser", **KINDS["wuttaweb"])
    code, app.output = on_terminal(app, "./setup.sh", "--quiet")
    assert code == 0, app.output
    return app


@pytest.fixture
def login_wanted():
    """The address of a web server that answers everything with: log in first."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="test"')
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_setup_generates_the_password(app):
    assert app.output.count("shown only now") == 1


def test_update_from_a_repository_with_a_login(app, login_wanted):
    code, shown = on_terminal(app, "./update.sh", "--quiet", "--template", f"{login_wanted}/template.git")
    assert code == 1
    assert "could not read Username" in shown


def test_update_from_an_unknown_host(app, tmp_path):
    port, log = free_port(), tmp_path / "log"
    call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"])
    server = [SSHD, "-D", "-e", "-f", "/dev/null", "-h", tmp_path / "key", "-o", "PidFile=none"]
    server += ["-o", f"ListenAddress=127.0.0.1:{port}"]
    os.makedirs("/run/sshd", exist_ok=True)
    with running(server, log, lambda: listens(port)):
        code, shown = on_terminal(
            app, "./update.sh", "--quiet", "--template", f"ssh://nobody@127.0.0.1:{port}/template.git"
        )
    assert code == 1
    assert "and the repository exists" in shown  # the end of what git says when ssh has refused
    assert "[preauth]" in log.read_text()  # it had come to the key of the host


def test_upgrade_from_an_index_with_a_login(app, login_wanted):
    index = {"PIP_INDEX_URL": f"{login_wanted}/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
    code, shown = on_terminal(app, "./upgrade.sh", "--quiet", **index)
    assert code == 1
    assert "no package index answers with WuttaWeb; nothing has changed" in shown
    assert "User for" not in shown


def test_backup_without_a_password(app):
    path = app.dir / "restic.env"
    text = path.read_text()
    path.write_text("AWS_ACCESS_KEY_ID=mine\n")
    code, shown = on_terminal(app, "./backup.sh", "--quiet", "--init")
    path.write_text(text)
    assert code == 1
    assert "enter password" not in shown.lower()
