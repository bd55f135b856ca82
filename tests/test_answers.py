"""Bad answers are refused by name with nothing written; odd but good ones come out right."""

import configparser
import subprocess
import sys

import pytest
from support import files, questions

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
TITLE = "100% $(id) \"q\" 's' `id` {{ x }} # ; = ünï \\n"


def copy(template, folder, *answers):
    """Run the command `copier copy` as a user would, with answers such as `port=80`."""
    data = [part for answer in answers for part in ("--data", answer)]
    command = [sys.executable, "-m", "copier", "copy", "--defaults", *data, template, folder]
    return subprocess.run(command, capture_output=True, text=True)


def test_every_question_has_bad_answers():
    assert BAD.keys() == questions().keys()
    assert len(CASES) >= 60


@pytest.mark.parametrize(("name", "value"), CASES)
def test_bad_answer_is_refused(render, tmp_path, name, value):
    answers = {"app_name": "poser", "reverse_proxy": "https"} | {name: value}
    with pytest.raises((ValueError, TypeError), match=name):
        render(tmp_path / "app", **answers)
    assert not (tmp_path / "app").exists()


@pytest.mark.parametrize("part", ["exports", "uploads", "web_api", "datasync", "filemon"])
def test_part_that_the_framework_lacks_is_refused(render, tmp_path, part):
    with pytest.raises(ValueError, match=f"{part}.*only rattail has"):
        render(tmp_path / "app", framework="wutta", **{part: True})
    assert not (tmp_path / "app").exists()


@pytest.mark.parametrize("answer", ["web_port=80", "batch_types=inventory", "send_mail=flase", "time_zone=Mars"])
def test_command_says_what_is_wrong(template, tmp_path, answer):
    done = copy(template, tmp_path / "app", answer)
    assert done.returncode != 0
    assert answer.split("=")[0] in done.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "app").exists()


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
