"""The page of questions is that of copier.yml."""

from support import framework_of, generated, questions


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
