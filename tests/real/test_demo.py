"""The demo: the password that it prints opens the app, on each run, and what is wrong ends it with an error."""

import re
import shutil
import socket
import subprocess
import sys

import pytest
from real.apps import App, make_app
from real.web import Web
from support import ROOT


@pytest.fixture(scope="module")
def folder(render, tmp_path_factory):
    """A folder for demos, with an env for Wutta that has the packages, but no app dir."""
    folder = tmp_path_factory.mktemp("demo")
    shutil.rmtree(make_app(render, folder / "wutta", framework="wutta").dir)
    return folder


@pytest.fixture(scope="module")
def first(folder):
    """The password that the first run of the demo prints."""
    done, password = demo(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return password


def demo(folder):
    """Run the demo of Wutta once; return the process, and the password that it prints, if any."""
    command = [sys.executable, "-m", "real.demo", "wutta", "--once", "--folder", folder]
    done = subprocess.run(command, cwd=ROOT / "tests", capture_output=True, text=True)
    printed = re.search(r"log in as admin with password (\S+)", done.stdout)
    return done, printed and printed[1]


def test_printed_password_opens_the_app_after_each_run(folder, first):
    done, second = demo(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "wutta/password").stat().st_mode & 0o777 == 0o600
    with App.at(folder / "wutta").serve() as web:
        for password in (first, second):
            Web(web.base).login("admin", password)


def test_failed_login_is_an_error(folder, first):
    kept = folder / "wutta/password"
    kept.write_text("another")
    done, printed = demo(folder)
    kept.write_text(first)
    assert (done.returncode, printed) == (1, None)
    assert "demo: admin cannot log in" in done.stderr


def test_another_server_on_the_port_is_an_error(folder, first):
    port = App.at(folder / "wutta").port
    with socket.create_server(("127.0.0.1", port)):
        done, printed = demo(folder)
    assert (done.returncode, printed) == (1, None)
    assert f"demo: another program listens on port {port}" in done.stderr
