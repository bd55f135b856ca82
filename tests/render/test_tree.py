"""The rendered app dir: its tree, its parts, and that nothing in it depends on place or time."""

import re
import shutil

import copier
import pytest
import yaml
from render.elsewhere import render_elsewhere
from support import ANSWERS, ROOT, files, git, questions

MANUAL = {
    "data": ["batches", "exports", "templates", "upgrades", "uploads"],
    "data/batches": ["inventory", "vendor_catalog", "vendor_invoice"],
    "data/exports": ["instacart_product_export", "report_output"],
    "luigi": ["log"],
    "sessions": ["data", "lock"],
    "work": ["csv", "generated-projects", "user-files"],
    ".": ["data", "log", "luigi", "luigitasks", "sessions", "work"],
}


def folders(app):
    """Return the folders below an app dir, as relative paths."""
    return {path.relative_to(app).as_posix() for path in app.rglob("*") if path.is_dir()}


def test_tree_of_the_manual(render, tmp_path):
    app = render(tmp_path / "poser/app")
    manual = {f"{parent}/{name}".removeprefix("./") for parent, names in MANUAL.items() for name in names}
    assert len(manual) == 22
    assert manual <= folders(app)
    for folder in folders(app):
        assert list((app / folder).iterdir()), f"{folder} is empty, git and backups would lose it"


@pytest.mark.parametrize("answers", ANSWERS)
def test_readme_tells_of_each_folder(render, tmp_path, answers):
    app = render(tmp_path / "poser/app", **answers)
    table = re.findall(r"^\| `([a-z_/-]+)` \|", (app / "README.md").read_text(), re.MULTILINE)
    inside = ("poser/", "lib/")
    assert set(table) == {folder for folder in folders(app) if not folder.startswith(inside)}
    assert len(table) == len(set(table))


@pytest.fixture(scope="module")
def elsewhere(template, tmp_path_factory):
    """A folder with the app dirs that another user rendered on another host, years later."""
    folder = tmp_path_factory.mktemp("elsewhere")
    render_elsewhere(template, folder)
    return folder


@pytest.mark.parametrize("number", range(len(ANSWERS)))
def test_same_answers_same_bytes(render, elsewhere, tmp_path, number):
    app = files(render(tmp_path / "poser/app", **{"app_name": "poser"} | ANSWERS[number]))
    assert files(elsewhere / str(number)) == app
    assert not [name for name, (_, data) in app.items() if str(tmp_path).encode() in data]


@pytest.fixture(scope="module")
def questions_only(tmp_path_factory):
    """The template without what it renders, but for the answers file."""
    folder = tmp_path_factory.mktemp("questions")
    shutil.copy2(ROOT / "copier.yml", folder)
    shutil.copytree(ROOT / "includes", folder / "includes")
    (folder / "template").mkdir()
    shutil.copy2(ROOT / "template/{{_copier_conf.answers_file}}.jinja", folder / "template")
    return folder


@pytest.mark.parametrize("name", sorted(questions()))
def test_a_set_of_answers_has_another_answer_than_the_default(questions_only, tmp_path, name):
    """Else no test would see a template that ignores the answer, or an update that loses it."""

    def answer(folder, answers):
        """Return the answer that comes out of some answers."""
        copier.run_copy(str(questions_only), folder, {"app_name": "poser"} | answers, defaults=True, quiet=True)
        return yaml.safe_load((folder / ".copier-answers.yml").read_text()).get(name)

    answers = next((answers for answers in ANSWERS if name in answers), None)
    assert answers is not None, f"give {name} in one of the ANSWERS of tests/support.py"
    rest = {other: value for other, value in answers.items() if other != name}
    assert answer(tmp_path / "given", answers) != answer(tmp_path / "default", rest)


def test_wutta_is_not_asked_for_parts_it_lacks(render, tmp_path):
    answers = (render(tmp_path / "app", app_name="poser", framework="wutta") / ".copier-answers.yml").read_text()
    for name in ("exports", "export_types", "uploads", "web_api", "web_api_port", "datasync", "filemon"):
        assert f"\n{name}:" not in answers


@pytest.mark.parametrize("answers", [{"starter": False}, {"app_package": "shop"}, {"framework": "wutta"}])
def test_without_the_starter_nothing_names_its_code(render, tmp_path, answers):
    app = render(tmp_path / "app", app_name="shop", **answers)
    assert not (app / "poser").exists()
    texts = {name: data.decode() for name, (_, data) in files(app).items()}
    names = {name for name, text in texts.items() if re.search(r"\bposer[./]", text)}
    assert names <= {name for name in texts if name.startswith("lib/")}


@pytest.mark.parametrize("framework", ["rattail", "wutta"])
def test_host_without_web_app_has_nothing_of_it(render, tmp_path, framework):
    """Even where everything that belongs to one was answered."""
    web = {"web_api": True, "uploads": True} if framework == "rattail" else {}
    web |= {"reverse_proxy": "https", "url_prefix": "/shop", "sessions": "redis", "offline_assets": True}
    app = render(tmp_path / "poser/app", framework=framework, web=False, send_mail=True, **web)
    names = {path.relative_to(app).as_posix() for path in app.rglob("*")}
    for name in ("web.conf", "webapi.conf", "sessions", "data/libcache", "data/uploads", "poser/poser/web"):
        assert name not in names
    assert not [name for name in names if "nginx" in name or "apache" in name]
    text = "\n".join((app / name).read_text() for name in names if "." in name and "/" not in name and name[0] != ".")
    assert not re.search(r"tailbone|wuttaweb|pserve|paste|redis|beaker|poser\.web|web\.conf|proxy", text, re.IGNORECASE)


@pytest.mark.parametrize("framework", ["rattail", "wutta"])
def test_host_without_servers_has_no_supervisor(render, tmp_path, framework):
    app = render(tmp_path / "poser/app", framework=framework, web=False, luigi=False)
    assert not (app / "supervisor.conf").exists()
    for name in ("requirements.txt", "system/crontab", "README.md"):
        assert "supervisor" not in (app / name).read_text()


def test_names_in_the_template_are_short_and_plain():
    """So that `git ls-files | xargs wc -l` works."""
    names = git("ls-files", cwd=ROOT / "template").splitlines()
    assert len(names) > 50
    assert not [name for name in names if len(name) >= 80]
    assert not [name for name in names if re.search(r"""[\s"'\\]""", name)]
