"""What the tests of generation share: passages, and a whole reading."""

from collections.abc import AsyncIterator

from llama_index.core.schema import NodeWithScore, TextNode

from generation.reading import Reading, ReadingEvent, TextDelta, ThinkingDelta


def passage(text: str, source: str = "notes.txt", page: int | None = 1) -> NodeWithScore:
    metadata = {"source": source, "page": page, "char_start": 10, "char_end": 10 + len(text)}
    return NodeWithScore(node=TextNode(text=text, metadata=metadata), score=1.0)


async def read_all(stream: AsyncIterator[ReadingEvent]) -> tuple[list[str], Reading]:
    """Read to the end; check that the one reading comes last and repeats the deltas that hold."""
    *events, reading = [event async for event in stream]
    deltas: list[str] = []
    for event in events:
        if isinstance(event, TextDelta):
            deltas.append(event.text)
        else:
            assert isinstance(event, ThinkingDelta)
            if event.retracts:
                deltas.clear()
    assert isinstance(reading, Reading)
    assert reading.text == "".join(deltas)
    return deltas, reading
