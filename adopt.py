#!/usr/bin/env python3
"""Bring an app dir that is there already under this template; its values, secrets, database and data stay.

Without --apply this shows what would change, and touches nothing.  With it, the new files are
made and checked in the folder .adopt; then each old file that changes is copied to
data/before-adoption, and the new ones come in, each one whole.  The next run finishes one that
was cut off.
"""

import argparse
import configparser
import fcntl
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).absolute().parent
PRIVATE = ("secrets.conf", "local.conf")  # never in git
WRITTEN_ONCE = ("luigitasks/", "poser/")  # the user's, from the start
WEB = {"web.conf": "app:web", "webapi.conf": "app:webapi"}  # where the template keeps what was [app:main]
CONFIGS = [*WEB, "quiet.conf", "silent.conf", "cron.conf", "datasync.conf", "filemon.conf"]
CONFIGS += ["luigi/luigi.cfg", "luigi/logging.conf"]
LISTS = {"pyramid.includes", "templates", "version_locations", "require", "include"}  # to these, both sides add
OURS = re.compile(r"rattail|wutta|tailbone|pyramid|beaker|exclog|mako|alembic|(logger|handler|formatter)s?(_|$)")
SECRET_KEY = re.compile(
    r"pass(word|wd|phrase)|\bpass\b|pwd|secret|token|credential|api_?key|private|(^|\.)url$|^kwargs$"
    r"|(^|[._-])(\w*key|\w+_keys|auth\w*|\w*salt|bearer|dsn|\w*webhook|hmac|login|id_rsa)$(?<!session\.key)",
    re.I,
)
SECRET_VALUE = re.compile(
    r"://[^\s/@]*(:[^\s@]*)?@|hooks?[./]|PRIVATE KEY|\b(bearer|basic)\s+\S|\s(-p ?|(-u|--user)[ =]?\S+:)\S"
    r"|(pass(word|wd)?|pwd|token|secret|credentials?|key)['\"]?\s*[=:]"
    r"|,\s*\(\s*(?P<a>['\"]).*(?P=a)\s*,\s*(?P<b>['\"]).*(?P=b)\s*\)",
    re.I,
)
BEFORE_WORDS = "'dict object' has no attribute "  # how Copier says what the template says of a bad answer
LOGGING = re.compile(r"(logger|handler|formatter)s?(_|$)")
WELL_KNOWN = {"TODO_YOU_SHOULD_CHANGE_THIS", "e:VHDVstO=H1%h1bV><&"}  # session secrets of upstream's examples
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
# asks the software of the env what the configs say, and touches neither logs nor database
ASK = """
import importlib, json, logging.config, sys
logging.config.fileConfig = lambda *args, **more: None
config = importlib.import_module(sys.argv[1]).make_config(sys.argv[2])
config.usedb = config.preferdb = False
values = {key: str(value) for key, value in config.configuration.as_dict().items()}
print(json.dumps([config.get_app().get_title(), values]))
"""


def fail(text):
    """End with exit code 1 and one line that says what is wrong and what to do."""
    sys.exit(f"adopt.py: {text}")


def run(*command, **options):
    """Run a command to its end and return the process, with its output as text."""
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, errors="surrogateescape", **options)


