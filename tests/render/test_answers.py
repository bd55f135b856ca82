"""Bad answers are refused with nothing written, by what says which question it was and what to enter; odd ones work."""

import configparser
import re
import subprocess
import sys
import zoneinfo

import copier
import pytest
import yaml
from support import ROOT, files, framework_of, questions

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
PORTS = ["0", "80", "1023", "65536", "99999", "-1"]
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
    "time_zone": ["", "utc+1", "../UTC", "UTC\n", "america/chicago", "America/", "America/New York", "A/B/C/D"],
    "web_host": ["", "two words", "a/b", "http://a", "a:80", "$(id)", "a%b", "a\n", "ünï"],
    "web_port": PORTS,
    "reverse_proxy": ["", "yes", "nginx"],
    "url_prefix": ["poser", "/poser/", "/", "//poser", "/a b", "/a%b", "/$(id)", "/../up", "/a\n"],
    "domain": ["", "two words", "a/b", "http://a", "a:443", "$(id)", "a%b", "a;b", "a\n", "ünï"],
    "sessions": ["", "memcached", "file"],
    "services": ["", "docker", "Supervisor"],
    "service_user": ["root", "Poser", "two words", "a:b", "$(id)", "a%b", "-a", "1a", "a" * 33, "a\n", "ünï"],
    "alerts": ["", "sms", "Mail"],
    "mail_server": ["", "two words", "http://a", "a:", "a:b", "a:1234567", "a/b", "$(id)", "a%b", "a\n", "ünï", "::1"],
    "mail_user": ["two words", "a:b", "$(id)", "a%b", "a\n", "ünï", "a'b"],
    "mail_from": MAILS,
    "mail_to": MAILS,
    "batch_types": TYPES,
    "export_types": TYPES,
    "overnight": TYPES,
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
BAD |= {name: ["maybe", "flase", "", "y"] for name, entry in questions().items() if entry["type"] == "bool"}
CASES = [(name, value) for name, values in BAD.items() for value in values]
LACKS = {name for name, entry in questions().items() if framework_of(entry) == "rattail" and entry["type"] == "bool"}
NOT_TEXT = sorted(name for name, entry in questions().items() if entry["type"] in ("int", "yaml"))
TITLE = "100% $(id) \"q\" 's' `id` {{ x }} # ; = ünï \\n"
# answers with which each question is of use
PROXIED = {"app_name": "poser", "reverse_proxy": "https"}


def copy(template, folder, *answers):
    """Run the command `copier copy` as a user would, with answers such as `port=80`."""
    data = [part for answer in answers for part in ("--data", answer)]
    command = [sys.executable, "-m", "copier", "copy", "--defaults", *data, template, folder]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def refusal(folder, tmp_path):
    """A function that gives the message with which a copy is refused, and makes sure that nothing was written."""

    def refusal(**answers):
        with pytest.raises(ValueError, match=r".") as refused:
            copier.run_copy(folder, tmp_path / "app", answers, defaults=True, quiet=True)
        assert not (tmp_path / "app").exists()
        return str(refused.value)

    return refusal


def test_every_question_has_bad_answers():
    assert BAD.keys() == questions().keys()
    assert len(CASES) >= 60


@pytest.mark.parametrize(("name", "value"), CASES)
def test_bad_answer_is_refused(refusal, name, value):
    message = refusal(**PROXIED | {name: value})
    if "choices" in questions()[name] or questions()[name]["type"] == "bool":
        assert re.match(rf"Invalid choice for '{name}': .* is not in \[", message)
    else:
        assert re.match(rf"Validation error for question '{name}': Enter [^{{}}]*[^ .]$", message)


@pytest.mark.parametrize("name", NOT_TEXT)
@pytest.mark.parametrize("value", ["[", "text: [", "80.5.1 ["])
def test_text_that_is_no_number_or_list_is_refused(refusal, name, value):
    """By Copier, which does not name the question."""
    refusal(**PROXIED | {name: value})


@pytest.mark.parametrize("name", sorted(BAD.keys() - LACKS))
def test_bad_default_of_a_user_is_refused(folder, tmp_path, name):
    defaults = PROXIED | {name: BAD[name][0]}
    with pytest.raises(ValueError, match=f"'{name}': "):
        copier.run_copy(folder, tmp_path / "app", user_defaults=defaults, defaults=True, quiet=True)
    assert not (tmp_path / "app").exists()


@pytest.mark.parametrize("name", sorted(name for name, entry in questions().items() if "such as" in str(entry)))
def test_answer_that_is_suggested_is_good(folder, refusal, tmp_path, name):
    entry = questions()[name]
    texts = [entry["help"], entry.get("validator", "")]
    examples = {found for text in texts for found in re.findall(r"such as (\[.*?\]|[^\s,{]+?)[,.]?(?=[\s{]|$)", text)}
    assert examples
    for number, example in enumerate(examples):
        copier.run_copy(folder, tmp_path / str(number), PROXIED | {name: example}, defaults=True, quiet=True)


