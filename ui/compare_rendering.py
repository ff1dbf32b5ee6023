"""HTML of the compare page: the form, the answers side by side, ranks and agreement, the votes."""

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Final
from urllib.parse import quote

from rag_app.accounts.chats.conversation import Turn
from rag_app.accounts.chats.exporting import place
from rag_app.accounts.chats.votes import Vote
from rag_app.results import Hit, Trace
from rag_app.systems.comparison import ComparedPassage, Comparison, Overlap
from ui.parts import Part, Parts
from ui.rendering import hint, markdown, milliseconds, money

EVALUATION_SETS: Final = "/votes/"
"""Where votes are exported: the name of their collection follows."""
_SNIPPET: Final = 260
_USUAL: Final = ("bm25", "hybrid", "dense", "rank_bm25")
"""Retrievers that the systems of a new page begin with."""


def nothing() -> str:
    """What stands where results will be."""
    return hint("Ask one question of several systems, and see where they differ.")


def no_documents() -> str:
    """What stands in place of the form where there is nothing to search."""
    return hint("Add documents in the chat first; then retrievers can be compared on them.")


def form(collections: Sequence[str], chosen: str, parts: Parts, most: int) -> str:
    """The question, and the systems that it is put to; at first two of `most` are shown."""
    options = "".join(
        f"<option{' selected' if name == chosen else ''}>{escape(name)}</option>"
        for name in collections
    )
    systems = "".join(_system(number, parts) for number in range(1, most + 1))
    return (
        '<form class="compare-form"><h2>Compare</h2><div class="asked">'
        f'<label class="wide">Question<textarea name="question" rows="2" maxlength="4000" required '
        f'dir="auto" placeholder="Ask all of them"></textarea></label>'
        f'<label>Collection<select name="collection">{options}</select></label></div>'
        f'<div class="systems">{systems}</div><div class="buttons">'
        '<button type="submit" class="go">Compare</button>'
        '<button type="button" class="act" data-act="add">Add a system</button></div></form>'
    )


def _system(number: int, parts: Parts) -> str:
    usual = _USUAL[number - 1]
    hidden = " hidden disabled" if number > 2 else ""
    remove = (
        f'<button type="button" class="link" data-act="less" aria-label="Remove system {number}">'
        "Remove</button>"
        if number > 2
        else ""
    )
    fields = "".join(
        f'<label>{label}<select name="{name}">{_options(choices, usual)}</select></label>'
        for name, label, choices in (
            ("retriever", "Retriever", parts.retrievers),
            ("encoder", "Encoder", parts.encoders),
            ("rewriter", "Rewriting", parts.rewriters),
            ("reranker", "Reranking", parts.rerankers),
        )
    )
    return f"<fieldset{hidden}><legend>System {number}</legend>{remove}{fields}</fieldset>"


def _options(choices: Sequence[Part], usual: str) -> str:
    return "".join(
        f'<option value="{escape(one.name)}"{" selected" if one.name == usual else ""}'
        f"{' disabled' if one.obstacle else ''}>{escape(_labelled(one))}</option>"
        for one in choices
    )


def _labelled(part: Part) -> str:
    return f"{part.label} – {part.obstacle}" if part.obstacle else part.label


def results(
    question: str,
    names: Sequence[str],
    turns: Sequence[Turn],
    comparison: Comparison | None,
    vote: Vote | None,
) -> str:
    """The answers side by side and, once all are there, ranks, agreement and the vote.

    Args:
        question: as it was asked.
        names: of the systems.
        turns: their answers so far, in the same order.
        comparison: of what they found; None while any of them is still at work.
        vote: the one that was given.
    """
    columns = "".join(
        _column(number, name, turns[number] if number < len(turns) else None, comparison, vote)
        for number, name in enumerate(names)
    )
    head = f'<h3 class="question" dir="auto">{escape(question)}</h3>'
    columns = f'<div class="columns" style="--systems:{len(names)}">{columns}</div>'
    if comparison is None:
        stop = '<button type="button" class="act" data-act="stop">Stop</button>'
        return f'<section class="compared">{head}{columns}{stop}</section>'
    return (
        f'<section class="compared">{head}{columns}{_undecided(turns, vote)}'
        f"{_agreement(comparison)}{_passages(comparison, vote)}</section>"
    )


def _column(
    number: int, name: str, turn: Turn | None, comparison: Comparison | None, vote: Vote | None
) -> str:
    chosen = vote is not None and vote.winner == name
    if turn is None:
        body = hint("Waits for its turn." if comparison is None else "Was not asked.")
        return f'<article class="contender"><h4>{escape(name)}</h4>{body}</article>'
    button = ""
    if comparison is not None and turn.text:
        button = (
            f'<button type="button" class="act" data-act="vote" data-system="{escape(name)}" '
            f'aria-pressed="{str(chosen).lower()}">Best answer</button>'
        )
    return (
        f'<article class="contender{" chosen" if chosen else ""}"><h4>{escape(name)}</h4>'
        f'<p class="where">{_cost(turn)}</p>'
        f'<div class="answer" aria-live="polite">{_answer(number, turn)}</div>{button}</article>'
    )


def _answer(number: int, turn: Turn) -> str:
    text = markdown(turn.text, number, turn.cited)
    if turn.state == "failed":
        return f'{text}<p class="error" role="alert">{escape(turn.error)}</p>'
    if turn.state == "stopped":
        return f'{text}<p class="note">Stopped before the end.</p>'
    if not text:
        doing = "Reading the passages" if turn.trace else "Searching"
        return f'<p class="waiting">{doing}<i></i><i></i><i></i></p>'
    return text


