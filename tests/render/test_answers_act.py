"""Each answer arrives in the config of every software that acts on it, and good answers of each kind are taken."""

import pytest
import yaml
from support import ANSWERS, questions

# for each question that is not yes or no: a set of ANSWERS that gives it another answer than the default, and the lines
# by which software then reads that answer, in each file; those of lib/ stand for the app dir's own scripts
ARRIVES = {
    "app_name": (1, {
        "web.conf": ["beaker.session.key = corner_shop"],
        "supervisor.conf": ["[group:corner_shop]", "[program:corner_shop-web]"],
        "wutta.conf": ["default.sender = corner_shop@localhost"],
        "lib": ['APP_NAME = "corner_shop"'],
    }),
    "title": (2, {"rattail.conf": ["app_title = Poser's 100%% Shop", "default.prefix = [Poser's 100%% Shop]"]}),
    "framework": (1, {
        "cron.conf": ["[wutta.config]", "require = %(here)s/wutta.conf"],
        "web.conf": ["[wutta.config]", "require = %(here)s/wutta.conf", "wutta.config = %(__file__)s"],
        "system/logrotate.conf": ['"log/wutta.log"'],
        "requirements.txt": ["WuttaWeb"],
    }),
    "app_package": (2, {
        "rattail.conf": [
            "app_package = poser",
            "model_spec = poser.db.model",
            "version_locations = poser.db:alembic/versions rattail.db:alembic/versions",
            "templates = %(here)s/data/templates, poser:templates/mail, rattail:templates/mail",
        ],
        "web.conf": ["mako.directories = poser.web:templates tailbone:templates wuttaweb:templates"],
    }),
    "web_app": (2, {"web.conf": ["use = egg:poser#main"], "webapi.conf": ["use = egg:poser#webapi"]}),
    "pypi_name": (2, {"requirements.txt": ["Poser-App"], "rattail.conf": ["app_dist = Poser-App"]}),
    "time_zone": (2, {"rattail.conf": ["timezone.default = America/Chicago"]}),
    "web_host": (3, {
        "web.conf": ["host = 192.0.2.1"],
        "system/nginx.conf": ["proxy_pass http://192.0.2.1:9080;"],
        "system/apache.conf": ["ProxyPass /shop/ http://192.0.2.1:9080/shop/"],
    }),
    "web_port": (1, {"web.conf": ["port = 9180"]}),
    "reverse_proxy": (3, {
        "web.conf": ["trusted_proxy = 127.0.0.1", "beaker.session.secure = true"],
        "system/nginx.conf": ["listen 443 ssl http2;", "return 301 https://shop.example.com$request_uri;"],
        "system/apache.conf": ["SSLEngine on", "Redirect permanent / https://shop.example.com/"],
    }),
    "url_prefix": (3, {
        "web.conf": ["url_prefix = /shop"],
        "system/nginx.conf": ["location /shop/ {", "location = /shop {"],
        "system/apache.conf": ["ProxyPass /shop/ http://192.0.2.1:9080/shop/"],
    }),
    "domain": (3, {
        "system/nginx.conf": [
            "server_name shop.example.com;",
            "ssl_certificate /etc/letsencrypt/live/shop.example.com/fullchain.pem;",
            "ssl_certificate_key /etc/letsencrypt/live/shop.example.com/privkey.pem;",
        ],
        "system/apache.conf": [
            "ServerName shop.example.com",
            "Redirect permanent / https://shop.example.com/",
            "SSLCertificateFile /etc/letsencrypt/live/shop.example.com/fullchain.pem",
            "SSLCertificateKeyFile /etc/letsencrypt/live/shop.example.com/privkey.pem",
        ],
    }),
    "sessions": (3, {"web.conf": ["beaker.session.type = ext:redis"], "requirements.txt": ["redis"]}),
    "services": (4, {
        "system/poser-web.service": ["ExecStart=@ENV@/bin/pserve file+ini:@APPDIR@/web.conf"],
        "system/poser-backup.timer": ["OnCalendar=*-*-* 03:30:00 UTC"],
    }),
    "service_user": (4, {"lib": ['SERVICE_USER = "poser"']}),
    "mail_server": (2, {"rattail.conf": ["smtp.server = mail.example.com:587"]}),
    "mail_user": (2, {"rattail.conf": ["smtp.username = shop"], "lib": ['MAIL_USER = "shop"']}),
    "mail_from": (2, {"rattail.conf": ["default.from = shop@example.com"]}),
    "mail_to": (2, {
        "rattail.conf": ["default.to = operator@example.com"],
        "system/crontab": ["MAILTO=operator@example.com"],
    }),
    "batch_types": (3, {"data/batches": ["inventory", "own"]}),
    "export_types": (3, {"data/exports": ["own"]}),
    "overnight": (3, {
        "luigitasks": ["overnight_main.py", "overnight_weekly.py"],
        "rattail.conf": [
            "overnight.tasks = main, weekly",
            "overnight.task.weekly.module = luigitasks.overnight_weekly",
        ],
        "system/crontab": ["30 01 * * * @USER@ @APPDIR@/lib/run job overnight-weekly"],
    }),
    "web_api_port": (2, {"webapi.conf": ["port = 9181"]}),
    "alerts": (3, {"lib": ['ALERTS = "heartbeat"']}),
    "backup_repository": (3, {"lib": ['BACKUP_REPOSITORY = "sftp:backup@example.com:/srv/poser"']}),
}  # fmt: skip
# for each part that is on or off: the lines by which software reads that it is on
SWITCHES = {
    "starter": {
        "rattail.conf": ["model_spec = poser.db.model"],
        "web.conf": ["pyramid.includes = pyramid_exclog appdir.web poser.web"],
    },
    "web": {
        "web.conf": ["[server:main]"], "supervisor.conf": ["[program:poser-web]"],
        "requirements.txt": ["Tailbone", "pyramid_exclog", "Paste"],
        "rattail.conf": ["[rattail.cleanup]", "web.menus.handler.spec = poser.web.menus:ShopMenuHandler"],
        "data": ["uploads", "libcache"], ".": ["sessions", "web.conf"], "poser/poser": ["web"],
        "lib": ["WEB = True", 'SESSIONS = "files"', "OFFLINE_ASSETS = True", "UPLOADS = True"],
    },
    "offline_assets": {"web.conf": ["/libcache = libcache", "liburl.vue = /libcache/vue-2.6.14.min.js"]},
    "send_mail": {
        "rattail.conf": ["send_emails = true"], "lib": ["SEND_MAIL = True"],
        "system/crontab": ["MAILTO=root@localhost"],
    },
    "mail_tls": {"lib": ["MAIL_TLS = True"]},
    "batches": {"rattail.conf": ["batch.files = %(here)s/data/batches"], "data/batches": ["inventory"]},
    "exports": {"rattail.conf": ["export.files = %(here)s/data/exports"], "data/exports": ["report_output"]},
    "uploads": {"data": ["uploads"]},
    "luigi": {
        "supervisor.conf": ["[program:poser-luigid]"],
        "requirements.txt": ["luigi"], "rattail.conf": ["[rattail.luigi]"],
        "system/crontab": ["30 01 * * * @USER@ @APPDIR@/lib/run job overnight-main"],
        "system/logrotate.conf": ['"luigi/log/luigi.log"'],
    },
    "web_api": {"supervisor.conf": ["command = %(here)s/../bin/pserve file+ini:%(here)s/webapi.conf"]},
    "datasync": {"supervisor.conf": ["[program:poser-datasync]"], "datasync.conf": ["[rattail.datasync]"]},
    "filemon": {"supervisor.conf": ["[program:poser-filemon]"], "filemon.conf": ["monitor = userfiles"]},
    "work": {"rattail.conf": ["workdir = %(here)s/work"], "work": ["csv"]},
    "backups": {"system/crontab": ["30 03 * * * @USER@ @APPDIR@/lib/run job backup"]},
}  # fmt: skip
GOOD = {
    "app_name": ["a", "a" * 40, "shop-2_b"],
    "title": ["x", "x" * 100, "Käse & Wein <1>", "ショップ"],
    "app_package": ["", "poser", "a_2"],
    "web_app": ["egg:Tailbone", "egg:poser-2.x#main_2"],
    "pypi_name": ["A", "my.app-2_x"],
    "time_zone": ["UTC", "America/Argentina/Buenos_Aires"],
    "web_host": ["0.0.0.0", "localhost", "app-1.example.com"],
    "web_port": [1024, 65535, 8080],
    "url_prefix": ["", "/a", "/a_B/c-2"],
    "domain": ["localhost", "shop-1.example.com"],
    "service_user": ["", "_poser", "www-data", "a" * 32, "rooter"],
    "mail_server": ["localhost", "mail.example.com:587", "192.0.2.1:65535"],
    "mail_user": ["", "poser", "first.last+tag_x-y@example.com"],
    "mail_from": ["a@b", "first.last+tag_x-y@mail.example.com"],
    "mail_to": ["a@b", "first.last+tag_x-y@mail.example.com"],
    "batch_types": [[], ["a"], ["a" * 40, "b_2"]],
    "export_types": [[], ["a"], ["a" * 40, "b_2"]],
    "overnight": [[], ["a"], ["a" * 40, "b_2"]],
    "web_api_port": [1024, 65535],
    "backup_repository": [
        "/srv/backups", "../../backups/poser", "sftp:backup@host.example.com:/srv/poser", "sftp://backup@host:2222//srv",
        "rest:https://host.example.com:8000/poser/", "rest:https://user@host/poser", "s3:s3.amazonaws.com/bucket/poser",
        "s3:https://host/bucket", "b2:bucket:poser", "azure:container:/poser", "gs:bucket:/poser",
        "swift:container:/poser", "rclone:remote:folder",
    ],
}  # fmt: skip


