"""A settings tree as TOML, every value under what it means: for people, and to be read again."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from rag_app.settings.sections import SECRETS, table_kind

_NAMED = {"encoders"}
"""Sections that hold tables under names that the user gives."""
_ADVANCED = {
    "ray", "bm25", "limits", "storage.grpc_port", "storage.prefer_grpc", "storage.tenants",
    "storage.shards", "storage.replicas", "storage.write_consistency", "storage.min_free_mb",
    "storage.hnsw_above",
    "encoder.revision", "encoder.precision", "encoder.workers", "encoder.dtype",
    "encoder.batch_tokens", "encoder.concurrency", "encoder.golden", "encoder.options",
    "chunking.options", "retrieval.options", "retrieval.rrf_k", "rewrite.rounds",
    "rewrite.combine", "rerank.options", "rerank.normalise", "rerank.passage_tokens",
    "rerank.concurrency", "rerank.template", "rerank.samples", "rerank.finalists",
    "reader.options", "llm.concurrency", "llm.parameters", "server.concurrent",
}  # fmt: skip
"""Sections and settings that are rarely set: they are shown behind the others."""


def describe(model: type[BaseModel], tree: Mapping[str, Any], path: str = "") -> str:
    """A tree of values as TOML, every value under its description, the rarely set ones last."""
    values: dict[bool, list[str]] = {False: [], True: []}
    tables: dict[bool, list[str]] = {False: [], True: []}
    for name, field in model.model_fields.items():
        if name not in tree:
            continue
        kind, value, advanced = table_kind(field), tree[name], f"{path}{name}" in _ADVANCED
        if kind is None:
            shown = f"{name} = {_toml(value)}" if value is not None else f"# {name} is not set"
            if name in SECRETS and value is not None:
                shown = f"# {name} is set, and not shown"
            values[advanced].append(f"# {field.description}\n{shown}")
        elif name not in _NAMED:
            inner = describe(kind, value, f"{path}{name}.")
            tables[advanced].append(f"\n# {field.description}\n[{path}{name}]\n{inner}")
        else:
            tables[advanced].append(f"\n# {field.description}")
            for key, section in value.items():
                table = f"{path}{name}.{_toml(key)}"
                tables[advanced].append(f"[{table}]\n{describe(kind, section, f'{table}.')}\n")
    if values[True]:
        values[True].insert(0, "# -- advanced --")
    if tables[True]:
        tables[True].insert(0, "\n# ---- advanced ----")
    return "\n".join([*values[False], *values[True], *tables[False], *tables[True]])


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(part)}" for key, part in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
