"""What no old config says, but the app does: it goes on doing it under the template's configs."""

from adopt.carry import LOGGING, place
from adopt.ini import words
from adopt.tools import fail


def keep_what_was_unsaid(draft):
    """Keep what the app does because an old config says nothing, where the template says something."""
    old, core, fw = draft.old, draft.old.core, draft.old.framework
    for section, key in (
        (f"{fw}.config", "usedb"),
        (f"{fw}.config", "preferdb"),
        ("rattail.db", "versioning.enabled"),
    ):
        if draft.get(core, section, key) is not None and f"{section}.{key}" not in old.real:
            draft.put(core, section, key, "false")
    for key in ("app_dist", "model_spec"):  # the app's package knows better
        if "app_package" in draft.guessed and not old.get(fw, key):
            draft.put(core, fw, key, None)
    if fw == "wutta" and not old.get("wutta.batch", "storage_path") and any(old.appdir.glob("data/batch/*")):
        draft.put(core, "wutta.batch", "storage_path", "%(here)s/data/batch")
        draft.stays.append("data/batch, not data/batches: wutta.conf storage_path")
    key = {"rattail": "beaker.session_dir", "wutta": "wuttaweb.beaker_session_dir"}[fw]
    folder = draft.get("web.conf", "app:web", "beaker.session.data_dir", "") if "web.conf" in draft.rendered else ""
    if not old.get(f"{fw}.cleanup", key) and folder.endswith("/data"):
        draft.put(core, f"{fw}.cleanup", key, folder.removesuffix("/data"))
    url = old.real.get(f"{fw}.db.default.url")
    if not url:
        fail(f"{core} names no database; put it there first, as default.url in [{fw}.db]")
    if draft.get("secrets.conf", f"{fw}.db", "default.url") is None:  # it came from elsewhere
        draft.put("secrets.conf", f"{fw}.db", "default.url", url.replace("%", "%%"))


def add_logging(draft):
    """Bring what carried loggers and handlers name, and list all of them, as the logging module needs it."""
    core, old = draft.config(draft.old.core), draft.old.configs[draft.old.core]
    for name in draft.merged():
        new = draft.config(name)
        for section in filter(LOGGING.match, new.sections()):
            for item in (f"handler_{item}" for item in words(draft.get(name, section, "handlers", ""))):
                if old.has_section(item) and not new.has_section(item) and not core.has_section(item):
                    bring_handler(draft, item)
    for name in draft.merged():
        sections = draft.config(name).sections()
        for kind in ("logger", "handler", "formatter"):
            keys = words(draft.get(name, f"{kind}s", "keys") or draft.get(draft.old.core, f"{kind}s", "keys", ""))
            have = [section.removeprefix(f"{kind}_") for section in sections if section.startswith(f"{kind}_")]
            if missing := [key for key in have if key not in keys]:
                draft.put(name, f"{kind}s", "keys", ", ".join(keys + missing))


def bring_handler(draft, section):
    """Bring a logging handler of the old core config into the new one, or into secrets.conf."""
    for key, value in draft.old.configs[draft.old.core].items(section):
        where = place(draft, draft.old.core, section, key, value, True)
        draft.put(where, section, key, draft.old.here(value))
