"""What the README and docs/ say is so: their links, and each option, question, variable, file and session they name."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support import ROOT, choices_of, questions

README = ROOT / "README.md"
PAGES = [README, *sorted(ROOT.glob("docs/*.md"))]
MARKDOWN = [*PAGES, *ROOT.glob("C*.md")]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LARGEST_PICTURE = 150_000  # bytes
# what exists only in an app dir that runs, or in a folder of the reader's
MADE_LATER = {"local.conf", "restic.env", "secrets.conf", ".adopt/before", "admin-password", "report.json"}
MADE_LATER |= {
    "fleet/inventory.yml",
    ".update",
    ".update/app",
    "data/backup",
    ".demo",
    "data/batch",
    "cache/sessions",
    "backups",
    "app",
    ".backup/job-backup.out",
    "log/job-NAME.out",
    "log/filemon.log",
    "work/user-files/done",
}
COMMANDS = ["setup.sh", "check.sh", "update.sh", "upgrade.sh", "overnight.sh", "backup.sh", "restore.sh", "cleanup.sh"]
COMMANDS += ["services.sh", "adopt.py", "copier", "ansible-playbook"]
OTHERS = {"beaker_cache", "show_all"}  # names of other software, and a question whose answer is not kept


@pytest.fixture(scope="module")
def app(render, tmp_path_factory):
    """An app dir with all parts, in a folder with a Python."""
    env = tmp_path_factory.mktemp("docs") / "poser"
    (env / "bin").mkdir(parents=True)
    (env / "bin/python").symlink_to(sys.executable)
    parts = {"reverse_proxy": "https", "web_api": True, "datasync": True, "filemon": True}
    return render(env / "app", **parts)


@pytest.fixture(scope="module")
def help_of(app):
    """A function that gives the help text of one of COMMANDS."""
    known = {}

    def help_of(name):
        if name not in known:
            command = {
                "adopt.py": [sys.executable, ROOT / "adopt.py"],
                "copier": [sys.executable, "-m", "copier", "copy"],
                "ansible-playbook": [Path(sys.executable).with_name("ansible-playbook")],
            }.get(name, [app / name])
            done = subprocess.run([*command, "--help"], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            known[name] = done.stdout
        return known[name]

    return help_of


def words(page):
    """Return what a page says in prose: its text without fenced blocks, tables and comments."""
    text = FENCE.sub("", page.read_text())
    return "\n".join(line for line in text.splitlines() if not line.startswith(("|", "<!--")))


def spans(page):
    """Return all code of a page: what stands in backticks, and each line of its shell blocks."""
    text = page.read_text()
    lines = [line for language, block in FENCE.findall(text) if language == "sh" for line in block.splitlines()]
    return re.findall(r"`([^`\n]+)`", FENCE.sub("", text)) + lines


def named(pattern):
    """Return {what a pattern finds in the code of the pages: a page that has it}."""
    return {found: page.name for page in PAGES for span in spans(page) for found in re.findall(pattern, span)}


def anchors(page):
    """Return the anchors of a page's headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: page.name)
def test_links(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text())):
        if not re.match(r"https?://", target):
            path, _, anchor = target.partition("#")
            linked = (page.parent / path).resolve() if path else page
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked), target


def test_each_page_and_picture_is_linked():
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    }
    assert {path for path in ROOT.glob("docs/*") if path not in linked} == set()


def test_pictures_are_small():
    pictures = [path for path in ROOT.glob("docs/*") if path.suffix != ".md"]
    assert len(pictures) >= 3
    for path in pictures:
        assert path.read_bytes().startswith((b"\x89PNG", b"<svg"))
        assert path.stat().st_size <= LARGEST_PICTURE, path.name


def test_the_readme_is_short():
    text = README.read_text()
    assert len(text.splitlines()) <= 120
    assert len(text.split()) <= 900


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: page.name)
def test_one_sentence_on_a_line(page):
    found = [line for line in words(page).splitlines() if re.search(r"[.!?]\W* [A-Z*`]", line)]
    assert found == []


def has(text, option):
    """Return whether a help text has an option, and not only a longer one."""
    return re.search(rf"(?<![\w-]){option}(?![\w-])", text)


def test_options(help_of):
    """Those that follow a command are in its help; those that stand alone are in that of a script or of Copier."""
    pattern = rf"(?:^|[/ ])({'|'.join(COMMANDS)})((?: [^;|&]+)?)"
    seen = 0
    for page in (page for page in PAGES if page.name != "failures.md"):  # which holds whole messages
        for span in spans(page):
            for command, rest in re.findall(pattern, span):
                for option in re.findall(r"(?<=\s)--[a-z-]+", rest):
                    seen += 1
                    assert has(help_of(command), option), f"{page.name}: {span}"
            if option := re.match(r"--[a-z-]+", span):
                seen += 1
                commands = COMMANDS if page.name == "many-hosts.md" else COMMANDS[:-1]  # Ansible has nearly all options
                assert any(has(help_of(command), option[0]) for command in commands), f"{page.name}: {span}"
    assert seen > 20


