"""The parts of adopt.py that need no env: configs, answers, secrets, and who runs what."""

import configparser
from types import SimpleNamespace

import pytest

from adopt import answers, callers, ini, secrets
from adopt.old import OldApp

TEXT = """\
# Template.
[a]
key = one
    two
# about other
other: 100%%

# about b
[b]
only = x
"""


def edited(*puts):
    """Return the text of TEXT after some values were put into it."""
    config = ini.parse(TEXT)
    for put in puts:
        ini.put(config, *put)
    return str(config)


def values(text):
    """Return what a text says, as the software reads it."""
    parser = configparser.RawConfigParser()
    parser.optionxform = str
    parser.read_string(text)
    return {section: dict(parser[section]) for section in parser.sections()}


def test_a_config_that_is_not_edited_keeps_each_byte():
    assert edited() == TEXT


@pytest.mark.parametrize(
    ("put", "line", "follows"),
    [
        (("a", "key", "new"), "key = new", "# about other"),
        (("a", "key", "x\ny\n\nz"), "key = x", "    y"),
        (("a", "New", "%(here)s"), "New = %(here)s", ""),
        (("b", "last", ""), "last = ", None),
        (("c:d", "k", "v"), "k = v", None),
    ],
)
def test_a_value_is_put_where_it_belongs_and_comments_stay(put, line, follows):
    text = edited(put)
    section, key, value = put
    assert values(text) == values(TEXT) | {section: values(TEXT).get(section, {}) | {key: value}}
    lines = text.splitlines()
    assert follows == (lines[lines.index(line) + 1] if lines[-1] != line else None)
    assert [line for line in text.splitlines() if line.startswith("#")] == ["# Template.", "# about other", "# about b"]
    assert ini.get(ini.parse(text), section, key) == value


def test_a_value_goes():
    assert values(edited(("a", "key", None), ("none", "key", None))) == {"a": {"other": "100%%"}, "b": {"only": "x"}}


@pytest.fixture
def old(tmp_path):
    """A function that gives an old app of a framework with these configs, of which no software was asked."""

    def old(framework, **texts):
        app = OldApp.__new__(OldApp)
        app.appdir, app.framework, app.core = tmp_path / "env/app", framework, f"{framework}.conf"
        app.appdir.mkdir(parents=True)
        app.title, app.real, app.configs = "Shop", {}, {}
        for name, text in texts.items():
            path = app.appdir / f"{name}.conf"
            path.write_text(text)
            app.configs[path.name] = ini.read(path)
        return app

    return old


def test_rattail_app_without_a_package_gets_no_starter_code(old):
    guessed = answers.guess(old("rattail", rattail="[rattail]\n"))
    assert (guessed["starter"], guessed["export_types"], guessed["overnight"]) == (False, ["report_output"], [])


def test_app_with_a_package_is_not_asked_for_the_starter(old):
    guessed = answers.guess(old("rattail", rattail="[rattail]\napp_package = shop\n"))
    assert (guessed["app_package"], "starter" in guessed) == ("shop", False)


def test_overnight_tasks_become_an_answer(old):
    app = old(
        "rattail",
        rattail="[rattail.luigi]\novernight.tasks = overnight-main, script, Bad-Name, gone\n"
        "overnight.task.main.module = shop.nights\novernight.task.main.class_name = Nights\n"
        "overnight.task.script.script = app/x.sh\n"
        "overnight.task.Bad-Name.module = m\novernight.task.Bad-Name.class_name = N\n",
    )
    (app.appdir / "luigitasks").mkdir()
    (app.appdir / "luigitasks/overnight_extra.py").touch()
    guessed = answers.guess(app)
    assert (guessed["overnight"], guessed["luigi"]) == (["extra", "main"], True)
    assert answers.tasks(app) == {"main": ("shop.nights", "Nights")}


