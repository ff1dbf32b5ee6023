"""HTML of everything that the page shows.

Documents, file names, questions and answers are other people's words: each goes through
`html.escape` or through a Markdown renderer that knows neither HTML, nor links, nor images.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from data.page_picture import PagePicture
from data.tables import index_text
from generation.answerability import is_answered
from generation.citations import Citation, Quote
from rag_app.accounts.chats.exporting import place
from rag_app.results import Hit, IngestReport, PassageContext, Progress, Trace, notes
from ui.formulas import add_formulas
from ui.languages import lang
from ui.passage import render
from ui.session import Thread, Turn

_CITATION = re.compile(r"\[(\d{1,3})\]")
_PARAGRAPH = re.compile(r"<(p|li|td|th)>")
_SNIPPET = 320
_MOST_WARNINGS = 100
_REASON = 120
"""Characters of a reason that is shown as a whole."""
_MOST_BOXES = 100
_FIRST = "id=marked tabindex=-1"
_RANKINGS = (("dense", "dense"), ("bm25", "BM25"), ("rank_bm25", "rank_bm25"), ("fused", "fused"),
             ("collections", "all collections"), ("reranked", "reranked"))  # fmt: skip
_THUMB = (
    '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M1.5 7h2.8v7H1.5zM5.8 14V7l3-5.2'
    'c1.2 0 1.9 1 1.7 2.1L10 6.4h3.3c1 0 1.6.9 1.3 1.8l-1.4 4.6c-.2.7-.8 1.2-1.6 1.2z"/></svg>'
)
_STAGES = {
    "condense": "Condense",
    "rewrite": "Rewrite",
    "retrieve": "Retrieve",
    "rerank": "Rerank",
    "read": "Read",
}


# --- the conversation ----------------------------------------------------------------------------


def conversation(thread: Thread) -> str:
    """The turns that have ended, and what hindered keeping them."""
    turns = "".join(turn(one, last=one is thread.turns[-1]) for one in thread.shown())
    return turns + (problem(thread.unkept) if thread.unkept else "")


def turn(one: Turn, *, last: bool = False) -> str:
    """A question with its answer, as far as it has come; the `last` one can be asked again."""
    return (
        f'<article class="turn {one.state}" id="turn-{one.number}">'
        f'<h3 class="question" dir="auto"{lang(one.question)}>{_lines(one.question)}</h3>'
        f'{_thoughts(one)}<div class="answer" aria-live="polite"{lang(one.text)}>'
        f"{_answer(one)}</div>{_foot(one, last)}</article>"
    )


def _thoughts(one: Turn) -> str:
    """What the model thought, folded; outside of the answer, so that it is not copied with it."""
    if not one.thinking.strip():
        return ""
    thinks = one.state == "running" and not one.text
    return (
        f'<details class="thoughts" data-thoughts="{one.number}">'
        f"<summary>{'Thinking' if thinks else 'Thoughts'}</summary>"
        f'<p dir="auto">{_lines(one.thinking.strip())}</p></details>'
    )


def _answer(one: Turn) -> str:
    text = markdown(one.text, one.number, one.cited)
    if one.state == "failed":
        return f'{text}<p class="error" role="alert">{_lines(one.error)}</p>'
    if one.state == "stopped":
        return f'{text}<p class="note">Stopped before the end.</p>'
    if one.state == "running" and not text:
        doing = "Reading the passages" if one.trace else "Searching"
        return f'<p class="waiting">{doing}<i></i><i></i><i></i></p>'
    if one.abstained:
        return f'<p class="note">Not answered from the documents.</p>{text}'
    if one.answerability is not None and not is_answered(one.answerability):
        return f'<p class="note">The passages may not answer this.</p>{text}'
    return text


def _foot(one: Turn, last: bool) -> str:
    if one.state == "running":
        return ""
    told = _notes(one.trace) if one.trace else ""
    link = '<button type="button" class="link" data-act="{}" data-turn="{}" {}>{}</button>'
    shown = [link.format("evidence", one.number, "", _summary(one))] if one.trace else []
    if one.text:
        shown.append(link.format("copy", one.number, f'data-text="{escape(_copied(one))}"', "Copy"))
    if last:
        shown.append(link.format("edit", one.number, "", "Edit"))
        again = f'data-text="{escape(one.question)}"'
        shown.append(link.format("again", one.number, again, "Ask again"))
    return f'{told}<footer class="foot">{"".join(shown)}{_thumbs(one)}</footer>{_comment(one)}'


def _summary(one: Turn) -> str:
    """What the answer rests on, and what it cost."""
    found = one.trace or Trace()
    given = found.passages_given or len(one.hits)
    parts = [f"{given} passage{'' if given == 1 else 's'}"]
    if one.state == "done" and found.passages_given:
        parts = [f"used {found.passages_used} of {parts[0]}"]
    took = milliseconds(one.milliseconds or found.milliseconds)
    parts.append(f"stopped after {took}" if one.state == "stopped" else took)
    if tokens := sum(found.tokens.get(name, 0) for name in ("prompt", "completion")):
        parts.append(f"{tokens:,} tokens")
    if found.dollars:
        parts.append(money(found.dollars))
    return " · ".join(parts)


def _copied(one: Turn) -> str:
    """The answer with its brackets, and the sources that they name."""
    sources = [
        f"[{cited.n}] {place(cited.source, cited.page, cited.collection)}"
        for cited in one.citations
    ]
    return "\n\n".join([one.text, "\n".join(sources)]) if sources else one.text


def _thumbs(one: Turn) -> str:
    if not one.asked or not one.text:
        return ""
    thumbs = "".join(
        f'<button type="button" class="thumb" data-act="rate" data-turn="{one.number}" '
        f'data-rating="{"" if one.rating == rating else rating}" title="{label}" '
        f'aria-label="{label}" aria-pressed="{str(one.rating == rating).lower()}">{_THUMB}</button>'
        for rating, label in (("up", "Good answer"), ("down", "Bad answer"))
    )
    return f'<span class="space"></span>{thumbs}'


def _comment(one: Turn) -> str:
    """A field for words about an answer that was rated."""
    if not one.rating:
        return ""
    return (
        '<p class="comment"><input type="text" maxlength="4000" aria-label="Comment" '
        f'placeholder="What was good, or wrong?" value="{escape(one.comment)}">'
        f'<button type="button" class="act" data-act="rate" data-turn="{one.number}" '
        f'data-rating="{one.rating}">{"Saved" if one.comment else "Save"}</button></p>'
    )


def _notes(found: Trace) -> str:
    return "".join(f'<p class="note">{escape(note)}</p>' for note in notes(found.stages))


def markdown(text: str, number: int, cited: Iterable[int]) -> str:
    """An answer's Markdown as HTML: no HTML of its own, no links, no images; `[n]` as buttons.

    Args:
        text: what a model or a document says.
        number: the turn, which the buttons name.
        cited: which numbers are citations; others stay text.
    """
    env = {"turn": number, "cited": set(cited)}
    return _PARAGRAPH.sub(r'<\1 dir="auto">', str(_renderer().render(text, env)))


@cache
def _renderer() -> MarkdownIt:
    renderer = MarkdownIt("commonmark", {"html": False, "linkify": False, "highlight": _coloured})
    renderer.enable("table").disable(["image", "link", "autolink", "reference"])
    add_formulas(renderer)
    renderer.core.ruler.push("citations", _mark_citations)
    renderer.add_render_rule("citation", _render_citation)
    return renderer


def _coloured(code: str, language: str, _: str) -> str:
    """Code with its parts in spans of classes; as it is where the language is not known."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return escape(code)
    return str(highlight(code, lexer, HtmlFormatter(nowrap=True, classprefix="code-")))


