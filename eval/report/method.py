"""How a run was measured and on what: the sections that end every report."""

from collections.abc import Mapping
from typing import Any

from eval.report.document import Section, Table, Text
from eval.report.wording import NONE, harmless

_PROTOCOL = {
    "choice": (
        "Every arm gets the same questions, the same seeded order of choices, the same prompt and "
        "the same decoding; only the passages differ. Random passages are as many and as long as "
        "those retrieved for the same question.",
        "An answer that names no choice is wrong and counted; a request that failed is no answer "
        "and counted apart. An arm's interval is Wilson's; that of a difference is bootstrapped, "
        "over whole subjects where there are ten or more, else over questions. McNemar's exact "
        "test is over the questions that both arms answered; where each is asked several times, it "
        "is of the first time, and an arm's interval is bootstrapped over questions.",
    ),
    "answers": (
        "Every question is asked as a person asks it, through all stages that the settings name. "
        "Answers are cut into sentences; what a sentence quotes is looked up in the passages that "
        "it cites, and in all that were found.",
        "A sentence without quotation marks that stands in a passage is its own quotation. Shares "
        "are means over answers, intervals are bootstrapped over questions; a request that failed "
        "is no answer and counted apart.",
    ),
    "retrieval": (
        "Every system searches the whole collection for every judged query; documents that the "
        "data set excludes for a query are taken out of its ranking.",
        "nDCG@10, recall@100 and reciprocal rank as trec_eval defines them, means over all judged "
        "queries, also over those for which nothing was found. The interval of a mean is "
        "Student's, that of a difference is bootstrapped over queries.",
    ),
}


def sections(kind: str, plan: Mapping[str, Any], environment: Mapping[str, Any]) -> list[Section]:
    """Protocol, plan and environment."""
    blocks = [Text(sentence) for sentence in _PROTOCOL[kind]]
    asked = _table("What was asked for", plan)
    where = _table("What it ran on", environment)
    return [Section("How it was measured", [*blocks, *asked]), Section("Environment", where)]


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """The leaves of a tree under their dotted names, as text."""
    leaves: dict[str, str] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            leaves.update(flat(value, f"{name}."))
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            numbered = {str(number): item for number, item in enumerate(value, start=1)}
            leaves.update(flat(numbered, f"{name}."))
        else:
            leaves[name] = _text(value)
    return leaves


def _text(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return NONE
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _table(caption: str, tree: Mapping[str, Any]) -> list[Table]:
    rows = [
        [harmless(name, 200), harmless(value, 600)]
        for name, value in flat(tree).items()
        if value != NONE
    ]
    return [Table(caption, ["name", "value"], rows, frozenset({1}), folded=True)] if rows else []
