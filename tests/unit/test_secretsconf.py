"""secrets.conf: how a database URL is read, and that only what is missing is added."""

import configparser

import pytest
from appdir import secretsconf
from appdir.core import Stop

DRIVER = "postgresql+psycopg2"


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("postgresql://u:p@localhost/shop", f"{DRIVER}://u:p@localhost/shop"),
        ("postgres://u:p@localhost:5433/shop", f"{DRIVER}://u:p@localhost:5433/shop"),
        ("postgresql+psycopg2://u@/shop?host=/run/pg", f"{DRIVER}://u@/shop?host=/run/pg"),
        ("postgresql:///shop", f"{DRIVER}:///shop"),
        ("postgresql://u:a@b@localhost/shop", f"{DRIVER}://u:a%40b@localhost/shop"),
        ("postgresql://u:a:b/c@localhost/shop", f"{DRIVER}://u:a%3Ab%2Fc@localhost/shop"),
        ("postgresql://u:100%@localhost/shop", f"{DRIVER}://u:100%25@localhost/shop"),
        ("postgresql://u:a%41@localhost/shop", f"{DRIVER}://u:aA@localhost/shop"),
        ("postgresql://u:a%zz%41@localhost/shop", f"{DRIVER}://u:a%25zz%2541@localhost/shop"),
        ("postgresql://my%20user:@localhost/shop", f"{DRIVER}://my%20user:@localhost/shop"),
        ("mysql+pymysql://u:p'\"@localhost/shop", "mysql+pymysql://u:p%27%22@localhost/shop"),
        ("sqlite:////var/lib/shop.sqlite", "sqlite:////var/lib/shop.sqlite"),
    ],
)
def test_database_url(given, stored):
    assert secretsconf.normalize(given) == stored


@pytest.mark.parametrize("given", ["", "shop", "postgresql:/u@localhost", "Postgres://u@localhost/shop", "://u@h/shop"])
def test_what_is_no_url_is_refused(given):
    with pytest.raises(ValueError, match="not a database URL such as postgresql://"):
        secretsconf.normalize(given)


def written(app_dir):
    """Return what secrets.conf holds, by section."""
    parser = configparser.RawConfigParser()
    parser.read_string((app_dir / "secrets.conf").read_text())
    return {name: dict(parser[name]) for name in parser.sections()}


def test_a_new_file_has_all(app_dir, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    secretsconf.complete()
    found = written(app_dir)
    assert found["rattail.db"] == {"default.url": "sqlite:///%(here)s/data/poser.sqlite"}
    assert len(found["app:web"]["beaker.session.secret"]) == 64
    assert (app_dir / "secrets.conf").stat().st_mode & 0o777 == 0o600


def test_database_is_asked_for_once(app_dir, monkeypatch):
    """Sessions in the database need its URL, too."""
    asked = []
    monkeypatch.setattr(secretsconf, "SESSIONS", "database")
    monkeypatch.setattr(secretsconf, "database_url", lambda ask: asked.append(ask) or "sqlite:///shop")
    secretsconf.complete(ask=True)
    assert asked == [True]
    assert written(app_dir)["app:web"]["beaker.session.url"] == "sqlite:///shop"
    assert written(app_dir)["rattail.db"]["default.url"] == "sqlite:///shop"


def test_only_what_is_missing_is_added(app_dir, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    text = "# mine\n[app:web]  ; mine\nuse = egg:mine\n\n[mine]\nkey = value"
    (app_dir / "secrets.conf").write_text(text)
    secretsconf.complete()
    found = written(app_dir)
    assert found["app:web"]["use"] == "egg:mine"
    assert found["app:web"]["beaker.session.secret"]
    assert found["mine"] == {"key": "value"}
    assert "rattail.db" in found
    before = (app_dir / "secrets.conf").read_bytes()
    assert before.startswith(b"# mine\n[app:web]  ; mine\n")
    secretsconf.complete()
    assert (app_dir / "secrets.conf").read_bytes() == before


def test_broken_file_is_left_alone(app_dir):
    (app_dir / "secrets.conf").write_text("no section\n")
    with pytest.raises(Stop, match=r"secrets\.conf cannot be read, fix it by hand"):
        secretsconf.complete()
    assert (app_dir / "secrets.conf").read_text() == "no section\n"


def test_nobody_is_there_to_ask_for_the_database(app_dir, monkeypatch):
    def ended(_):
        raise EOFError

    monkeypatch.setattr(secretsconf.getpass, "getpass", ended)
    with pytest.raises(Stop, match="there is no terminal to ask on; set the environment variable DATABASE_URL"):
        secretsconf.complete(ask=True)
    assert not (app_dir / "secrets.conf").exists()
