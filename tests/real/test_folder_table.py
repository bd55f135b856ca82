"""The folders that need a proof: those to which something writes, as the README of the app dir says."""

import re

import pytest

NOBODY = {"template"}
LEFT_TO_YOU = "nothing in the app uses it"
PARTS = {"rattail": {"web_api": True, "datasync": True, "filemon": True}, "wutta": {}}


@pytest.mark.parametrize("framework", PARTS)
def test_readme_says_who_writes_to_each_folder(render, tmp_path, framework, record_property):
    """And `--proofs` wants a proof of each that it names here."""
    app = render(tmp_path / "poser/app", framework=framework, **PARTS[framework])
    rows = (app / "README.md").read_text().partition("## Folders")[2]
    table = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|", rows, re.MULTILINE)
    written = [name for name, purpose, by in table if LEFT_TO_YOU not in purpose and by not in NOBODY]
    assert {"data", "data/templates", "log", "luigitasks", "sessions/data", "work/csv"} <= set(written)
    assert not {"lib", "system"} & set(written)
    record_property("written", {framework: written})
