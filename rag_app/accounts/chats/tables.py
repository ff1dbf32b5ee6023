"""The tables of `chats.sqlite`: conversations, votes, and API keys."""

from typing import Final

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text

from rag_app.accounts.database import Schema

_METADATA = MetaData()

CONVERSATIONS: Final = Table(
    "conversations",
    _METADATA,
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("collection", Text, nullable=False),
    Column("created", String, nullable=False),
    Column("updated", String, nullable=False),
    Column("model", Text, nullable=False, server_default=""),  # empty for that of the settings
    Index("conversations_of_owner", "owner", "updated"),
)
TURNS: Final = Table(
    "turns",
    _METADATA,
    Column(
        "conversation",
        String,
        ForeignKey("conversations.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("number", Integer, primary_key=True),
    Column("question", Text, nullable=False),
    Column("stand_alone", Text, nullable=False),
    Column("collection", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("error", Text, nullable=False),
    Column("asked", String, nullable=False),
    Column("milliseconds", Float, nullable=False),
    Column("rating", String, nullable=False),
    Column("comment", Text, nullable=False),
    Column("evidence", Text, nullable=False),  # JSON: all else of a turn
)
VOTES: Final = Table(
    "votes",
    _METADATA,
    Column("owner", String, primary_key=True),
    Column("collection", Text, primary_key=True),
    Column("question", Text, primary_key=True),
    Column("voted", String, nullable=False),
    Column("winner", Text, nullable=False),
    Column("evidence", Text, nullable=False),  # JSON: all else of a vote
)
KEYS: Final = Table(
    "keys",
    _METADATA,
    Column("id", String, primary_key=True),
    Column("name", Text, nullable=False),
    Column("hash", String, nullable=False),
    Column("rights", String, nullable=False),
    Column("collections", Text, nullable=False),  # JSON: their names; none for all
    Column("created", String, nullable=False),
    Column("owner", String, nullable=False, server_default=""),  # a user's id; empty for none
)
CHATS: Final = Schema("conversations", _METADATA, version=5)
