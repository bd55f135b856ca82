"""Bad answers are refused by name with nothing written; odd but good ones come out right."""

import configparser
import contextlib
import re
import shutil
import subprocess
import sys

import copier
import pexpect
import pytest
import yaml
from copier.errors import UserMessageError
from support import files, framework_of, questions

NAMES = [
    "two words",
    'a"b',
    "a'b",
    "a/b",
    "../up",
    "..",
    "line\nbreak",
    "a%b",
    "$(id)",
    "`id`",
    "ünï",
    "",
    "-a",
    "A",
]
TYPES = [
    "[a b]",
    "['a\"b']",
    "[a/b]",
    "[../up]",
    "['a\\nb']",
    "['a%b']",
    "['$(id)']",
    "[ünï]",
    "['']",
    "[a, a]",
    "inventory",
    "7",
    "{a: b}",
    "[[a]]",
    "[1]",
    "null",
    "[A]",
]
PORTS = ["0", "80", "1023", "65536", "99999", "-1", "text", "", "80.5"]
MAILS = ["", "nobody", "a@", "@b", "a b@c", "a@b@c", "a@b, c@d", "a@b\n", "a'@b", "Me <a@b>", "a%@b"]
BAD = {
    "app_name": [*NAMES, "a" * 41, "1a"],
    "title": ["", " ", "line\nbreak", " space", "tab\there", "a" * 101],
    "framework": ["", "django", "Rattail"],
    "app_package": ["two words", "a-b", "a.b", "../up", "a%b", "$(id)", "ünï", "a\n", "1a"],
    "web_app": [
        "",
        "Tailbone",
        "egg:",
        "egg:a b",
        "egg:../up",
        "egg:a%b",
        "egg:$(id)",
        "egg:a\nb",
        "call:os:system",
    ],
    "pypi_name": ["", "a b", "../up", "--index-url", "a%b", "$(id)", "a;b", "a\n", "git+https://a/b"],
    "time_zone": ["", "Mars/Phobos", "utc+1", "../UTC", "UTC\n", "america/chicago"],
    "web_host": ["", "two words", "a/b", "http://a", "a:80", "$(id)", "a%b", "a\n", "ünï"],
    "web_port": PORTS,
    "reverse_proxy": ["", "yes", "nginx"],
    "url_prefix": ["poser", "/poser/", "/", "//poser", "/a b", "/a%b", "/$(id)", "/../up", "/a\n"],
    "domain": ["", "two words", "a/b", "http://a", "a:443", "$(id)", "a%b", "a;b", "a\n", "ünï"],
    "sessions": ["", "memcached", "file"],
    "services": ["", "docker", "Supervisor"],
    "service_user": ["root", "Poser", "two words", "a:b", "$(id)", "a%b", "-a", "1a", "a" * 33, "a\n", "ünï"],
    "mail_from": MAILS,
    "mail_to": MAILS,
    "batch_types": TYPES,
    "export_types": TYPES,
    "overnight": TYPES,
    "luigi_port": [*PORTS, "9080"],
    "web_api_port": [*PORTS, "9080"],
    "backup_repository": [
        "",
        "backups",
        "../backups",
        "two words",
        "/a b",
        "/a%b",
        "/$(id)",
        "/a\n",
        "/a'b",
        "/",
        "ftp:a",
        "sftp:",
        "rest:https://user:password@host/poser",
    ],
}
BAD |= {name: ["maybe", "flase", ""] for name, entry in questions().items() if entry["type"] == "bool"}
CASES = [(name, value) for name, values in BAD.items() for value in values]
LACKS = {name for name, entry in questions().items() if framework_of(entry) == "rattail" and entry["type"] == "bool"}
TYPED_IN = {name for name, entry in questions().items() if "validator" in entry} - LACKS
TITLE = "100% $(id) \"q\" 's' `id` {{ x }} # ; = ünï \\n"


