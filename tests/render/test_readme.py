"""What the README says is so: its questions, its commands, its tree."""

import re

from support import ROOT, framework_of, generated, questions

README = (ROOT / "README.md").read_text()


def table():
    """Return the table of questions as Markdown, from copier.yml."""
    rows = ["| question | what it asks | choices | only with |", "| --- | --- | --- | --- |"]
    for name, entry in questions().items():
        choices = ", ".join(map(str, entry.get("choices", [])))
        only = framework_of(entry) or ("a proxy" if "when" in entry else "")
        rows.append(f"| `{name}` | {entry['help']} | {choices} | {only} |")
    return "\n".join(rows).replace("|  |", "| |").replace("|  |", "| |")


def test_questions():
    generated("questions.md", "questions", table())


def test_pictures_are_there():
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)
    assert len(pictures) == 2
    for picture in pictures:
        assert (ROOT / picture).read_bytes().startswith(b"\x89PNG")


def test_tree_is_what_is_rendered(render, tmp_path):
    app = render(tmp_path / "poser/app")
    tree = re.search(r"```\napp/\n(.*?)```", README, re.DOTALL)[1]
    names = set(re.findall(r"[\w.-]+(?:\.(?:sh|md|conf|txt|env)|/)", tree))
    rendered = {path.name + "/" * path.is_dir() for path in app.rglob("*")} | {
        "local.conf",
        "restic.env",
        "secrets.conf",
        "wutta.conf",
    }
    assert names <= rendered
    top = {path.name for path in app.iterdir()} - {".copier-answers.yml", ".gitignore"}
    assert top <= {name.rstrip("/") for name in names}
