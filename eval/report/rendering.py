"""Writes a report as a web page and as Markdown.

Both say the same. The page is one file without scripts or anything from elsewhere; every word of
it is escaped, but for the plots, whose text `eval.report.plots` escapes.
"""

import re
from typing import TYPE_CHECKING, Any

from eval.errors import EvalError
from eval.report.document import Report, Table
from eval.report.wording import harmless

if TYPE_CHECKING:
    from jinja2 import Environment

_ENTITIES = re.compile(r"[<>&$~]|:(?=//)|(?<=\bwww)\.", re.IGNORECASE)
_LONGEST = 2000
"""Characters of a cell or paragraph."""
_NAMED = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_MARKS = re.compile(
    r"[\\`*\[\]|]"
    r"|(?<!\w)_|_(?!\w)"  # inside a word an underscore marks nothing
    r"|^[-+=#](?=[-=#]*(?: |$))"  # what would begin a list, a heading or a rule
)
_NUMBER = re.compile(r"^(\d{1,9})([.)])(?= |$)")


def html(report: Report) -> str:
    """The report as one page. Raises EvalError: jinja2 is not installed."""
    return _environment().get_template("report.html.j2").render(report=report)


def markdown(report: Report) -> str:
    """The report as Markdown with tables (GitHub's form), without the plots.

    Raises:
        EvalError: jinja2 is not installed.
    """
    text = _environment().get_template("report.md.j2").render(report=report)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def escaped(text: str) -> str:
    """Text on one line that Markdown shows as it is: no markup, links or cells of its own."""
    line = _MARKS.sub(r"\\\g<0>", " ".join(harmless(text, _LONGEST).split()))
    line = _NUMBER.sub(r"\1\\\2", line)
    return _ENTITIES.sub(lambda mark: _NAMED.get(mark[0], f"&#{ord(mark[0])};"), line)


def table(one: Table) -> str:
    """A Markdown table; the first column and those of text are aligned left."""
    left = {0, *one.texts}
    rules = [":--" if place in left else "--:" for place in range(len(one.head))]
    rows = [one.head, rules, *one.rows]
    lines = []
    for number, row in enumerate(rows):
        cells = row if number == 1 else [escaped(cell) for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _finalized(context: Any, value: Any) -> Any:
    """What a page shows of a value: text that is not markup of our own is made harmless."""
    return harmless(value, _LONGEST) if context.autoescape and type(value) is str else value


def _environment() -> "Environment":
    try:
        from jinja2 import (
            Environment,
            PackageLoader,
            StrictUndefined,
            pass_eval_context,
            select_autoescape,
        )
    except ImportError as error:
        raise EvalError(
            "reports cannot be written",
            cause="jinja2 is not installed",
            hint="pip install 'rag-app[eval]'",
        ) from error
    environment = Environment(
        loader=PackageLoader("eval.report", ""),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        finalize=pass_eval_context(_finalized),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({"line": escaped, "markdown_table": table})
    return environment