def copy(template, folder, *answers):
    """Run the command `copier copy` as a user would, with answers such as `port=80`."""
    data = [part for answer in answers for part in ("--data", answer)]
    command = [sys.executable, "-m", "copier", "copy", "--defaults", *data, template, folder]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(template, tmp_path_factory):
    """The template as a folder that is no repository, which Copier need not clone."""
    folder = tmp_path_factory.mktemp("folder") / "template"
    shutil.copytree(template, folder, ignore=shutil.ignore_patterns(".git"))
    return str(folder)


@pytest.fixture(scope="module")
def default_answers(render, tmp_path_factory):
    """The default answer to each question that is asked, by name."""
    rendered = render(tmp_path_factory.mktemp("default") / "app", app_name="poser") / ".copier-answers.yml"
    return {name: answer for name, answer in yaml.safe_load(rendered.read_text()).items() if name in questions()}


@contextlib.contextmanager
def on_a_terminal(template, folder, answers):
    """Give `copier copy` at a terminal, which asks what has no answer; when the `with` ends, so does the command."""
    data_file = folder.with_name("answers.yml")
    data_file.write_text(yaml.safe_dump(answers))
    command = ["-m", "copier", "copy", "--data-file", str(data_file), str(template), str(folder)]
    with pexpect.spawn(sys.executable, command, encoding="utf-8", timeout=30) as terminal:
        yield terminal
        terminal.expect(pexpect.EOF)


def test_every_question_has_bad_answers():
    assert BAD.keys() == questions().keys()
    assert len(CASES) >= 60


@pytest.mark.parametrize(("name", "value"), CASES)
def test_bad_answer_is_refused(folder, tmp_path, name, value):
    answers = {"app_name": "poser", "reverse_proxy": "https"} | {name: value}
    with pytest.raises(UserMessageError, match=f"'{name}: [a-z0-9].*'$"):
        copier.run_copy(folder, tmp_path / "app", answers, defaults=True, quiet=True)
    assert not (tmp_path / "app").exists()


@pytest.mark.parametrize("name", sorted(TYPED_IN))
def test_bad_default_of_a_user_is_refused(folder, tmp_path, name):
    defaults = {"app_name": "poser", "reverse_proxy": "https", name: BAD[name][0]}
    with pytest.raises(ValueError, match=f"for question '{name}': "):
        copier.run_copy(folder, tmp_path / "app", user_defaults=defaults, defaults=True, quiet=True)
    assert not (tmp_path / "app").exists()


def test_bad_answer_at_a_terminal_is_asked_for_again(default_answers, template, tmp_path):
    answers = {name: answer for name, answer in default_answers.items() if name != "web_port"}
    with on_a_terminal(template, tmp_path / "app", answers) as terminal:
        terminal.expect("Port on which the web app listens")
        terminal.send("1\r")  # behind the default: 90801
        terminal.expect("use a port from 1024 to 65535")
        terminal.send("\x7f\x7f2\r")  # two backspaces
        terminal.expect("The app dir is ready")
    assert b"web_port: '9082'" in files(tmp_path / "app")[".copier-answers.yml"][1]


@pytest.mark.parametrize("part", sorted(LACKS))
def test_part_is_refused_when_the_other_framework_is_typed_in(default_answers, template, tmp_path, part):
    answers = default_answers | dict.fromkeys(LACKS, False) | {part: True}
    del answers["framework"]
    with on_a_terminal(template, tmp_path / "app", answers) as terminal:
        terminal.expect("Framework on which")
        terminal.send("\x1b[B\r")  # down, to wutta
        terminal.expect(f"'{part}': only rattail has this")
    assert not (tmp_path / "app").exists()


@pytest.mark.parametrize("name", ["title", "time_zone", "web_port", "web_host"])
@pytest.mark.parametrize("value", [None, ["a"], {"a": "b"}])
def test_text_is_wanted(render, tmp_path, name, value):
    with pytest.raises(UserMessageError, match=f"'{name}: use text'"):
        render(tmp_path / "app", app_name="poser", **{name: value})


