"""The packages export their public names, and say which other package hides them."""

import os
import subprocess
import sys
from importlib import import_module

import pytest

from data.exports import lazy, require
from tests.rag_app.command import REPOSITORY, environment

PACKAGES = ["data", "retrieval", "generation", "rag_app", "eval"]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_there_and_no_other(name):
    package = import_module(name)
    for public in package.__all__:
        found = getattr(package, public)
        assert found.__module__.startswith(f"{name}."), "it is defined where it is exported"
    with pytest.raises(AttributeError, match="nonsense"):
        _ = package.nonsense


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_itself_imports_nothing_heavy(name):
    code = f"import sys, {name}; sys.exit('llama_index' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0  # noqa: PLW1510


def run(folder, *arguments, **more):
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment(folder / "storage", **{"PYTHONPATH": str(folder), **more}),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("form", ["data/__init__.py", "data.py"])
@pytest.mark.parametrize("ours", ["retrieval.fusion", "generation", "rag_app.settings", "eval"])
def test_a_package_of_the_user_that_hides_data_is_named(tmp_path, form, ours):
    other = tmp_path / form
    other.parent.mkdir(exist_ok=True)
    other.write_text("")
    done = run(tmp_path, "-c", f"import {ours}")
    assert done.returncode == 1
    *_, message = done.stderr.splitlines()
    assert "the package `data` of rag-app" in message
    assert "is hidden by" in message
    assert str(other) in message


def test_a_package_of_the_user_that_hides_retrieval_is_named(tmp_path):
    other = tmp_path / "retrieval" / "__init__.py"
    other.parent.mkdir()
    other.write_text("")
    *_, message = run(tmp_path, "-c", "from rag_app import load_settings").stderr.splitlines()
    assert f"is hidden by {other}" in message


@pytest.mark.parametrize("name", ["ui", "eval"])
def test_the_command_names_what_hides_a_face(tmp_path, name):
    other = tmp_path / f"{name}.py"
    other.write_text("")
    done = run(tmp_path, "-c", "from rag_app.cli import main; main()", "--help")
    assert done.returncode == 1
    (message,) = done.stderr.splitlines()
    assert f"the package `{name}` of rag-app" in message
    assert f"is hidden by {other}" in message


def test_a_folder_without_python_code_hides_nothing_where_ours_is_on_the_path(tmp_path):
    for name in ("data", "eval"):
        (tmp_path / name).mkdir()
    code = "from rag_app import load_settings; load_settings()"
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY)])
    assert (done := run(tmp_path, "-c", code, PYTHONPATH=path)).returncode == 0, done.stderr


def test_a_package_that_is_not_there_is_named():
    with pytest.raises(ImportError, match="is hidden by nothing"):
        require("no_such_package")
    with pytest.raises(ImportError, match="no_such_package"):
        lazy("data", below=["no_such_package"])