def _mark_citations(state: StateCore) -> None:
    for token in state.tokens:
        if token.children:
            token.children = [
                part for child in token.children for part in _split(child, state.env["cited"])
            ]


def _split(token: Token, cited: set[int]) -> Iterable[Token]:
    """Cut a piece of text at the citations in it; everything else stays as it is."""
    if token.type != "text":
        yield token
        return
    start = 0
    for match in _CITATION.finditer(token.content):
        if int(match[1]) in cited:
            yield Token("text", "", 0, content=token.content[start : match.start()])
            yield Token("citation", "", 0, content=str(int(match[1])))
            start = match.end()
    yield Token("text", "", 0, content=token.content[start:])


def _render_citation(
    _: object, tokens: Sequence[Token], i: int, __: object, env: Mapping[str, Any]
) -> str:
    return _chip(int(env["turn"]), int(tokens[i].content))


def _chip(number: int, n: int) -> str:
    return (
        f'<button type="button" class="cite" data-act="passage" data-turn="{number}" data-n="{n}" '
        f'aria-label="Open passage {n}">{n}</button>'
    )


def welcome(examples: Sequence[str], empty: bool) -> str:
    """What stands where the conversation will be."""
    if empty:
        lead = "Add documents on the left, then ask about them."
    else:
        lead = "Every answer shows the passages it rests on. Click a number to read one in place."
    offers = "".join(
        f'<button type="button" class="offer" dir="auto" data-act="ask" '
        f'data-text="{escape(text)}">'
        f"{escape(text)}</button>"
        for text in examples
    )
    return f'<div class="welcome"><h2>Ask your documents</h2><p>{lead}</p>{offers}</div>'


