"""Damaged collections: what is wrong with them, and building them anew from the originals."""

import secrets
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from data.discovery import Found
from rag_app.collections.catalogue import read_catalogue
from rag_app.collections.indexes import Indexes, newest
from rag_app.collections.stores import OpenStores
from rag_app.errors import ApplicationError
from rag_app.ingestion.encoders import Encoders
from rag_app.ingestion.reading import Originals
from rag_app.results import Failure, IngestReport, OnProgress
from retrieval.encoders.base import Encoder
from retrieval.index.base import PassageStore
from retrieval.index.collections import Collections
from retrieval.index.errors import DamagedIndex


class Repairs:
    """Builds damaged collections anew."""

    def __init__(
        self,
        collections: Collections,
        stores: OpenStores,
        indexes: Indexes,
        encoders: Encoders,
        originals: Path,
    ) -> None:
        self._collections, self._stores, self._indexes = collections, stores, indexes
        self._encoders, self._originals = encoders, originals

    def repair(self, name: str, on_progress: OnProgress) -> IngestReport:
        """Read all of a collection, and replace what cannot be read.

        Whole indexes stay, and the index of the settings' encoder is brought up to date. Where none
        is whole, a new one takes the place of all in one step; killed before that, nothing has
        changed. Documents whose originals are gone or damaged are among the report's failures.

        Raises:
            UnknownCollection: there is none of that name.
            ApplicationError: nothing is damaged.
        """
        model = self._encoders.get()
        with self._indexes.writing_to(name):
            whole, damage = self._examine(name, model)
            listed = {record.source: record for record in read_catalogue(self._originals / name)}
            documents = newest(whole)
            if not damage and not listed.keys() - documents.keys():
                raise ApplicationError(
                    f"collection {name!r} is not damaged",
                    hint=f"`rag-app collections rebuild {name}` builds it anew all the same",
                )
            files, lost = Originals(self._originals / name).files({**listed, **documents}.values())
            if any(not store.collection().building for store in whole):
                report = self._mend(name, model, whole, damage, files, on_progress)
            else:
                report = self._replace(name, model, files, on_progress)
            report.failures += [Failure(one, "its original is gone or damaged") for one in lost]
            self._indexes.forget_unused(name)
            return report

    def _examine(self, name: str, model: Encoder) -> tuple[list[PassageStore], Mapping[str, str]]:
        """The indexes that are whole, and by fingerprint why the others are not."""
        try:
            versions = self._collections.versions(name)
        except DamagedIndex as error:
            return [], {"": error.cause}
        whole, damage = [], {}
        for fingerprint in versions:
            try:
                store = self._stores.open(name, self._encoders.spec(model), fingerprint)
                _require_whole(store)
                whole.append(store)
            except DamagedIndex as error:
                damage[fingerprint] = error.cause
        return whole, damage

    def _mend(
        self,
        name: str,
        model: Encoder,
        whole: list[PassageStore],
        damage: Mapping[str, str],
        files: list[Found],
        on_progress: OnProgress,
    ) -> IngestReport:
        """Delete the damaged indexes, and bring the settings' one up to date."""
        if self._collections.active(name) in damage:
            self._collections.point(name, whole[0].stored_fingerprint)
        for fingerprint in damage:
            with self._stores.closed(name, fingerprint):
                self._collections.discard(name, fingerprint)
        store = self._stores.stage(name, self._encoders.spec(model))
        report = self._indexes.run(name, model, store, files, on_progress)
        store.put_collection(store.collection().built())
        return report

    def _replace(
        self, name: str, model: Encoder, files: list[Found], on_progress: OnProgress
    ) -> IngestReport:
        """Let a new index take the place of all."""
        edition = secrets.token_hex(4)
        with self._stores.closed(name):
            pass  # a draft may not be made while the engine holds what it replaces
        store = self._collections.draft(name, self._encoders.spec(model), edition)
        try:
            report = self._indexes.run(name, model, store, files, on_progress)
            store.put_collection(store.collection().built())
            store.flush()
        except BaseException:  # whatever it is, nothing is left over and the error goes on
            store.close()
            self._collections.abandon(name, edition)
            raise
        store.close()
        with self._stores.closed(name):
            self._collections.adopt(name, edition, self._encoders.spec(model).fingerprint)
        return report


def _require_whole(store: PassageStore) -> None:
    """Read every passage with its vectors, and count them by document.

    Raises:
        DamagedIndex: something cannot be read, or is not there.
    """
    counts = Counter(one.payload.get("version") for batch in store.dump() for one in batch)
    for record in store.records():
        if record.version and counts[record.version] != record.passages:
            raise DamagedIndex(store.place, f"passages of {record.source} are missing")
