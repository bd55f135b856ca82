"""Guesses the template's answers from what an old app dir says and has."""

import re
import zoneinfo
from pathlib import Path

from adopt.ini import words

ADDRESS = r"[\w.+-]+@[\w.-]+\w"
NAME = r"[a-z][a-z0-9_]{0,39}"


def guess(old, runs_by_itself=False):
    """Return the answers that fit an old app: the parts that it has, and values.

    With `runs_by_itself`, something of the operator's starts its servers already.
    """
    answers = {"framework": old.framework, "title": old.title, "web": (old.appdir / "web.conf").exists()} | written(old)
    if old.get("server:main", "trusted_proxy_headers", "web.conf"):
        answers["reverse_proxy"] = "http"
    kind = old.get("app:main", "beaker.session.type", "web.conf")
    answers["sessions"] = {"ext:redis": "redis", "ext:database": "database"}.get(kind, "files")
    if runs_by_itself or (old.appdir / "supervisor.conf").exists():
        answers["services"] = "none"
    answers["time_zone"] = time_zone(old)
    sends = old.real.get(f"{old.framework}.mail.send_emails", str(old.framework == "rattail"))
    answers["send_mail"] = sends.lower() in ("true", "yes", "on", "1")
    answers |= {"offline_assets": False, "work": (old.appdir / "work").exists()}
    answers["overnight"] = sorted({*tasks(old), *nights(old.appdir)})
    has_luigi = any((old.appdir / name).exists() for name in ("luigi", "luigitasks"))
    answers["luigi"] = has_luigi or bool(answers["overnight"])
    return answers | (parts_of_rattail(old, "app_package" in answers) if old.framework == "rattail" else {})


def written(old):
    """Return the answers that stand in a config as they are, where they are such as the template takes."""
    web = "web.conf"
    mail, sender = {"rattail": ("rattail.mail", "from"), "wutta": ("wutta.email", "sender")}[old.framework]
    found = {}
    for name, section, key, file, pattern in [
        ("web_app", "app:main", "use", web, r"egg:[A-Za-z0-9._-]+(#\w+)?"),
        ("app_package", "rattail", "app_package", None, NAME),
        ("web_host", "server:main", "host", web, r"[A-Za-z0-9][A-Za-z0-9.-]*"),
        ("web_port", "server:main", "port", web, r"[0-9]{4,5}"),
        ("web_api_port", "server:main", "port", "webapi.conf", r"[0-9]{4,5}"),
        ("mail_server", f"{old.framework}.mail", "smtp.server", None, r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?"),
        ("mail_to", mail, "default.to", None, ADDRESS),
        ("mail_from", mail, f"default.{sender}", None, ADDRESS),
    ]:
        value = old.get(section, key, file)
        if re.fullmatch(pattern, value):
            found[name] = value
    return found


def time_zone(old):
    """Return the app's time zone, or else that of the system; UTC if that is none."""
    system = str(Path("/etc/localtime").resolve()).partition("/zoneinfo/")[2]
    zone = old.get(old.framework, "timezone.default") or system
    return zone if zone in zoneinfo.available_timezones() else "UTC"


def parts_of_rattail(old, has_package):
    """Return the answers about parts that only Rattail has; an app with a life of its own gets no starter code."""
    exports = old.get("rattail", "export.files")
    types = [path.name for path in sorted(old.appdir.glob("data/exports/*")) if re.fullmatch(NAME, path.name)]
    answers = {"exports": bool(exports), "uploads": bool(old.get("app:main", "pyramid_deform.tempdir", "web.conf"))}
    answers["export_types"] = types or ["report_output"]
    if not has_package:
        answers["starter"] = False
    for part, name in {"web_api": "webapi", "datasync": "datasync", "filemon": "filemon"}.items():
        answers[part] = (old.appdir / f"{name}.conf").exists()
    return answers


def nights(appdir):
    """Return the names of the overnight automations that have a module in luigitasks."""
    names = (path.stem.removeprefix("overnight_") for path in appdir.glob("luigitasks/overnight_*.py"))
    return [name for name in names if re.fullmatch(NAME, name)]


def tasks(old):
    """Return the (module, class) of each overnight task that [rattail.luigi] lists, by a name the template takes.

    A task that is a script of its own is none that overnight.sh could run.
    """
    listed = words(old.get("rattail.luigi", "overnight.tasks"))
    found = {}
    for name in (key.removeprefix("overnight-") for key in listed):
        module, kind = (old.get("rattail.luigi", f"overnight.task.{name}.{key}") for key in ("module", "class_name"))
        if re.fullmatch(NAME, name) and re.fullmatch(r"[\w.]+", module) and re.fullmatch(r"\w+", kind):
            found[name] = (module, kind)
    return found