def last_line(text):
    """Return the last line of what a command printed, for a message."""
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def user_name(uid):
    """Return the name of a user, or the number if there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def read(path):
    """Return a config as a parser that keeps its values as they are written."""
    parser = configparser.RawConfigParser()
    parser.optionxform = str
    try:
        parser.read_string(path.read_text())
    except (configparser.Error, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]  # the next lines show what is in the file, maybe a secret
        if isinstance(error, configparser.ParsingError):
            reason += f" (line {getattr(error, 'lineno', None) or error.errors[0][0]})"
        fail(f"{path.name} cannot be read, mend it first: {reason}")
    if parser.defaults():
        fail(f"{path.name} has a section [DEFAULT]; write its values where they are used, and remove it")
    return parser


def put(text, section, key, value):
    """Return the text of a config with one value changed or added; None takes it out."""
    lines, inside, found, place = text.splitlines(keepends=True), False, [], None
    key_of_line = None
    for number, line in enumerate(lines):
        if line.startswith("["):
            inside, key_of_line = line.strip() == f"[{section}]", None
        elif not line.strip() or line[0] in "#;":
            continue
        elif line[0] not in " \t":
            key_of_line = re.split(r"\s*[=:]", line, maxsplit=1)[0]
        if inside:
            place = number + 1
            found += [number] * (key_of_line == key)
    new = [] if value is None else [f"{key} = " + value.replace("\n", "\n    ") + "\n"]
    if found:
        lines[found[0] : found[-1] + 1] = new
    elif place is not None:
        lines[place:place] = new
    elif new:
        lines += ["\n", f"[{section}]\n", *new]
    return "".join(lines)


def parse(text):
    """Return a parser of the text of a config that we made."""
    parser = configparser.RawConfigParser()
    parser.optionxform = str
    parser.read_string(text)
    return parser


def words(value):
    """Return the items of a value that is a list."""
    return [item for item in re.split(r"[\s,]+", value) if item]


def hide(text, values=()):
    """Return a text for the screen, without these values and what looks like a secret."""
    lines = {line.strip() for value in values for line in value.splitlines()}  # each is indented in its file
    for line in sorted(filter(None, lines), key=len, reverse=True):
        text = re.sub(rf"(?m)(?<=[=\s]){re.escape(line)}$", "(hidden)", text)
    return re.sub(r"(?m)^([^=:\n]*[=:][ \t]*(?=\S))?(.+)$", hide_line, text)


def hide_line(match):
    """Return a line of a text, as a key with its sign and a value, without a value that looks like a secret."""
    key, value = match[1] or "", match[2]
    secret = SECRET_KEY.search(key.rstrip(" \t=:")) or SECRET_VALUE.search(value)
    return f"{key}(hidden)" if secret else match[0]


class Draft:
    """The new files of an app dir, made in a folder from the template and from what the old ones say."""

    def __init__(self, appdir, framework, work, options):
        self.appdir, self.framework, self.options = appdir, framework, options
        self.core = f"{framework}.conf"
        self.folder = work / appdir.parent.name / appdir.name  # as the template takes the app's name from there
        self.old = {name: read(appdir / name) for name in (self.core, *CONFIGS) if (appdir / name).is_file()}
        for name in (name for name in PRIVATE if (appdir / name).is_file()):
            read(appdir / name)  # refused now, before a value comes into it
        self.texts = {}  # of the configs that are merged, by name
        self.secret, self.stays, self.given_way, self.hints = [], [], [], []  # lines for the reader
        self.hidden = set()  # values that are not for the screen
        module = "rattail.config" if framework == "rattail" else "wuttjamaican.conf"
        self.python = [appdir.parent / "bin/python", "-W", "ignore"]  # upstream's warnings
        done = run(*self.python, "-c", ASK, module, appdir / self.core, cwd=appdir.parent)
        if done.returncode:
            fail(f"{self.core} does not load in this env, mend that first: {hide(last_line(done.stderr))}")
        self.title, self.real = json.loads(last_line(done.stdout))

    def make(self):
        """Make all files of the draft."""
        self.render()
        for name in sorted(self.old, key=lambda name: name != self.core):
            self.merge(name)
        self.keep_what_was_unsaid()
        self.add_logging()
        self.ignore_own_files()
        for name, text in self.texts.items():
            (self.folder / name).write_text(text, errors="surrogateescape")
            if name in PRIVATE:
                (self.folder / name).chmod(0o600)
            elif (self.appdir / name).exists():
                (self.folder / name).chmod((self.appdir / name).stat().st_mode & 0o7777)
        if run(*self.python, "lib/setup_packages.py", "--preview", cwd=self.folder).returncode == 3:
            self.hints.append("the env lacks packages, so --apply first installs requirements.txt into it")
        self.names = sorted({*self.rendered, *self.texts}, key=lambda name: (name not in PRIVATE, name[0] == ".", name))
        for name in self.names:
            if (self.appdir / name).is_dir():
                fail(f"{name} is a folder, and the template has a file of that name; move it away first")
            for folder in Path(name).parents:
                if os.path.lexists(self.appdir / folder) and not (self.appdir / folder).is_dir():
                    kind = "file" if (self.appdir / folder).exists() else "link to nothing"
                    fail(f"{folder} is a {kind}, and the template has a folder of that name; move it away first")

    def here(self, value):
        """Return a value with paths of the app dir, absolute or as seen from the env, written as %(here)s."""
        for path in {self.appdir, self.appdir.resolve()}:
            value = re.sub(rf"{re.escape(str(path))}(?![\w.-])", "%(here)s", value)
        return re.sub(rf"(^|['\",]\s*|sqlite:///){re.escape(self.appdir.name)}/(?=\w)", r"\1%(here)s/", value)

    def get(self, section, key, name=None):
        """Return a value of an old config, of the core config if none is named, or an empty text."""
        parser = self.old.get(name or self.core)
        return self.here(parser.get(section, key, fallback="")) if parser else ""

    def answers(self):
        """Return the answers that the old app dir gives: the parts that it has, and values."""
        web, address = "web.conf", r"[\w.+-]+@[\w.-]+\w"
        mail, sender = {"rattail": ("rattail.mail", "from"), "wutta": ("wutta.email", "sender")}[self.framework]
        answers = {"framework": self.framework, "title": self.title}
        for name, section, key, file, pattern in [
            ("web_app", "app:main", "use", web, r"egg:[A-Za-z0-9._-]+(#\w+)?"),
            ("app_package", "rattail", "app_package", None, r"[a-z][a-z0-9_]*"),
            ("web_host", "server:main", "host", web, r"[A-Za-z0-9][A-Za-z0-9.-]*"),
            ("web_port", "server:main", "port", web, r"[0-9]{4,5}"),
            ("web_api_port", "server:main", "port", "webapi.conf", r"[0-9]{4,5}"),
            ("mail_to", mail, "default.to", None, address),
            ("mail_from", mail, f"default.{sender}", None, address),
        ]:
            value = self.get(section, key, file)
            if re.fullmatch(pattern, value):
                answers[name] = value
        if self.get("server:main", "trusted_proxy_headers", web):
            answers["reverse_proxy"] = "http"
        kind = self.get("app:main", "beaker.session.type", web)
        answers["sessions"] = {"ext:redis": "redis", "ext:database": "database"}.get(kind, "files")
        system = str(Path("/etc/localtime").resolve()).partition("/zoneinfo/")[2]
        zone = self.get(self.framework, "timezone.default") or system
        answers["time_zone"] = zone if zone in (HERE / "includes/time_zones.txt").read_text().splitlines() else "UTC"
        sends = self.real.get(f"{self.framework}.mail.send_emails", str(self.framework == "rattail"))
        answers["send_mail"] = sends.lower() in ("true", "yes", "on", "1")
        answers |= {"offline_assets": False, "overnight": [], "work": (self.appdir / "work").exists()}
        answers["luigi"] = any((self.appdir / name).exists() for name in ("luigi", "luigitasks"))
        if self.framework == "rattail":
            answers["exports"] = bool(self.get("rattail", "export.files"))
            answers["uploads"] = bool(self.get("app:main", "pyramid_deform.tempdir", web))
            for part, name in {"web_api": "webapi", "datasync": "datasync", "filemon": "filemon"}.items():
                answers[part] = (self.appdir / f"{name}.conf").exists()
        return answers

    def render(self):
        """Render the template into the draft's folder, with those answers and the ones of --data."""
        command = shutil.which(os.environ.get("COPIER") or "copier")
        if not command:
            fail("no command copier; install Copier 9.19 or later with: pipx install copier, or name it in COPIER")
        self.folder.mkdir(parents=True)
        self.given = self.answers()
        file = self.folder.parent / "answers.yml"
        file.write_text(json.dumps(self.given))
        more = [part for answer in self.options.data for part in ("--data", answer)]
        more += ["--vcs-ref", self.options.vcs_ref] if self.options.vcs_ref else []
        template = self.options.template
        done = run(command, "copy", "--quiet", "--defaults", "--data-file", file, *more, template, self.folder)
        if done.returncode:
            fail(f"Copier could not render: {last_line(done.stderr).removeprefix(BEFORE_WORDS)}")
        file.unlink()
        self.rendered = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}
        if not self.rendered & {self.core}:
            fail(f"with these answers there is no {self.core}; give no --data framework")

    def text(self, name):
        """Return the text of a file of the draft, as far as it is made."""
        if name not in self.texts:
            folder = self.appdir if name in PRIVATE else self.folder
            new = "" if (folder / name).exists() else "# Yours, made by adopt.py, never in git. Write each % as %%.\n"
            self.texts[name] = new or (folder / name).read_text()
        return self.texts[name]

    def put(self, name, section, key, value):
        """Set a value in a file of the draft, or take it out with None."""
        self.texts[name] = put(self.text(name), section, key, value)

    def merge(self, name):
        """Bring the values of an old config into the draft."""
        if name not in self.rendered:
            return
        if name in WEB and not self.old[name].has_section("app:main"):
            fail(f"{name} has no [app:main]; adopt.py knows no other way to serve an app")
        for section in self.old[name].sections():
            for key, raw in self.old[name].items(section):
                target = WEB[name] if section == "app:main" and name in WEB else section
                self.carry(name, target, key, self.here(raw), raw)

    def carry(self, name, section, key, value, raw):
        """Bring one value of an old config into the draft, unless the template has the same or a better one."""
        new = parse(self.text(name)).get(section, key, fallback=None)
        if key in LISTS and new is not None:
            missing = [item for item in words(value) if item not in words(new)]
            value = " ".join([*missing, *words(new)]) if missing else new
        if new is not None and new.split() == value.split():
            return
        if self.is_upstream(name, section, key, value) or self.is_unused(key, value, new):
            if new is not None:
                self.given_way.append(f"{name} [{section}] {key} = {hide(value)} -> {new}")
            return
        where = self.place(name, section, key, value, new is not None)
        if where != name and new is not None:
            self.put(name, section, key, None)
        if key == "beaker.session.secret":
            if value in WELL_KNOWN:
                self.hints.append(f"the session secret of {name} is upstream's own, which anybody knows; take another")
            value = re.sub(r"%(?![%(])|(%%)", r"%%", value)
        self.put(where, section, key, value)
        if key == "args" and section.startswith("handler_"):
            self.keep_class(name, section)
        if where == "secrets.conf":
            self.hidden |= {value, raw}
            self.secret.append(f"{name} [{section}] {key}")
            if (self.appdir / name).stat().st_mode & 0o004:
                self.hints.append(f"every user of this machine could read {name}; think of changing what was secret")
        elif new is not None and value.startswith("%(here)s/") and key not in LISTS:
            self.stays.append(f"{value.removeprefix('%(here)s/')}, not {new.removeprefix('%(here)s/')}: {name} {key}")

    def keep_class(self, name, section):
        """Keep the class of a logging handler whose arguments were carried over, there and nowhere else."""
        was = parse(self.text(name)).get(section, "class", fallback=None)
        if kind := self.get(section, "class", name) or self.get(section, "class"):
            self.put(name, section, "class", kind)
        for other in (other for other in CONFIGS if name == self.core and other in self.rendered and was):
            new = parse(self.text(other))
            if new.has_option(section, "args") and not new.has_option(section, "class"):
                self.put(other, section, "class", was)

    def is_upstream(self, name, section, key, value):
        """Return whether a value is what upstream's own commands write, and the template has a better one."""
        if section == "logger_exc_logger" and (args := self.get("handler_email", "args")):
            section, key, value = "handler_email", "args", args  # errors are mailed to somebody, or to nobody yet
        texts = (name, section, key, " ".join(value.split()))
        return any(all(map(re.fullmatch, patterns, texts)) for patterns in UPSTREAM)

    def is_unused(self, key, value, new):
        """Return whether a value is a place in the app dir where nothing is, and the template has another place."""
        if key in LISTS or not ((new or "").startswith("%(here)s/") and value.startswith("%(here)s/")):
            return False
        path = self.appdir / value.removeprefix("%(here)s/").split()[0]
        return not (path.is_file() or (path.is_dir() and any(path.iterdir())))

    def place(self, name, section, key, value, known):
        """Return the file for a value: a secret, or what could be one, must not come into git."""
        secret = SECRET_KEY.search(key) or SECRET_VALUE.search(value)
        if section.startswith("server:") or name.startswith("luigi/"):
            if secret:
                fail(f"{name} [{section}] {key} looks like a secret, for which there is no place; take it out first")
            return name
        if section in WEB.values():
            return "secrets.conf" if secret or not OURS.match(key) else name
        if secret:
            return "secrets.conf"
        if known or section == "alembic" or LOGGING.match(section):
            return name
        return name if name != self.core and OURS.match(section) else "local.conf"

    def keep_what_was_unsaid(self):
        """Keep what the app does because an old config says nothing, where the template says something."""
        rendered, core, fw = parse(self.text(self.core)), self.core, self.framework
        for section, key in (
            (f"{fw}.config", "usedb"),
            (f"{fw}.config", "preferdb"),
            ("rattail.db", "versioning.enabled"),
        ):
            if rendered.has_option(section, key) and f"{section}.{key}" not in self.real:
                self.put(core, section, key, "false")
        for key in ("app_dist", "model_spec"):  # the app's package knows better
            if "app_package" in self.given and not self.get(fw, key):
                self.put(core, fw, key, None)
        if fw == "wutta" and not self.get("wutta.batch", "storage_path") and any(self.appdir.glob("data/batch/*")):
            self.put(core, "wutta.batch", "storage_path", "%(here)s/data/batch")
            self.stays.append("data/batch, not data/batches: wutta.conf storage_path")
        key = {"rattail": "beaker.session_dir", "wutta": "wuttaweb.beaker_session_dir"}[fw]
        folder = parse(self.text("web.conf")).get("app:web", "beaker.session.data_dir", fallback="")
        if not self.get(f"{fw}.cleanup", key) and folder.endswith("/data"):
            self.put(core, f"{fw}.cleanup", key, folder.removesuffix("/data"))
        url = self.real.get(f"{fw}.db.default.url")
        if not url:
            fail(f"{core} names no database; put it there first, as default.url in [{fw}.db]")
        if not parse(self.text("secrets.conf")).has_option(f"{fw}.db", "default.url"):  # it came from elsewhere
            self.put("secrets.conf", f"{fw}.db", "default.url", url.replace("%", "%%"))

    def add_logging(self):
        """Bring what carried loggers and handlers name, and list all of them, as the logging module needs it."""
        core, old = parse(self.text(self.core)), self.old[self.core]
        for name in (name for name in (self.core, *CONFIGS) if name in self.texts and name in self.old):
            new = parse(self.text(name))
            for section in new.sections():
                named = [f"handler_{item}" for item in words(new.get(section, "handlers", fallback=""))]
                named = [item for item in named if LOGGING.match(section) and old.has_section(item)]
                for item in (item for item in named if not new.has_section(item) and not core.has_section(item)):
                    for key, value in old.items(item):
                        self.put(self.place(self.core, item, key, value, True), item, key, self.here(value))
        core = parse(self.text(self.core))
        for name in (name for name in (self.core, *CONFIGS) if name in self.texts and name in self.old):
            new = parse(self.text(name))
            for kind in ("logger", "handler", "formatter"):
                keys = words(new.get(f"{kind}s", "keys", fallback=core.get(f"{kind}s", "keys")))
                have = [name.removeprefix(f"{kind}_") for name in new.sections() if name.startswith(f"{kind}_")]
                if missing := [key for key in have if key not in keys]:
                    self.put(name, f"{kind}s", "keys", ", ".join(keys + missing))
            core = parse(self.text(self.core))

    def replaces(self, name):
        """Return whether a file of the draft comes in place of another one."""
        old = self.appdir / name
        if name.startswith(WRITTEN_ONCE) and old.exists():
            return False
        return not old.is_file() or old.read_bytes() != (self.folder / name).read_bytes()

    def ignore_own_files(self):
        """Let git leave out what the template does not know, since nobody looked whether a secret is in it."""
        text = self.text(".gitignore")
        ignored = {line.strip("/") for line in text.splitlines()} | {".git", ".adopt"}
        folders = {str(parent) for name in self.rendered for parent in Path(name).parents}
        own = []
        for folder in sorted(folders - {name for name in folders if name.split("/")[0] in ignored}):
            if not (self.appdir / folder).is_dir():
                continue
            for path in sorted((self.appdir / folder).iterdir()):
                name = str(path.relative_to(self.appdir))
                if name not in self.rendered | folders | ignored and path.name != "__pycache__":
                    own.append(name)
        self.own = [name for name in own if name != "local.conf"]
        kept = [name for name in self.rendered if name.startswith(WRITTEN_ONCE) and (self.appdir / name).exists()]
        if kept:
            self.hints.append(f"your {', '.join(sorted(kept))} stay as they are, and come into git")
        lines = ["local.conf", *self.own]
        escaped = [re.sub(r"([\\*?\[ ])", r"\\\1", name) for name in lines]
        # git's ? stands for one byte
        escaped = ["".join(c if c.isprintable() else "?" * len(os.fsencode(c)) for c in name) for name in escaped]
        title = "# Found by adopt.py: take a line out to keep that file in git, if no secret is in it."
        self.texts[".gitignore"] = "\n".join([text.rstrip("\n"), title, *(f"/{name}" for name in escaped), ""])


