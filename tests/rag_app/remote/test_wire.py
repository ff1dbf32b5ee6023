from collections.abc import AsyncIterator, Iterable
from itertools import groupby
from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as some

from data.errors import DataError
from generation.citations import Citation
from generation.reading import TextDelta, ThinkingDelta
from rag_app.errors import ApplicationError
from rag_app.remote import wire
from rag_app.results import (
    Answer,
    BackupReport,
    CopiedCollection,
    DocumentWarning,
    Failure,
    Hit,
    IngestReport,
    Progress,
    SearchResult,
    Trace,
)

HIT = Hit("id", "a.txt", None, 0, 5, "words", 0.5, {"dense": 1}, {"dense": 0.5}, ("T", "U"), "p1")
TRACE = Trace([{"stage": "read", "kind": "quote", "ms": 1.5, "steps": {"a": 1.0}}], {"query": 3})
EVENTS = [
    SearchResult("q", [HIT], TRACE),
    ThinkingDelta("hm\n"),
    TextDelta("pie\u2028ce \x85 of\n text"),
    Answer(
        "text [1]", [Citation(1, "id", "a.txt", 3, 0, 5, "words")], [HIT], True, TRACE, True, True
    ),
    Progress(1, 2, 3, 0.5, 1.5, "a.txt"),
    IngestReport(
        1,
        2,
        3,
        ["old.txt"],
        5,
        4,
        6.0,
        [Failure("b.pdf", "broken")],
        [DocumentWarning("a.txt", 3, "2 bytes are no UTF-8")],
        [Failure("c.mp4", "files that end in .mp4 are not read")],
    ),
    BackupReport([CopiedCollection("c", 1, 2, 3, 4)], 5, 6.0, ["c/b.pdf"]),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_as_it_was(event):
    line = wire.line(event)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert wire.parse(line) == event


@given(some.text())
def test_no_text_breaks_a_line(text):
    line = wire.line(TextDelta(text))
    assert line.count(b"\n") == 1
    assert wire.parse(line) == TextDelta(text)


@given(some.lists(some.binary(min_size=1) | some.sampled_from(EVENTS)), some.integers(1, 50))
async def test_bytes_come_between_events_however_the_stream_is_cut(events, size):
    sent = b"".join(map(wire.framed, events))

    async def pieces() -> AsyncIterator[bytes]:
        for first in range(0, len(sent), size):
            yield sent[first : first + size]

    def joined(stream: Iterable[object]) -> list[object]:
        """Bytes that follow each other are one stream of bytes."""
        parts = [(isinstance(event, bytes), event) for event in stream]
        return [
            b"".join(event for _, event in group) if plain else [event for _, event in group]
            for plain, group in groupby(parts, key=itemgetter(0))
        ]

    assert joined([event async for event in wire.unframed(pieces())]) == joined(events)


@pytest.mark.parametrize("error", [ApplicationError("m", cause="c", hint="W"), DataError("m")])
def test_an_expected_error_is_raised_where_it_is_read(error):
    with pytest.raises(wire.RemoteError) as caught:
        wire.parse(wire.line(error))
    assert str(caught.value) == str(error)


def test_what_is_no_event_is_not_sent():
    with pytest.raises(TypeError, match="dict is not sent"):
        wire.line({"type": "found"})
