"""Votes: which of several systems answered a question best, and what passages answer it."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Connection, RowMapping, delete, insert, select

from data.text import well_formed
from rag_app.accounts.chats.tables import VOTES
from rag_app.results import Hit

_COLUMNS: Final = ("collection", "question", "voted", "winner")


@dataclass(frozen=True, slots=True)
class Vote:
    """What a person thinks of the answers of several systems to one question.

    Attributes:
        question: as it was asked.
        collection: where it was asked.
        systems: their names (`rag_app.systems.grammar`), in the order in which they were shown.
        winner: the one whose answer is best; empty where none is.
        relevant: the passages that answer the question.
        marked: whether the person named these; else they are those that the best answer cites.
        voted: when, as ISO 8601 in UTC; empty until it is kept.
    """

    question: str
    collection: str
    systems: list[str]
    winner: str = ""
    relevant: list[Hit] = field(default_factory=list)
    marked: bool = False
    voted: str = ""


_VOTE: Final = TypeAdapter(Vote)


def keep(connection: Connection, owner: str, vote: Vote, now: str) -> None:
    """Write a vote; it takes the place of the owner's earlier one on the same question."""
    key = {
        "owner": owner,
        "collection": well_formed(vote.collection),
        "question": well_formed(vote.question),
    }
    connection.execute(delete(VOTES).where(*(VOTES.c[name] == key[name] for name in key)))
    rest = json.dumps(_VOTE.dump_python(vote, mode="json", exclude=set(_COLUMNS)))
    connection.execute(
        insert(VOTES).values({**key, "voted": now, "winner": vote.winner, "evidence": rest})
    )


def read(connection: Connection, owner: str | None, collection: str) -> list[Vote]:
    """The votes of an owner, None being everyone, about a collection or all, oldest first."""
    query = select(VOTES).order_by(VOTES.c.voted)
    if owner is not None:
        query = query.where(VOTES.c.owner == owner)
    if collection:
        query = query.where(VOTES.c.collection == well_formed(collection))
    return [_vote(row) for row in connection.execute(query).mappings()]


def _vote(row: RowMapping) -> Vote:
    values: dict[str, Any] = {name: row[name] for name in _COLUMNS}
    try:
        return _VOTE.validate_python(json.loads(row["evidence"]) | values)
    except ValueError:  # another version's, or damaged: the vote itself still counts
        return Vote(**values, systems=[row["winner"]] if row["winner"] else [])
