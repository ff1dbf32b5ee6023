"""HTML of the catalogue of models: a table of encoders and one of rerankers."""

from collections.abc import Sequence
from html import escape

from ui.compare_rendering import wide_table
from ui.model_catalogue import Item, Job

_LABELS = {"download": "Download", "build": "Build index"}


def model_catalogue(encoders: Sequence[Item], rerankers: Sequence[Item], collection: str) -> str:
    """Both tables; what can be done about a row is done for a collection."""
    return (
        '<details class="catalogue" open><summary>Encoders and rerankers</summary>'
        f'<p class="about">What {escape(collection)} has of them. Nothing is downloaded before you '
        "ask for it. Scores are published means of nDCG@10 on BRIGHT; point at one for its source."
        f"</p>{_table('Encoder', encoders, collection)}{_table('Reranker', rerankers, collection)}"
        "</details>"
    )


def _table(kind: str, items: Sequence[Item], collection: str) -> str:
    rows = "".join(_row(one, collection) for one in items)
    return (
        f'{wide_table(f"{kind}s")}<thead><tr><th scope="col">{kind}</th>'
        '<th scope="col">Here</th><th scope="col">Parameters</th><th scope="col">Licence</th>'
        f'<th scope="col">BRIGHT</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _row(one: Item, collection: str) -> str:
    score, licence = "–", escape(one.licence) or "–"
    if one.score is not None:
        score = f'<span title="{escape(one.source)}">{one.score:.1f}</span>'
    return (
        f'<tr data-item="{escape(one.name)}"><th scope="row"><b>{escape(one.name)}</b>'
        f"<small>{escape(one.model)}</small></th><td>{_state(one, collection)}</td>"
        f"<td>{_size(one.parameters)}</td><td>{licence}</td><td>{score}</td></tr>"
    )


def _state(one: Item, collection: str) -> str:
    """What is here of an item, with what is being done or can be."""
    if one.job and one.job.running:
        return f"{_progress(one.job)}{_button('stop', 'Cancel', one.name, collection)}"
    failed = f'<p class="error" role="alert">{escape(one.job.error)}</p>' if one.job else ""
    label = _LABELS.get(one.act, "")
    button = _button(one.act, label, one.name, collection) if label else ""
    return f'<span class="state">{escape(one.state)}</span>{button}{failed}'


def _progress(job: Job) -> str:
    return (
        '<div class="progress" role="status"><div class="track"><span style="width:'
        f'{100 * job.done:.0f}%"></span></div><p>{escape(job.news)}</p></div>'
    )


def _button(act: str, label: str, name: str, collection: str) -> str:
    return (
        f'<button type="button" class="act" data-act="{act}" data-name="{escape(name)}" '
        f'data-collection="{escape(collection)}" aria-label="{label}: {escape(name)}">{label}'
        "</button>"
    )


def _size(parameters: float) -> str:
    if not parameters:
        return "–"
    if parameters < 1e9:
        return f"{parameters / 1e6:.0f} M"
    return f"{parameters / 1e9:.1f} B"
