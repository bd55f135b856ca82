"""The rendered config does what its answers say, in the software that reads it."""

import http.client
import json
import re
import shutil
import subprocess

import pytest
from real.apps import ADMIN, App, free_port, listens, make_app, running
from real.clock import DAY
from real.folders import copied_cookie
from real.web import Web
from render.test_answers import TITLE
from support import require

HOST = "127.0.0.2"  # another address of this machine
PRINT_CONFIG = """
import json, sys
{imports}
for name in sys.argv[1:]:
    config = make_config(name)
    app = config.get_app()
    print(json.dumps({{"title": app.get_title(), "appdir": app.get_appdir(), "files": config.files_read,
                      "zone": str(app.get_timezone()), "production": config.production()}}))
"""


@pytest.fixture(scope="module", params=["rattail", "wutta"])
def app(request, render, tmp_path_factory):
    """An app with all parts on, an odd title, and a proxy with TLS in front."""
    parts = {"web_api": True, "datasync": True, "filemon": True} if request.param == "rattail" else {}
    app = make_app(
        render, tmp_path_factory.mktemp("config") / "poser",
        framework=request.param, title=TITLE, time_zone="Europe/Berlin", reverse_proxy="https", send_mail=True, **parts,
    )  # fmt: skip
    app.setup()
    app.framework = request.param
    return app


def test_each_config_is_read_by_the_framework(app):
    module = {"rattail": "rattail.config", "wutta": "wuttjamaican.conf"}[app.framework]
    script = PRINT_CONFIG.format(imports=f"from {module} import make_config")
    others = {"secrets.conf", "supervisor.conf"}
    names = [path.name for path in app.dir.glob("*.conf") if path.name not in others]
    assert len(names) >= 5
    (app.dir / "local.conf").write_text("[mine]\nkey = value\n")
    shown = app.run("../bin/python", "-W", "ignore", "-c", script, *names).stdout
    for name, line in zip(names, shown.splitlines()[-len(names) :], strict=True):
        found = json.loads(line)
        assert found["title"] == TITLE
        assert found["appdir"] == str(app.dir)
        assert found["zone"] == "Europe/Berlin"
        assert found["production"] is True
        read = {path.removeprefix(f"{app.dir}/") for path in found["files"]}
        assert {name, f"{app.framework}.conf", "secrets.conf", "local.conf"} <= read
    (app.dir / "local.conf").unlink()


def test_title_in_html(app):
    with app.serve() as web:
        page = web.page("/login", "Login").text
    shown = TITLE.replace("&", "&amp;").replace("<", "&lt;")
    assert any(form in page for form in (shown, shown.replace('"', "&#34;").replace("'", "&#39;")))


def test_cookie_is_for_tls_only(app):
    """And neither for scripts, nor for requests from other sites; the proxy's word on TLS counts."""
    with app.serve():
        connection = http.client.HTTPConnection("127.0.0.1", app.port)
        connection.request("GET", "/login", headers={"X-Forwarded-Proto": "https", "Host": "shop.example.com"})
        answer = connection.getresponse()
        page = answer.read().decode()
    cookies = [value.lower() for name, value in answer.getheaders() if name == "Set-Cookie"]
    session = next(cookie for cookie in cookies if cookie.startswith("poser="))
    assert "; secure" in session
    assert "; httponly" in session
    assert "; samesite=lax" in session
    assert set(re.findall(r"\w+://shop\.example\.com", page)) == {"https://shop.example.com"}


def test_log_is_not_for_debugging(app):
    with app.serve() as web:
        web.page("/login", "Login")
    logs = "".join(path.read_text() for path in app.dir.glob("log/*.log"))
    assert " INFO " in logs
    assert " DEBUG" not in logs


def test_web_api_answers(app):
    if app.framework == "wutta":
        assert not (app.dir / "webapi.conf").exists()
        return
    port = int(re.search(r"^port = (\d+)$", (app.dir / "webapi.conf").read_text(), re.MULTILINE)[1])
    with app.serve("webapi.conf", port) as web:
        session = json.loads(web.get("/session").text)
    assert session["ok"] is True
    assert "user" not in session
    assert (app.dir / "log/webapi.log").exists()


@pytest.fixture
def redis(tmp_path):
    """The URL of a Redis server, which keeps nothing on disk."""
    require(shutil.which("redis-server"), "Redis", "redis-server")
    port = free_port()
    command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", ""]
    with running(command, tmp_path / "redis.out", lambda: listens(port), cwd=tmp_path):
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture(params=["redis", "database"])
def elsewhere(request, app, render, redis, postgresql, tmp_path):
    """An app in the same env that keeps its sessions in Redis or PostgreSQL, with a second web config on another port.

    Gives the app, and the port.
    """
    env = tmp_path / "poser"
    env.mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):
        (env / part).symlink_to(app.env / part)
    other = App(env, free_port())
    other.framework = app.framework
    answers = {"sessions": request.param, "web_host": HOST, "web_port": str(other.port)}
    render(other.dir, framework=app.framework, **answers)
    other.setup(**{"REDIS_URL": redis} if request.param == "redis" else {"DATABASE_URL": postgresql(app.framework)})
    port = free_port()
    text = (other.dir / "web.conf").read_text()
    (other.dir / "web2.conf").write_text(text.replace(f"port = {other.port}", f"port = {port}"))
    return other, port


def test_sessions_elsewhere(elsewhere, redis):
    """Two web processes at once know the same logins; no file keeps them, and Redis forgets them in time."""
    app, port = elsewhere
    with app.serve(host=HOST) as web, app.serve("web2.conf", port, host=HOST) as second:
        assert not listens(app.port)  # of 127.0.0.1
        web.login(*ADMIN)
        cookie = copied_cookie(web)
        assert second.user(Cookie=cookie) == ADMIN[0]
        assert Web(second.base).user() is None
        web.get("/logout")
        assert web.user() is None
        if app.framework == "rattail":
            assert Web(second.base).user(Cookie=cookie) is None
    assert not (app.dir / "sessions").exists()
    client = ["redis-cli", "-u", redis]
    keys = subprocess.run([*client, "keys", "*"], capture_output=True, text=True, check=True).stdout.split()
    assert bool(keys) == ("ext:redis" in (app.dir / "web.conf").read_text())
    for key in keys:
        left = subprocess.run([*client, "ttl", key], capture_output=True, text=True, check=True).stdout
        assert 29 * DAY < int(left) < 31 * DAY
