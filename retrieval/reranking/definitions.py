"""What counts as relevant: it differs by task, so the model that grades is told.

The six texts say in our own words what the graders of BRIGHT's tasks (https://arxiv.org/abs/
2407.12883) are told in ReasonIR's evaluation (https://arxiv.org/abs/2504.20595). Any other text is
a definition of the user's own.
"""

from collections.abc import Mapping
from typing import Final

from retrieval.published import STACK_EXCHANGE

DEFINITIONS: Final[Mapping[str, str]] = {
    "general": (
        "A document is relevant if it contains information that helps to answer or address the "
        "query. It is not relevant if it is merely about a similar topic."
    ),
    "aops": (
        "The query is a mathematics problem, and other problems like it are wanted. A document is "
        "relevant if it deals with the same class of functions and shares any technique with it, "
        "even if they have only one in common."
    ),
    "theoremqa_questions": (
        "The query is a mathematics problem. A document is relevant if it uses the same "
        "mathematical process as is needed for the problem, whatever story it is told in."
    ),
    "theoremqa_theorems": (
        "The query is a mathematics problem, and the documents are theorems. A document is "
        "relevant if it states or uses the mathematical process that solves the problem."
    ),
    "leetcode": (
        "The query is a coding problem, and other problems like it are wanted. A document is "
        "relevant if it shares a data structure or an algorithm with the query, so that a textbook "
        "could hold both, be it in different chapters."
    ),
    "pony": (
        "The query is a task to be programmed in the language Pony, and the documents are parts of "
        "its manual. A document is relevant if it explains any part, even a basic one, of the code "
        "that has to be written."
    ),
}
"""BRIGHT's variants by name."""


def relevance(definition: str) -> str:
    """What a definition says.

    Args:
        definition: a task of BRIGHT, ``general``, or a text of one's own; empty is ``general``.
    """
    given = definition.strip()
    name = "general" if given in ("", *STACK_EXCHANGE) else given
    return DEFINITIONS.get(name, given)
