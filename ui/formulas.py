"""Formulas in LaTeX as MathML, which browsers show without a program of ours."""

import re
from html import escape
from typing import Any, Final

from bs4 import BeautifulSoup
from bs4.element import NavigableString, Tag
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

_FORMULA: Final = re.compile(
    r"\\\((?P<a>.+?)\\\)|\\\[(?!\d+\\\])(?P<b>.+?)\\\]|\$\$(?P<c>.+?)\$\$"
    r"|\$(?P<d>[^\s$](?:[^$\n]*[^\s$\\])?)\$(?!\d)",  # two prices are no formula
    re.DOTALL,
)
_LONGEST: Final = 2000
_TAGS: Final = frozenset(
    {
        "math", "mrow", "mi", "mn", "mo", "ms", "mspace", "mtext", "msub",
        "msup", "msubsup", "munder", "mover", "munderover", "mfrac", "msqrt", "mroot", "mtable",
        "mtr", "mtd", "mstyle", "mpadded", "mphantom", "menclose", "mmultiscripts",
    }
)  # fmt: skip
_VALUES: Final = {
    "display": re.compile("block|inline"),
    "stretchy": re.compile("true|false"),
    "linethickness": re.compile(r"[\d.]{1,6}(em|pt|px)?"),
    "columnalign": re.compile(r"(left|right|center| ){1,200}"),
    "mathvariant": re.compile(r"[a-z-]{1,24}"),
}
"""Attributes that are kept, and what they may say: nothing that names an address or a style."""


def add_formulas(renderer: MarkdownIt) -> None:
    """Let a Markdown renderer know ``$x$``, ``$$x$$``, ``\\(x\\)`` and ``\\[x\\]``."""
    renderer.inline.ruler.before("escape", "formula", _find)
    renderer.add_render_rule("formula", _render)


def mathml(latex: str, *, block: bool = False) -> str:
    """A formula as MathML of known elements; one that cannot be read stays LaTeX, as code."""
    from latex2mathml.converter import convert

    try:
        made = convert(latex, display="block" if block else "inline")
    except Exception:  # noqa: BLE001 - its parser fails in many ways on what is no LaTeX
        return f"<code>{escape(latex)}</code>"
    # it passes text and attributes on as they are
    return "".join(_safe(part) for part in BeautifulSoup(made, "html.parser").children)


def _safe(part: Any) -> str:
    if isinstance(part, NavigableString):
        return escape(str(part))
    if not isinstance(part, Tag) or part.name not in _TAGS:
        return escape(str(part))
    kept = "".join(
        f' {name}="{value}"'
        for name, value in part.attrs.items()
        if name in _VALUES and isinstance(value, str) and _VALUES[name].fullmatch(value)
    )
    return f"<{part.name}{kept}>{''.join(map(_safe, part.children))}</{part.name}>"


def _find(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "$\\":
        return False
    found = _FORMULA.match(state.src, state.pos, min(state.posMax, state.pos + _LONGEST))
    if found is None:
        return False
    if not silent:
        token = state.push("formula", "", 0)
        token.content = str(found[found.lastgroup or 0])
        token.info = "block" if found.lastgroup in {"b", "c"} else ""
    state.pos = found.end()
    return True


def _render(_: object, tokens: Any, i: int, __: object, ___: object) -> str:
    return mathml(tokens[i].content, block=bool(tokens[i].info))
