"""Reading documents for an ingestion: which have changed, and what their passages are."""

import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from llama_index.core.schema import TextNode

from data.blocks import Block, Loaded, LoadWarning, Scan
from data.components import BY_ENDING
from data.discovery import Found
from data.errors import DataError, UnreadableFile
from data.files import replacing, sha256
from data.limits import Limits
from data.loaders import require_size
from data.parsing import Parser
from data.splitting import Passage, Splitter
from retrieval.index.base import PassageStore, Where
from retrieval.index.records import DocumentRecord
from retrieval.passages import passage, passage_of, version_id


@dataclass(frozen=True, slots=True)
class Document:
    """A file to ingest.

    Attributes:
        hash: SHA-256 of its bytes, hexadecimal; empty for a file that could not be opened.
        suffix: ending of its source, in lower case and with the dot.
    """

    source: str
    hash: str
    size: int
    suffix: str
    origin: str = ""

    @property
    def version(self) -> str:
        """Version id of this content."""
        return version_id(self.source, self.hash)


@dataclass(frozen=True, slots=True)
class Begin:
    """The document is new or has changed; its passages follow."""

    document: Document


@dataclass(frozen=True, slots=True)
class Finish:
    """All passages of the document have been given; `warnings` say what of it was not read."""

    document: Document
    warnings: tuple[LoadWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The collection holds this content already."""

    document: Document


@dataclass(frozen=True, slots=True)
class Failed:
    """The document cannot be read (any further); passages given so far do not count."""

    document: Document
    reason: str


_STREAMED = frozenset(ending for ending, kind in BY_ENDING.items() if kind.streamed)
_SMALLER = "Split it into smaller files"
Split = Callable[[Callable[[], None]], Iterable[Passage]]
"""Cuts a document, calling what it is given now and then."""

Item = Begin | TextNode | Finish | Unchanged | Failed


class Originals:
    """The folder of original files of one collection, named by content hash.

    Args:
        folder: where they lie; made when the first one comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, content: str, suffix: str) -> Path:
        """Where the original with that hash lies, or would."""
        return self.folder / f"{content}{suffix}"

    def keep(self, file: Path, document: Document) -> Path:
        """Copy a file in, unless it is there; what is parsed later is what was hashed.

        Raises:
            DataError: the file changed meanwhile.
            OSError: it cannot be read, or the copy not be written.
        """
        path = self.path(document.hash, document.suffix)
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(path, sync=False) as copy:
                shutil.copyfile(file, copy.name)
                if sha256(Path(copy.name)) != document.hash:
                    raise DataError(
                        f"{document.source} changed while it was read",
                        hint="Ingest it again once nothing writes to it",
                    )
        return path

    def files(self, records: Iterable[DocumentRecord]) -> tuple[list[Found], list[str]]:
        """The originals of documents, and the documents whose originals are gone or damaged."""
        files, lost = [], []
        for record in records:
            path = self.path(str(record.live), record.suffix)
            if path.is_file() and sha256(path) == record.live:
                files.append(Found(path, record.source, record.origin))
            else:
                lost.append(record.source)
        return files, lost

    def forget_all_but(self, needed: Collection[Path]) -> None:
        """Delete whatever else lies in the folder, as crashes and failures leave it."""
        if self.folder.is_dir():
            for path in set(self.folder.iterdir()) - set(needed):
                path.unlink(missing_ok=True)


