"""Renders the template with answers, by Copier."""

from adopt.tools import fail, last_line


def render(folder, template, vcs_ref, guessed, given):
    """Render into a folder, and return the names of the files; `given` answers are the user's and come first."""
    from copier import run_copy  # takes a second, which only this function needs

    try:
        worker = run_copy(template, folder, guessed | given, defaults=True, quiet=True, vcs_ref=vcs_ref)
    except Exception as error:  # whatever Copier raises is about the answers or the template
        fail(f"Copier refused: {last_line(str(error))}")
    questions = worker.template.questions_data
    if unknown := sorted(name for name in given if questions.get(name, {"when": False}).get("when") is False):
        fail(f"no such question: {', '.join(unknown)}; see docs/questions.md")
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
