"""Which packages are missing, found without pip."""

import sys
from importlib import metadata
from types import SimpleNamespace

import packaging.requirements
import pytest
from appdir import packages


def test_lines_of_requirements(tmp_path):
    (tmp_path / "more.txt").write_text("luigi\n")
    (tmp_path / "requirements.txt").write_text(
        "# comment\n\nrattail  # why\nTailbone \\\n  >= 0.20\n-r more.txt\n--requirement=more.txt\n"
        "--index-url https://example.com\npip==24 --hash=sha256:abc\n-e ./mine\nx @ file:///x#egg=x\n"
    )
    found = list(packages.lines_of(tmp_path / "requirements.txt"))
    assert [" ".join(line.split()) for line in found] == [
        "rattail", "Tailbone >= 0.20", "luigi", "luigi", "--index-url https://example.com", "pip==24", "-e ./mine",
        "x @ file:///x#egg=x",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "source", "installed"),
    [
        ("mine @ file:///srv/mine.whl", "/srv/mine.whl", True),
        ("mine @ file:///srv/mine.whl", "/srv/other.whl", False),
        ("-e /srv/mine", "/srv/mine", True),
        ("--editable=/srv/mine/", "/srv/mine", True),
        ("git+https://example.com/mine.git@v1", "https://example.com/mine.git", True),
        ("mine @ git+https://example.com/mine.git@v1#egg=mine", "https://example.com/mine.git", True),
        ("mine @ git+ssh://git@example.com/mine.git", "ssh://git@example.com/mine.git", True),
        ("mine @ git+https://example.com/other.git", "https://example.com/mine.git", False),
    ],
)
def test_package_of_a_url_or_path(line, source, installed):
    assert packages.is_installed(line, {source}) is installed


def test_path_in_the_app_dir(app_dir):
    assert packages.is_installed("-e src/mine", {str(app_dir / "src/mine")})


INSTALLED = {
    "rattail": ("0.21.3", ["SQLAlchemy<2", 'mysql; extra == "db"', 'windows; sys_platform == "win32"', "Mako[more]"]),
    "sqlalchemy": ("1.4.54", ["rattail"]),
    "mako": ("1.3", ['nothing; extra == "more"']),
}


@pytest.fixture
def lacking(monkeypatch, tmp_path):
    """A function that returns what is missing of some requirements, in an env with the packages INSTALLED."""

    def distribution(name):
        if name.lower() not in INSTALLED:
            raise metadata.PackageNotFoundError(name)
        version, requires = INSTALLED[name.lower()]
        return SimpleNamespace(version=version, requires=requires, name=name)

    for name in ("pip", "pip._vendor"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace())
    monkeypatch.setitem(sys.modules, "pip._vendor.packaging", packaging)
    monkeypatch.setattr(metadata, "distribution", distribution)
    monkeypatch.setattr(metadata, "distributions", lambda: [])

    def lacking(*lines):
        (tmp_path / "requirements.txt").write_text("\n".join(lines))
        return packages.missing([tmp_path / "requirements.txt"])

    return lacking


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("Mako", []),
        ("Mako>=2", ["Mako>=2"]),
        ("luigi", ["luigi"]),
        ('luigi; python_version < "3"', []),
        ("rattail", ['nothing; extra == "more"']),
        ("rattail[db]", ['mysql; extra == "db"', 'nothing; extra == "more"']),
        ("mine @ file:///srv/mine", ["mine @ file:///srv/mine"]),
        ('mine @ file:///srv/mine ; python_version < "3"', []),
    ],
)
def test_missing(lacking, line, missing):
    """Needs of needs count too, with the extras that are asked for; a circle ends."""
    assert sorted(lacking(line)) == missing


@pytest.fixture
def installers(monkeypatch, tmp_path):
    """A function that returns what would install a requirement where `pip config list` prints these lines."""
    monkeypatch.setattr(packages.shutil, "which", lambda name, path=None: None if path else f"/bin/{name}")

    def installers(settings, requirement="luigi"):
        monkeypatch.setattr(packages, "pip", lambda *_: SimpleNamespace(stdout=settings))
        (tmp_path / "requirements.txt").write_text(f"{requirement}\n")
        found = packages.installers("--no-deps", files=[tmp_path / "requirements.txt"])
        assert found.pop()[:4] == [*packages.PIP[:3], "--disable-pip-version-check"]
        return [command[:4] for command in found]

    return installers


UV = [["/bin/uv", "pip", "install", "--no-deps"]]


@pytest.mark.parametrize(
    ("settings", "first"),
    [
        ("", UV),
        ("global.timeout='60'\n:env:.no-input='1'\n", UV),
        ("global.index-url='https://pypi.example.com/simple'\n", []),
        (":env:.find-links='/srv/wheels'\nglobal.timeout='60'\n", []),
        ("install.constraint='/etc/constraints.txt'\n", []),
    ],
)
def test_uv_comes_first_where_pip_has_no_settings_of_its_own(installers, settings, first):
    assert installers(settings) == first


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("-e git+https://example.com/mine.git#egg=mine", []),
        ("--editable=git+ssh://git@example.com/mine.git", []),
        ("mine @ git+https://example.com/mine.git", UV),
        ("-e ./mine", UV),
    ],
)
def test_checkouts_are_for_pip(installers, line, first):
    """It keeps them in src/, where their owner works on them."""
    assert installers("", line) == first


@pytest.mark.parametrize(
    ("uv", "pip", "is_done", "shown"), [(0, 0, True, "uv"), (1, 0, True, "pip"), (1, 1, False, "pip")]
)
def test_pip_has_the_last_word(app_dir, monkeypatch, uv, pip, is_done, shown):
    codes, lines = {"uv": uv, "pip": pip}, []
    commands = [["sh", "-c", f"echo {name}; exit {code}"] for name, code in codes.items()]
    monkeypatch.setattr(packages, "installers", lambda *_, files: commands)
    assert packages.install(files=[], show=lines.append) is is_done
    assert lines == [f"{shown}\n"]


def test_env_without_pip(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pip._vendor.packaging", None)
    assert packages.missing([tmp_path / "none"]) == ["pip"]


def test_requirements_that_were_removed_are_named(tmp_path):
    with pytest.raises(packages.Stop, match=r"^requirements\.txt is missing; bring it back with: git checkout"):
        packages.requirement_files(tmp_path)
    (tmp_path / "requirements.txt").touch()
    assert packages.requirement_files(tmp_path) == [tmp_path / "requirements.txt"]