class DocumentReader:
    """Turns files into the stream of items that an ingestion writes.

    A new document with the content of one that is stored, as a file that was renamed, gets copies
    of its passages and their vectors; nothing of it is read or encoded again.

    Args:
        on_step: called with what is being read, such as "a.pdf, page 2"; what it raises ends the
            reading.
    """

    def __init__(
        self,
        store: PassageStore,
        chunker: Splitter,
        parser: Parser,
        originals: Originals,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store, self._chunker = store, chunker
        self._parser, self._originals, self._on_step = parser, originals, on_step
        self._twins: dict[tuple[str | None, str], DocumentRecord] = {}

    def items(self, files: Iterable[Found]) -> Iterator[Item]:
        """Per file: Unchanged, or Failed, or Begin, its passages, and Finish or Failed."""
        self._twins = {(one.live, one.suffix): one for one in self._store.records() if one.live}
        for found in files:
            yield from self._file(found)

    def _file(self, found: Found) -> Iterator[Item]:
        try:
            document = _document(found, self._parser.limits)
        except (OSError, DataError) as error:
            unread = Document(found.source, "", 0, _suffix(found), found.origin)
            yield Failed(unread, reason(error))
            return
        record = self._store.record(document.source)
        unchanged = record is not None and record.live == document.hash
        if not unchanged:
            yield Begin(document)
        self._store.require_room(document.size)
        try:
            original = self._originals.keep(found.path, document)
            if unchanged:
                yield Unchanged(document)
            else:
                yield from self._content(document, original)
        except (OSError, DataError) as error:
            yield Failed(document, reason(error))

    def _content(self, document: Document, original: Path) -> Iterator[Item]:
        if copies := self._copies(document):
            yield from copies
            yield Finish(document)
        else:
            yield from self._passages(document, original)

    def _copies(self, document: Document) -> list[TextNode]:
        """The passages of a stored document with this content, under this document's name."""
        twin = self._twins.get((document.hash, document.suffix))
        if twin is None or document.suffix in _STREAMED:  # which may not fit into memory
            return []
        copies, fingerprint = [], self._store.spec.fingerprint
        for stored in chain.from_iterable(self._store.dump(where=Where((twin.source,)))):
            if stored.payload.get("version") == twin.version:
                node = passage_of(stored.payload, document.source, document.version, fingerprint)
                node.embedding = stored.dense.tolist()
                copies.append(node)
        whole = len(copies) == twin.passages  # else it is being replaced at this moment
        return sorted(copies, key=lambda node: node.metadata["index"]) if whole else []

    def _passages(self, document: Document, original: Path) -> Iterator[Item]:
        index = left_out = 0
        warnings: list[LoadWarning] = []
        loaded: Iterable[Loaded] = self._loaded(document, original)
        if document.suffix not in _STREAMED:
            loaded = list(loaded)  # a file that is refused on its last page costs no encoding
        split = partial(self._chunker.split, _without_warnings(loaded, warnings))
        for part in bounded(split, document, self._parser.limits):
            if part.passage_id is None and not any(map(str.isalnum, part.text)):
                left_out += 1  # rules and ornaments, which nobody asks for
                continue
            yield passage(
                source=document.source,
                version=document.version,
                index=index,
                fingerprint=self._store.spec.fingerprint,
                text=part.text,
                page=part.page,
                char_start=part.char_start,
                char_end=part.char_end,
                headings=part.heading_path,
                record_id=part.passage_id,
                boxes=[box.as_list() for box in part.boxes],
                repeated=part.repeated,
            )
            index += 1
        if left_out:
            passages = "passage is" if left_out == 1 else "passages are"
            warnings.append(LoadWarning(f"{left_out} {passages} left out: no letter and no digit"))
        nothing = "holds no letter and no digit" if left_out else "holds no text"
        yield Finish(document, tuple(warnings)) if index else Failed(document, nothing)

    def _loaded(self, document: Document, original: Path) -> Iterator[Loaded]:
        def on_scan(scan: Scan) -> None:
            self._on_step(f"{document.source}, page {scan.page} of {scan.pages}, a picture")

        for one in self._parser.parse(original, document.source, on_scan):
            self._on_step(f"{document.source}, page {one.page}" if one.page else document.source)
            yield one


def bounded(split: Split, document: Document, limits: Limits) -> Iterator[Passage]:
    """The passages of a document, which may take as much processor time as parsing it, and hold a
    multiple of the file; whoever takes them encodes them, for which there is a limit, too.

    Raises:
        UnreadableFile: they take more.
    """
    splitting = encoding = 0.0
    characters, most = 0, limits.passage_characters(document.size)
    budget, patience = limits.budget(document.size), limits.encoding(document.size)
    start = time.thread_time()

    def too_much(cause: str, hint: str = _SMALLER) -> UnreadableFile:
        return UnreadableFile(f"cannot ingest {document.source}", cause=cause, hint=hint)

    def check_time() -> None:
        nonlocal splitting, start
        now = time.thread_time()
        splitting, start = splitting + now - start, now
        if splitting > budget:
            raise too_much(f"splitting it took longer than {budget:g} s of processor time")

    for part in split(check_time):
        check_time()
        characters += len(part.text)
        if encoding > patience:
            hint = f"{_SMALLER}, choose a faster encoder, or raise limits.encode_seconds"
            raise too_much(f"encoding its passages took longer than {patience:g} s", hint)
        if characters > most:
            raise too_much(f"its passages hold more than {most:,} characters")
        given = time.monotonic()
        yield part
        encoding += time.monotonic() - given
        start = time.thread_time()


def _without_warnings(loaded: Iterable[Loaded], warnings: list[LoadWarning]) -> Iterator[Block]:
    """The blocks alone; the warnings are added to the list."""
    for one in loaded:
        if isinstance(one, Block):
            yield one
        else:
            warnings.append(one)


def _document(found: Found, limits: Limits) -> Document:
    status = found.path.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe or a device might never end
        raise DataError("it is not a regular file")
    require_size(found.source, status.st_size, limits)  # before it is hashed and copied
    return Document(found.source, sha256(found.path), status.st_size, _suffix(found), found.origin)


def _suffix(found: Found) -> str:
    return Path(found.source).suffix.lower()


def reason(error: OSError | DataError) -> str:
    """Why, without the name, which stands beside it wherever it is shown."""
    if isinstance(error, OSError):
        return f"not readable: {error.strerror}"
    return ". ".join(part for part in (error.cause or error.message, error.hint) if part)
