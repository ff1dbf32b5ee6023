"""The conversations of all people; everyone reaches their own."""

import asyncio
import json
import secrets
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import Field, TypeAdapter
from sqlalchemy import ColumnElement, Connection, RowMapping, func, or_, select, true, update
from sqlalchemy import delete as delete_from
from sqlalchemy import insert as insert_into

from data.text import well_formed
from rag_app.accounts.chats import EVERYONE, votes
from rag_app.accounts.chats.conversation import (
    TITLE,
    Conversation,
    ConversationInfo,
    Rating,
    Turn,
)
from rag_app.accounts.chats.tables import CHATS, CONVERSATIONS, TURNS, VOTES
from rag_app.accounts.chats.votes import Vote
from rag_app.accounts.database import Database, add_missing
from rag_app.errors import ApplicationError

T = TypeVar("T")

MOST_LISTED: Final = 500
"""Conversations in one list, the newest; a search finds the others."""
FILE: Final = "chats.sqlite"
FILES: Final = (FILE, f"{FILE}-wal", f"{FILE}-shm")
"""What lies in the storage folder."""
_COLUMNS: Final = [column.name for column in TURNS.columns if column.name != "evidence"]
_TURN: Final = TypeAdapter(Turn)

Title = Annotated[str, Field(min_length=1, max_length=1000)]
ModelName = Annotated[str, Field(max_length=500)]
Number = Annotated[int, Field(ge=1, le=1_000_000)]
Comment = Annotated[str, Field(max_length=4000)]


