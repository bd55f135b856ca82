"""What the tests of folders share, for both frameworks: forms, files, logs and sessions."""

import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from real.apps import ADMIN
from real.clock import DAY, HOUR
from real.web import Web

FULL = 10_000_001  # bytes of a log that is due to be rotated
LOGS = """
import json, logging, sys
from {module} import make_config
found = {{}}
for name in sys.argv[1:]:
    make_config(name)
    files = [handler for handler in logging.root.handlers if isinstance(handler, logging.FileHandler)]
    found[name] = [(type(handler).__name__, handler.baseFilename) for handler in files]
print(json.dumps({{name: handler for name, (handler,) in found.items()}}))
"""


def send(web, path, **fields):
    """Fill in the form at a path and return the page that follows, at its end if it shows progress.

    A form that is refused, or work that fails, is an AssertionError.
    """
    form = web.get(path)
    page = web.post(path, {"_csrf": web.csrf_token(form), **fields})
    assert page.status == 200
    progress = re.search(r"progressURL: '([^']+)'", page.text)
    limit = time.monotonic() + 60
    while progress:
        state = json.loads(web.get(progress[1].removeprefix(web.base)).text)
        assert not state.get("error"), state
        assert time.monotonic() < limit, state
        if state.get("complete"):
            return web.get(state["success_url"].removeprefix(web.base))
        time.sleep(0.2)
    assert urlsplit(page.url).path != path, f"refused: {re.findall('(?s)<b-field[^>]*is-danger.*?>', page.text)}"
    return page


def only_file(folder):
    """Return the one file in a folder."""
    (path,) = folder.iterdir()
    return path


def paths_in(app, folder):
    """Return the files below a folder of the app dir, as a set of paths."""
    return {path for path in (app.dir / folder).rglob("*") if path.is_file()}


def check_logs_are_apart(app, framework, log_of):
    """Check that each config logs to its own file, or to one that no process rotates.

    `log_of` names the log file by config.
    """
    module = {"rattail": "rattail.config", "wutta": "wuttjamaican.conf"}[framework]
    shown = app.run("../bin/python", "-W", "ignore", "-c", LOGS.format(module=module), *log_of).stdout
    found = json.loads(shown.splitlines()[-1])
    rotated = [path for kind, path in found.values() if kind == "RotatingFileHandler"]
    assert len(set(rotated)) == len(rotated)
    assert {name: Path(path).relative_to(app.dir / "log").name for name, (_, path) in found.items()} == log_of
    assert {kind for kind, path in found.values() if path not in rotated} == {"WatchedFileHandler"}


def check_log_is_rotated(app):
    """Check that the web server has moved its full log away and begun a new one."""
    assert (app.dir / "log/web.log.1").stat().st_size == FULL
    assert (app.dir / "log/web.log").stat().st_size < FULL


def check_commands_share_a_log(app, name, *command):
    """Check that two commands at once write to one full log, which none of them rotates.

    `command` runs another one, which comes last, and `name` is its log.
    """
    log = app.dir / "log" / name
    before = log.read_bytes() if log.exists() else b""
    log.write_bytes(before + FULL * b"\n")
    with ThreadPoolExecutor() as at_once:
        list(at_once.map(lambda word: app.run(*command, f"true {word}"), ("one", "two")))
    text = log.read_bytes()
    log.write_bytes(before)
    assert text.startswith(before + FULL * b"\n")
    assert b"'one'" in text
    assert b"'two'" in text
    assert not list(app.dir.glob(f"log/{name}.*"))
    others = {path for path in app.dir.glob("log/*.log") if path != log}
    assert not [path for path in others if b"'one'" in path.read_bytes()]


def copied_cookie(web):
    """Return the login of a session as somebody could send it who has copied its cookie."""
    (cookie,) = (f"{cookie.name}={cookie.value}" for cookie in web.cookies if cookie.name == "poser")
    return cookie


def check_cleanup(app, web):
    """Check that cleanup.sh removes a session that nobody used for 30 days, not before; `web` is logged in."""
    fresh = paths_in(app, "sessions")
    old = Web(web.base)
    old.login(*ADMIN)
    expired = paths_in(app, "sessions") - fresh
    assert {path.suffix for path in expired} == {".cache", ".lock"}
    for hours, left in ((-1, fresh | expired), (1, fresh)):
        for path in expired:
            os.utime(path, (0, time.time() - 30 * DAY - hours * HOUR))
        app.run("./cleanup.sh")
        assert paths_in(app, "sessions") == left
    assert old.user() is None
    assert web.user() == ADMIN[0]
