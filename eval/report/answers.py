"""What the stored answers say beyond the metrics: which questions changed, and with what passages.

Records are those of `eval.choice.sample.ChoiceSample`, as a run directory's log yields them. They
are read once for what is counted and once more for the texts of the few that are shown, so that
memory holds no passages of a large run.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from eval.choice.records import is_correct
from eval.report.document import Case, Passage
from eval.report.wording import decimal, harmless

SHOWN = 20
"""Questions of each kind of change that a report shows."""
_PASSAGES, _PASSAGE_TEXT = 5, 900
Record = Mapping[str, Any]
Key = tuple[str, int]
"""Id of a question, and which permutation of its choices."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a question in an arm."""

    correct: bool
    state: str


@dataclass(frozen=True, slots=True)
class Changes:
    """Questions that one arm gets right and another wrong, in the order in which they are shown."""

    gained: Sequence[Key]
    lost: Sequence[Key]


def outcomes(records: Iterable[Record]) -> dict[str, dict[Key, Outcome]]:
    """Arm -> question -> what came of it; the last record of a question counts."""
    arms: dict[str, dict[Key, Outcome]] = {}
    for record in records:
        outcome = Outcome(is_correct(record), record["state"])
        arms.setdefault(record["arm"], {})[_key(record)] = outcome
    return arms


def changes(base: Mapping[Key, Outcome], arm: Mapping[Key, Outcome]) -> Changes:
    """What changes from `base` to `arm`, errors left out.

    Which questions come first is up to a hash of their ids: what a report shows is a fair sample.
    """
    gained, lost = [], []
    for key, before in base.items():
        after = arm.get(key)
        if after is None or "error" in {before.state, after.state}:
            continue
        if after.correct and not before.correct:
            gained.append(key)
        elif before.correct and not after.correct:
            lost.append(key)
    return Changes(sorted(gained, key=_draw), sorted(lost, key=_draw))


def cases(
    records: Iterable[Record], wanted: Sequence[Key], arm: str, questions: Mapping[str, Any] | None
) -> dict[Key, Case]:
    """The questions `wanted`, each with what every arm chose and what `arm` was offered.

    Args:
        questions: id -> ``{"question", "choices"}``; without a question's text only its id and
            the letters are shown. None shows no text at all, not even of passages.
    """
    found: dict[Key, dict[str, Record]] = {key: {} for key in wanted}
    for record in records:
        if _key(record) in found:
            found[_key(record)][record["arm"]] = record
    return {key: _case(key, by_arm, arm, questions) for key, by_arm in found.items()}


def _case(
    key: Key, by_arm: Mapping[str, Record], arm: str, questions: Mapping[str, Any] | None
) -> Case:
    text = (questions or {}).get(key[0]) or {}
    answer = next((r["answer"] for r in by_arm.values() if r["state"] != "error"), None)
    choices = [
        (_letter(place) + (" ✓" if place == answer else ""), harmless(str(choice), 400))
        for place, choice in enumerate(text.get("choices", ()))
    ]
    outcomes_ = [("right answer", _letter(answer))] if answer is not None else []
    outcomes_ += [(name, _chosen(record)) for name, record in sorted(by_arm.items())]
    passages = (by_arm.get(arm) or {}).get("passages") or ()
    return Case(
        name=harmless(key[0], 120) + (f", permutation {key[1] + 1}" if key[1] else ""),
        question=harmless(str(text.get("question", ""))),
        choices=choices,
        outcomes=outcomes_,
        passages=[
            Passage(
                harmless(str(passage["source"]), 200),
                decimal(float(passage["score"])),
                "" if questions is None else harmless(str(passage["text"]), _PASSAGE_TEXT),
            )
            for passage in passages[:_PASSAGES]
        ],
    )


def _chosen(record: Record) -> str:
    if record["state"] != "ok":
        return str(record["state"])
    return f"{_letter(record['chosen'])}, {'right' if is_correct(record) else 'wrong'}"


def _letter(place: int | None) -> str:
    return "?" if place is None else chr(ord("A") + place)


def _key(record: Record) -> Key:
    return str(record["id"]), int(record.get("repeat", 0))


def _draw(key: Key) -> bytes:
    return sha256(f"{key[0]}:{key[1]}".encode("utf-8", "replace")).digest()
