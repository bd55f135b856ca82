"""Real app dirs for the tests: an env with the real packages, rendered, set up, served."""

import configparser
import contextlib
import hashlib
import json
import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import urllib.error
from dataclasses import dataclass, field
from pathlib import Path

from real import envs
from real.envs import copy_env, make_env, shared_env
from real.web import Web

ADMIN = ("admin", "s3cret-Test")
KINDS = {
    "tailbone": {"framework": "rattail"},
    "wuttaweb": {"framework": "wutta"},
    "sideshow": {"framework": "wutta", "app_package": "sideshow", "web_app": "egg:Sideshow"},
    "wutta-demo": {"framework": "wutta", "web_app": "egg:wutta-demo"},
}


def free_port():
    """Return a TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def running(command, log, ready, cwd=None, env=None, seconds=90):
    """Run a server for as long as the `with` lasts; its whole process group ends with it.

    `log` is the file for its output, shown when the test fails. `ready()` says whether it
    answers; if it does not within `seconds`, or the server ends by itself, that is a
    RuntimeError.
    """
    with open(log, "wb") as output:
        process = subprocess.Popen(
            list(map(str, command)), stdout=output, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, cwd=cwd, env=env, start_new_session=True,
        )  # fmt: skip
    try:
        limit = time.monotonic() + seconds
        while not ready():
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended with exit code {process.returncode}")
            if time.monotonic() > limit:
                raise RuntimeError(f"{command[0]} does not answer after {seconds} s")
            time.sleep(0.1)
        yield process
    except BaseException:
        print(f"--- {log}\n{Path(log).read_text(errors='replace')[-8000:]}")
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def interrupt(command, cwd, seconds=0, reached=lambda: True, by=signal.SIGKILL, **environment):
    """Begin a command in a folder, and some seconds after `reached()` is true send all of it a signal.

    Returns what it said to stderr until then.  A command that ended before is an AssertionError: nothing was proved.
    """
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
            cwd=cwd, env=os.environ | environment, start_new_session=True,
        )  # fmt: skip
        while process.poll() is None and not reached():
            time.sleep(0.001)
        time.sleep(seconds)
        ended = process.poll() is not None
        if not ended:
            os.killpg(process.pid, by)
        process.wait()
        said.seek(0)
        output = said.read()
        assert not ended, f"{command} ended with exit code {process.returncode} before it was interrupted:\n{output}"
        return output


def listens(port):
    """Return whether somebody listens on a TCP port of 127.0.0.1."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def taken_port(app):
    """Let another program listen on a port while the `with` lasts; it gives the port, and the process."""
    port = free_port()
    command = ["python3", "-m", "http.server", "--bind", "127.0.0.1", port]
    with running(command, app.env / "taken.out", lambda: listens(port), cwd=app.env / "include") as process:
        yield port, process


def sql(path, query):
    """Run SQL in a SQLite file, and return the rows."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(query).fetchall()


def scheduler_answers(app):
    """Return whether Luigi's scheduler takes connections at its socket in an app dir."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(app.dir / "luigi/luigid.sock")) == 0


def until(true, seconds=90):
    """Wait until a function returns something true, and return that."""
    limit = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < limit, f"not so after {seconds} s"
        time.sleep(0.3)
    return found


def processes(app):
    """Return the process id of each server that an app's own supervisor calls RUNNING."""
    shown = app.run("../bin/supervisorctl", "-c", "supervisor.conf", "status", check=False).stdout
    return {name: int(pid) for name, pid in re.findall(r"^\w+:\w+-(\w+) +RUNNING +pid (\d+)", shown, re.MULTILINE)}


