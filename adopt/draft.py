"""The new files of an app dir, made in a folder of their own from the template and what the old ones say."""

import os
import re
from pathlib import Path

from adopt import answers, callers, carry, steps, unsaid
from adopt.ini import get, parse, put
from adopt.render import render
from adopt.tools import PRIVATE, WRITTEN_ONCE, fail

HEADER = "# Yours, made by adopt.py, never in git. Write each % as %%.\n"


class Draft:
    """The new files, and notes for the reader about what happens to the old values."""

    def __init__(self, old, folder):
        self.old, self.folder = old, folder
        self.configs = {}  # editors of the configs that are merged, by name
        self.secret, self.stays, self.given_way, self.hints = [], [], [], []  # lines for the reader
        self.hidden = set()  # values that are not for the screen

    def config(self, name):
        """Return the editor of a config; what is private begins as the operator has it."""
        if name not in self.configs:
            path = (self.old.appdir if name in PRIVATE else self.folder) / name
            self.configs[name] = parse(path.read_text() if path.exists() else HEADER)
        return self.configs[name]

    def get(self, name, section, key, fallback=None):
        """Return a value of a new config."""
        return get(self.config(name), section, key, fallback)

    def put(self, name, section, key, value):
        """Set a value in a new config, or remove it with None."""
        put(self.config(name), section, key, value)

    def merged(self):
        """Return the names of the configs that the old app dir has, too, the core config first."""
        return [name for name in self.old.configs if name in self.rendered]

    def replaces(self, name):
        """Return whether a new file comes in place of one with other content."""
        path = self.old.appdir / name
        return path.is_file() and path.read_bytes() != (self.folder / name).read_bytes()

    def write(self):
        """Write the edited configs into the folder, each closed as the old one is."""
        for name, config in self.configs.items():
            path, before = self.folder / name, self.old.appdir / name
            path.write_text(str(config))
            path.chmod(0o600 if name in PRIVATE else (before if before.exists() else path).stat().st_mode & 0o7777)


def make(old, work, options):
    """Return the draft of an app dir, made in a folder of the folder `work`."""
    folder = work / old.appdir.parent.name / old.appdir.name  # the template takes the app's name from there
    folder.mkdir(parents=True)
    draft = Draft(old, folder)
    draft.guessed = answers.guess(old, callers.starts_servers(old.appdir))
    draft.rendered = render(folder, str(options.template), options.vcs_ref, draft.guessed, options.data)
    if old.core not in draft.rendered:
        fail(f"with these answers there is no {old.core}; give no --data framework")
    carry.carry_all(draft)
    unsaid.keep_what_was_unsaid(draft)
    unsaid.add_logging(draft)
    write_nights(draft)
    draft.write()
    ignore_own_files(draft)
    draft.names = sorted(
        (name for name in {*draft.rendered, *draft.configs} if not stays(old.appdir, name)),
        key=lambda name: (name not in PRIVATE, name[0] == ".", name),
    )
    draft.lacks_packages = steps.command(old.appdir, folder, "packages", "--preview").returncode == 3
    if draft.lacks_packages:
        draft.hints.append("the env lacks packages, so --apply first installs requirements.txt into it")
    check_places(draft)
    callers.check(draft, options.replace)
    return draft


def stays(appdir, name):
    """Return whether a file of the template is one that is written once, and is there already."""
    return (name.startswith(WRITTEN_ONCE) or Path(name).name == ".gitkeep") and (appdir / name).exists()


def write_nights(draft):
    """Let overnight.sh run the tasks that the old config names, instead of those the template begins with."""
    for name, (module, kind) in answers.tasks(draft.old).items() if draft.old.framework == "rattail" else ():
        file = f"luigitasks/overnight_{name}.py"
        ours = module == f"luigitasks.overnight_{name}"
        if file not in draft.rendered or (ours and kind == "Overnight"):
            continue
        if ours or (draft.old.appdir / file).exists():
            draft.hints.append(f"overnight.sh runs the class Overnight of {file}; derive it from {module}.{kind}")
        else:
            text = f'"""Yours. The overnight automation "{name}"; overnight.sh runs it."""\n\n'
            text += f"from {module} import {kind}\n\n\nclass Overnight({kind}):\n"
            text += '    """All tasks of a night, as before the adoption."""\n'
            (draft.folder / file).write_text(text)


def check_places(draft):
    """Refuse an app dir in which a folder or a link is where a new file comes, or the other way round."""
    appdir = draft.old.appdir
    for name in draft.names:
        if (appdir / name).is_dir():
            fail(f"{name} is a folder, and the template has a file of that name; move it away first")
        for folder in Path(name).parents:
            if os.path.lexists(appdir / folder) and not (appdir / folder).is_dir():
                kind = "file" if (appdir / folder).exists() else "link to nothing"
                fail(f"{folder} is a {kind}, and the template has a folder of that name; move it away first")


def ignore_own_files(draft):
    """Let git leave out what the template does not know, since nobody looked whether a secret is in it."""
    path, appdir = draft.folder / ".gitignore", draft.old.appdir
    text = path.read_text().rstrip("\n")
    ignored = {line.strip("/") for line in text.splitlines()} | {".git", ".adopt"}
    folders = {str(parent) for name in draft.rendered for parent in Path(name).parents}
    own = []
    for folder in sorted(folders - {name for name in folders if name.split("/")[0] in ignored}):
        for found in sorted((appdir / folder).iterdir()) if (appdir / folder).is_dir() else ():
            name = str(found.relative_to(appdir))
            if name not in draft.rendered | folders | ignored and found.name != "__pycache__":
                own.append(name)
    draft.own = [name for name in own if name not in PRIVATE]
    if kept := sorted(name for name in draft.rendered if name.startswith(WRITTEN_ONCE) and stays(appdir, name)):
        draft.hints.append(f"your {', '.join(kept)} stay as they are, and come into git")
    escaped = [re.sub(r"([\\*?\[ ])", r"\\\1", name) for name in ("local.conf", *draft.own)]
    # git's ? stands for one byte
    escaped = ["".join(c if c.isprintable() else "?" * len(os.fsencode(c)) for c in name) for name in escaped]
    title = "# Found by adopt.py: remove a line to keep that file in git, if no secret is in it."
    path.write_text("\n".join([text, title, *(f"/{name}" for name in escaped), ""]))
