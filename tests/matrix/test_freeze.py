"""Frozen versions of the template: each holds whole app dirs, and freezing gives the same on every machine."""

import filecmp
import re

import copier
import pytest
from freeze import ADDRESS, BUNDLES, freeze, set_address, thaw_app
from matrix.edits import answers_of, differing
from support import ANSWERS, ROOT, files, git


def test_frozen_app_dir_is_whole(template_repo, tmp_path):
    thaw_app("0.9.0", 0, tmp_path / "frozen/app")
    copier.run_copy(
        str(template_repo),
        tmp_path / "poser/app",
        {"app_name": "poser"},
        defaults=True,
        quiet=True,
        vcs_ref="v0.9.0",
    )
    set_address(tmp_path / "poser/app", ADDRESS)
    assert differing(files(tmp_path / "frozen/app"), files(tmp_path / "poser/app")) == {}
    assert (tmp_path / "frozen/app/data/batches/inventory/.gitkeep").exists()


def test_template_holds_nothing_but_what_copier_needs(template_repo):
    assert git("ls-tree", "--name-only", "v0.9.0", cwd=template_repo).split() == ["copier.yml", "includes", "template"]


def test_same_version_is_frozen_to_the_same_bytes_anywhere(tmp_path, monkeypatch):
    for name, zone in {"here": "UTC", "elsewhere": "Pacific/Kiritimati"}.items():
        (tmp_path / name).mkdir()
        for variable, value in {"TZ": zone, "HOME": str(tmp_path / name), "GIT_AUTHOR_NAME": name}.items():
            monkeypatch.setenv(variable, value)
        assert freeze("1.2.3", folder=tmp_path / name, sets=ANSWERS[:2]) == tmp_path / name / "1.2.3.bundle"
    here, elsewhere = (tmp_path / name / "1.2.3.bundle" for name in ("here", "elsewhere"))
    assert git("bundle", "list-heads", here, cwd=tmp_path) == git("bundle", "list-heads", elsewhere, cwd=tmp_path)
    assert filecmp.cmp(here, elsewhere, shallow=False)
    git("clone", "--quiet", "--branch", "answers-1", here, tmp_path / "app", cwd=tmp_path)
    assert (tmp_path / "app/log/.gitkeep").exists()
    answers = answers_of(tmp_path / "app")
    assert {name: answers[name] for name in ANSWERS[1]} == ANSWERS[1]
    assert "_commit: v1.2.3\n" in (tmp_path / "app/.copier-answers.yml").read_text()


def test_frozen_version_is_never_replaced():
    with pytest.raises(FileExistsError, match=r"0\.9\.0"):
        freeze("0.9.0")


def test_every_release_is_frozen():
    """Each version of the changelog; `nox -s release` freezes it."""
    released = re.findall(r"(?m)^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text())
    assert {path.stem for path in BUNDLES.glob("*.bundle")} >= {*released, "0.9.0"}