class Adoption:
    """The way of the new files into an app dir."""

    def __init__(self, appdir, options):
        self.appdir, self.options = appdir, options
        self.work = appdir / ".adopt"
        self.ready = self.work / "ready"  # names the folder for the old files, and the new files, in their order

    def check(self):
        """Refuse a folder that is not an app dir that we can change; return its framework, or None if it is adopted."""
        appdir = self.appdir
        if not appdir.is_dir():
            fail(f"there is no folder {appdir}")
        if not (appdir.parent / "bin/python").exists():
            fail(f"no {appdir.parent}/bin/python; the app dir must be the folder app/ of a virtualenv")
        if re.search(r"[^A-Za-z0-9/._@+-]", str(appdir)):
            fail(f"upstream cannot read config in {appdir}; use a path of A-Z a-z 0-9 / . _ @ + -")
        owner = appdir.stat().st_uid
        if owner != os.geteuid():
            name = user_name(owner)
            fail(f"the app dir belongs to {name}; run this as that user: sudo -u {name} {' '.join(sys.argv)}")
        if not shutil.which("git"):
            fail("git is missing; install it")
        if (appdir / ".copier-answers.yml").exists():
            if not (appdir / "lib/setup_git.py").exists():
                fail(".copier-answers.yml is of another template; move it away first")
            return None
        found = [name for name in ("rattail", "wutta") if (appdir / f"{name}.conf").is_file()]
        if not found:
            fail(f"{appdir} has no rattail.conf and no wutta.conf; for a new app dir use copier copy")
        if found == ["rattail", "wutta"]:
            fail(f"{appdir} has rattail.conf and wutta.conf; move the one away that the app does not read")
        given = any(answer.startswith("service_user=") for answer in self.options.data)
        for folder in (appdir / name for name in ("data", "log", "cache") if not given and (appdir / name).exists()):
            if (uid := folder.stat().st_uid) != owner:
                name = user_name(uid)
                fail(f"{folder.name} belongs to {name}; give --data service_user={name}, or chown it")
        if not self.ready.exists():  # else what came in is not committed yet
            self.check_git()
        return found[0]

    def check_git(self):
        """Refuse an app dir in git whose next commit would take in a secret, or edits that are the user's to commit."""
        if tracked := run("git", "ls-files", *PRIVATE, "restic.env", cwd=self.appdir).stdout.split():
            names = " ".join(tracked)
            fail(f"git tracks {names}, where secrets come; run: git rm --cached {names}, and commit that")
        status = ("status", "--porcelain", "--untracked-files=no", ".")
        lines = run("git", "--no-optional-locks", *status, cwd=self.appdir).stdout.splitlines()
        if edited := ", ".join(line[3:] for line in lines):
            fail(f"not committed: {edited}; commit or stash that first")

    def preview(self, framework):
        """Show what would change, and touch nothing."""
        with tempfile.TemporaryDirectory() as folder:
            draft = Draft(self.appdir, framework, Path(folder) / "draft", self.options)
            draft.make()
            self.report(draft)
            for name in draft.names:
                old = self.appdir / name
                changed = old.is_file() and old.read_bytes() != (draft.folder / name).read_bytes()
                if changed or name in PRIVATE or name in draft.old:
                    for side, path in (("before", old), ("after", draft.folder / name)):
                        if path.is_file():
                            shown = Path(folder) / side / name
                            shown.parent.mkdir(parents=True, exist_ok=True)
                            shown.write_text(hide(path.read_text(errors="replace"), draft.hidden))
            (Path(folder) / "before").mkdir(exist_ok=True)
            print(run("git", "diff", "--no-index", "--no-prefix", "before", "after", cwd=folder).stdout)
        print("Nothing is changed yet; --apply does it.")

    def report(self, draft):
        """Say what happens to values and files, beside the diff."""
        answers = ", ".join(f"{name}={value}" for name, value in draft.given.items() if value not in ("", []))
        names = [name for name in draft.names if not name.endswith(".gitkeep")]
        new = [name for name in names if not os.path.lexists(self.appdir / name)]
        replaced = [name for name in names if name not in {*new, *draft.old, *PRIVATE} and draft.replaces(name)]
        for title, lines in {
            "Answers that fit (--data NAME=VALUE changes one)": [answers],
            "Goes into secrets.conf, for you alone to read, never in git": draft.secret,
            "Stays where it is": draft.stays,
            "Gives way to the template": draft.given_way,
            "New": [", ".join(new)] * bool(new),
            "Replaced (yours are kept in data/before-adoption)": [", ".join(replaced)] * bool(replaced),
            "Untouched, and not in git": [", ".join(draft.own)] * bool(draft.own),
            "Mind": dict.fromkeys(draft.hints),
        }.items():
            if lines:
                print(f"{title}:", *lines, sep="\n  ", end="\n\n", flush=True)

    def apply(self, framework):
        """Make the draft, check it with the software of the env, and bring it in."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(mode=0o700)
        draft = Draft(self.appdir, framework, self.work, self.options)
        draft.make()
        self.report(draft)
        for step in ("setup_packages.py", "setup_secrets.py", "check_config.py"):
            if subprocess.run([*draft.python, f"lib/{step}", "--quiet"], cwd=draft.folder).returncode:
                fail(f"the check above failed, and no file is changed; the new ones are in {draft.folder}")
        numbers = ("", *(f"-{number}" for number in range(2, 1000)))
        kept = next(name for name in (f"data/before-adoption{n}" for n in numbers) if not (self.appdir / name).exists())
        plan = {"folder": str(draft.folder.relative_to(self.appdir)), "kept": kept, "names": draft.names}
        self.ready.with_name("ready.new").write_text(json.dumps(plan))
        self.ready.with_name("ready.new").replace(self.ready)

    def bring(self):
        """Bring the draft's files in, after a copy of each old one; may be cut off at any point and run again."""
        plan = json.loads(self.ready.read_text())
        draft, kept = self.appdir / plan["folder"], self.appdir / plan["kept"]
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in plan["names"]:
            old, new, copy = self.appdir / name, draft / name, kept / name
            if not new.exists() or (old.exists() and (name.startswith(WRITTEN_ONCE) or new.name == ".gitkeep")):
                continue
            if os.path.lexists(old) and not os.path.lexists(copy):
                copy.parent.mkdir(parents=True, exist_ok=True)
                (kept / ".copy").unlink(missing_ok=True)
                shutil.copy2(old, kept / ".copy", follow_symlinks=False)
                (kept / ".copy").replace(copy)
            old.parent.mkdir(parents=True, exist_ok=True)
            if old.parent.resolve().stat().st_dev != draft.stat().st_dev:  # on another volume, where no move reaches
                if new.name == ".gitkeep":
                    old.touch()
                    continue
                new = Path(shutil.copy2(new, old.with_name(f".{old.name}.new")))
            if old.exists():
                os.chown(new, -1, old.stat().st_gid)
            new.replace(old)
        self.ready.unlink()

    def setup(self):
        """Let setup.sh do the rest, and say where the old files are."""
        shutil.rmtree(self.work, ignore_errors=True)
        if subprocess.run(["./setup.sh"], cwd=self.appdir).returncode:
            fail(f"the files are in, but setup.sh failed, see above; mend that and run {self.appdir}/setup.sh")
        print(f"\nThe old files are in {self.appdir}/data/before-adoption. Restart the app to use the new ones.")


