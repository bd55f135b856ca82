"""A real nginx and a real Apache in front of the app, with TLS, at the root and at a URL prefix."""

import http.client
import re
import shutil
import ssl
import subprocess

import pytest
from real.apps import ADMIN, KINDS, free_port, make_app
from real.proxies import apache, nginx
from real.web import Web
from support import require

SPOOFED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example.com", "X-Forwarded-Proto": "http"}
LIMIT = 100 * 1024 * 1024
VIEW = """

def who(request):
    import pyramid.response
    return pyramid.response.Response(" ".join([request.remote_addr, request.client_addr, request.url]))


def length(request):
    import pyramid.response
    read = iter(lambda: len(request.body_file.read(1000000)), 0)
    return pyramid.response.Response(str(sum(read)))


def includeme(config):
    config.add_route("who", "/who")
    config.add_view(who, route_name="who")
    config.add_route("length", "/length")
    config.add_view(length, route_name="length", require_csrf=False)
"""


@pytest.fixture(scope="module")
def app(render, tmp_path_factory):
    """A Rattail app behind a proxy with TLS, with a page that tells whom the app sees."""
    app = make_app(render, tmp_path_factory.mktemp("proxy") / "poser", reverse_proxy="https", **KINDS["tailbone"])
    (app.dir / "poser/poser/web/views/__init__.py").write_text(VIEW)
    app.setup()
    return app


@pytest.fixture(scope="module", params=["", "/shop"], ids=["root", "prefix"])
def site(request, render, app, tmp_path_factory):
    """The app, served at the root and at a prefix: its base path, and the folder with the sites for it."""
    again = tmp_path_factory.mktemp("site") / "poser/app"
    answers = {"web_port": str(app.port), "reverse_proxy": "https", "url_prefix": request.param}
    render(again, **answers, **KINDS["tailbone"])
    shutil.copy(again / "web.conf", app.dir)
    with app.serve():
        yield request.param, again / "system"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of localhost and its key, as two paths."""
    require(shutil.which("openssl"), "openssl", "openssl")
    folder = tmp_path_factory.mktemp("certificate")
    paths = folder / "fullchain.pem", folder / "privkey.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=localhost"]
    options = ["-addext", "subjectAltName=DNS:localhost", "-out", paths[0], "-keyout", paths[1]]
    subprocess.run([*command, *options], check=True, capture_output=True)
    return paths


@pytest.fixture(scope="module", params=["nginx", "apache"])
def proxied(request, site, certificate, tmp_path_factory):
    """The app behind each proxy: its base URL, an SSL context that trusts it, and the ports for http and https."""
    prefix, system = site
    folder = tmp_path_factory.mktemp(request.param)
    ports = {"http": free_port(), "https": free_port()}
    text = (system / f"{request.param}.conf").read_text().replace("/etc/letsencrypt/live/localhost", str(folder))
    for path in certificate:
        shutil.copy(path, folder)
    with {"nginx": nginx, "apache": apache}[request.param](folder, text, ports):
        yield f"https://localhost:{ports['https']}{prefix}", ssl.create_default_context(cafile=certificate[0]), ports


def ask(connection, path, **headers):
    """Send a request, and return the answer with its body as text."""
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer, answer.read().decode(errors="replace")


def test_login_with_secure_cookies(proxied):
    base, tls, _ = proxied
    web = Web(base, tls)
    web.login(*ADMIN)
    web.become_root()
    web.page("/users/", "Users")
    assert {cookie.name: cookie.secure for cookie in web.cookies}["poser"]
    assert web.get("/libcache/vue-2.6.14.min.js").status == 200


def test_claims_of_a_client_are_not_believed(proxied):
    """The app sees the address from which a client reached the proxy, and the proxy's own name and scheme."""
    base, tls, ports = proxied
    path = base.partition(str(ports["https"]))[2]
    connection = http.client.HTTPSConnection("localhost", ports["https"], context=tls, source_address=("127.0.0.2", 0))
    for headers in ({}, SPOOFED):
        assert ask(connection, f"{path}/who", **headers)[1] == f"127.0.0.2 127.0.0.2 {base}/who"


