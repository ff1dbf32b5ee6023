"""docker-compose.yml and the Dockerfile as tests look at them: parsed, variables replaced."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE, EXAMPLE = ROOT / "docker-compose.yml", ROOT / ".env.example"
_USE = re.compile(r"(?<!\$)\$\{(\w+)(?::?[-?][^}]*)?\}")


def example() -> dict[str, str]:
    """The variables that .env.example sets."""
    lines = EXAMPLE.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))


def used() -> set[str]:
    """The variables that docker-compose.yml takes from .env."""
    return set(_USE.findall(FILE.read_text("utf-8")))


def services(**variables: str) -> dict[str, Any]:
    """Every service, with .env.example's variables, and these above them."""
    values = {**example(), **variables}
    text = _USE.sub(
        lambda found: values.get(found[1], "secret") or "secret", FILE.read_text("utf-8")
    )
    parsed: dict[str, Any] = yaml.safe_load(_quoted(text))["services"]
    return parsed


def stage(name: str) -> str:
    """A stage of the Dockerfile, its continued lines joined."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    found = re.search(rf"(?ms)^FROM \S+ AS {name}$(.*?)(?=^FROM |\Z)", text)
    assert found
    return re.sub(r"\\\n\s*", " ", found[1])


def environment(image: str, service: str) -> dict[str, str]:
    """What a container's processes find set: by its image, and above that by compose."""
    (line,) = re.findall(r"(?m)^ENV (.+)$", stage(image))
    of_image = dict(word.split("=", 1) for word in line.split())
    return of_image | services()[service]["environment"]


def _quoted(text: str) -> str:
    """The text with the engines' arguments in quotes, since JSON in them is YAML as well."""
    return re.sub(r"(?m)^(\s+- )(--[\w-]+=\{.*\})$", r"\1'\2'", text)
