"""The folder of a run: what was asked for, what came of it, and what was made of that."""

import json
import tomllib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from data.files import held, write_text
from eval.errors import EvalError
from eval.runs.samples import SampleLog
from rag_app.settings import Settings, describe, load_settings, override

_RUN, _CONFIG = "run.json", "config.toml"


class RunDirectory:
    """A run on disk; `create` begins one, `open` takes one up.

    Attributes:
        plan: what was asked for, as plain JSON values.
        dataset: ``name``, ``revision`` and ``private`` of the data set.
    """

    def __init__(
        self, path: Path, kind: str, plan: Mapping[str, Any], dataset: Mapping[str, Any]
    ) -> None:
        self.path, self.kind, self.plan, self.dataset = path, kind, plan, dataset

    @classmethod
    def create(
        cls,
        path: Path,
        kind: str,
        plan: Mapping[str, Any],
        dataset: Mapping[str, Any],
        settings: Settings,
    ) -> "RunDirectory":
        """Begin a run; `run.json` is written last, so that a folder with it is whole.

        Raises:
            EvalError: the folder holds a run already, or cannot be written.
        """
        if (path / _RUN).exists():
            raise EvalError(
                f"{path} holds a run already",
                hint=f"Go on with it by `rag-app eval resume {path}`, or name another --out",
            )
        run = cls(path, kind, dict(plan), dict(dataset))
        here = {"storage": {"path": settings.storage.path.absolute()}}  # resumed from anywhere
        tree = override(settings, here).model_dump(mode="python")
        try:
            path.mkdir(parents=True, exist_ok=True)
            write_text(path / _CONFIG, describe(Settings, _with_paths_as_text(tree)) + "\n")
            run.write_json(_RUN, {"kind": kind, "plan": run.plan, "dataset": run.dataset})
        except OSError as error:
            raise EvalError(
                f"{path} cannot be written", cause=(error.strerror or str(error)).lower()
            ) from None
        return run

    @classmethod
    def open(cls, path: Path) -> "RunDirectory":
        """Take up a run. Raises EvalError: the folder holds none."""
        try:
            found = json.loads((path / _RUN).read_text("utf-8"))
            return cls(path, found["kind"], found["plan"], found["dataset"])
        except (OSError, ValueError, KeyError, TypeError):
            raise EvalError(
                f"{path} holds no run",
                cause=f"its {_RUN} is missing or damaged",
                hint="Name a folder that `rag-app eval choice` or `eval retrieval` wrote",
            ) from None

    @cached_property
    def log(self) -> SampleLog:
        """The samples, which are the truth."""
        return SampleLog(self.path / "samples.jsonl")

    def settings(self, secrets: Settings | None = None) -> Settings:
        """The settings in force when the run began.

        Args:
            secrets: where keys and passwords come from, which are not kept; None means the present
                environment.

        Raises:
            SettingsError: `config.toml` was changed to something that is not valid.
            EvalError: it is missing or damaged.
        """
        try:
            tree = tomllib.loads((self.path / _CONFIG).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise EvalError(f"{self.path / _CONFIG} could not be read", cause=str(error)) from None
        present = (secrets or load_settings()).model_dump()
        return override(override(Settings(), tree), _secrets(present, tree))

    def write_json(self, name: str, data: object) -> None:
        """Write a file of the run as a whole, keys sorted: it is the old one or the new one."""
        text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False)
        write_text(self.path / name, text + "\n")

    def read_json(self, name: str) -> Any:
        """The content of a JSON file of the run. Raises EvalError: it is not there, or no JSON."""
        try:
            return json.loads((self.path / name).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise EvalError(
                f"{self.path / name} could not be read",
                cause=str(error),
                hint=f"`rag-app eval resume {self.path}` finishes a run",
            ) from None

    def held(self) -> AbstractContextManager[None]:
        """The right to write here. Raises EvalError: another process is at work on this run."""
        busy = EvalError(
            f"the run in {self.path} is under way in another process",
            hint="Wait for it, or stop it first",
        )
        return held(self.path, busy)


def _with_paths_as_text(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _with_paths_as_text(value)
        if isinstance(value, Mapping)
        else str(value)
        if isinstance(value, Path)
        else value
        for key, value in tree.items()
    }


def _secrets(present: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """The secret values of the present settings, in the sections that the kept ones have."""
    return {
        key: _secrets(value, kept[key]) if isinstance(value, Mapping) else value
        for key, value in present.items()
        if isinstance(value, SecretStr) or (isinstance(value, Mapping) and key in kept)
    }
