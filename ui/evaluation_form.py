"""What an evaluation measures and how, as a form; each subject is a command of `eval`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import gradio as gr

from rag_app.errors import ApplicationError
from rag_app.settings import Settings
from ui.evaluation_runs import Kind, Option
from ui.parts import Parts, chosen_parts
from ui.parts_rendering import check_boxes

COLLECTION, FOLDER, CHOICE = "own", "folder", "choice"
ANSWERS, SCORE, RUNS = "answers", "score", "runs"
SEARCHES: Final = {COLLECTION, FOLDER}
_WITH_DATA: Final = {FOLDER, CHOICE, ANSWERS, SCORE}
_WITH_COLLECTION: Final = {COLLECTION, CHOICE, ANSWERS}
RETRIEVERS: Final = ["bm25", "dense", "hybrid"]
_ARMS: Final = [
    ("without passages", "closed_book"),
    ("with found passages", "rag"),
    ("with random passages", "random"),
]
_OWN_DOCUMENTS: Final = "the data set's own documents"
_KNOWN: Final = frozenset({"mmlu", "mmlu_pro", "gpqa_diamond", "gpqa_main", "openstax"})
_WORD: Final = re.compile(r"[a-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Subject:
    """Something to measure.

    Attributes:
        label: for a person.
        about: what is done, in a sentence.
        kind: the command behind `eval`.
        data: label and hint of the field that names a data set, and what it begins with.
        file: the form of a data set that is a file or a folder of the data folder.
    """

    label: str
    about: str
    kind: Kind
    data: tuple[str, str, str] = ("", "", "")
    file: str = ""


_BEIR: Final = ("Data set", "a BEIR folder of the data folder, or bright:biology", "")
SUBJECTS: Final[Mapping[str, Subject]] = {
    COLLECTION: Subject(
        "Search in my documents",
        "Makes questions from your documents and sees which system finds the passage again.",
        "retrieval",
    ),
    FOLDER: Subject(
        "Search in a public collection",
        "Searches a benchmark's documents with its questions and judgements.",
        "retrieval", _BEIR, "beir",
    ),
    CHOICE: Subject(
        "Multiple-choice answers",
        "Answers questions with known answers, with and without passages.",
        "choice",
        ("Questions", "mmlu, gpqa_diamond or a JSONL file of the data folder", "mmlu"), "jsonl",
    ),
    ANSWERS: Subject(
        "Answers and their citations",
        "Asks questions, and looks up whether what the answers quote stands in the passages.",
        "answers", ("Questions", "a JSONL file of the data folder", ""), "jsonl",
    ),
    SCORE: Subject(
        "A run file of another program",
        "Scores rankings that another program wrote, with the same metrics and tests.",
        "score", _BEIR, "beir",
    ),
    RUNS: Subject(
        "Two finished runs",
        "Compares two runs over the same data: settings, results, and whether they truly differ.",
        "compare",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """An option of the commands.

    Attributes:
        name: of the flag, without its dashes.
        label: for a person.
        subjects: those that know it.
        kind: how it is asked for; a number that is ``optional`` may be left empty.
        value: what it begins with; what is left so is not handed on, but for the limit.
        info: a hint.
        more: whether it is folded away at first.
    """

    name: str
    label: str
    subjects: frozenset[str] | set[str]
    kind: Literal["text", "number", "optional", "check"] = "text"
    value: Any = ""
    info: str = ""
    more: bool = True


_ASKING: Final = {COLLECTION, FOLDER, CHOICE, ANSWERS}
FIELDS: Final = (
    Field("run_file", "Run file", {SCORE}, info="of the data folder: TREC's form, or BRIGHT's",
          more=False),
    Field("tolerance", "Points that B may lose", {RUNS}, "optional", "",
          "fails where B is worse than that; empty compares only", more=False),
    Field("limit", "Questions at most", _ASKING | {SCORE}, "number", 100, more=False),
    Field("systems", "Further systems", SEARCHES, info="such as dense@minilm+qwen, with commas"),
    Field("further_arms", "Further arms", {CHOICE},
          info="such as rag:bm25, rag:hybrid+qwen, closed_book#2"),
    Field("queries", "Queries", {FOLDER, SCORE}, info="of BRIGHT, such as gpt4_reason"),
    Field("lengths", "Lengths of queries", SEARCHES,
          info="further runs with so many tokens, such as 64,256"),
    Field("depth", "Documents of a ranking", SEARCHES, "number", 100),
    Field("fresh", "Make new questions", {COLLECTION}, "check", value=False),
    Field("subjects", "Subjects", {CHOICE}, info="only these, with commas"),
    Field("repeats", "Repeats", {CHOICE}, "number", 1, "with the choices shifted each time"),
    Field("seed", "Seed", {CHOICE}, "number", 0),
    Field("passages", "Passages of a search", {CHOICE}, "optional"),
    Field("cache", "Take answers of earlier runs", {CHOICE}, "check", value=True),
    Field("concurrency", "Questions at a time", _ASKING, "optional"),
    Field("max_errors", "Share of errors that stops it", _ASKING, "number", 0.02),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Launch:
    """A command of `eval` to start: what it is, what it is given, and its flags."""

    kind: Kind
    dataset: str
    options: Mapping[str, Option]


class EvaluationForm:
    """The components; made inside the page's `gr.Blocks`."""

    def __init__(self, script: str) -> None:
        with gr.Column(elem_id="measure", min_width=0):
            self.subject = gr.Dropdown(
                [(one.label, name) for name, one in SUBJECTS.items()], value=COLLECTION,
                label="Measure", info=SUBJECTS[COLLECTION].about, filterable=False,
                elem_id="subject",
            )  # fmt: skip
            self.collection = gr.Dropdown(
                [], label="Collection", filterable=False, elem_id="measured"
            )
            self.dataset = gr.Textbox(visible=False, max_lines=1, elem_id="dataset")
            self.first, self.second = (
                gr.Dropdown([], label=label, filterable=False, visible=False, elem_id=name)
                for name, label in (("run-a", "Run A"), ("run-b", "Run B"))
            )
            self.retrievers = gr.CheckboxGroup(
                RETRIEVERS, value=RETRIEVERS, label="Retrievers", elem_id="retrievers"
            )
            self.parts = gr.HTML(js_on_load=script, elem_id="parts")
            self.checked = gr.JSON({}, visible=False)
            self.arms = gr.CheckboxGroup(
                _ARMS, value=[name for _, name in _ARMS], label="Answers", visible=False,
                elem_id="arms",
            )  # fmt: skip
            fields = {one.name: _component(one) for one in FIELDS if not one.more}
            with gr.Accordion("More options", open=False, elem_id="more-options") as self.more:
                fields |= {one.name: _component(one) for one in FIELDS if one.more}
            self.fields = fields
            self.go = gr.Button("Start", variant="primary", size="sm", elem_id="start")
            self.status = gr.HTML(elem_id="evaluation-status")

    @property
    def inputs(self) -> list[Any]:
        """The components whose values `launch` takes, in its order."""
        return [
            self.subject, self.collection, self.dataset, self.first, self.second, self.retrievers,
            self.checked, self.arms, *self.fields.values(),
        ]  # fmt: skip

    @property
    def changing(self) -> list[Any]:
        """The components that `fit` changes."""
        return [
            self.subject, self.collection, self.dataset, self.first, self.second, self.retrievers,
            self.parts, self.checked, self.arms, *self.fields.values(), self.more,
        ]  # fmt: skip

    def fit(
        self, subject: str, collections: Sequence[str], parts: Parts, runs: Sequence[str]
    ) -> dict[Any, Any]:
        """Show the fields that belong to a subject.

        Args:
            subject: its name.
            collections: that have documents, the likeliest first.
            parts: that systems can be put together from.
            runs: finished ones, the latest first.
        """
        chosen = SUBJECTS[subject]
        label, info, value = chosen.data
        searches = subject in SEARCHES
        collections_and_none = [(_OWN_DOCUMENTS, ""), *((name, name) for name in collections)]
        choices = collections_and_none if subject == CHOICE else list(collections)
        first = "" if subject == CHOICE else next(iter(collections), None)
        pair = [*reversed(runs[:2])] if len(runs) > 1 else [None, None]
        updates: dict[Any, Any] = {
            self.subject: gr.update(info=chosen.about),
            self.collection: gr.update(
                label="Passages from" if subject == CHOICE else "Collection",
                choices=choices, value=first, visible=subject in _WITH_COLLECTION,
            ),
            self.dataset: gr.update(
                label=label, info=info, value=value, visible=subject in _WITH_DATA
            ),
            self.retrievers: gr.update(visible=searches),
            self.parts: gr.update(value=check_boxes(parts), visible=searches),
            self.checked: {},
            self.arms: gr.update(visible=subject == CHOICE),
            self.more: gr.update(visible=subject != RUNS),
        }  # fmt: skip
        for component, run in zip((self.first, self.second), pair, strict=True):
            updates[component] = gr.update(choices=list(runs), value=run, visible=subject == RUNS)
        for one in FIELDS:
            updates[self.fields[one.name]] = gr.update(visible=subject in one.subjects)
        return updates


