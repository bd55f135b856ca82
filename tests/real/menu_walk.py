"""Walk a running web app the way its admin would: every menu entry, then one step further.

Works for Tailbone and WuttaWeb alike, since both render their menu as plain links
and put the URLs of each grid row into the page as JSON (``_action_url_view``).
"""

import html
import json
import re
from urllib.parse import urljoin, urlsplit

# both frameworks may answer with status 200, and tell only by the title
ERROR_TITLES = {"Error!", "Not Found", "Access Denied"}

# pages that would end the walk, or that answer with something other than a page
NOT_WALKED = re.compile(r"/(logout|login|root/no|root/yes|download|feedback)\b")

# the menu lives in the page's navigation bar; both frameworks' themes mark it so
NAVBAR = re.compile(r'<div[^>]*\bid="navbar-?[mM]enu".*?</nav>', re.DOTALL)
MENU_LINK = re.compile(r'<a(?=[^>]*\bclass="navbar-item)[^>]*\bhref="([^"]+)"')
ROW_URL = re.compile(r'"_action_url_(view|edit)": *("(?:[^"\\]|\\.)*")')
SUBPAGE = re.compile(r'\bhref="([^"]+/(?:new|configure)[^"]*)"')


def menu_paths(web, page):
    """Return the path of each entry in the page's menu, in order, without repeats."""
    navbar = NAVBAR.search(page.text)
    assert navbar, f"no menu in {page.url}: is the session logged in?"
    return walked(web, page, MENU_LINK.findall(navbar.group()))


def further_paths(web, page):
    """Return what is one click from a list: its first row, and its New and Configure pages."""
    first = {}
    for action, url in ROW_URL.findall(page.text):
        first.setdefault(action, json.loads(url))
    return walked(web, page, [*first.values(), *SUBPAGE.findall(page.text)])


def walked(web, page, links):
    """Return the paths of those links that are pages of this app, safe and useful to open."""
    urls = dict.fromkeys(urljoin(page.url, html.unescape(link)) for link in links)
    here = urlsplit(web.base).netloc
    return [url.removeprefix(web.base) for url in urls if urlsplit(url).netloc == here and not NOT_WALKED.search(url)]


def real_status(web, path, page):
    """Return the status of what was asked for, not of what was shown instead of it."""
    if page.title in ERROR_TITLES:
        return page.title
    # a page that the user may not see sends to the home or login page
    if page.url != web.base + path and page.url in (f"{web.base}/", f"{web.base}/login"):
        return f"sent to {page.url}"
    if page.status == 200 and not page.user:
        return "nobody is logged in"
    return page.status


def walk(web):
    """Open every menu entry, as the user logged in, and what is one click from it.

    Returns what came back, by path: 200, or another status, or what went wrong in words.
    """
    found = {}

    def visit(path):
        page = web.get(path)
        found[path] = real_status(web, path, page)
        return page

    for path in menu_paths(web, visit("/")):
        if path not in found:
            for further in further_paths(web, visit(path)):
                if further not in found:
                    visit(further)
    return found