def test_only_the_proxy_is_trusted(app, site):
    """What another machine says, past the proxy, counts for nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", app.port, source_address=("127.0.0.3", 0))
    remote, client, url = ask(connection, f"{site[0]}/who", **SPOOFED)[1].split()
    assert (remote, client) == ("127.0.0.3", "127.0.0.3")
    assert "evil" not in url


def test_without_tls_goes_to_tls(proxied):
    base, _, ports = proxied
    path = base.partition(str(ports["https"]))[2]
    answer, _ = ask(http.client.HTTPConnection("localhost", ports["http"]), f"{path}/login")
    assert (answer.status, answer.headers["Location"]) == (301, f"https://localhost{path}/login")


def test_largest_upload(proxied):
    """100 MB reach the app, and one byte more is refused."""
    base, tls, ports = proxied
    path = base.partition(str(ports["https"]))[2]
    connection = http.client.HTTPSConnection("localhost", ports["https"], context=tls)
    connection.request("POST", f"{path}/length", body=b"x" * LIMIT)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, str(LIMIT).encode())
    connection = http.client.HTTPSConnection("localhost", ports["https"], context=tls)
    connection.putrequest("POST", f"{path}/length")
    connection.putheader("Content-Length", str(LIMIT + 1))
    connection.endheaders()  # that is told before it is sent
    assert connection.getresponse().status == 413


def test_larger_upload_without_a_length(proxied):
    """It is refused while it comes: the page never gets it."""
    base, tls, ports = proxied
    path = base.partition(str(ports["https"]))[2]
    connection = http.client.HTTPSConnection("localhost", ports["https"], context=tls)
    try:
        connection.request("POST", f"{path}/length", body=iter([b"x" * 1000000] * 106), encode_chunked=True)
        status = connection.getresponse().status
    except (ConnectionError, ssl.SSLError):
        status = "closed"
    assert status in (413, 502, "closed")


HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
}


@pytest.mark.parametrize("page", ["/login", "/libcache/vue-2.6.14.min.js", "/missing"])
def test_headers(proxied, page):
    base, tls, ports = proxied
    path = base.partition(str(ports["https"]))[2]
    answer, _ = ask(http.client.HTTPSConnection("localhost", ports["https"], context=tls), f"{path}{page}")
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
    assert "https:" not in answer.headers["Content-Security-Policy"]
    assert not re.search(r"\d", answer.headers["Server"])


def test_unknown_host_is_refused(proxied):
    """Else links and redirects would lead to whatever host a client, or who sent him here, has named."""
    base, tls, ports = proxied
    path = base.partition(str(ports["https"]))[2]
    connection = http.client.HTTPSConnection("localhost", ports["https"], context=tls)
    assert ask(connection, f"{path}/login", Host="evil.example.com")[0].status == 421
    answer, _ = ask(http.client.HTTPConnection("localhost", ports["http"]), f"{path}/login", Host="evil.example.com")
    assert (answer.status, answer.headers["Location"]) == (301, f"https://localhost{path}/login")


def test_cookie_is_for_the_app_alone(proxied):
    base, tls, ports = proxied
    web = Web(base, tls)
    web.get("/login")
    assert {cookie.path for cookie in web.cookies} == {base.partition(str(ports["https"]))[2] + "/"}


def test_wrong_passwords_are_refused_by_address(proxied, app):
    """Whom the app refuses is the client, not the proxy; fail2ban finds the lines about him in the log."""
    base, tls, ports = proxied
    path, attacker = base.partition(str(ports["https"]))[2], f"127.1.{ports['https'] % 250}.1"
    require(shutil.which("fail2ban-regex"), "fail2ban", "fail2ban")
    before = (app.dir / "log/web.log").stat().st_size

    def login(address, password):
        web = Web(base, tls, address)
        form = web.page("/login", "Login")
        return web.post("/login", {"username": ADMIN[0], "password": password, "_csrf": web.csrf_token(form)}).status

    assert [login(attacker, "wrong") for _ in range(40)] == [200] * 20 + [429] * 20
    assert login(attacker, ADMIN[1]) == 429
    Web(base, tls).login(*ADMIN)
    lines = (app.dir / "log/web.log").read_bytes()[before:].decode()
    (app.env / "attack.log").write_text(lines)
    command = ["fail2ban-regex", app.env / "attack.log", app.dir / "system/fail2ban.conf", "--out", "ip"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert found == [attacker] * 41, path