class Chats:
    """Conversations, each of one owner: who asks for another's is told that there is none.

    `EVERYONE` as owner reaches all of them. Every call may raise ApplicationError.

    Args:
        storage: the storage folder.
    """

    def __init__(self, storage: Path) -> None:
        self._database = Database(storage / FILE, CHATS)

    # --- reading -----------------------------------------------------------------------------

    async def conversations(self, owner: str, text: str = "") -> list[ConversationInfo]:
        """The newest conversations, last asked first; with `text`, those that hold it somewhere.

        Case makes no difference.
        """
        return await self._where_kept([], partial(_list, owner=owner, text=text))

    async def conversation(self, owner: str, conversation_id: str) -> Conversation:
        """A whole conversation, with all that its citations need."""
        read = partial(_conversation, owner=owner, conversation_id=conversation_id)
        found = await self._where_kept(None, read)
        if found is None:
            raise _gone(conversation_id)
        return found

    async def rated_answers(self, owner: str) -> list[Turn]:
        """Every answer that somebody has rated, oldest first."""
        return await self._where_kept([], partial(_rated, owner=owner))

    async def votes(self, owner: str, collection: str = "") -> list[Vote]:
        """Every vote between systems, about one collection or all, oldest first."""
        _require(owner)
        whose = None if owner == EVERYONE else owner
        return await self._where_kept([], partial(votes.read, owner=whose, collection=collection))

    # --- changing ----------------------------------------------------------------------------

    async def rename_conversation(self, owner: str, conversation_id: str, title: Title) -> None:
        """Give a conversation another title."""
        if not (values := {"title": title_of(title)})["title"]:
            raise ApplicationError("a conversation needs a title", hint="Type one")
        await self._change(conversation_id, partial(_update, owner, conversation_id, values))

    async def delete_conversation(self, owner: str, conversation_id: str) -> bool:
        """Delete a conversation; False where there is none of that id."""
        return await self._where_kept(False, partial(_delete, owner, conversation_id))

    async def rate_answer(
        self,
        owner: str,
        conversation_id: str,
        number: Number,
        rating: Rating = "",
        comment: Comment = "",
    ) -> None:
        """Say what an answer was worth, given by its number in the conversation.

        Rated answers are training and evaluation pairs: `rag-app chats export --feedback`.
        """
        values = {"rating": rating, "comment": well_formed(comment.strip())}
        change = partial(_update_turn, owner, conversation_id, number, values)
        await self._change(conversation_id, change)

    async def keep_vote(self, owner: str, vote: Vote) -> None:
        """Keep which system answered best, in place of the owner's earlier vote on the question."""
        _require(owner)
        await self._write(partial(votes.keep, owner=owner, vote=vote, now=_now()))

    # --- while a question is answered: of this process alone -----------------------------------

    async def begin(self, owner: str, conversation_id: str, turn: Turn, model: str = "") -> str:
        """Keep a question that is going to be answered; returns the conversation's id.

        The turn's time is set, and its number raised where another window has asked meanwhile. An
        empty id begins a conversation, with the model that was chosen for it.
        """
        asked = _now()

        def work(connection: Connection) -> tuple[str, int]:
            if not conversation_id:
                made = _begin(connection, owner, turn, asked, model)
            else:
                made = conversation_id
                if not _update(owner, made, {"updated": asked}, connection):
                    raise _gone(made)
            next_one = select(func.coalesce(func.max(TURNS.c.number), 0) + 1)
            number = func.max(
                next_one.where(TURNS.c.conversation == made).scalar_subquery(), turn.number
            )
            values = {**_row(turn), "asked": asked, "conversation": made, "number": number}
            adding = insert_into(TURNS).values(values).returning(TURNS.c.number)
            return made, int(connection.execute(adding).scalar_one())

        _require(owner)
        made, turn.number = await self._write(work)
        turn.asked = asked
        return made

    async def choose_model(self, owner: str, conversation_id: str, model: ModelName) -> None:
        """Let another language model answer a conversation; empty for the connected one."""
        change = partial(_update, owner, conversation_id, {"model": model})
        await self._change(conversation_id, change)

    async def finish(self, owner: str, conversation_id: str, turn: Turn) -> None:
        """Keep what came of a question; nothing happens where it was deleted meanwhile."""
        values = {
            name: value for name, value in _row(turn).items() if name not in ("rating", "comment")
        }
        await self._write(partial(_update_turn, owner, conversation_id, turn.number, values))

    async def forget(self, owner: str, conversation_id: str, number: int) -> None:
        """Drop the turn of that number, to be asked again; another window may have asked since."""

        def work(connection: Connection) -> None:
            connection.execute(
                delete_from(TURNS).where(
                    TURNS.c.conversation.in_(_ids(owner, conversation_id)),
                    TURNS.c.number == number,
                )
            )

        await self._write(work)

    async def rename_collection(self, name: str, to: str) -> None:
        """Let what was asked of a collection be known by its other name."""

        def work(connection: Connection) -> None:
            for table in (CONVERSATIONS, TURNS):
                change = update(table).where(table.c.collection == name)
                connection.execute(change.values(collection=to))

        await self._where_kept(None, work)

    # --- for backups, in the calling thread --------------------------------------------------

    def count(self) -> int:
        """How many conversations there are, of all people."""
        query = select(func.count()).select_from(CONVERSATIONS)
        return self._database.where_kept(0, lambda on: int(on.execute(query).scalar_one()))

    def copy(self, folder: Path) -> None:
        """Write the file as it is at this moment to another folder, if there is one."""
        if self._database.exists:
            self._database.copy(folder / FILE)

    def add_from(self, others: "Chats") -> int:
        """Add the conversations and votes that are missing here; returns how many conversations.

        A conversation that is here stays as it is.
        """
        if not others._database.exists:
            return 0
        with others._database.transaction() as source, self._database.transaction() as target:
            here = set(target.execute(select(CONVERSATIONS.c.id)).scalars())
            added = add_missing(source, target, CONVERSATIONS)
            add_missing(source, target, TURNS, lambda turn: turn["conversation"] not in here)
            add_missing(source, target, VOTES)
        return added

    # --- how -----------------------------------------------------------------------------------

    async def _where_kept(self, otherwise: T, work: Callable[[Connection], T]) -> T:
        return await asyncio.to_thread(self._database.where_kept, otherwise, work)

    async def _change(self, conversation_id: str, work: Callable[[Connection], bool]) -> None:
        if not await self._where_kept(False, work):
            raise _gone(conversation_id)

    async def _write(self, work: Callable[[Connection], T]) -> T:
        def run() -> T:
            with self._database.transaction() as connection:
                return work(connection)

        return await asyncio.to_thread(run)


def title_of(text: str) -> str:
    """The first words, on one line."""
    flat = " ".join(well_formed(text).split())
    return flat if len(flat) <= TITLE else flat[: TITLE - 1] + "…"


def _list(connection: Connection, owner: str, text: str) -> list[ConversationInfo]:
    query = (
        select(CONVERSATIONS, func.count(TURNS.c.number).label("turns"))
        .outerjoin(TURNS)
        .where(_of(owner))
        .group_by(CONVERSATIONS.c.id)
        .order_by(CONVERSATIONS.c.updated.desc())
        .limit(MOST_LISTED)
    )
    if wanted := well_formed(text).casefold().strip():
        statement = select(TURNS.c.conversation).where(
            or_(_holds(TURNS.c.question, wanted), _holds(TURNS.c.text, wanted))
        )
        query = query.where(
            or_(_holds(CONVERSATIONS.c.title, wanted), CONVERSATIONS.c.id.in_(statement))
        )
    names = [field.name for field in fields(ConversationInfo)]
    rows = connection.execute(query).mappings()
    return [ConversationInfo(**{name: row[name] for name in names}) for row in rows]