@pytest.mark.parametrize("value", [[["a"]], [{"a": "b"}], [1], ["a", "a"], {"a": "b"}, None, 7])
def test_list_of_a_data_file_is_checked(render, tmp_path, value):
    with pytest.raises(UserMessageError, match="'batch_types: use a list of"):
        render(tmp_path / "app", app_name="poser", batch_types=value)


@pytest.mark.parametrize("part", sorted(LACKS))
def test_part_that_the_framework_lacks_is_refused(render, tmp_path, part):
    with pytest.raises(UserMessageError, match=f"'{part}: only rattail has"):
        render(tmp_path / "app", framework="wutta", **{part: True})
    assert not (tmp_path / "app").exists()


@pytest.mark.parametrize(
    "answer",
    ["web_port=80", "batch_types=[", "send_mail=flase", "time_zone=Mars", "framework=", "lugi=no", "jobs="],
)
def test_command_says_what_is_wrong_in_one_line(template, tmp_path, answer):
    done = copy(template, tmp_path / "app", answer)
    assert done.returncode == 1
    assert re.search(rf"\A.*'{answer.split('=')[0]}: .*'\n\Z", done.stderr)
    assert not (tmp_path / "app").exists()


def test_command_asks_for_a_name_that_the_env_does_not_give(template, tmp_path):
    done = copy(template, tmp_path / "123/app")
    assert done.returncode == 1
    assert re.search(r"\A.*'app_name: give one, by --data app_name=NAME'\n\Z", done.stderr)


def test_answers_of_another_app_dir_make_the_same_one(render, template, tmp_path):
    app = render(tmp_path / "one", app_name="poser", luigi=False, batch_types=["own"])
    answers = yaml.safe_load((app / ".copier-answers.yml").read_text())
    copier.run_copy(str(template), tmp_path / "two", answers, defaults=True, quiet=True)
    assert files(tmp_path / "two") == files(app)


def test_list_may_be_written_as_yaml_or_json(template, tmp_path):
    for number, text in enumerate(["[a, b_2]", '["a","b_2"]', "[ 'a' , b_2 ]"]):
        copy(template, tmp_path / f"app{number}", "app_name=poser", f"batch_types={text}")
        assert (tmp_path / f"app{number}/data/batches/b_2").is_dir()


@pytest.mark.parametrize(("name", "port"), [("web_port", "8082"), ("web_port", "9081"), ("luigi_port", "9081")])
def test_default_ports_differ(render, tmp_path, name, port):
    app = render(tmp_path / "app", app_name="poser", web_api=True, **{name: port})
    ports = re.findall(r"^(?:web|luigi|web_api)_port: '(.*)'$", (app / ".copier-answers.yml").read_text(), re.MULTILINE)
    assert len(set(ports)) == 3


def test_every_question_is_one_calm_sentence():
    for name, entry in questions().items():
        assert entry["help"].endswith((".", "?")), name
        assert len(entry["help"]) <= 110, name
        assert "default" in entry, name
        assert entry["type"] == "bool" or "choices" in entry or "validator" in entry, name


def test_app_name_comes_from_the_env(template, tmp_path):
    copy(template, tmp_path / "2 My_Shop!" / "app")
    assert b"app_name: my_shop\n" in files(tmp_path / "2 My_Shop!" / "app")[".copier-answers.yml"][1]


def test_unknown_answer_is_an_error_in_tests(render, tmp_path):
    with pytest.raises(ValueError, match="luigy"):
        render(tmp_path / "app", luigy=True)


@pytest.mark.parametrize("framework", ["rattail", "wutta"])
def test_any_title_comes_out_right(render, tmp_path, framework):
    app = render(tmp_path / "app", app_name="poser", title=TITLE, framework=framework)
    parser = configparser.ConfigParser(defaults={"here": "here"})
    parser.read(app / f"{framework}.conf")
    assert parser[framework]["app_title"] == TITLE
