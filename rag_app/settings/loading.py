"""One checked settings tree, merged from profile, recipe, file, environment and flags.

Order of precedence, weakest first: the defaults of `rag_app.settings.sections`, the profile
(`rag_app/profiles/NAME.toml`), the connection to a model that was chosen in the page, the recipe
(`rag_app/profiles/recipes/NAME.toml`), the file of `--config`, `RAG_APP_*` variables (nested with
`__`, for instance `RAG_APP_STORAGE__PATH`), and what a caller passes in (command-line flags).
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource
from pydantic_settings import SettingsError as UnreadableVariable

from data.files import read_text
from rag_app.errors import SettingsError
from rag_app.settings.connection import read_connection
from rag_app.settings.sections import SECRETS, Settings, Storage, table_kind

PREFIX = "RAG_APP_"
_PROFILES = resources.files("rag_app") / "profiles"
_NOT_SETTINGS = {
    "RAG_APP_PROFILE", "RAG_APP_CONFIG", "RAG_APP_SHARED_DATA", "RAG_APP_ARTIFACTS",
    "RAG_APP_VLLM_VENV",
}  # fmt: skip

Overrides = Annotated[Mapping[str, Any], "nested like the settings tree; None means not given"]


def profiles() -> list[str]:
    """Names of the profiles that ship."""
    return _shipped(_PROFILES)


def recipes() -> list[str]:
    """Names of the recipes that ship."""
    return _shipped(_PROFILES / "recipes")


def read_recipe(name: str) -> dict[str, Any]:
    """The file of a recipe over those that it inherits, unchecked.

    Returns:
        Settings, and beside them the table `recipe` of that file itself.

    Raises:
        SettingsError: there is no such recipe.
    """
    if name not in recipes():
        raise SettingsError(
            f"recipe {name!r} is unknown", hint="`rag-app recipes list` shows those there are"
        )
    tree: dict[str, Any] = {}
    while name:
        text = (_PROFILES / "recipes" / f"{name}.toml").read_text("utf-8")
        top = tomllib.loads(text)
        name = top.pop("inherits", "")
        if tree:
            top.pop("recipe", None)
        tree = _merge(top, tree)
    return tree


def _shipped(folder: Traversable) -> list[str]:
    """Names of the files in a folder but for those that only others inherit."""
    names = (path.name for path in folder.iterdir())
    return sorted(n[:-5] for n in names if n.endswith(".toml") and not n.startswith("_"))


def load_settings(
    config: Path | None = None, profile: str | None = None, overrides: Overrides | None = None
) -> Settings:
    """Merge profile, connection, recipe, file, environment and overrides into one checked tree.

    The strongest of the last three that sets `recipe` names the recipe.

    Raises:
        SettingsError: unknown profile or recipe, unreadable file, unknown key or bad value; the
            message names the key, the value and what is allowed.
    """
    config = config or _path_from(os.environ.get("RAG_APP_CONFIG"))
    merged = _profile(profile or os.environ.get("RAG_APP_PROFILE") or "laptop")
    layers = [_file(config), _environment(), _without_none(overrides or {})]
    recipe = next((layer["recipe"] for layer in reversed(layers) if "recipe" in layer), "")
    if recipe:
        layers.insert(0, _recipe(recipe))
    layers.insert(0, _connection([merged, *layers]))
    for layer in layers:
        merged = _merge(merged, layer)
    return _checked(merged)


def _connection(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What was chosen in the page, unless a layer above the first names another server: model and
    key are not for that one.
    """
    chosen = read_connection(_storage_path(layers))
    sections = [layer.get("llm") for layer in layers[1:]]
    servers = [
        str(one["api_base"]) for one in sections if isinstance(one, Mapping) and "api_base" in one
    ]
    server = chosen.get("llm", {}).get("api_base", "")
    return {} if servers and servers[-1].rstrip("/") != server else chosen