def launch(settings: Settings, parts: Parts, values: Sequence[Any]) -> Launch:
    """What the values of a form ask for.

    Args:
        settings: say where data sets are looked for.
        parts: that can be chosen.
        values: those of `EvaluationForm.inputs`.

    Raises:
        ApplicationError: something is missing, or cannot be chosen.
    """
    subject, collection, dataset, first, second, retrievers, checked, arms, *rest = values
    if subject not in SUBJECTS:
        raise ApplicationError("nothing is chosen to measure")
    chosen, folder = SUBJECTS[subject], settings.server.data_dir
    given = {one.name: _given(one, value) for one, value in zip(FIELDS, rest, strict=True)}
    if subject == RUNS:
        return _pair(first, second, given["tolerance"])
    data = _named(chosen, (dataset or "").strip(), folder) if subject in _WITH_DATA else COLLECTION
    options: dict[str, Option] = {
        one.name: given[one.name]
        for one in FIELDS
        if subject in one.subjects and (one.name == "limit" or given[one.name] != one.value)
    }
    if subject == SCORE:
        options["dataset"] = data
        data = str(_below(folder, str(options.pop("run_file", "")).strip()))
    if subject in _WITH_DATA and folder:
        options["data_dir"] = str(folder.absolute())
    if subject in _WITH_COLLECTION:
        options["collection"] = _collection(subject, collection)
    if subject == COLLECTION:
        options["questions"] = options["limit"]
    if subject == CHOICE:
        further = str(options.pop("further_arms", "")).split(",")
        options["arms"] = [*(arms or []), *filter(None, map(str.strip, further))]
    elif subject in SEARCHES and retrievers:
        options |= {"retrievers": retrievers, **chosen_parts(parts, checked)}
    _require_systems(subject, options)
    return Launch(chosen.kind, data, options)