@dataclass
class App:
    """An app dir in its env."""

    env: Path
    port: int
    output: str = field(default="", init=False)
    server: subprocess.Popen | None = field(default=None, init=False)

    @classmethod
    def at(cls, env):
        """Return the app that is in the folder app/ of an env, with the port of its web.conf."""
        return cls(env, int(re.search(r"^port = (\d+)$", (env / "app/web.conf").read_text(), re.MULTILINE)[1]))

    @property
    def dir(self):
        """The app dir."""
        return self.env / "app"

    def run(self, *command, check=True, input=None, **environment):
        """Run a command in the app dir, with more environment variables, and return the process.

        Its output is text, stdout and stderr in one.  With `check`, an exit code that is
        not 0 is an AssertionError that shows the output.
        """
        done = subprocess.run(
            list(map(str, command)), cwd=self.dir, env=os.environ | environment, text=True, input=input or "",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{command} gave {done.returncode}:\n{done.stdout}"
        return done

    def setup(self, *options, **environment):
        """Run setup.sh with the admin's password of the tests, and return what it printed."""
        environment.setdefault("ADMIN_PASSWORD", ADMIN[1])
        self.output = self.run("./setup.sh", *options, **environment).stdout
        return self.output

    def checks(self, *command):
        """Return what check.sh finds: {check: (status, text)}; `command` may run it as another user."""
        done = self.run(*command, "./check.sh", "--json", check=False)
        found = {name: (one["status"], one["text"]) for name, one in json.loads(done.stdout)["checks"].items()}
        assert done.returncode == any(status == "FAILED" for status, _ in found.values()), done.stdout
        return found

    def serve(self, config="web.conf", port=None, cwd="/", host="127.0.0.1"):
        """Serve the app while the `with` lasts, run in `cwd`; gives a Web session with nobody logged in."""
        command = [self.env / "bin/pserve", f"file+ini:{self.dir / config}"]
        return self._up(command, config, port or self.port, cwd, host)

    def supervise(self):
        """Run all servers of the app by its supervisor while the `with` lasts; gives a Web session, too."""
        command = [self.env / "bin/supervisord", "--nodaemon", "--configuration", self.dir / "supervisor.conf"]
        return self._up(command, "supervisor.conf", self.port)

    @contextlib.contextmanager
    def _up(self, command, name, port, cwd="/", host="127.0.0.1"):
        web = Web(f"http://{host}:{port}")

        def ready():
            try:
                return web.get("/").status < 600
            except (urllib.error.URLError, ConnectionError):
                return False

        if listens(port):  # it would answer instead
            raise RuntimeError(f"another program listens on port {port}")
        with running(command, self.env / f"{name}.out", ready, cwd=cwd) as self.server:
            yield Web(web.base)

    def scheduler(self):
        """Run Luigi's scheduler while the `with` lasts, as supervisor does; it gives the process."""
        command, out = self.program("luigid"), self.env / "luigid.out"
        return running(command, out, lambda: scheduler_answers(self), cwd=self.dir / "luigi")

    def program(self, name):
        """Return the command with which supervisor runs one of the app's servers, such as web, as a list."""
        programs = configparser.ConfigParser(defaults={"here": str(self.dir)})
        programs.read(self.dir / "supervisor.conf")
        (section,) = (section for section in programs if section.endswith(f"-{name}"))
        return shlex.split(programs[section]["command"])

    def wait(self):
        """Wait until the server ends, or somebody presses Ctrl-C."""
        with contextlib.suppress(KeyboardInterrupt):
            self.server.wait()


def make_app(render, folder, python="3.11", packages=True, pins=(), **answers):
    """Make an env at `folder`, render the app dir in it, and install the packages that it asks for.

    Without `packages`, the env holds only pip; `pins` are older versions of them, such as trinket==1.
    """
    port = free_port()
    answers = {"web_port": str(port), "web_api_port": str(free_port())} | answers
    app = App(folder, int(answers["web_port"]))
    render(app.dir, **answers)
    requirements = app.dir / "requirements.txt" if packages else None
    if pins:
        requirements = folder / "requirements-old.txt"
        requirements.write_text((app.dir / "requirements.txt").read_text() + "".join(f"{pin}\n" for pin in pins))
    if requirements and envs.shared_envs:
        key = hashlib.sha256(f"{python} {requirements.read_text()}".encode()).hexdigest()
        copy_env(shared_env(envs.shared_envs / key[:16], python, requirements), folder)
    else:
        make_env(folder, python, requirements)
    return app
