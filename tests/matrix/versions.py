"""What a new version may do to the template: the changes of an invented next release, made in the work tree's."""

import re
import shutil

from support import ROOT

# the files of a new version whose names or places changed, by their names of before; None for a file that went
TEMPLATE_FILES = {
    "quiet.conf": "hushed.conf",
    "cron.conf": "config/cron.conf",
    "services.sh": None,
}
YOURS = {
    "luigitasks/__init__.py": None,
    "luigitasks/overnight_main.py": "luigitasks/night_main.py",
    "luigitasks/overnight_weekly.py": "luigitasks/night_weekly.py",
    "poser/poser/handlers.py": "poser/poser/handling.py",
    "poser/poser/exports.py": "poser/poser/shops/exports.py",
    "poser/poser/web/views/instacart.py": None,
}
# and those split in two: the name that stays, and that of the new file
SPLIT = {"README.md": "FOLDERS.md", "poser/poser/web/menus.py": "poser/poser/web/more_menus.py"}
CHANGELOG = (ROOT / "CHANGELOG.md").read_text() + "The question `mail_to` is now `operator_mail`."


def source(repo, name):
    """Return the file of a template from which a file of the app dir is rendered."""
    if name.startswith("luigitasks/overnight_"):  # one file for all, with the loop over them in its name
        [path] = (repo / "template/luigitasks").glob("*overnight_*.jinja")
    else:
        [path] = [path for path in (repo / "template" / name, repo / "template" / f"{name}.jinja") if path.exists()]
    return path


def rename(repo, name, new):
    """Give a file of the app dir another name or place."""
    old = source(repo, name)
    if name.startswith("luigitasks/overnight_"):
        target = old.with_name(old.name.replace("overnight_", "night_", 1))
    else:
        target = repo / "template" / (new + ".jinja" * (old.suffix == ".jinja"))
    target.parent.mkdir(parents=True, exist_ok=True)
    old.rename(target)


def split(repo, name, new):
    """Move the last part of a file of the app dir, which begins with a heading or a comment, into a new file."""
    old = source(repo, name)
    first, last = re.fullmatch(r"(.+\n)((?:## |def |class ).*)", old.read_text(), re.DOTALL).groups()
    old.write_text(first)
    (repo / "template" / (new + ".jinja" * (old.suffix == ".jinja"))).write_text(last)


def add_line_to_all(repo):
    """Add a line to each file of the template's with a comment at its head."""
    for path in sorted((repo / "template").rglob("*")):
        text = path.read_text() if path.is_file() else ""
        if found := re.match(r"(#!.*\n)?# Template\..*\n", text):
            path.write_text(f"{found[0]}# New in the next version.\n{text[found.end() :]}")


def rename_question(repo, name, new):
    """Give a question another name everywhere, and nothing else: the answers of before are lost."""
    for path in [repo / "copier.yml", *(repo / "includes").rglob("*"), *(repo / "template").rglob("*")]:
        if path.is_file():
            path.write_text(re.sub(rf"\b{name}\b", new, path.read_text()))


def carry_over(repo, name, new):
    """Let the new name of a question begin with the answer that the old one had, as a good release does."""
    text = (repo / "copier.yml").read_text()
    found = re.search(rf'(?ms)^{new}:\n.*?^  default: "?(.*?)"?$', text)
    default = f'"{{% if {name} is defined %}}{{{{ {name} }}}}{{% else %}}{found[1]}{{% endif %}}"'
    start = found[0].rindex("  default: ")
    (repo / "copier.yml").write_text(text.replace(found[0], f"{found[0][:start]}  default: {default}"))


def lose_an_answer(repo):
    """Rename a question, and forget that app dirs have an answer to it."""
    rename_question(repo, "mail_to", "operator_mail")


def change_all(repo):
    """Change the template in every way in which a release may: questions, lines, files, folders and their names."""
    lose_an_answer(repo)
    carry_over(repo, "mail_to", "operator_mail")
    text = (repo / "copier.yml").read_text()
    (repo / "copier.yml").write_text(text + "\nshop_number:\n  type: int\n  help: Number of the shop.\n  default: 7\n")
    add_line_to_all(repo)
    for name, new in {**TEMPLATE_FILES, **YOURS}.items():
        if name == "luigitasks/overnight_weekly.py":
            continue  # rendered from the same file as overnight_main.py
        rename(repo, name, new) if new else source(repo, name).unlink()
    for name, new in SPLIT.items():
        split(repo, name, new)
    (repo / "template/shop.conf.jinja").write_text("# Template. New.\n[shop]\nnumber = {{ shop_number }}\n")
    (repo / "template/shop.sh").write_text("#!/bin/sh\n# Template. New.\nset -eu\n")
    (repo / "template/shop.sh").chmod(0o755)
    for folder in ("data/shops", "data/mail-templates"):
        (repo / "template" / folder).mkdir()
        (repo / "template" / folder / ".gitkeep").touch()
    shutil.rmtree(repo / "template/data/templates")


def add_last_line(repo):
    """Change one file and nothing else: a line more at the end of web.conf."""
    path = source(repo, "web.conf")
    path.write_text(path.read_text() + "# last in the next version\n")