def _conversation(connection: Connection, owner: str, conversation_id: str) -> Conversation | None:
    found = select(CONVERSATIONS).where(CONVERSATIONS.c.id.in_(_ids(owner, conversation_id)))
    row = connection.execute(found).mappings().first()
    if row is None:
        return None
    statement = select(TURNS).where(TURNS.c.conversation == row["id"]).order_by(TURNS.c.number)
    turns = [_turn(one) for one in connection.execute(statement).mappings()]
    names = ("id", "title", "collection", "created", "updated", "model")
    return Conversation(**{name: row[name] for name in names}, turns=turns)


def _rated(connection: Connection, owner: str) -> list[Turn]:
    query = (
        select(TURNS)
        .where(TURNS.c.rating != "", TURNS.c.conversation.in_(_ids(owner)))
        .order_by(TURNS.c.asked)
    )
    return [_turn(row) for row in connection.execute(query).mappings()]


def _begin(connection: Connection, owner: str, turn: Turn, asked: str, model: str) -> str:
    made = secrets.token_hex(16)
    connection.execute(
        insert_into(CONVERSATIONS).values(
            id=made,
            owner=owner,
            title=title_of(turn.question),
            collection=turn.collection,
            created=asked,
            updated=asked,
            model=model,
        )
    )
    return made


def _update(
    owner: str, conversation_id: str, values: dict[str, Any], connection: Connection
) -> bool:
    condition = CONVERSATIONS.c.id.in_(_ids(owner, conversation_id))
    return connection.execute(update(CONVERSATIONS).where(condition).values(values)).rowcount > 0


def _update_turn(
    owner: str, conversation_id: str, number: int, values: dict[str, Any], connection: Connection
) -> bool:
    condition = TURNS.c.conversation.in_(_ids(owner, conversation_id))
    change = update(TURNS).where(condition, TURNS.c.number == number).values(values)
    return connection.execute(change).rowcount > 0


def _delete(owner: str, conversation_id: str, connection: Connection) -> bool:
    condition = CONVERSATIONS.c.id.in_(_ids(owner, conversation_id))
    return connection.execute(delete_from(CONVERSATIONS).where(condition)).rowcount > 0


def _ids(owner: str, conversation_id: str | None = None) -> Any:
    """A query for the ids of an owner's conversations, or for one of them if it is theirs."""
    query = select(CONVERSATIONS.c.id).where(_of(owner))
    if conversation_id is None:
        return query
    return query.where(CONVERSATIONS.c.id == well_formed(conversation_id))


def _of(owner: str) -> ColumnElement[bool]:
    _require(owner)
    return true() if owner == EVERYONE else CONVERSATIONS.c.owner == owner


def _require(owner: str) -> None:
    if not owner:
        raise ApplicationError(
            "conversations are kept for browsers and callers that are known",
            hint="Open the whole address that rag-app printed at its start",
        )


def _holds(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    return func.instr(func.folded(column), text) > 0


def _row(turn: Turn) -> dict[str, Any]:
    """A turn as columns; what has none goes into `evidence`, as JSON."""
    values = _TURN.dump_python(turn, mode="json", exclude={"number"}, warnings=False)
    row = {name: values.pop(name) for name in _COLUMNS if name in values}
    row |= {"stand_alone": turn.stand_alone, "evidence": json.dumps(values, ensure_ascii=False)}
    return {
        name: well_formed(value) if isinstance(value, str) else value for name, value in row.items()
    }


def _turn(row: RowMapping) -> Turn:
    values = {name: row[name] for name in _COLUMNS if name not in ("conversation", "stand_alone")}
    try:
        turn = _TURN.validate_python(json.loads(row["evidence"]) | values)
    except ValueError:  # another version's, or damaged: question and answer are still there
        turn = _TURN.validate_python({**values, "state": "failed"})
        turn.error = "The evidence of this answer cannot be read any more."
    if turn.state == "running":  # the page or the process that wrote it is gone
        turn.state = "stopped"
    return turn


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _gone(conversation_id: str) -> ApplicationError:
    return ApplicationError(
        f"there is no conversation {conversation_id[:64]!r}",
        hint="`rag-app chats list` shows those that there are",
    )
