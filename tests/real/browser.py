"""A real browser without internet: headless Chromium that reaches 127.0.0.1 only.

Needs Debian's packages chromium and chromium-driver, and selenium from PyPI:

    with browser.Browser() as b:
        b.login("http://127.0.0.1:8080", "admin", password)
        b.save(folder / "home.png")
        b.become_root("http://127.0.0.1:8080", "admin")
        b.visit("http://127.0.0.1:8080/roles/", "Roles", "Administrator")

Each page is checked: no request failed, none went to another host, no script error.
The login form must be visible without scrolling.
"""

import json
import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

SECONDS = 20
PAGE = 1280, 770  # what a browser's window of 1280x900 shows of a page
FLAGS = [
    "--headless=new",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--no-proxy-server",
    # Chromium's own calls home, which would only fail here
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    # small machines and containers
    "--disable-gpu",
    "--disable-dev-shm-usage",
]
# what each of the five files brings to a page, as a script that finds it there
LIBRARIES = {
    "Vue": "window.Vue",
    "vue-resource": "window.Vue && Vue.http",
    "Buefy": "window.Buefy",
    "Font Awesome": "window.FontAwesome",
    "Buefy's style": "getComputedStyle(document.querySelector('nav.navbar')).display == 'flex'",
}


def unavailable() -> str:
    """Why no browser can be started here, or an empty string."""
    absent = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    if not absent:
        return ""
    return f"no {' and no '.join(absent)}: apt-get install chromium chromium-driver"


class Browser:
    """One browser session with empty cookies and cache."""

    def __init__(self):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for flag in FLAGS:
            options.add_argument(flag)
        if os.getuid() == 0:  # Chromium's sandbox refuses root
            options.add_argument("--no-sandbox")
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options, service)
        self.driver.set_page_load_timeout(SECONDS)
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": PAGE[0], "height": PAGE[1], "deviceScaleFactor": 1, "mobile": False},
        )
        self.urls = {}  # of all requests so far, by the browser's request ID

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()

    def login(self, base: str, user: str, password: str):
        """Log in as a person does: see the form, type into it, press Enter."""
        self.driver.get(f"{base}/login")
        self.check(base)
        for library, script in LIBRARIES.items():
            assert self.driver.execute_script(f"return !!({script})"), f"no {library} on the page"
        name, secret = self.field("username"), self.field("password")
        for part in (name, secret, self.driver.find_element(By.XPATH, "//form//button[normalize-space()='Login']")):
            bottom = part.rect["y"] + part.rect["height"]
            assert bottom <= PAGE[1], f"the login form ends {bottom - PAGE[1]} pixels too low"
        name.send_keys(user)
        secret.send_keys(password, Keys.ENTER)
        self.wait(
            lambda driver: driver.current_url != f"{base}/login",
            f"still on the login page after logging in as {user}",
        )
        self.user_menu(user)
        self.check(base)

    def become_root(self, base: str, user: str):
        """Take the rights that an administrator has only on request, by the menu."""
        self.driver.get(f"{base}/")
        ActionChains(self.driver).move_to_element(self.user_menu(user)).perform()
        self.see("Become root")
        self.driver.find_element(By.PARTIAL_LINK_TEXT, "Become root").click()
        self.see("elevated to 'root'")
        self.check(base)

    def user_menu(self, user: str):
        """The head of the menu with the link to log out, which must name the user."""
        menu = f"//nav//a[normalize-space()='{user}'][..//a[contains(@href, '/logout')]]"
        return self.wait(lambda driver: driver.find_elements(By.XPATH, menu), f"{user} is not logged in")[0]

    def visit(self, url: str, title: str, text: str):
        """Open a page; it must have the title, and the text must stand on it where one can see it."""
        self.driver.get(url)
        self.check(url)
        landed, shown = self.driver.current_url, self.driver.title
        assert landed == url, f"{url} led to {landed}"
        # WuttaWeb sends the page Access Denied with status 200
        assert shown.endswith(f"» {title}"), f"{url}: {shown}"
        self.see(text)

    def field(self, name: str):
        """The input of that name, which must be visible: displayed and with a size."""

        def visible(driver):
            found = driver.find_elements(By.NAME, name)
            shown = [f for f in found if f.is_displayed() and f.size["width"] > 50]
            return shown and shown[0]

        return self.wait(visible, f"no visible input {name!r}")

    def see(self, text: str):
        """Wait until the page shows the text; what is hidden does not count."""
        shown = "return document.body ? document.body.innerText : ''"
        self.wait(lambda driver: text in driver.execute_script(shown), f"no visible {text!r}")

    def wait(self, condition, message: str):
        """Wait until the condition gives something true, and return that."""
        return WebDriverWait(self.driver, SECONDS).until(condition, f"{message} at {self.driver.current_url}")

    def save(self, picture: Path):
        """Write a PNG of what the window shows."""
        picture.write_bytes(self.driver.get_screenshot_as_png())

    def check(self, base: str):
        """No request since the last check failed or left the host; no script error."""
        ready = "return document.readyState == 'complete'"
        self.wait(lambda driver: driver.execute_script(ready), "not loaded")
        problems = self.problems(urlsplit(base).netloc)
        assert not problems, f"{self.driver.current_url}:\n" + "\n".join(problems)

    def problems(self, host: str) -> list[str]:
        """List what went wrong since the last call, one line each."""
        found = []
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            about = event["params"]
            match event["method"]:
                case "Network.requestWillBeSent":
                    url = self.urls[about["requestId"]] = about["request"]["url"]
                    parts = urlsplit(url)
                    if parts.scheme not in ("data", "blob") and parts.netloc != host:
                        found.append(f"another host: {url}")
                case "Network.responseReceived":
                    status, url = about["response"]["status"], about["response"]["url"]
                    if status >= 400 and not url.endswith("/favicon.ico"):  # which pages without an icon have
                        found.append(f"status {status}: {url}")
                case "Network.loadingFailed":
                    url = self.urls.get(about["requestId"])
                    found.append(f"{about['errorText']}: {url}")
        for entry in self.driver.get_log("browser"):
            if entry["level"] == "SEVERE" and "/favicon.ico" not in entry["message"]:
                found.append(f"console: {entry['message']}")
        return found