def test_values_that_fit_become_answers(old):
    app = old(
        "wutta",
        wutta="[wutta]\ntimezone.default = America/Chicago\n[wutta.email]\ndefault.to = a@example.com, b@example.com\n",
        web="[app:main]\nuse = egg:Shop\nbeaker.session.type = ext:redis\n[server:main]\nhost = 0.0.0.0\nport = 80\n"
        "trusted_proxy_headers = x-forwarded-for\n",
    )
    (app.appdir / "supervisor.conf").touch()
    guessed = answers.guess(app)
    wanted = {"web_app": "egg:Shop", "web_host": "0.0.0.0", "sessions": "redis", "reverse_proxy": "http"}
    wanted |= {"time_zone": "America/Chicago", "services": "none", "send_mail": False}
    assert {name: guessed.get(name) for name in wanted} == wanted
    assert not {"web_port", "mail_to", "starter", "exports"} & set(guessed)
    assert "services" not in answers.guess(SimpleNamespace(**vars(app) | {"get": app.get, "appdir": app.appdir / "x"}))


def test_a_secret_is_not_shown():
    text = "user = fred\ncommand = dump -p sesame\nurl = sqlite://\nname = hidden-one\n"
    assert secrets.hide(text, {"hidden-one"}) == "user = fred\ncommand = (hidden)\nurl = (hidden)\nname = (hidden)\n"


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("etc/cron.d/shop", "30 1 * * * shop ENV/app/overnight.sh main"),
        ("etc/crontab", "30 1 * * * shop cd ENV && app/overnight.sh"),
        ("var/spool/cron/crontabs/shop", "@daily cd ENV/app && ./overnight.sh"),
        ("etc/supervisor/conf.d/shop.conf", "command=ENV/app/overnight.sh"),
        ("etc/systemd/system/shop.service", "ExecStart='ENV/app/overnight.sh'"),
        (None, "30 1 * * * ENV/app/overnight.sh"),
    ],
)
def test_who_runs_a_script_is_found(tmp_path, monkeypatch, place, line):
    appdir, root = tmp_path / "env/app", tmp_path / "root"
    appdir.mkdir(parents=True)
    line = line.replace("ENV", str(appdir.parent))
    text = f"# {line}\n{line}\n{line.replace('overnight.sh', 'overnight.sh.old')}\n"
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "texts").write_text("" if place else text)
    (tmp_path / "crontab").write_text(f"#!/bin/sh\n[ \"$1\" = -l ] && exec /bin/cat '{tmp_path}/texts'\n")
    (tmp_path / "crontab").chmod(0o755)
    if place:
        (root / place).parent.mkdir(parents=True)
        (root / place).write_text(text)
    (root / "etc/cron.daily").mkdir(parents=True)
    (root / "etc/cron.daily/other").write_text(line.replace("/env", "/env2"))
    found = callers.calls(appdir, ["overnight.sh", "upgrade.sh"], root)
    assert [name for name, _ in found] == ["overnight.sh"]
    assert str(place or "the crontab of") in found[0][1]


def test_file_that_runs_is_replaced_only_where_that_is_said(tmp_path, monkeypatch):
    unit = tmp_path / ".config/systemd/user/nightly.service"
    unit.parent.mkdir(parents=True)
    unit.write_text(f"[Service]\nExecStart={tmp_path}/env/app/upgrade.sh\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    old = SimpleNamespace(appdir=tmp_path / "env/app")
    names = ["mine.sh", "upgrade.sh"]
    draft = SimpleNamespace(names=names, replaces=lambda name: name != "mine.sh", configs={}, hints=[], old=old)
    callers.check(draft, ["upgrade.sh"])
    with pytest.raises(SystemExit, match=r"nightly\.service runs upgrade\.sh, .* with --replace upgrade\.sh$"):
        callers.check(draft, [])
    with pytest.raises(SystemExit, match=r"--replace mine\.sh: the template replaces no file of yours"):
        callers.check(draft, ["upgrade.sh", "mine.sh"])
