"""A small web browser without scripts: keeps cookies, sends forms with their CSRF token."""

import html
import http.client
import http.cookiejar
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass

# the menu of the logged-in user, in both frameworks: his name, with the number of unread messages, then the entries
USER_MENU = re.compile(
    r'<a class="navbar-link[^"]*">\s*([^<]*?)(?: \(\d+\))?\s*</a>((?:(?!navbar-link).)*)href="[^"]*/logout"', re.DOTALL
)
TITLE = re.compile(r"<title>[^<]*?&raquo;\s*([^<]*?)\s*</title>")
REFUSAL = re.compile("Invalid (?:user credentials|username or password)")


class Unexpected(AssertionError):
    """The app showed or did something other than what it was asked for."""


class Https(urllib.request.HTTPSHandler):
    """What opens https, from an address of this machine, or from any."""

    def __init__(self, tls, address):
        super().__init__(context=tls)
        self.options = {"context": tls, "source_address": address and (address, 0)}

    def https_open(self, request):
        return self.do_open(http.client.HTTPSConnection, request, **self.options)


@dataclass
class Page:
    """What came back: status code, final URL, headers and body (bytes; `text` decodes it)."""

    status: int
    url: str
    headers: dict
    body: bytes

    @property
    def text(self):
        """The body as text."""
        return self.body.decode(errors="replace")

    @property
    def title(self):
        """The title without the app's name, or None if this is no page of the app."""
        found = TITLE.search(self.text)
        return found and html.unescape(found[1])

    @property
    def user(self):
        """The name of the user who is logged in, or None."""
        found = USER_MENU.search(self.text)
        return found and html.unescape(found[1])

    @property
    def is_root(self):
        """Whether that user has taken all rights: his menu then offers to give them up."""
        found = USER_MENU.search(self.text)
        return bool(found and '/root/no"' in found[2])

    def __str__(self):
        return f"status {self.status}, title {self.title!r}, user {self.user!r} at {self.url}"


class Web:
    """A session with the web app at a base URL such as http://127.0.0.1:9080.

    `tls` is an SSL context for https, and `address` one of this machine, from which to come.
    """

    def __init__(self, base, tls=None, address=None):
        self.base = base
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(self.cookies),
            Https(tls, address),
        )

    def get(self, path, **headers):
        """Open a path and return its Page, after redirects, whatever its status is."""
        return self._open(urllib.request.Request(self.base + path, headers=headers))

    def post(self, path, fields, **headers):
        """Send a form, or a multipart one if a field is (file name, bytes), and return the Page."""
        if any(isinstance(value, tuple) for value in fields.values()):
            data, headers["Content-Type"] = multipart(fields)
        else:
            data = urllib.parse.urlencode(fields, doseq=True).encode()
        token = next((cookie.value for cookie in self.cookies if "csrf" in cookie.name.lower()), None)
        if token:
            headers.setdefault("X-CSRF-TOKEN", token)
        headers.setdefault("Origin", "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(self.base)))
        return self._open(urllib.request.Request(self.base + path, data, headers))

    def post_json(self, path, content, token):
        """Send what JSON can hold, with a CSRF token, as the scripts of WuttaWeb do, and return the Page."""
        headers = {"Content-Type": "application/json", "X-CSRF-TOKEN": token}
        return self._open(urllib.request.Request(self.base + path, json.dumps(content).encode(), headers))

    def csrf_token(self, page):
        """Return the CSRF token in a page's form; raise LookupError if there is none."""
        match = re.search(r'name="_csrf"[^>]*value="([^"]+)"', page.text) or re.search(
            r'value="([^"]+)"[^>]*name="_csrf"', page.text
        )
        if not match:
            raise LookupError(f"no CSRF token in {page.url}: {page.text[:2000]}")
        return match.group(1)

    def page(self, path, title):
        """Open a path and return its Page; raise Unexpected unless status, address and title are as asked for.

        Without the right to see a page, or without the page, WuttaWeb answers with status 200 and another title.
        """
        page = self.get(path)
        if (page.status, page.url, page.title) != (200, self.base + path, title):
            raise Unexpected(f"{path} should be the page {title!r}: {page}")
        return page

    def user(self, **headers):
        """Return the name of the user who is logged in, or None; `headers` may hold somebody's cookie."""
        page = self.get("/", **headers)
        if page.status != 200 or not page.title:
            raise Unexpected(f"neither home nor login page: {page}")
        return page.user

    def login(self, username, password):
        """Log in; raise Unexpected unless the pages then name that user."""
        page = self._send_login(username, password)
        if self.user() != username:
            raise Unexpected(f"{username} cannot log in: {page}")

    def login_is_refused(self, username, password):
        """Try to log in; raise Unexpected unless the app asks again, says why, and nobody is logged in."""
        page = self._send_login(username, password)
        if (page.status, page.url, page.title) != (200, f"{self.base}/login", "Login"):
            raise Unexpected(f"not the login page again: {page}")
        if not REFUSAL.search(page.text) or self.user() is not None:
            raise Unexpected(f"the login of {username} was not refused: {page}")

    def become_root(self):
        """Take the rights that an administrator has only on request; raise Unexpected unless the app grants them."""
        token = self.csrf_token(self.get("/"))
        page = self.post("/root/yes", {"_csrf": token, "referrer": self.base + "/"})
        if not self.get("/").is_root:
            raise Unexpected(f"not root: {page}")

    def _send_login(self, username, password):
        form = self.page("/login", "Login")  # who is logged in already is sent away from here
        if REFUSAL.search(form.text):
            raise Unexpected("the login page speaks of a refused login before there was one")
        return self.post("/login", {"username": username, "password": password, "_csrf": self.csrf_token(form)})

    def _open(self, request):
        try:
            with self.opener.open(request, timeout=120) as answer:
                return Page(answer.status, answer.url, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            return Page(error.code, error.url, dict(error.headers), error.read())


def multipart(fields):
    """Return (body, content type) of a multipart form; a file is a pair (name, bytes)."""
    boundary = "appdirtemplateboundary"
    parts = []
    for name, value in fields.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
        if isinstance(value, tuple):
            head += f'; filename="{value[0]}"\r\nContent-Type: application/octet-stream'
            value = value[1]
        else:
            value = str(value).encode()
        parts.append(f"{head}\r\n\r\n".encode() + value + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