def lines(app, place):
    """Return the lines of a file of an app dir, or of all code in lib/, or the names in another folder."""
    path = app / place
    if place == "lib":
        code = (path.read_text() for path in path.rglob("*.py"))
        return {line.split("  #")[0] for text in code for line in text.splitlines()}
    if path.is_dir():
        return {entry.name for entry in path.iterdir()}
    return {line.strip() for line in path.read_text().splitlines()} if path.exists() else set()


def missing(app, places):
    """Return what is not in an app dir of {place: lines}."""
    return {place: left for place, wanted in places.items() if (left := set(wanted) - lines(app, place))}


@pytest.fixture(scope="module")
def app_of(render, tmp_path_factory):
    """A function that gives the app dir of a set of ANSWERS, rendered once."""
    made = {}

    def app_of(number):
        if number not in made:
            folder = tmp_path_factory.mktemp("answers") / "app"
            made[number] = render(folder, **{"app_name": "poser"} | ANSWERS[number])
        return made[number]

    return app_of


def test_each_question_is_here():
    """A new question needs a line: where does its answer act?"""
    yes_or_no = {name for name, entry in questions().items() if entry["type"] == "bool"}
    assert SWITCHES.keys() == yes_or_no
    assert ARRIVES.keys() == questions().keys() - yes_or_no
    assert {name for name, entry in questions().items() if "validator" in entry} - yes_or_no == GOOD.keys()


