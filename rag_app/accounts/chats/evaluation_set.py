"""Votes as an evaluation set in BEIR's form, which `rag-app eval retrieval beir:FOLDER` reads."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from data.files import replacing, write_text
from rag_app.accounts.chats.votes import Vote
from rag_app.errors import ApplicationError
from rag_app.results import PassageBatch, PassagePlace


@dataclass(frozen=True, slots=True)
class Written:
    """What an evaluation set holds.

    Attributes:
        questions: those with a passage that answers them.
        judgements: passages that answer them.
        passages: all passages of the collection.
        left_out: questions without one: no system was best and no passage was marked, or the
            passages are no longer in the collection.
    """

    questions: int
    judgements: int
    passages: int
    left_out: int


async def write(
    folder: Path, votes: Sequence[Vote], passages: AsyncIterable[PassageBatch]
) -> Written:
    """Write ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/test.tsv`` of one collection.

    A vote's passages are relevant to its question, of several people's votes all of theirs.

    Args:
        folder: made if need be.
        votes: about the collection.
        passages: all of the collection's, since a search in fewer would be too easy.

    Raises:
        ApplicationError: no vote names a passage that is there, or the folder cannot be written.
    """
    relevant: dict[str, set[PassagePlace]] = defaultdict(set)
    for vote in votes:
        relevant[vote.question] |= {hit.place for hit in vote.relevant}
    try:
        await asyncio.to_thread((folder / "qrels").mkdir, parents=True, exist_ok=True)
        ids, count = await _write_corpus(folder, passages, set().union(*relevant.values()))
        found = {
            question: sorted(ids[key] for key in keys & ids.keys())
            for question, keys in relevant.items()
        }
        judged = [(question, names) for question, names in found.items() if names]
        queries, rows = "", "query-id\tcorpus-id\tscore\n"
        for n, (question, names) in enumerate(judged, start=1):
            queries += _line(_id=f"q{n}", text=question)
            rows += "".join(f"q{n}\t{name}\t1\n" for name in names)
        write_text(folder / "queries.jsonl", queries)
        write_text(folder / "qrels" / "test.tsv", rows)
    except OSError as error:
        raise ApplicationError(
            f"{folder} cannot be written", cause=(error.strerror or str(error)).lower()
        ) from None
    judgements = sum(len(names) for _, names in judged)
    return Written(len(judged), judgements, count, len(relevant) - len(judged))


async def _write_corpus(
    folder: Path, passages: AsyncIterable[PassageBatch], wanted: Set[PassagePlace]
) -> tuple[dict[PassagePlace, str], int]:
    """Write all passages; returns the ids of those wanted, and how many there are in all."""
    ids: dict[PassagePlace, str] = {}
    count = 0
    with replacing(folder / "corpus.jsonl") as corpus:
        async for batch in passages:
            count += len(batch.passages)
            lines = ""
            for hit in batch.passages:
                lines += _line(_id=hit.passage_id, title=" ".join(hit.headings), text=hit.text)
                if (key := hit.place) in wanted:
                    ids[key] = hit.passage_id
            await asyncio.to_thread(corpus.write, lines.encode("utf-8", "replace"))
        if not ids:
            raise ApplicationError(
                "there is nothing to write",
                cause="no vote names a passage that is still in the collection",
                hint="Compare systems in the page, mark the passages that answer, and vote",
            )
    return ids, count


def _line(**record: str) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"
