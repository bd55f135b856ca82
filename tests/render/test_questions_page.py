"""docs/questions.md lists all questions, generated from copier.yml with a table for each of its banners."""

import re

import pytest
import yaml
from support import ROOT, generated, questions

CONDITIONS = {"web": "web app", "reverse_proxy != 'none'": "proxy", "framework == 'rattail'": "Rattail"}


def groups():
    """Return the questions of copier.yml, as {banner: {name: settings}}."""
    text = (ROOT / "copier.yml").read_text()
    entries = yaml.safe_load(text)
    banners = re.split(r"^# -+ ([^;]*?)(?:;.*)? -+$", text, flags=re.MULTILINE)
    found = {
        banner: {name: entries[name] for name in re.findall(r"^([a-z]\w*):", part, re.MULTILINE)}
        for banner, part in zip(banners[1::2], banners[2::2], strict=True)
    }
    return {
        banner: asked
        for banner, group in found.items()
        if (asked := {name: entry for name, entry in group.items() if entry.get("when") is not False})
    }


def row(name, entry):
    """Return a question's row of the table."""
    answers = [
        {True: "yes", False: "no"}.get(value) or f"`{value}`: {label}"
        for label, value in entry.get("choices", {}).items()
    ]
    parts = [part for key in ("when", "ask") for part in entry.get(key, "").strip("{} ").split(" and ") if part]
    needs = ", ".join(CONDITIONS.get(part, f"`{part}`") for part in parts if part != "show_all")
    asked = "all" if "show_all" in parts else "few"
    cells = [f"`{name}`", entry["help"], "<br>".join(answers), needs, asked]
    return re.sub(r"(?<=\|)  (?=\|)", " ", f"| {' | '.join(cells)} |")


def test_each_question_is_in_a_table():
    asked = {name for group in groups().values() for name in group}
    assert asked == questions().keys() | {"show_all"}
    assert re.findall(r"<!-- (.*) -->", (ROOT / "docs/questions.md").read_text()) == list(groups())


@pytest.mark.parametrize("banner", groups())
def test_table_is_what_copier_asks(banner):
    lines = ["| question | what it asks | answers | only with | shown in |", "| --- | --- | --- | --- | --- |"]
    lines += [row(name, entry) for name, entry in groups()[banner].items()]
    generated("questions.md", banner, "\n".join(lines))