@pytest.mark.parametrize("name", ARRIVES)
def test_answer_arrives(app_of, name):
    """And that of another app dir does not look the same."""
    number, places = ARRIVES[name]
    assert name in ANSWERS[number]
    assert missing(app_of(number), places) == {}
    other = app_of(0 if number else 1)
    assert missing(other, places).keys() == places.keys()


@pytest.mark.parametrize("part", SWITCHES)
def test_part_is_on_or_off(render, tmp_path, part):
    on, off = (render(tmp_path / str(answer), app_name="poser", **{part: answer}) for answer in (True, False))
    places = SWITCHES[part]
    assert missing(on, places) == {}
    assert missing(off, places) == {place: set(wanted) for place, wanted in places.items()}


@pytest.mark.parametrize("number", range(max(map(len, GOOD.values()))))
def test_good_answer_is_taken(render, tmp_path, number):
    """All questions at once, each with its next good answer."""
    answers = {name: values[number % len(values)] for name, values in GOOD.items()}
    ports = {"web_port": 8080, "web_api_port": 8082}  # which must differ
    one_port = list(ports)[number % 2]
    answers |= ports | {one_port: answers[one_port]}
    app = render(tmp_path / "app", **answers, reverse_proxy="https", web_api=True)
    found = yaml.safe_load((app / ".copier-answers.yml").read_text())
    assert {name: found[name] for name in answers} == answers