def _storage_path(layers: Sequence[Mapping[str, Any]]) -> Path:
    """The storage folder that the strongest of some layers names."""
    for layer in reversed(layers):
        storage = layer.get("storage")
        if isinstance(storage, Mapping) and isinstance(path := storage.get("path"), str | Path):
            return Path(path)
    return Storage().path


def override(settings: Settings, overrides: Overrides) -> Settings:
    """The same settings with some values changed; None leaves a value as it is.

    Raises:
        SettingsError: as `load_settings`.
    """
    return _checked(_merge(settings.model_dump(), _without_none(overrides)))


def _checked(tree: Mapping[str, Any]) -> Settings:
    try:
        return Settings(**tree)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def _path_from(text: str | None) -> Path | None:
    return Path(text) if text else None


def _profile(name: str) -> dict[str, Any]:
    if name not in profiles():
        raise SettingsError(
            f"profile {name!r} is unknown", hint=f"Choose one of {', '.join(profiles())}"
        )
    return tomllib.loads((_PROFILES / f"{name}.toml").read_text("utf-8"))


def _recipe(name: object) -> dict[str, Any]:
    """The settings of a recipe; what it says of itself is for `rag_app.assembly.recipes`."""
    return {**read_recipe(str(name)), "recipe": str(name)}


def _file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:  # TOML or UTF-8 that is none
        raise SettingsError(
            f"settings file {path} could not be read",
            cause=str(error),
            hint="`rag-app config show` prints a complete one",
        ) from None


def _environment() -> dict[str, Any]:
    known = set(Settings.model_fields)
    for name in os.environ:
        key = name.removeprefix(PREFIX).lower().split("__")[0]
        if name.startswith(PREFIX) and name not in _NOT_SETTINGS and key not in known:
            raise SettingsError(
                f"environment variable {name} names no setting",
                hint=f"The first part must be one of {', '.join(sorted(known))}",
            )
    source = EnvSettingsSource(
        Settings,  # type: ignore[arg-type]  # it reads the fields alone
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        case_sensitive=False,
        env_ignore_empty=True,
    )
    try:
        return _with_secret_files(source())
    except UnreadableVariable as error:  # a section's own variable, which takes JSON
        raise SettingsError(
            "an environment variable could not be read",
            cause=str(error),
            hint=f"Name one setting: {PREFIX}SECTION__KEY",
        ) from None


def _with_secret_files(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Take what files hold for ``password_file`` and ``api_key_file``, as containers get secrets.

    A file wins over the variable of the secret itself.
    """
    read: dict[str, Any] = {}
    for key, value in tree.items():
        name = key.removesuffix("_file")
        if isinstance(value, Mapping):
            read[key] = _with_secret_files(value)
        elif name == key or name not in SECRETS:
            read.setdefault(key, value)
        elif secret := _secret(Path(value)):
            read[name] = secret
    return read


def _secret(path: Path) -> str:
    try:
        return read_text(path).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"secret file {path} could not be read",
            cause=str(error),
            hint="Check the variable that names it, and who may read it",
        ) from None


def _without_none(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, Mapping) else value
        for key, value in tree.items()
        if value is not None
    }


def _merge(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        path = [str(part) for part in problem["loc"]]
        key = ".".join(path)
        if problem["type"] == "extra_forbidden":
            allowed = ", ".join(sorted(_fields_beside(path)))
            lines.append(f"setting {key} is unknown. Allowed here: {allowed}")
        else:
            hidden = path[-1] in SECRETS or problem["type"] == "model_type"  # may hold secrets
            shown = "(hidden)" if hidden else repr(problem["input"])
            lines.append(f"setting {key} = {shown} is not valid. {problem['msg']}")
    return "\n".join(lines)


def _fields_beside(path: list[str]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in path[:-1]:
        field = model.model_fields.get(part)  # None where the part is a name given by the user
        if field and (kind := table_kind(field)):
            model = kind
    return list(model.model_fields)