def _cost(turn: Turn) -> str:
    """Time, tokens and operations of an answer, as far as they are known."""
    found = turn.trace or Trace()
    searched = sum(float(one["ms"]) for one in found.stages if one["stage"] != "read")
    parts = [f"found in {milliseconds(searched)}"] if turn.trace else []
    if turn.state != "running":
        parts.append(f"{milliseconds(turn.milliseconds)} in all")
    if tokens := sum(found.tokens.values()):
        parts.append(f"{tokens:,} tokens")
    if found.dollars:
        parts.append(money(found.dollars))
    if found.flops:
        parts.append(f"{found.flops / 1e9:,.2f} GFLOP")
    return " · ".join(parts)


def _undecided(turns: Sequence[Turn], vote: Vote | None) -> str:
    if not any(turn.text for turn in turns):
        return ""
    pressed = str(vote is not None and not vote.winner).lower()
    kept = ""
    if vote is not None:
        basis = "the passages you marked" if vote.marked else "the passages that it cites"
        kept = f"Kept, with {basis} as what answers the question." if vote.relevant else "Kept."
    return (
        '<p class="voting"><button type="button" class="act" data-act="vote" data-system="" '
        f'aria-pressed="{pressed}">No difference</button>'
        f'<span role="status">{kept or "Mark passages below that answer, then vote."}</span></p>'
    )


def _agreement(comparison: Comparison) -> str:
    if not comparison.overlap:
        return ""
    rows = "".join(_pair(pair) for pair in comparison.overlap)
    return (
        f"<h4>How much they agree</h4>{wide_table('Agreement')}<thead><tr>"
        f'<th scope="col">Systems</th><th scope="col">Same passages of {comparison.depth}</th>'
        '<th scope="col" title="Jaccard">Share of all found</th>'
        '<th scope="col" title="Rank-biased overlap, p = 0.9">Same order, 0 to 1</th>'
        '<th scope="col">Mean rank move</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def wide_table(label: str, kind: str = "") -> str:
    """The beginning of a table that may be wider than the page, and is then scrolled by itself."""
    return (
        f'<div class="wide-table" role="region" aria-label="{escape(label)}" tabindex="0">'
        f'<table class="{kind}">'
    )


def _pair(pair: Overlap) -> str:
    moves = "–" if pair.mean_rank_difference is None else f"{pair.mean_rank_difference:.1f}"
    return (
        f'<tr><th scope="row">{escape(pair.a)} and {escape(pair.b)}</th><td>{pair.shared}</td>'
        f"<td>{pair.jaccard:.0%}</td><td>{pair.rbo:.2f}</td><td>{moves}</td></tr>"
    )


def _passages(comparison: Comparison, vote: Vote | None) -> str:
    names = list(comparison.results)
    if not comparison.passages:
        return hint("None of them found a passage.")
    relevant = vote.relevant if vote is not None and vote.marked else ()
    marked = {_place(hit) for hit in relevant}
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = "".join(
        _passage(number, one, names, marked=_place(one) in marked)
        for number, one in enumerate(comparison.passages)
    )
    return (
        f"<h4>What they found</h4>{wide_table('Passages', 'found')}<thead><tr>"
        f'<th scope="col">Answers it</th>{head}<th scope="col">Passage</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _place(one: ComparedPassage | Hit) -> tuple[str, int | None, int, int]:
    return one.source, one.page, one.char_start, one.char_end


def _passage(number: int, one: ComparedPassage, names: Sequence[str], *, marked: bool) -> str:
    """A row; `data-hits` says by which numbers the answers cite it."""
    reference = next(iter(one.ranks.values()))
    ranks = "".join(f"<td>{_rank(one.ranks.get(name), reference)}</td>" for name in names)
    cited = " ".join(f"{names.index(name)}:{rank}" for name, rank in one.ranks.items())
    where = escape(place(one.source, one.page))
    text = " ".join(one.text.split())
    short = text if len(text) <= _SNIPPET else f"{text[:_SNIPPET]}…"
    return (
        f'<tr data-hits="{cited}"><td><input type="checkbox" value="{number}" '
        f'aria-label="Passage {number + 1} answers the question"{" checked" if marked else ""}>'
        f'</td>{ranks}<td class="text"><b dir="auto">{where}</b><span dir="auto">'
        f"{escape(short)}</span></td></tr>"
    )


def _rank(rank: int | None, reference: int) -> str:
    """A rank, and how far the passage moved from the first system that found it."""
    if rank is None:
        return '<span class="missed" title="not found">·</span>'
    if rank == reference:
        return str(rank)
    moved = reference - rank
    name, sign = ("up", "▲") if moved > 0 else ("down", "▼")
    return f'{rank} <small class="{name}" title="{abs(moved)} {name}">{sign}{abs(moved)}</small>'


def tally(votes: Sequence[Vote], collection: str) -> str:
    """What was voted for so far, and where it can be had as an evaluation set."""
    if not votes:
        return ""
    counts = Counter(vote.winner or "no difference" for vote in votes)
    listed = ", ".join(f"{escape(name)} {count}" for name, count in counts.most_common())
    judged = sum(bool(vote.relevant) for vote in votes)
    address = f"{EVALUATION_SETS}{quote(collection, safe='')}"
    link = (
        f'<a class="act" href="{escape(address)}" download>Export as an evaluation set</a>'
        if judged
        else ""
    )
    return (
        f'<div class="tally"><p><b>Your votes in {escape(collection)}</b> {listed}. '
        f"{judged} of {len(votes)} questions have passages that answer them.</p>{link}</div>"
    )