def main():
    """Show, or do, what the options say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("appdir", help="the app dir, such as /srv/envs/poser/app")
    parser.add_argument("--apply", action="store_true", help="do it, not only show it")
    parser.add_argument("--data", action="append", default=[], metavar="NAME=VALUE", help="an answer to a question")
    parser.add_argument("--vcs-ref", metavar="REF", help="a version of the template, not the newest")
    origin = run("git", "remote", "get-url", "origin", cwd=HERE).stdout.strip()
    parser.add_argument(
        "--template", default=origin or HERE, help="where updates will come from (default: where this clone came from)"
    )
    options = parser.parse_args()
    sys.stdout.reconfigure(errors="surrogateescape")  # names of files need not be UTF-8
    appdir = Path(options.appdir).absolute()
    appdir = appdir.resolve() if ".." in appdir.parts else appdir  # the names of its folders count
    adoption = Adoption(appdir, options)
    framework = adoption.check()
    os.umask(0o027)
    lock = os.open(appdir, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fail("it is being adopted right now")
    if adoption.ready.exists():
        adoption.bring() if options.apply else fail("a run was cut off while files came in; --apply finishes it")
    elif framework and options.apply:
        adoption.apply(framework)
        adoption.bring()
    elif framework:
        adoption.preview(framework)
        return
    elif run("git", "cat-file", "-e", "HEAD:./.copier-answers.yml", cwd=appdir).returncode == 0:
        print("This app dir is under the template; ./update.sh brings it forward.")
        return
    if options.apply:
        adoption.setup()


try:
    main()
except OSError as error:
    fail(f"{error}; run it again")