def _collection(subject: str, name: Any) -> str:
    """The collection that was chosen; a data set of choices may bring its own documents."""
    if not isinstance(name, str) or (not name and subject != CHOICE):
        raise ApplicationError("there are no documents", hint="Add some in the chat")
    return name


def _require_systems(subject: str, options: Mapping[str, Option]) -> None:
    compares = any(options.get(name) for name in ("arms", "retrievers", "systems"))
    if subject in SEARCHES | {CHOICE} and not compares:
        raise ApplicationError("nothing is chosen to compare")


def _pair(first: Any, second: Any, tolerance: Any) -> Launch:
    if not (isinstance(first, str) and isinstance(second, str)) or first == second:
        raise ApplicationError("two different runs are needed", hint="Choose Run A and Run B")
    options: dict[str, Option] = {"first": first, "second": second}
    if tolerance == "":
        return Launch("compare", f"{first} / {second}", options)
    return Launch("gate", f"{first} / {second}", {**options, "tolerance": tolerance})


def _given(field: Field, value: Any) -> Any:
    """A value as commands take it. Raises ApplicationError for a number that is none."""
    if field.kind == "check" or value in {None, ""}:
        return "" if field.kind in {"text", "optional"} else value  # an untouched field sends None
    if field.kind == "text":
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ApplicationError(f"{field.label}: {value!r} is no number") from None
    return int(number) if number.is_integer() else number


def _component(field: Field) -> Any:
    usual: dict[str, Any] = {
        "label": field.label,
        "elem_id": f"option-{field.name}",
        "visible": COLLECTION in field.subjects,
    }
    info = field.info or None
    if field.kind == "check":
        return gr.Checkbox(value=bool(field.value), info=info, **usual)
    if field.kind in {"text", "optional"}:
        return gr.Textbox(max_lines=1, max_length=1000, info=info, **usual)
    return gr.Number(field.value, minimum=0, info=info, **usual)


def _named(subject: Subject, dataset: str, folder: Path | None) -> str:
    """A data set by its full name, as the command line takes it.

    A file or a folder is looked for below the configured folder, and nowhere else: whoever may use
    the page may not read the machine.

    Raises:
        ApplicationError: it is none of the known data sets, and there is nothing of its name.
    """
    kind, _, rest = dataset.rpartition(":")
    if dataset in _KNOWN or (kind == "bright" and _WORD.fullmatch(rest)):
        return dataset
    return f"{subject.file}:{_below(folder, rest)}"


def _below(folder: Path | None, name: str) -> Path:
    if folder is None:
        raise ApplicationError(
            f"there is no data set {name!r}",
            cause="server.data_dir, the folder that data sets are looked for in, is not set",
            hint="Set RAG_APP_SERVER__DATA_DIR, or use `rag-app eval`",
        )
    try:
        path = (folder / name).resolve()
        if name and path.is_relative_to(folder.resolve()) and path.exists():
            return path
    except (OSError, ValueError):  # no name that a file can have
        pass
    raise ApplicationError(f"there is no data set {name!r} in the folder of data sets")
