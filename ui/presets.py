"""Three ways to answer, in plain words: each sets several choices at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import gradio as gr

from rag_app.settings import Settings
from ui.choices import Choices
from ui.panels import AT_ONCE, EACH, Updates, shipped, text_of

_NO_MODEL: Final = "Connect a model first."


@dataclass(frozen=True, slots=True)
class Preset:
    """A way to answer.

    Attributes:
        label: its name in the page.
        words: what it does, for a person.
        chosen: the choices that it sets; those that it does not name are as in the settings.
        needs_model: whether it asks a language model beside reading.
    """

    label: str
    words: str
    chosen: Mapping[str, Any]
    needs_model: bool = False


PRESETS: Final = {
    "fast": Preset(
        "Fast",
        "Searches once, and reads the five best passages.",
        {"top_k": 5, "rewrite": "none", "rerank": "none"},
    ),
    "balanced": Preset("Balanced", "Searches and reads as chosen under Settings.", {}),
    "thorough": Preset(
        "Thorough",
        "Searches also with the question in other words, lets the model grade what is found, and "
        "reads twenty passages. Takes several times as long.",
        {"top_k": 20, "rewrite": "llm", "rerank": "qwen"},
        needs_model=True,
    ),
}


def values(preset: Preset, settings: Settings) -> dict[str, Any]:
    """What it sets every choice to that presets are about."""
    usual = {
        "top_k": min(settings.retrieval.top_k, 50),
        "rewrite": settings.rewrite.kind,
        "rerank": settings.rerank.kind,
    }
    return {**usual, **preset.chosen}


def chosen(shown: Mapping[str, Any], settings: Settings) -> str:
    """The preset that sets what is chosen now; empty where none does."""
    order = ("balanced", "fast", "thorough")
    return next((name for name in order if values(PRESETS[name], settings) == shown), "")


def render(current: str, has_model: bool) -> str:
    """The buttons; one that needs a model is disabled where there is none, and says so."""
    buttons = "".join(
        _button(name, preset, name == current, preset.needs_model and not has_model)
        for name, preset in PRESETS.items()
    )
    about = escape(PRESETS[current].words) if current else "As chosen in the settings."
    return (
        f'<div class="presets" role="group" aria-label="How to answer">{buttons}'
        f'<span class="about" aria-live="polite">{about}</span></div>'
    )


def _button(name: str, preset: Preset, pressed: bool, off: bool) -> str:
    title = f"{preset.words} {_NO_MODEL}" if off else preset.words
    return (
        f'<button type="button" data-act="preset" data-preset="{name}" title="{escape(title)}" '
        f'aria-pressed="{str(pressed).lower()}"{" disabled" if off else ""}>{preset.label}</button>'
    )


class PresetsPanel:
    """The buttons, made inside the page's `gr.Blocks`.

    Args:
        settings: the usual choices.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.html = gr.HTML(
            render("balanced", bool(settings.llm.model)),
            js_on_load=shipped("acts.js"),
            elem_id="presets",
        )

    def wire(self, choices: Choices, connected: Iterable[Any]) -> None:
        """Connect them with the choices that they set.

        After the events `connected` there may be a model.
        """
        self._choices = choices
        set_by_presets: list[Any] = [choices.top_k, choices.rewrite, choices.rerank]
        shown = [*set_by_presets, choices.has_model]
        self.html.select(self._choose, [choices.has_model], [self.html, *set_by_presets], **EACH)
        for choice in set_by_presets:
            choice.input(self._show, shown, [self.html], **AT_ONCE)
        for event in connected:
            event.then(self._show, shown, [self.html], **AT_ONCE)

    async def _choose(self, event: gr.EventData, has_model: bool) -> Updates:
        name = text_of(event, "preset")
        preset = PRESETS.get(name)
        if preset is None or (preset.needs_model and not has_model):
            return {self.html: gr.skip()}
        wanted = values(preset, self._settings)
        return {
            self.html: render(name, has_model),
            self._choices.top_k: wanted["top_k"],
            self._choices.rewrite: wanted["rewrite"],
            self._choices.rerank: wanted["rerank"],
        }

    async def _show(self, top_k: Any, rewrite: str, rerank: str, has_model: bool) -> str:
        shown = {"top_k": int(top_k), "rewrite": rewrite, "rerank": rerank}
        return render(chosen(shown, self._settings), has_model)