@pytest.mark.parametrize("name", ["title", "time_zone", "web_port", "web_host"])
@pytest.mark.parametrize("value", [None, ["a"], {"a": "b"}])
def test_text_is_wanted(folder, tmp_path, name, value):
    with pytest.raises((ValueError, TypeError)):
        copier.run_copy(folder, tmp_path / "app", PROXIED | {name: value}, defaults=True, quiet=True)
    assert not (tmp_path / "app").exists()


@pytest.mark.parametrize("value", [[["a"]], [{"a": "b"}], [1], ["a", "a"], {"a": "b"}, None, 7])
def test_list_of_a_data_file_is_checked(refusal, value):
    for name in ("batch_types", "export_types", "overnight"):
        assert f"question '{name}': Enter a list of" in refusal(**PROXIED | {name: value})


@pytest.mark.parametrize("part", sorted(LACKS))
def test_part_that_the_framework_lacks_is_refused(refusal, part):
    assert f"question '{part}': Answer no: only Rattail has" in refusal(
        app_name="poser", framework="wutta", **{part: True}
    )


@pytest.mark.parametrize("answer", ["web_port=80", "send_mail=flase", "time_zone=mars", "framework=", "overnight=a"])
def test_last_line_names_the_question(template, tmp_path, answer):
    done = copy(template, tmp_path / "app", answer)
    assert done.returncode == 1
    assert re.search(rf"ValueError: .* '{answer.split('=')[0]}': .*", done.stderr.splitlines()[-1])
    assert not (tmp_path / "app").exists()


def test_command_asks_for_a_name_that_the_env_does_not_give(template, tmp_path):
    done = copy(template, tmp_path / "123/app")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == 'ValueError: Question "app_name" is required'


@pytest.mark.parametrize(("env", "name"), [("2 My_Shop!", "my_shop"), ("x" * 50, "x" * 40)])
def test_app_name_comes_from_the_env(template, tmp_path, env, name):
    copy(template, tmp_path / env / "app")
    assert yaml.safe_load((tmp_path / env / "app/.copier-answers.yml").read_text())["app_name"] == name


def test_every_time_zone_is_good(folder, tmp_path):
    """By the pattern alone, since a copy for each of them would take minutes."""
    pattern = re.search(r'"(.*)"', questions()["time_zone"]["validator"])[1].replace("\\\\", "\\")
    zones = {zone for zone in zoneinfo.available_timezones() if zone != "localtime"}
    assert len(zones) > 400
    assert not [zone for zone in zones if not re.search(pattern, zone)]


def test_answers_of_another_app_dir_make_the_same_one(render, template, tmp_path):
    app = render(tmp_path / "one", app_name="poser", luigi=False, batch_types=["own"])
    answers = yaml.safe_load((app / ".copier-answers.yml").read_text())
    copier.run_copy(str(template), tmp_path / "two", answers, defaults=True, quiet=True)
    assert files(tmp_path / "two") == files(app)


@pytest.mark.parametrize("text", ["[a, b_2]", '["a","b_2"]', "[ 'a' , b_2 ]"])
def test_list_may_be_written_as_yaml_or_json(folder, tmp_path, text):
    copier.run_copy(folder, tmp_path / "app", {"app_name": "poser", "batch_types": text}, defaults=True, quiet=True)
    assert (tmp_path / "app/data/batches/b_2").is_dir()


@pytest.mark.parametrize("text", ["no", "false", "off", "No", "FALSE"])
def test_no_is_a_no(folder, tmp_path, text):
    copier.run_copy(folder, tmp_path / "app", {"app_name": "poser", "luigi": text}, defaults=True, quiet=True)
    assert "luigi: false\n" in (tmp_path / "app/.copier-answers.yml").read_text()
    assert not (tmp_path / "app/luigi").exists()


@pytest.mark.parametrize(("name", "port"), [("web_port", 9080), ("web_port", 9081)])
def test_default_ports_differ(render, tmp_path, name, port):
    app = render(tmp_path / "app", app_name="poser", web_api=True, **{name: port})
    answers = yaml.safe_load((app / ".copier-answers.yml").read_text())
    assert answers["web_port"] != answers["web_api_port"]
    assert {type(answers[name]) for name in answers if name.endswith("_port")} == {int}


def test_every_question_is_short_and_checked():
    for name, entry in questions().items():
        assert entry["help"].endswith((".", "?")), name
        assert len(entry["help"]) <= 110, name
        assert "default" in entry, name
        assert entry["type"] == "bool" or "choices" in entry or "validator" in entry, name


def test_all_questions_fit_one_look():
    lines = (ROOT / "copier.yml").read_text().splitlines()
    assert len(lines) <= 300
    assert max(map(len, lines)) <= 120


def test_unknown_answer_is_an_error_in_tests(render, tmp_path):
    with pytest.raises(ValueError, match="luigy"):
        render(tmp_path / "app", luigy=True)


@pytest.mark.parametrize("framework", ["rattail", "wutta"])
def test_any_title_comes_out_right(render, tmp_path, framework):
    app = render(tmp_path / "app", app_name="poser", title=TITLE, framework=framework)
    parser = configparser.ConfigParser(defaults={"here": "here"})
    parser.read(app / f"{framework}.conf")
    assert parser[framework]["app_title"] == TITLE
