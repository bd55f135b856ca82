"""Shows what an adoption changes: notes about values and files, and a diff without secrets."""

import os
from pathlib import Path

from adopt.secrets import hide
from adopt.tools import PRIVATE, run


def report(draft):
    """Say what happens to values and files, beside the diff."""
    appdir = draft.old.appdir
    answers = ", ".join(f"{name}={value}" for name, value in draft.guessed.items() if value not in ("", []))
    names = [name for name in draft.names if not name.endswith(".gitkeep")]
    new = [name for name in names if not os.path.lexists(appdir / name)]
    replaced = [name for name in names if name not in {*new, *draft.old.configs, *PRIVATE} and draft.replaces(name)]
    for title, lines in {
        "Answers that fit (--data NAME=VALUE changes one)": [answers],
        "Goes into secrets.conf, for you alone to read, never in git": draft.secret,
        "Stays where it is": draft.stays,
        "Gives way to the template": draft.given_way,
        "New": [", ".join(new)] * bool(new),
        "Replaced (adopt.py --undo brings yours back)": [", ".join(replaced)] * bool(replaced),
        "Untouched, and not in git": [", ".join(draft.own)] * bool(draft.own),
        "Note": dict.fromkeys(draft.hints),
    }.items():
        if lines:
            print(f"{title}:", *lines, sep="\n  ", end="\n\n", flush=True)


def show_diff(draft, folder):
    """Show as a git diff, made in a folder of its own, how each file changes."""
    for name in draft.names:
        old = draft.old.appdir / name
        if draft.replaces(name) or name in PRIVATE or name in draft.old.configs:
            for side, path in (("before", old), ("after", draft.folder / name)):
                if path.is_file():
                    shown = Path(folder, side, name)
                    shown.parent.mkdir(parents=True, exist_ok=True)
                    shown.write_text(hide(path.read_text(errors="replace"), draft.hidden))
    Path(folder, "before").mkdir(exist_ok=True)
    print(run("git", "diff", "--no-index", "--no-prefix", "before", "after", cwd=folder).stdout)