def header(model: str) -> str:
    """The line at the top; `model` reads where a conversation has no other; none quotes."""
    reads = f"{escape(model)} is connected" if model else "quoting"
    drawers = "".join(
        f'<button type="button" class="drawer-button" data-act="drawer" data-drawer="{name}">'
        f"{label}</button>"
        for name, label in (("library", "Library"), ("evidence", "Evidence"))
    )
    views = "".join(
        f'<button type="button" class="view" data-act="view" data-view="{name}">{label}</button>'
        for name, label in (("chat", "Chat"), ("compare", "Compare"), ("evaluation", "Evaluation"))
    )
    return (
        '<header class="top"><h1 class="brand"><i aria-hidden="true">[1]</i><b>rag-app</b></h1>'
        f'<nav aria-label="Pages">{views}</nav>'
        f'<button type="button" class="pill{" on" if model else ""}" data-opens="connect-model" '
        f'title="Connect another model">{reads}</button><span class="space"></span>'
        f'{drawers}<button type="button" class="icon" data-act="theme" '
        'aria-label="Light or dark" title="Light or dark">◐</button></header>'
    )


def banner(model: str) -> str:
    """Says that answers are quotations, and how to change that; nothing where a model reads."""
    if model:
        return ""
    return (
        '<div class="banner" role="note"><button type="button" class="link" data-act="dismiss" '
        'aria-label="Dismiss" title="Dismiss">×</button>'
        "<strong>No language model is connected.</strong> Answers are quotations. "
        '<button type="button" class="link" data-opens="connect-model">Connect one</button></div>'
    )


# --- the evidence --------------------------------------------------------------------------------


def passage(
    context: PassageContext,
    n: int,
    cited: Citation | None = None,
    *,
    steps: str = "",
    picture: PagePicture | None = None,
    trouble: str = "",
    collection: str = "",
) -> str:
    """A passage in the text around it; what the answer quotes of it is marked, or all of it.

    Args:
        context: the passage and what stands around it.
        n: its number in the answer.
        cited: its citation, where the answer cites it.
        steps: buttons that lead to the other passages.
        picture: its page, which is then shown first.
        trouble: why there is none, although there should be.
        collection: which of several it stands in.
    """
    trail = " › ".join(f"<bdi>{escape(heading)}</bdi>" for heading in context.headings)
    where = (escape(cited.place) if cited else "") or _where(context.page, trail)
    where = " · ".join(part for part in (where, escape(collection)) if part)
    begin = len(context.before)
    quotes = cited.quotes if cited else ()
    found = [_range(context.text, quote) for quote in quotes]
    marks = [(begin + start, begin + end) for start, end in found if start >= 0]
    shown = render(
        context.before + context.text + context.after,
        marks or [(begin, begin + len(context.text))],
    )
    body = f'<div class="page" tabindex="0"{lang(context.text)}>{shown}</div>'
    if picture:
        text = shown.replace(' id="marked"', "")
        body = (
            f"{_sheet(picture, context.source, bool(quotes))}"
            f'<details class="as-text"><summary>As text</summary>'
            f'<div class="page" tabindex="0"{lang(context.text)}>{text}</div></details>'
        )
    return (
        f'<section class="passage"><header><span class="badge">{n}</span>'
        f'<div><h3 dir="auto">{escape(context.source)}</h3>'
        f'<p class="where">{where}</p></div>{steps}</header>'
        f"{f'<p class=note>The page cannot be shown: {escape(trouble)}</p>' if trouble else ''}"
        f"{body}</section>"
    )


def _range(text: str, quote: Quote) -> tuple[int, int]:
    """Where a quote stands in the text of its passage; from -1 where it does not."""
    if text[quote.start : quote.end] == quote.text:
        return quote.start, quote.end
    start = text.find(quote.text)  # the index keeps the passage's text without what it repeats
    return start, start + len(quote.text)


