"""Fixtures for tests with the real software: databases, and app dirs that are set up once per run."""

import email
import email.policy
import http.server
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from real import envs
from real.apps import KINDS, free_port, listens, make_app, running
from real.pythons import find_python
from real.spread import spread
from support import require

HERE = Path(__file__).parent
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(items):
    """Spread the tests of this folder over the workers, and begin with the longest."""
    ours = [item for item in items if HERE in item.path.parents]
    spread(ours)
    items[:] = ours + [item for item in items if HERE not in item.path.parents]


def pytest_collection_finish(session):
    """End the run if its workers do not know the groups, as those of xdist 3.8 with pytest 9.2."""
    grouped = [item.nodeid for item in session.items if item.get_closest_marker("xdist_group")]
    if session.config.getoption("loadgroup", False) and not all("@" in nodeid for nodeid in grouped):
        raise RuntimeError("tests that share an app would run on several workers; use a pytest that xdist knows")


@pytest.fixture(scope="session", autouse=True)
def shared_envs(tmp_path_factory):
    """Let all tests of this run share packages, Copier, and the envs that they need: each is made once, and copied."""
    base = tmp_path_factory.getbasetemp()
    ours = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "envs"
    envs.shared_envs = Path(os.environ.get("TEST_ENVS") or ours)  # a folder that outlives the run, for short runs
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_CACHE_DIR", envs.PIP_CACHE)
        patch.setenv("UV_CACHE_DIR", envs.UV_CACHE)
        patch.setenv("COPIER", str(Path(sys.executable).with_name("copier")))  # for update.sh and adopt.py
        yield


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory):
    """A function that makes a PostgreSQL database and returns its URL, with a password full of traps."""
    require(POSTGRES, "PostgreSQL", "postgresql")
    password, port = "p@ss/w%r'd\"41", free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "password").write_text(password)
        as_owner = []
        if os.getuid() == 0:  # initdb refuses to run as root
            as_owner = ["runuser", "-u", "postgres", "--"]
            for path in (folder, folder / "password"):
                shutil.chown(path, "postgres", "postgres")
            folder.chmod(0o711)  # to its socket, where each user is the role of that name
        initdb = [
            POSTGRES[-1] / "initdb",
            "--pgdata",
            folder / "data",
            "--username",
            "poser",
            "--auth-host=scram-sha-256",
            "--auth-local=peer",
        ]
        options = ["--encoding", "UTF8", "--locale", "C", "--pwfile", folder / "password"]
        subprocess.run([*as_owner, *initdb, *options], check=True, capture_output=True, cwd="/")
        server = [POSTGRES[-1] / "postgres", "-D", folder / "data", "-k", folder, "-p", port]
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]

        def run_sql(*commands, database="postgres"):
            psql = ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "poser", "-d", database]
            options = [part for command in commands for part in ("-c", command)]
            environment = os.environ | {"PGPASSWORD": password}
            subprocess.run([*psql, *options], check=True, capture_output=True, env=environment)

        def make_database(name):
            run_sql(f'create database "{name}"')
            return f"postgresql://poser:{password}@127.0.0.1:{port}/{name}"

        make_database.run_sql = run_sql  # as its administrator
        make_database.by_peer = lambda name: f"postgresql:///{name}?host={folder}&port={port}"

        with running(
            [*as_owner, *server, *options],
            tmp_path_factory.mktemp("postgresql") / "out",
            lambda: listens(port),
            cwd="/",
        ):
            yield make_database


@pytest.fixture(scope="session")
def app_of(render, tmp_path_factory, request):
    """A function app_of(kind, database, python): an App of that kind, set up; made once per run.

    `kind` is one of KINDS, `database` is sqlite or postgresql, `python` a version such as 3.11.
    """
    made = {}

    def app_of(kind, database="sqlite", python="3.11"):
        key = (kind, database, python)
        if key not in made:
            require(find_python(python), f"Python {python}", install=f"uv python install {python}")
            folder = tmp_path_factory.mktemp("-".join(key)) / "poser"
            app = make_app(render, folder, python, **KINDS[kind])
            url = {}
            if database == "postgresql":
                make_database = request.getfixturevalue("postgresql")
                url["DATABASE_URL"] = make_database(folder.parent.name)
            app.setup(**url)
            made[key] = app
        return made[key]

    return app_of


@pytest.fixture
def says(record_property):
    """A function says(what, app, output): keeps for docs/failures.md what was broken and the last line that was said,
    and returns that line.
    """

    def says(what, app, output):
        line = output.strip().splitlines()[-1]
        shown = line.replace(str(app.env), "/srv/envs/poser").replace(str(app.env.resolve()), "/srv/envs/poser")
        record_property("said", [what, re.sub(r"(?<=127\.0\.0\.1:)\d+", "5432", shown)])
        return line

    return says


class Mailbox:
    """A mail server of the test's own: `port` of 127.0.0.1, and `messages`, those that came so far."""

    def __init__(self):
        self.port = free_port()
        self.messages = []

    async def handle_DATA(self, server, session, envelope):
        self.messages.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"


@pytest.fixture(scope="session")
def mailbox():
    """A Mailbox that takes mail for everyone."""
    mailbox = Mailbox()
    server = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port)
    server.start()
    yield mailbox
    server.stop()


@pytest.fixture(scope="session")
def pings():
    """A heartbeat server of the test's own: `url`, the `key` in it, and `seen`, the (path, body) that came so far."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.seen.append((self.path.removeprefix(server.key), body.decode()))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"OK")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen, server.key = [], "/ping-key-of-the-shop"
    server.url = f"http://127.0.0.1:{server.server_port}{server.key}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
