"""Carries the values of the old configs over into the new ones: which of two values counts, and where it goes."""

import re

from adopt.ini import words
from adopt.old import CONFIGS, WEB
from adopt.secrets import WELL_KNOWN, hide, is_secret
from adopt.tools import fail

LISTS = {"pyramid.includes", "templates", "version_locations", "require", "include"}  # to these, both sides add
OURS = re.compile(r"rattail|wutta|tailbone|pyramid|beaker|exclog|mako|alembic|(logger|handler|formatter)s?(_|$)")
LOGGING = re.compile(r"(logger|handler|formatter)s?(_|$)")
OTHER_LOGGERS = "logger_(beaker|txn|sqlalchemy|django_db|flufl_bounce|requests)"
# what upstream's own commands write, and where the template's value is better: file, section, key, value
UPSTREAM = [
    (r".*", "app:web", r"pyramid\.(reload_templates|debug_all)", "true"),
    (r"\w+.conf", "loggers|handlers|formatters", "keys", ".*"),  # add_logging makes them
    (r".*", "logger_root", "level", "DEBUG"),
    (r".*", "logger_exc_logger", "handlers", "email"),
    (r".*", OTHER_LOGGERS, "qualname", ".*"),
    (r".*", OTHER_LOGGERS, "handlers", ""),
    (r".*", OTHER_LOGGERS, "level", "INFO|WARNING"),
    (r".*", "handler_file", "class", r"handlers\.RotatingFileHandler"),
    (r".*", "handler_file", "args", r"\('%\(here\)s/log/\w+\.log', 'a', 1000000, 100, 'utf_8'\)"),
    (r"quiet.conf|web.*", "handler_console", "level", "INFO"),
    (r"silent.conf", "handler_console", "level", "WARNING"),
    (r".*", "handler_email", "class|formatter|level", r"handlers\.SMTPHandler|generic|ERROR"),
    (r".*", "handler_email", "args", r"\('localhost', '\w+@localhost', \['root@localhost'\], \"\[.*\] Logging\"\)"),
    (r".*", "formatter_(generic|console)", ".*", r".*%\(levelname\).*|%Y-%m-%d %H:%M:%S"),
]


def carry_all(draft):
    """Bring the values of all old configs into the draft."""
    for name in draft.merged():
        old = draft.old.configs[name]
        for section in old.sections():
            for key, raw in old.items(section):
                target = WEB[name] if section == "app:main" and name in WEB else section
                carry(draft, name, target, key, raw)


def carry(draft, name, section, key, raw):
    """Bring one value of an old config into the draft, unless the template has the same or a better one."""
    value, new = draft.old.here(raw), draft.get(name, section, key)
    if key in LISTS and new is not None:
        missing = [item for item in words(value) if item not in words(new)]
        value = " ".join([*missing, *words(new)]) if missing else new
    if new is not None and new.split() == value.split():
        return
    if is_upstream(draft, name, section, key, value) or is_unused(draft, key, value, new):
        if new is not None:
            draft.given_way.append(f"{name} [{section}] {key} = {hide(value)} -> {new}")
        return
    where = place(draft, name, section, key, value, new is not None)
    if where != name and new is not None:
        draft.put(name, section, key, None)
    if key == "beaker.session.secret":
        if value in WELL_KNOWN:
            draft.hints.append(f"the session secret of {name} is upstream's own, which anybody knows; use another")
        value = re.sub(r"%(?![%(])|(%%)", r"%%", value)
    draft.put(where, section, key, value)
    if key == "args" and section.startswith("handler_"):
        keep_class(draft, name, section)
    if where == "secrets.conf":
        draft.hidden |= {value, raw}
        draft.secret.append(f"{name} [{section}] {key}")
        if (draft.old.appdir / name).stat().st_mode & 0o004:
            draft.hints.append(f"every user of this machine could read {name}; think of changing what was secret")
    elif new is not None and value.startswith("%(here)s/") and key not in LISTS:
        draft.stays.append(f"{value.removeprefix('%(here)s/')}, not {new.removeprefix('%(here)s/')}: {name} {key}")


def keep_class(draft, name, section):
    """Keep the class of a logging handler whose arguments were carried over, there and nowhere else."""
    was = draft.get(name, section, "class")
    if kind := draft.old.get(section, "class", name) or draft.old.get(section, "class"):
        draft.put(name, section, "class", kind)
    if name == draft.old.core and was:
        for other in (other for other in CONFIGS if other in draft.rendered):
            if draft.get(other, section, "args") is not None and draft.get(other, section, "class") is None:
                draft.put(other, section, "class", was)


def is_upstream(draft, name, section, key, value):
    """Return whether a value is what upstream's own commands write, and the template has a better one."""
    if section == "logger_exc_logger" and (args := draft.old.get("handler_email", "args")):
        section, key, value = "handler_email", "args", args  # errors are mailed to somebody, or to nobody yet
    texts = (name, section, key, " ".join(value.split()))
    return any(all(map(re.fullmatch, patterns, texts)) for patterns in UPSTREAM)


def is_unused(draft, key, value, new):
    """Return whether a value is a place in the app dir where nothing is, and the template has another place."""
    if key in LISTS or not ((new or "").startswith("%(here)s/") and value.startswith("%(here)s/")):
        return False
    path = draft.old.appdir / value.removeprefix("%(here)s/").split()[0]
    return not (path.is_file() or (path.is_dir() and any(path.iterdir())))


def place(draft, name, section, key, value, known):
    """Return the file for a value: a secret, or what could be one, must not come into git."""
    secret = is_secret(key, value)
    if section.startswith("server:") or name.startswith("luigi/"):
        if secret:
            fail(f"{name} [{section}] {key} looks like a secret, for which there is no place; remove it first")
        return name
    if section in WEB.values():
        return "secrets.conf" if secret or not OURS.match(key) else name
    if secret:
        return "secrets.conf"
    if known or section == "alembic" or LOGGING.match(section):
        return name
    return name if name != draft.old.core and OURS.match(section) else "local.conf"
