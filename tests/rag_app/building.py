"""A program that builds a second index, slowly enough to be killed meanwhile.

    python -m tests.rag_app.building STORAGE [FOLDER]

takes FOLDER in with one encoder, or builds the index of another and compares the two.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rag_app.assembly import application as assembly
from rag_app.assembly import components
from rag_app.errors import SettingsError
from rag_app.ingestion import engine as ingest
from rag_app.service import QueryOptions
from rag_app.settings import Settings, load_settings
from retrieval.encoders.base import Encoded
from tests.encoders import HashingEncoder
from tests.rag_app.support import OVERLAP, TOKENS, twin


def install(
    encoders: Mapping[str, HashingEncoder], assign: Callable[[object, str, object], None]
) -> None:
    """Let applications make these encoders and no others; a test assigns by its monkeypatch.

    The first of them stands for the bundled one too, with which sentences are chosen for quoting.
    """

    def encoder(settings: Settings, name: str | None = None) -> HashingEncoder:
        chosen = name or settings.encoder.name
        if chosen == "minilm" and chosen not in encoders:
            return next(iter(encoders.values()))
        if chosen not in encoders:
            raise SettingsError(f"there is no encoder {chosen!r}")
        return encoders[chosen]

    assign(components, "encoder", encoder)
    assign(components, "word_counter", lambda _: lambda text: len(text.split()))


class Slow(HashingEncoder):
    def encode_passages(self, texts: Sequence[str]) -> Encoded:
        time.sleep(0.02 * len(texts))
        return super().encode_passages(texts)


async def _main(storage: Path, folder: Path | None) -> None:
    slow = Slow(name="tests/far")
    slow.row = twin("far").row
    install({"near": twin("near"), "far": slow}, setattr)
    ingest.BATCH = 4
    settings = load_settings(
        overrides={
            "storage": {"path": storage},
            "encoder": {"name": "near"},
            "chunking": {"tokens": TOKENS, "overlap": OVERLAP},
        }
    )
    application, _ = assembly.open_application(settings)
    if folder:
        await application.ingest("c", [folder])
    else:
        sys.stdout.write("building\n")
        sys.stdout.flush()
        await application.build_index("c", "far")
        found = [
            await application.search(
                "c", "anything", QueryOptions(retriever="dense", top_k=1000, encoder=name)
            )
            for name in ("near", "far")
        ]
        near, far = (sorted((hit.source, hit.text) for hit in each.hits) for each in found)
        sys.stdout.write("near and far hold the same\n" if near == far else "they differ\n")
    await application.close()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None))
