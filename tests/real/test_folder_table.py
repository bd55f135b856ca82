"""Each folder in the table of the app dir's README is proved by a test with the mark `proves`.

That each folder is in that table, test_render.py shows.
"""

import re

import pytest
from real import proofs
from support import generated

FRAMEWORKS = {"rattail": "Rattail", "wutta": "Wutta"}
LEFT_TO_YOU = "nothing in the app uses it"


@pytest.fixture(scope="module")
def proved():
    """All proofs of all tests."""
    found = proofs.collect()
    assert {proof["framework"] for proof in found} <= FRAMEWORKS.keys(), "say which: proves(..., framework=)"
    return found


@pytest.fixture(scope="module", params=[*FRAMEWORKS])
def app(request, render, tmp_path_factory):
    """An app dir with all parts."""
    parts = {"rattail": {"web_api": True, "datasync": True, "filemon": True}, "wutta": {}}[request.param]
    folder = render(tmp_path_factory.mktemp("table") / "poser/app", framework=request.param, **parts)
    return request.param, folder


def table(folder):
    """Return the table of folders in an app dir's README: what each is for, by its name."""
    rows = (folder / "README.md").read_text().partition("## Folders")[2]
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", rows, re.MULTILINE))


def test_each_folder_is_proved(app, proved):
    """By itself, or by a folder in it; or the table says that nothing uses it."""
    framework, folder = app
    names = {name for proof in proved if proof["framework"] == framework for name in proof["folders"]}
    told = table(folder)
    assert names <= told.keys(), "a proof of no folder"
    used = {name for name, purpose in told.items() if LEFT_TO_YOU not in purpose}
    assert {name for name in used if not any(f"{other}/".startswith(f"{name}/") for other in names)} == set()


def test_the_project_says_what_is_proved(proved):
    rows = {}
    for proof in proved:
        rows.setdefault((tuple(proof["folders"]), proof["shows"], proof["test"]), set()).add(proof["framework"])
    lines = ["| folder | with | what is proved | test in `tests/real/` |", "| --- | --- | --- | --- |"]
    for (names, shows, test), frameworks in sorted(rows.items()):
        titles = [title for key, title in FRAMEWORKS.items() if key in frameworks]
        lines.append(f"| `{'`, `'.join(names)}` | {', '.join(titles)} | {shows} | `{test}` |")
    generated("folders.md", "folders", "\n".join(lines))
