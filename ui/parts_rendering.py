"""HTML of the parts that systems are put together from, as check boxes."""

from html import escape
from typing import Final

from ui.parts import STAGES, Part, Parts

_LABELS: Final = {"encoders": "Encoders", "rewriters": "Rewriting", "rerankers": "Reranking"}


def check_boxes(parts: Parts) -> str:
    """The choices of each stage; the usual one is checked, and what cannot work says why."""
    return "".join(
        f'<fieldset class="parts"><legend>{_LABELS[stage]}</legend>'
        f"{''.join(_box(stage, number, one) for number, one in enumerate(getattr(parts, stage)))}"
        "</fieldset>"
        for stage in STAGES
    )


def _box(stage: str, number: int, part: Part) -> str:
    state = "disabled" if part.obstacle else "checked" if number == 0 else ""
    reason = f"<small>{escape(part.obstacle)}</small>" if part.obstacle else ""
    return (
        f'<label><input type="checkbox" name="{stage}" value="{escape(part.name)}" {state}>'
        f"<span>{escape(part.label)}{reason}</span></label>"
    )