def test_questions_and_variables():
    """`NAME=VALUE` and names with an underscore are questions, or variables of fleet/; choices are choices."""
    known = questions()
    specs = yaml.safe_load((ROOT / "fleet/roles/app_dir/meta/argument_specs.yml").read_text())["argument_specs"]
    variables = {name for spec in specs.values() for name in spec["options"]}
    answers, names = named(r"(?:^|--data )([a-z_]+)=([\w/.:-]+)"), named(r"^[a-z]+(?:_[a-z]+)+$")
    assert min(len(answers), len(names)) > 20
    for (name, value), page in answers.items():
        assert name in known, f"{page}: {name}"
        values = {"true", "false", "yes", "no"} if known[name]["type"] == "bool" else choices_of(known[name])
        assert not values or value in values, f"{page}: {name}={value}"
    for name, page in names.items():
        assert name in known.keys() | variables | OTHERS, f"{page}: {name}"
    given = named(r"-e (app_dir\w+)")
    assert given
    for name, page in given.items():
        assert name in variables, f"{page}: {name}"


def test_environment_variables(app):
    """What the docs call an environment variable, the product's code reads."""
    code = "\n".join(path.read_text() for path in [*app.rglob("*.py"), *app.rglob("*.sh")])
    found = named(r"^[A-Z]+_[A-Z_]+$|^COPIER$")
    assert found
    for name, page in found.items():
        assert f'"{name}"' in code, f"{page}: {name}"  # so a help text that names it is not enough


def test_files(app, render, tmp_path):
    """Each file and folder that is named is rendered, or is in this repository, or is made later."""
    pattern = r"^(?:\./)?((?![.]uv/|[.][.]/)(?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:conf|sh|py|env|yml|md|txt|json))(?: |$)"
    found = named(pattern)
    assert len(found) > 30
    wutta = render(tmp_path / "app", framework="wutta")
    for name, page in found.items():
        path = name.rstrip("/")
        places = [
            app / path,
            wutta / path,
            ROOT / path,
            ROOT / "fleet" / path,
            ROOT / "docs" / path,
            ROOT / "tests/real" / path,
        ]
        assert path in MADE_LATER or any(place.exists() for place in places), f"{page}: {name}"


@pytest.mark.parametrize(
    ("page", "module", "pattern"),
    [
        ("install", "*.py", r'(?:(?:say|kept|would)\(|^STEP = )"(\w+)"'),
        ("operating", "check.py", r"^def check_(\w+)\(\)"),
    ],
)
def test_steps_and_checks(page, module, pattern, app):
    """The tables of the steps of setup.sh and of the checks of check.sh name them as the scripts do, and all checks."""
    table = re.search(r"^\| (?:step|check) \|.*?\n\n", (ROOT / f"docs/{page}.md").read_text(), re.MULTILINE | re.DOTALL)
    code = "\n".join(path.read_text() for path in app.glob(f"lib/appdir/{module}"))
    names = re.findall(r"^\| ([a-z]+) \|", table[0], re.MULTILINE)[1:]
    assert len(names) > 6
    known = set(re.findall(pattern, code, re.MULTILINE))
    assert set(names) <= known
    assert module == "*.py" or set(names) == known


def test_sessions_of_nox():
    """Each session that is named exists."""
    sessions = re.findall(r"^@nox\.session\ndef (\w+)", (ROOT / "noxfile.py").read_text(), re.MULTILINE)
    found = named(r"nox (?:-s|--session) (\w+)")
    assert found
    assert found.keys() <= set(sessions)


def paths_of_tree(text):
    """Return the paths that a drawn tree shows, folders with a slash at the end.

    After its name, the text about a folder may name folders in it; the text about a file may name files beside it.
    """
    parents, found = [], set()
    for indent, entry in re.findall(r"^((?:│   )*)[├└]── (.*)$", text, re.MULTILINE):
        names, _, about = entry.partition("  ")
        parents[len(indent) // 4 :] = []
        base = "".join(parents)
        found |= {base + name for name in names.split()}
        if names.endswith("/"):
            found |= {base + names + name for name in re.findall(r"[\w-]+/", about) if " " not in names}
            parents.append(names)
        else:
            found |= {base + name for name in re.findall(r"[\w-]+\.conf", about)}
    return found


def test_tree_is_what_is_rendered(render, tmp_path):
    """Each name is below its folder; and all files of the app dir, and folders at any depth but of code, are there."""
    app = render(tmp_path / "poser/app")
    shown = paths_of_tree(re.search(r"```\napp/\n(.*?)```", README.read_text(), re.DOTALL)[1])
    rendered = {path.relative_to(app).as_posix() + "/" * path.is_dir() for path in app.rglob("*")}
    assert shown - rendered == {"local.conf", "restic.env", "secrets.conf", "wutta.conf"}
    files = {name for name in rendered if "/" not in name} - {".copier-answers.yml", ".gitattributes", ".gitignore"}
    folders = {name for name in rendered if name.endswith("/") and not re.match(r"(lib|poser)/.", name)}
    assert files | folders <= shown


def test_plain_words():
    """Nothing has the words that no manual uses."""
    pattern = r"\bmend(s|ed)?\b|cut[ _-]off|takes?n?[ _](it_)?back|puts?[ _]right|anew\b|of nobody|is not there"
    command = ["git", "grep", "-nIiE", pattern, "--", ".", ":!tests/render/test_docs.py"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 1, found.stdout + found.stderr


def test_security_page_says_who_runs_each_command(app):
    text = (ROOT / "docs/security.md").read_text()
    rows = re.findall(r"^\| (`[^|]*) \| ([^|]+) \| [^|]+ \|$", text.partition("| command |")[2], re.MULTILINE)
    named = {name for commands, _ in rows for name in re.findall(r"`(\w+\.sh)", commands)}
    assert named == {path.name for path in app.glob("*.sh")}