def _sheet(picture: PagePicture, source: str, quoted: bool) -> str:
    """The picture of a page, and boxes upon it in parts of its size."""
    width, height = picture.width, picture.height
    boxes = "".join(
        f'<i {"" if i else _FIRST} style="left:{100 * left / width:.2f}%;'
        f"top:{100 * top / height:.2f}%;width:{100 * (right - left) / width:.2f}%;"
        f'height:{100 * (bottom - top) / height:.2f}%"></i>'
        for i, (left, top, right, bottom) in enumerate(picture.boxes[:_MOST_BOXES])
    )
    note = ""
    if not picture.boxes:
        note = "Where on this page the passage stands is not known."
    elif quoted and not picture.exact:
        note = "The whole passage is boxed: the sentence itself was not found on the page."
    return (
        '<div class="page sheet" tabindex="0">'
        f'<figure style="aspect-ratio:{width:.1f}/{height:.1f}">'
        f'<img src="data:image/webp;base64,{escape(picture.image)}" '
        f'alt="Page {picture.page} of {escape(source)}">{boxes}</figure></div>'
        f'<button type="button" class="link" data-zoom>Enlarge</button>'
        f"{f'<p class=note>{note}</p>' if note else ''}"
    )


def steps(one: Turn, n: int) -> str:
    """Buttons that lead from passage `n` of a turn to those before and after it."""
    cited = sorted(citation.n for citation in one.citations)
    numbers = cited if n in cited else list(range(1, len(one.hits) + 1))
    if n not in numbers:
        return ""
    at = numbers.index(n)
    buttons = "".join(
        f'<button type="button" class="icon" data-act="passage" data-turn="{one.number}" '
        f'data-step="{name}" data-n="{numbers[to] if inside else n}" aria-label="{label}" '
        f'title="{label} ({key} key)"{"" if inside else " disabled"}>{sign}</button>'
        for name, label, key, sign, to, inside in (
            ("previous", "Previous passage", "left", "‹", at - 1, at > 0),
            ("next", "Next passage", "right", "›", at + 1, at + 1 < len(numbers)),
        )
    )
    return f'<nav class="steps" aria-label="Passages">{buttons}</nav>'


def _where(page: int | None, trail: str) -> str:
    return " · ".join(part for part in (f"page {page}" if page else "", trail) if part)


def sources(one: Turn | None) -> str:
    """All passages found for a turn, with their places and scores in each ranking."""
    if one is None:
        return hint("The passages that a question finds are listed here.")
    if not one.hits:
        return hint("No passage was consulted for this answer.")
    cited = {citation.n for citation in one.citations}
    rows = "".join(_hit(one.number, n, hit, n in cited) for n, hit in enumerate(one.hits, start=1))
    return (
        f'<p class="about">For “<bdi>{escape(_short(one.question, 90))}</bdi>” in '
        f"{escape(', '.join((one.collection, *one.also)))}"
        f'</p><ol class="hits">{rows}</ol>'
    )


def _hit(number: int, n: int, hit: Hit, cited: bool) -> str:
    prefix = f"{hit.collection}/" if hit.collection else ""  # rankings of its collection
    ranks = "".join(
        f"<div><dt>{label}</dt><dd><b>#{hit.ranks[name]}</b> {hit.scores[name]:.3f}</dd></div>"
        for known, label in _RANKINGS
        for name in dict.fromkeys((known, prefix + known))
        if name in hit.ranks
    )
    trail = " › ".join(f"<bdi>{escape(heading)}</bdi>" for heading in hit.headings)
    where = " · ".join(filter(None, (_where(hit.page, trail), escape(hit.collection))))
    return (
        f'<li class="hit{" cited" if cited else ""}"><button type="button" data-act="passage" '
        f'data-turn="{number}" data-n="{n}"><span class="badge">{n}</span>'
        f'<span class="title"><b dir="auto">{escape(hit.source)}</b>'
        f"{f'<small>{where}</small>' if where else ''}</span>"
        f'<span class="snippet" dir="auto"{lang(hit.text)}>'
        f"{escape(_short(index_text(hit.text), _SNIPPET))}</span></button>"
        f'<details class="why"><summary>Why this?</summary><dl class="ranks">{ranks}</dl>'
        "</details></li>"
    )


def trace(one: Turn | None) -> str:
    """What each stage of a turn took, and what the answer cost."""
    if one is None or one.trace is None:
        return hint("How long each stage took is shown here.")
    return f'<div class="trace">{_bars(one.trace)}{_facts(one.trace)}</div>'


def _bars(found: Trace) -> str:
    longest = max([float(stage["ms"]) for stage in found.stages] or [0]) or 1
    rows = "".join(_bar(stage, longest) for stage in found.stages)
    return (
        f'<p class="about">{milliseconds(found.milliseconds)} in all</p>'
        f'<table class="bars"><tbody>{rows}</tbody></table>'
    )


