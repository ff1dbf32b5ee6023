"""Which row of the encoder registry is meant, and how it is to be run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from rag_app.assembly import trained
from rag_app.errors import SettingsError
from rag_app.settings import EncoderRun, Settings, is_path
from retrieval.encoders import registry
from retrieval.encoders.errors import UnknownEncoderError
from retrieval.encoders.registry import Backend, EncoderRow

_USUAL_URL: Mapping[str, str] = {
    "vllm": "http://127.0.0.1:8001/v1",
    "openai": "https://api.openai.com/v1",
}


class LicenceNotAccepted(SettingsError):
    """A model's licence restricts its use, and nobody has accepted it."""


@dataclass(frozen=True, slots=True)
class EncoderChoice:
    """One encoder, ready to be made."""

    row: EncoderRow
    run: EncoderRun
    backend: Backend
    instruction: str | None

    @property
    def served(self) -> bool:
        """Whether a server runs it."""
        return self.backend in _USUAL_URL

    @property
    def url(self) -> str:
        """Where it is served; empty for backends that run in this process."""
        return (self.run.url or _USUAL_URL[self.backend]) if self.served else ""

    @property
    def passage_length(self) -> int:
        """Tokens kept of a passage."""
        return self.run.passage_length or self.row.passage_length

    @property
    def query_length(self) -> int:
        """Tokens kept of a query."""
        return self.run.query_length or self.row.query_length

    def require_accepted(self) -> None:
        """Raise LicenceNotAccepted where the licence is restricted and not accepted."""
        if self.row.restricted and not self.run.accept_license:
            raise LicenceNotAccepted(
                f"encoder {self.row.name} may be used under the terms of {self.row.licence} only",
                cause=f"see {self.row.source}",
                hint="If you accept them, say --accept-license, or set "
                "RAG_APP_ENCODER__ACCEPT_LICENSE=true",
            )


def choose(settings: Settings, name: str | None = None) -> EncoderChoice:
    """The encoder of that name; None means the settings' own.

    Raises:
        SettingsError: the row, its backend or the task is unknown, or a field of an own row bad.
    """
    name = name or settings.encoder.name
    if is_path(name) and name == settings.encoder.name:
        row = EncoderRow(
            name=name,
            model_id=name,
            dimension=1,
            pooling="unpublished",
            causal=False,
            backends=("class",),
            licence="unknown",
        )  # fmt: skip - what is not known before the class is loaded counts for nothing
        return EncoderChoice(row, settings.encoder, "class", None)
    row, run = _row(settings, name), _run(settings, name)
    backend = row.backends[0] if run.backend == "auto" else run.backend
    if backend not in row.backends:
        raise SettingsError(
            f"encoder {name} cannot be run by {backend}",
            hint=f"Set its backend to one of {', '.join(row.backends)}",
        )
    return EncoderChoice(row, run, backend, _instruction(row, run))


def rows(settings: Settings) -> list[EncoderRow]:
    """All rows there are, the user's own included, by name."""
    return [_row(settings, name) for name in sorted({*registry.built_in(), *_user_rows(settings)})]


def _row(settings: Settings, name: str) -> EncoderRow:
    user_rows, shipped = _user_rows(settings), _shipped(name)
    try:
        return (
            EncoderRow(name=name, **{**shipped, **user_rows[name]})
            if name in user_rows
            else registry.row(name)
        )
    except UnknownEncoderError:
        known = ", ".join(sorted({*registry.built_in(), *user_rows}))
        raise SettingsError(
            f"setting encoder.name = {name!r} is not valid",
            cause=f"the known encoders are {known}",
            hint=f"Choose one of them, or add [encoders.{name}.row] to the settings file",
        ) from None
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        raise SettingsError(
            f"[encoders.{name}.row] is not valid",
            cause=problems,
            hint="docs/retrievers.md shows a complete row",
        ) from None


def _user_rows(settings: Settings) -> Mapping[str, Mapping[str, Any]]:
    """Those that were trained here, and those of the settings, which are stronger."""
    made = {row.name: row.model_dump(exclude={"name"}) for row in trained.rows(settings)}
    return made | {name: given.row for name, given in settings.encoders.items() if given.row}


def _shipped(name: str) -> dict[str, Any]:
    """The fields of the row that ships under the name, so that one of them can be changed."""
    row = registry.built_in().get(name)
    return row.model_dump(exclude={"name"}) if row else {}


def _run(settings: Settings, name: str) -> EncoderRun:
    base = settings.encoder if name == settings.encoder.name else EncoderRun()
    section = settings.encoders.get(name)
    chosen = {key: getattr(section, key) for key in section.model_fields_set} if section else {}
    fields = {key: getattr(base, key) for key in EncoderRun.model_fields}
    given = {**fields, **{key: chosen[key] for key in chosen if key in fields}}
    # Whoever accepts has read which licence it is: the commands show it.
    given["accept_license"] |= settings.encoder.accept_license
    if not given["model"] and trained.is_one(settings, name):
        given["model"] = str(trained.folder(settings, name))
    return EncoderRun(**given)


def _instruction(row: EncoderRow, run: EncoderRun) -> str | None:
    if run.instruction and "{instruction}" not in row.query_template:
        raise SettingsError(
            f"encoder {row.name} takes no instruction",
            hint="Leave encoder.instruction unset, or choose an encoder that follows one",
        )
    if run.instruction is not None or not run.task:
        return run.instruction
    if run.task not in row.instructions:
        known = ", ".join(sorted(row.instructions)) or "none at all"
        raise SettingsError(
            f"encoder {row.name} has no instruction for task {run.task!r}",
            cause=f"it has {known}",
            hint="Set encoder.instruction to your own words",
        )
    return row.instructions[run.task]
