"""What the tests of rendering share."""

import shutil

import pytest


@pytest.fixture(scope="session")
def folder(template, tmp_path_factory):
    """The template as a folder that is no repository, which Copier need not clone."""
    folder = tmp_path_factory.mktemp("folder") / "template"
    shutil.copytree(template, folder, ignore=shutil.ignore_patterns(".git"))
    return str(folder)
