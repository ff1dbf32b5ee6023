"""The locked versions fit what pyproject.toml asks for, and each has its hashes."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools.lock import FILES, ROOT

_OF_THE_MACHINE = {"torch", "vllm"}


def locked(name: str) -> dict[str, str]:
    """The versions of a file by the names of their packages."""
    return dict(re.findall(r"(?m)^([a-z0-9-]+)==([^ ]+)", (ROOT / name).read_text("utf-8")))


def asked(extras: list[str]) -> list[Requirement]:
    """What the project and these extras of it ask for, extras within extras resolved."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found = [Requirement(line) for line in project["dependencies"]]
    for extra in extras:
        for line in project["optional-dependencies"][extra]:
            wanted = Requirement(line)
            found += asked(sorted(wanted.extras)) if wanted.name == "rag-app" else [wanted]
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_requirement_is_locked_at_a_version_that_fits(name):
    versions = locked(name)
    for wanted in asked(FILES[name]):
        if wanted.name not in _OF_THE_MACHINE:
            key = re.sub(r"[-_.]+", "-", wanted.name).lower()
            assert versions[key] in wanted.specifier, wanted


@pytest.mark.parametrize("name", FILES)
def test_every_package_has_hashes(name):
    blocks = re.split(r"(?m)^(?=[a-z])", Path(ROOT / name).read_text("utf-8"))[1:]
    assert [block for block in blocks if "--hash=sha256:" not in block] == []


def test_a_package_has_one_version_in_all_files():
    versions = [locked(name) for name in FILES]
    for first in versions:
        for second in versions:
            shared = first.keys() & second.keys()
            assert {name: first[name] for name in shared} == {n: second[n] for n in shared}
