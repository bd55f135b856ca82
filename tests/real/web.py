"""A small web browser without scripts: keeps cookies, sends forms with their CSRF token."""

import http.cookiejar
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass


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


class Web:
    """A session with the web app at a base URL such as http://127.0.0.1:9080; `tls` is an SSL context for https."""

    def __init__(self, base, tls=None):
        self.base = base
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(self.cookies),
            urllib.request.HTTPSHandler(context=tls),
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

    def login(self, username, password):
        """Send the login form with its CSRF token and return the Page that follows."""
        page = self.get("/login")
        fields = {"username": username, "password": password, "_csrf": self.csrf_token(page)}
        return self.post("/login", fields)

    def become_root(self):
        """Take the rights that an administrator has only on request, and return the Page that follows."""
        token = self.csrf_token(self.get("/"))
        return self.post("/root/yes", {"_csrf": token, "referrer": self.base + "/"})

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
