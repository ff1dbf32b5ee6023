"""Calls of a language model that are made once: what it answered is kept in a file.

The file holds a JSON object a line, with a key of the model, the conversation and the arguments; it
is only ever added to. A run that was killed goes on with the same file, and asks nothing again that
was answered. A last line that the kill cut off is ignored.
"""

import asyncio
import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.llms import LLM

from data.closing import ClosedOnExit
from data.text import well_formed
from data.thinking import part_thoughts
from retrieval.llm_calls import answer, failures, reason
from retrieval.rewriting import inert

FILE: Final = "calls.jsonl"
PATIENCE: Final = 8
"""Calls that fail one after another before a server is given up."""
_MOST_BRACES: Final = 50
_REFUSAL: Final = re.compile(
    r"\W*(?:i['’]?m (?:very )?sorry|sorry\b|i apologi[sz]e|i can(?:no|['’])t"
    r"|i am (?:unable|not able)|i['’]m (?:unable|not able)|i won['’]t|as an ai\b"
    r"|unfortunately, i\b)",
    re.IGNORECASE,
)


class Unusable(Exception):
    """An answer that cannot be used, or none; its text is the reason that is counted."""


class Calls(ClosedOnExit):
    """Asks a model, at most `concurrency` times at once, and remembers; a context manager.

    Attributes:
        asked: calls that were answered now.
        kept: answers that were in the file already.
        failed: calls without an answer, by reason. After `PATIENCE` failures in a row the rest is
            not asked.
    """

    def __init__(self, llm: LLM, path: Path, *, concurrency: int, deadline: float) -> None:
        self._llm, self._path, self._deadline = llm, path, deadline
        self._places = asyncio.Semaphore(concurrency)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._known: dict[str, dict[str, str]] = {}
        self._in_a_row = 0
        self.asked = self.kept = 0
        self.failed: Counter[str] = Counter()

    def __enter__(self) -> Self:
        kept = self._path.read_text("utf-8", "replace") if self._path.is_file() else ""
        self._known = _records(kept)
        self._file = self._path.open("a", encoding="utf-8")
        if kept and not kept.endswith("\n"):  # a kill cut the last line off
            self._file.write("\n")
        return self

    def close(self) -> None:
        """Close the file of answers."""
        self._file.close()

    async def ask(self, step: str, messages: Sequence[ChatMessage], **arguments: Any) -> str:
        """What the model says, without its thoughts.

        Raises:
            Unusable: the answer is empty, cut off or refused by a filter, or none came.
        """
        key = _key(self._llm.metadata.model_name, messages, arguments)
        async with self._turns[key]:  # documents that are the same ask the same
            record = self._known.get(key)
            if record is None:
                record = self._known[key] = await self._answered(key, step, messages, arguments)
            else:
                self.kept += 1
        finish = record["finish"]
        if finish in {"length", "content_filter"}:
            raise Unusable("truncated" if finish == "length" else "refused")
        _, text = part_thoughts(record["text"])
        if not text.strip():
            raise Unusable("empty")
        return text

    async def _answered(
        self, key: str, step: str, messages: Sequence[ChatMessage], arguments: dict[str, Any]
    ) -> dict[str, str]:
        async with self._places:
            if self._in_a_row >= PATIENCE:
                self.failed["not asked, since the server failed"] += 1
                raise Unusable("not asked")
            try:
                async with asyncio.timeout(self._deadline):
                    response = await answer(self._llm.achat(list(messages), **arguments))
            except failures() as error:
                self._in_a_row += 1
                self.failed[reason(error, self._deadline)] += 1
                raise Unusable("not answered") from error
        choices = getattr(response.raw, "choices", None) or [None]
        record = {
            "key": key,
            "step": step,
            "finish": well_formed(str(getattr(choices[0], "finish_reason", None) or "")),
            "text": well_formed(response.message.content or ""),
        }
        self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
        self._file.flush()
        self._in_a_row = 0
        self.asked += 1
        return record


def _records(text: str) -> dict[str, dict[str, str]]:
    known = {}
    for line in text.split("\n"):
        try:
            record = json.loads(line)
            known[record["key"]] = {name: str(record[name]) for name in ("finish", "text")}
        except (ValueError, KeyError, TypeError):
            continue
    return known


def _key(model: str, messages: Sequence[ChatMessage], arguments: dict[str, Any]) -> str:
    turns = [[one.role.value, one.content] for one in messages]
    whole = json.dumps([model, turns, sorted(arguments.items())], ensure_ascii=False)
    return hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()


def system(text: str) -> ChatMessage:
    """A system message: what the model is to do."""
    return ChatMessage(role=MessageRole.SYSTEM, content=text)


def user(text: str) -> ChatMessage:
    """A user's turn."""
    return ChatMessage(role=MessageRole.USER, content=text)


def assistant(text: str) -> ChatMessage:
    """An assistant's turn."""
    return ChatMessage(role=MessageRole.ASSISTANT, content=text)


def quoted(text: str, longest: int = 5000) -> str:
    """A document between tags that it cannot close, without what a chat template would heed."""
    tag = f"document-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}"
    return f"<{tag}>\n{inert(text[:longest])}\n</{tag}>"


def field(text: str, name: str) -> Any:
    """What an answer's JSON object has under a name; thoughts may stand before the object.

    Raises:
        Unusable: there is no such object; the answer refuses, or is malformed.
    """
    decoder = json.JSONDecoder(strict=False)  # models leave ends of lines in strings
    for found in list(re.finditer(r"\{", text))[:_MOST_BRACES]:
        try:
            read, _ = decoder.raw_decode(text, found.start())
        except (ValueError, RecursionError):
            continue
        if isinstance(read, dict) and name in read:
            return read[name]
    raise Unusable("refused" if _REFUSAL.match(text) else "malformed")


def text_field(text: str, name: str) -> str:
    """As `field`, of one that must be a text."""
    value = field(text, name)
    if not isinstance(value, str) or not value.strip():
        raise Unusable("malformed")
    return well_formed(value.strip())  # its escapes may have left half a surrogate pair


def score(text: str, low: int, high: int) -> int:
    """The last whole number between score tags.

    Raises:
        Unusable: there is none from `low` to `high`; the answer refuses, or is malformed.
    """
    found = re.findall(r"<score>\s*(\d{1,3})\s*</score>", text, re.IGNORECASE)
    if not found or not low <= int(found[-1]) <= high:
        raise Unusable("refused" if not found and _REFUSAL.match(text) else "no score")
    return int(found[-1])
