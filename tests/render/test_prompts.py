"""What `copier copy` asks at a terminal, and what it says about answers that it did not use."""

import contextlib
import os
import re
import sys

import copier
import pexpect
import pytest
import yaml
from support import framework_of, questions

UP, DOWN = "\x1b[A", "\x1b[B"
DONE = "The app dir is ready"
UNUSED = "Given but not used, as the name is unknown or its part is off: "


@contextlib.contextmanager
def on_a_terminal(template, folder, *options):
    """Run `copier copy` at a terminal; when the `with` ends, so does the command."""
    command = ["-m", "copier", "copy", *options, str(template), str(folder)]
    # without a wait at each prompt for the place of the cursor, which pexpect does not tell
    environment = os.environ | {"PROMPT_TOOLKIT_NO_CPR": "1"}
    size = {"dimensions": (50, 200)}
    with pexpect.spawn(sys.executable, command, env=environment, encoding="utf-8", timeout=30, **size) as terminal:
        yield terminal
        terminal.expect(pexpect.EOF)


def asked(terminal, **keys):
    """Press the keys given for a question, and Enter for all others; return the names of all, in their order."""
    texts = {"show_all": "Show all questions?"} | {name: entry["help"] for name, entry in questions().items()}
    found = []
    while True:
        # a prompt is drawn more than once, so wait for those that have not come yet
        names = [name for name in texts if name not in found]
        number = terminal.expect_exact([*(texts[name] for name in names), DONE])
        if number == len(names):
            return found
        found.append(names[number])
        terminal.send(keys.get(names[number], "") + "\r")


def answers_of(app):
    """Return the answers that an app dir keeps."""
    return yaml.safe_load((app / ".copier-answers.yml").read_text())


@pytest.fixture
def unused(folder, tmp_path, capsys):
    """A function that copies with answers, and returns the names that the message after it lists as not used."""

    def unused(**answers):
        copier.run_copy(folder, tmp_path / "unused/app", {"app_name": "poser"} | answers, defaults=True, overwrite=True)
        message = capsys.readouterr().err.rpartition("\n\n\n")[2]
        assert message.endswith(f"{DONE}. Next, run:  {tmp_path}/unused/app/setup.sh\n\n")
        found = re.search(rf"^{UNUSED}(.*)$", message, re.MULTILINE)
        return found[1].split(", ") if found else []

    return unused


def test_few_questions_are_asked(template, tmp_path):
    app = tmp_path / "poser/app"
    with on_a_terminal(template, app) as terminal:
        found = asked(terminal, reverse_proxy=DOWN)
    assert found[0] == "show_all"
    assert "domain" in found
    assert len(found) <= 10
    assert answers_of(app)["reverse_proxy"] == "http"
    assert "show_all" not in answers_of(app)


@pytest.mark.parametrize("framework", ["rattail", "wutta"])
def test_all_questions_are_asked(template, tmp_path, framework):
    keys = {"show_all": UP, "framework": DOWN * (framework == "wutta"), "reverse_proxy": DOWN}
    with on_a_terminal(template, tmp_path / "poser/app") as terminal:
        found = asked(terminal, **keys, send_mail=UP, web_api=UP)
    wanted = [name for name, entry in questions().items() if framework_of(entry) in (None, framework)]
    assert found == ["show_all", *wanted]


@pytest.mark.parametrize("show_all", ["yes", "no"])
def test_nothing_is_asked_that_was_given(render, template, tmp_path, show_all):
    given = answers_of(render(tmp_path / "one/app", app_name="poser")) | {"web_port": 9999, "show_all": show_all}
    answers = tmp_path / "answers.yml"
    answers.write_text(yaml.safe_dump({name: value for name, value in given.items() if name[0] != "_"}))
    with on_a_terminal(template, tmp_path / "two/app", "--data-file", str(answers)) as terminal:
        assert asked(terminal) == []
    assert answers_of(tmp_path / "two/app")["web_port"] == 9999


def test_bad_answer_at_a_terminal_is_asked_for_again(template, tmp_path):
    with on_a_terminal(template, tmp_path / "poser/app") as terminal:
        terminal.expect_exact("Show all questions?")
        terminal.send("\r")
        terminal.expect_exact("Short name of the app")
        terminal.send("!\r")  # behind the default: poser!
        terminal.expect_exact("Enter up to 40 of a-z")
        terminal.send("\x7f2\r")  # a backspace
        asked(terminal)
    assert answers_of(tmp_path / "poser/app")["app_name"] == "poser2"


def needs(part):
    """Return the questions that are asked only where a part is on, as copier.yml says."""
    pattern = rf"\b{part}\b"
    return {name for name, entry in questions().items() if re.search(pattern, str(entry.get("ask", "")))}


ON = {"web": "yes", "reverse_proxy": "http", "web_api": "yes"}
ON |= dict.fromkeys(("batches", "exports", "luigi", "backups"), "yes")


def test_parts_are_those_that_questions_need():
    words = {word for entry in questions().values() for word in re.findall(r"\w+", str(entry.get("ask", "")))}
    assert words == {*ON, "show_all", "and", "none"}


@pytest.mark.parametrize("part", ON)
def test_answers_for_a_part_that_is_off_are_listed_and_kept(render, unused, tmp_path, part):
    all_answers = answers_of(render(tmp_path / "one/app", app_name="poser"))
    given = {name: all_answers[name] for name in needs(part)}
    assert given
    assert unused(**given | ON) == []
    off = ON | given | {part: "none" if part == "reverse_proxy" else "no"}
    assert needs(part) <= {*unused(**off)}
    kept = answers_of(tmp_path / "unused/app")
    assert {name: kept[name] for name in given} == given


def test_misspelled_name_is_listed(unused):
    assert unused(lugi="no", title="Shop", show_all="yes", answer="") == ["lugi", "answer"]


def test_part_of_the_other_framework_is_listed(unused):
    assert unused(framework="wutta", datasync="no") == ["datasync"]
