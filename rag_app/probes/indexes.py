"""Whether every collection has an index for these settings, and the command that makes it."""

from collections.abc import Sequence
from functools import partial

from rag_app.assembly import application as assembly
from rag_app.probes.base import Problem, in_thread
from rag_app.results import IndexInfo
from rag_app.settings import Settings
from retrieval.index.fingerprint import IndexSpec


async def indexes(settings: Settings) -> str:
    """Compare the fingerprint of these settings with those of every collection's indexes.

    Raises:
        Problem: a collection has no index for them.
        StorageInUse: another process owns the storage, and cannot be asked.
    """
    encoder, wanted = await in_thread(partial(_own, settings))
    service = await in_thread(partial(assembly.open_service, settings))
    try:
        found = {c.name: await service.indexes(c.name) for c in await service.collections()}
    finally:
        await service.close()
    lacking = {name: each for name, each in found.items() if not _whole(each, wanted)}
    if lacking:
        name = min(lacking)
        raise Problem(
            f"{', '.join(sorted(lacking))}: no index for these settings ({wanted})",
            cause=f"{name} has {_listed(lacking[name])}",
            hint=_hint(name, lacking[name], wanted, encoder),
        )
    held = [each for known in found.values() for each in known if each.fingerprint == wanted]
    passages = sum(each.passages for each in held)
    late = [
        f"; {name} lacks documents: `rag-app indexes build -c {name}`"
        for name, known in found.items()
        if any(each.fingerprint == wanted and each.behind for each in known)
    ]
    return f"{len(found)} collections, {passages} passages, fingerprint {wanted}{''.join(late)}"


def _own(settings: Settings) -> tuple[str, str]:
    """The name of the encoder, and the fingerprint of an index built with these settings."""
    model = assembly.encoder(settings)
    try:
        cut, terms = assembly.chunker(settings).identity, assembly.bm25(settings)
        spec = IndexSpec(model.dimension, model.identity, cut, terms)
        return model.row.name, spec.fingerprint
    finally:
        model.close()


def _whole(indexes: Sequence[IndexInfo], wanted: str) -> bool:
    return any(each.fingerprint == wanted and (each.usable or each.active) for each in indexes)


def _listed(indexes: Sequence[IndexInfo]) -> str:
    return ", ".join(f"{each.encoder} {each.fingerprint}" for each in indexes)


def _hint(name: str, indexes: Sequence[IndexInfo], wanted: str, encoder: str) -> str:
    """Of an encoder's index with other settings, the new one takes the place; else it is added."""
    begun = any(each.fingerprint == wanted for each in indexes)
    if not begun and any(each.encoder == encoder for each in indexes):
        return f"`rag-app collections rebuild {name}`, or go back to the settings it was built with"
    return f"`rag-app indexes build --encoder {encoder} -c {name}`"
