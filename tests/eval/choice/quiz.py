"""A small world to ask about: documents, questions over them, and a scripted reader of both."""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.openai_server import Reply

THINGS = [
    "harbour", "lantern", "willow", "granite", "signal", "orchard", "copper", "meadow", "turbine",
    "valley", "anchor", "thunder", "mirror", "saddle", "velvet", "ember", "glacier", "parcel",
    "bridge", "candle", "desert", "engine", "feather", "garden", "hammer", "island", "jacket",
    "kettle", "ladder", "magnet",
]  # fmt: skip
COLOURS = ["red", "green", "blue", "yellow", "purple", "orange", "white", "black"]


def colour(thing: str) -> str:
    return COLOURS[_digest(thing) % len(COLOURS)]


def write_documents(folder: Path, things: Sequence[str] = THINGS) -> Path:
    """A short document about each thing, of about equal length."""
    folder.mkdir(parents=True, exist_ok=True)
    for thing in things:
        text = (
            f"The {thing} of the old town is {colour(thing)}. Visitors come to see the {thing} in "
            f"spring, when the air is clear and the days grow longer again."
        )
        (folder / f"{thing}.txt").write_text(text, "utf-8")
    return folder


def write_questions(path: Path, things: Sequence[str] = THINGS) -> Path:
    """A question about each thing, as the data set ``jsonl:PATH`` reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, thing in enumerate(things):
        right = COLOURS.index(colour(thing))
        choices = [COLOURS[(right + step) % len(COLOURS)] for step in (0, 1, 3, 5)]
        turn = number % 4
        lines.append(
            json.dumps(
                {
                    "id": f"q-{thing}",
                    "question": f"Which colour has the {thing} of the old town?",
                    "choices": choices[turn:] + choices[:turn],
                    "answer_idx": (4 - turn) % 4,
                    "subject": ["tools", "places"][number % 2],
                }
            )
        )
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def reads(body: dict[str, Any]) -> Reply:
    """Names the colour that a passage gives the thing asked about, else one by its hash."""
    asked = "\n".join(str(message["content"]) for message in body["messages"])
    thing = (re.findall(r"Which colour has the (\w+) of", asked) or ["?"])[-1]
    listed = dict(re.findall(r"^([A-D])\. (\w+)$", asked, re.MULTILINE))
    told = re.search(rf"The {thing} of the old town is (\w+)\.", asked)
    letters = [letter for letter, name in listed.items() if told and name == told[1]]
    letter = letters[0] if letters else "ABCD"[_digest(asked.split("Question:")[-1]) % 4]
    if body["messages"][-1]["content"].startswith("Now write the letter"):
        return Reply(letter)
    return Reply(f"I think about the {thing}. The answer is ({letter})")


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