def _bar(stage: Mapping[str, Any], longest: float) -> str:
    ms = float(stage["ms"])
    width = 100 * ms / longest
    steps = " · ".join(
        f"{escape(str(name))} {float(took):.1f}" for name, took in stage.get("steps", {}).items()
    )
    off = ' class="off"' if stage["kind"] == "none" else ""
    took = "off" if off else milliseconds(ms)
    return (
        f"<tr{off}><th>{_STAGES.get(stage['stage'], escape(str(stage['stage'])))}"
        f"<small>{escape(str(stage['kind']))}</small></th>"
        f'<td><span class="bar" style="width:{width:.1f}%"></span>'
        f"{f'<small>{steps}</small>' if steps else ''}</td><td>{took}</td></tr>"
    )


def _facts(found: Trace) -> str:
    facts = [(f"{role} model", name) for role, name in found.models.items()]
    facts += [(f"{what} tokens", f"{count:,}") for what, count in found.tokens.items()]
    facts.append(("passages used", f"{found.passages_used} of {found.passages_given}"))
    facts += [
        ("sentences cited", f"{float(stage['coverage']):.0%}")
        for stage in found.stages
        if "coverage" in stage
    ]
    if found.unknown_citations:
        facts.append(("citations dropped", str(found.unknown_citations)))
    if found.dollars is not None:
        facts.append(("price", money(found.dollars)))
    if found.flops:
        facts.append(("model operations", f"{found.flops / 1e9:.2f} GFLOP"))
    rows = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts)
    return f'<dl class="facts">{rows}</dl>'


# --- documents -----------------------------------------------------------------------------------


def progress(news: Progress) -> str:
    """Where an ingestion stands."""
    left = f" · {news.eta:.0f} s left" if news.eta is not None and news.done < 1 else ""
    return (
        f'<div class="progress" role="status"><div class="track"><span style="width:'
        f'{100 * news.done:.0f}%"></span></div><p>{news.documents} of {news.total_documents} '
        f"documents · {news.passages} passages · {news.rate:.0f}/s{left}</p>"
        f'<small dir="auto">{escape(news.source)}</small></div>'
    )


def report(done: IngestReport) -> str:
    """What an ingestion did; every file that failed with its reason."""
    counts = [(done.added, "added"), (done.updated, "updated"), (done.unchanged, "unchanged")]
    summary = ", ".join(f"{count} {what}" for count, what in counts if count) or "nothing added"
    failures = "".join(_failure(one.source, one.reason) for one in done.failures)
    failed = f'<ul class="failures" role="alert">{failures}</ul>' if failures else ""
    return (
        f'<div class="report" role="status"><p>{summary} · {done.passages} passages in '
        f"{done.seconds:.1f} s</p>{failed}{_warnings(done)}</div>"
    )


def _failure(source: str, why: str) -> str:
    return f'<li><b dir="auto">{escape(source)}</b> {reason(why)}</li>'


def reason(text: str) -> str:
    """Why a file was not read; of a long reason its first sentence, and the rest folded."""
    first, *rest = re.split(r"\. |: ", text, maxsplit=1) if len(text) > _REASON else (text,)
    if not rest:
        return escape(text)
    return f"<details><summary>{escape(first)}</summary>{escape(rest[0])}</details>"


def _warnings(done: IngestReport) -> str:
    """What was not read, or guessed, of the documents that were ingested."""
    if not done.warnings:
        return ""
    lines = "".join(
        f"<li><b>{escape(one.source)}{f', page {one.page}' if one.page else ''}</b> "
        f"{escape(one.reason)}</li>"
        for one in done.warnings[:_MOST_WARNINGS]
    )
    more = len(done.warnings) - _MOST_WARNINGS
    rest = f"<li>and {more} more: <code>rag-app ingest</code> lists all</li>" if more > 0 else ""
    count = len(done.warnings)
    return (
        f'<details class="warnings" open><summary>{count} warning{"s" * (count > 1)}</summary>'
        f"<ul>{lines}{rest}</ul></details>"
    )


# --- small things --------------------------------------------------------------------------------


def hint(text: str) -> str:
    """A quiet line where something will be."""
    return f'<p class="hint">{escape(text)}</p>'


def problem(text: object) -> str:
    """An error that a person can put right."""
    return f'<p class="error" role="alert">{_lines(str(text))}</p>'


def milliseconds(value: float) -> str:
    """A time in the unit that suits it."""
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def money(dollars: float) -> str:
    """An amount, with two digits that say something."""
    if dollars >= 1 or not dollars:
        return f"${dollars:,.2f}"
    digits = 1 - math.floor(math.log10(dollars))
    return f"${dollars:.{max(digits, 2)}f}"


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def _short(text: str, width: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"
