"""What commands print: JSON for programs, tables and text for people, progress on stderr."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from rag_app.results import AskEvent, OnProgress, Progress

Document = Mapping[str, Any]
UNWATCHED = 240
"""Columns of a table that goes to a file or another program."""
_CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def set_up_logging(level: str) -> None:
    """Log to stderr from `level` on; libraries draw progress bars only where somebody watches."""
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )


def plain(record: Any) -> dict[str, Any]:
    """A dataclass as a JSON object."""
    return asdict(record)


def show(document: Document, as_json: bool, human: Callable[[Document], None]) -> None:
    """Print one result: as JSON, or as `human` does it."""
    if as_json:
        _out(indented(document))
    else:
        human(document)


def indented(document: Document) -> str:
    """A result as JSON."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def text(shown: str) -> None:
    """A text as it is."""
    _out(shown)


def stream(event: "AskEvent", as_json: bool) -> None:
    """Print the answer as it comes, for people; not what the model thinks before it."""
    from generation.reading import TextDelta, ThinkingDelta

    if as_json:
        return
    if isinstance(event, TextDelta):
        sys.stdout.write(harmless(event.text))
    elif isinstance(event, ThinkingDelta) and event.retracts:
        sys.stdout.write("\n\n(So far the model was thinking. Its answer:)\n\n")
    sys.stdout.flush()


@contextmanager
def progress() -> "Iterator[OnProgress | None]":
    """A progress bar on stderr with counts, rate and time left; none where nobody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich import progress as bar
    from rich.console import Console

    columns = (
        bar.BarColumn(),
        bar.TextColumn(
            "{task.percentage:>3.0f}%  {task.fields[counts]}  {task.description}",
            markup=False,  # a file may be called [/b].txt
        ),
    )
    with bar.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=1.0, counts="")

        def draw(news: "Progress") -> None:
            bars.update(
                task, completed=news.done, counts=_counts(news), description=harmless(news.source)
            )

        yield draw


def _counts(news: "Progress") -> str:
    left = f", {news.eta:.0f} s left" if news.eta is not None else ""
    return (
        f"{news.documents}/{news.total_documents} documents, {news.passages} passages, "
        f"{news.rate:.0f}/s{left}"
    )


def ingest_report(report: Document) -> None:
    """Counts, then every failure with its reason."""
    counts = ", ".join(f"{number} {what}" for what, number in report["documents"].items())
    _out(
        f"{report['collection']}: {counts}; "
        f"{report['passages']} passages in {report['seconds']:.1f} s"
    )
    if report["truncated"]:
        _out(f"{report['truncated']} passages are longer than the encoder reads; their ends count "
             "for BM25 only")  # fmt: skip
    for failure in report["failures"]:
        _out(f"failed: {failure['source']}: {failure['reason']}")
    for warning in report["warnings"]:
        page = f" (page {warning['page']})" if warning["page"] else ""
        _out(f"warning: {warning['source']}{page}: {warning['reason']}")
    for name in report["removed"]:
        _out(f"removed: {name}: its file is gone")
    for ignored in report["ignored"]:
        _out(f"ignored: {ignored['source']}: {ignored['reason']}")


def documents(listing: Document) -> None:
    """A table of documents."""
    _table(
        ["document", "state", "passages", "bytes", "updated"],
        [
            [d["source"], d["failure"] or d["state"], d["passages"], d["size"], d["updated"]]
            for d in listing["documents"]
        ],
    )


def document(shown: Document) -> None:
    """What was read of a document: its text, or a line a block, and the warnings."""
    for block in shown.get("blocks", ()):
        page = f" p. {block['page']}" if block["page"] else ""
        _out(f"[{block['kind']}{page}] {block['text']}")
    if "text" in shown:
        _out(shown["text"])
    for warning in shown["warnings"]:
        page = f" (page {warning['page']})" if warning["page"] else ""
        _out(f"warning{page}: {warning['reason']}")


def collections(listing: Document) -> None:
    """A table of collections."""
    _table(
        ["collection", "documents", "passages", "encoder", ""],
        [
            [c["name"], c["documents"], c["passages"], c["encoder"], _state(c)]
            for c in listing["collections"]
        ],
    )


def _state(collection: Document) -> str:
    """Why a collection is not usable, and the command that mends it; empty where it is."""
    if damage := collection.get("damage"):
        return f"damaged: {damage}"
    if collection["usable"]:
        return ""
    return f"built with other settings: rag-app collections rebuild {collection['name']}"


def indexes(listing: Document) -> None:
    """A table of indexes."""
    _table(
        ["", "encoder", "fingerprint", "documents", "passages", ""],
        [
            ["*" if i["active"] else "", i["encoder"], i["fingerprint"], i["documents"],
             i["passages"], _index_state(i)]
            for i in listing["indexes"]
        ],
    )  # fmt: skip


def _index_state(index: Document) -> str:
    if not index["usable"]:
        return "built with other settings"
    if index["behind"]:
        hint = f"rag-app indexes build --encoder {index['encoder']}"
        return f"{index['behind']} documents behind: {hint}"
    return ""


def in_use(result: Document) -> None:
    """Which index a collection stands for."""
    _out(f"{result['collection']} now stands for its index {result['in_use']}")


def encoders(listing: Document) -> None:
    """A table of encoders."""
    _table(
        ["encoder", "model", "dimension", "BRIGHT", "licence", "run by"],
        [
            [e["name"], e["model_id"], e["dimension"], e["bright"] or "", e["licence"],
             ", ".join(e["backends"])]
            for e in listing["encoders"]
        ],
    )  # fmt: skip


def costs(document: Document) -> None:
    """A table of set-ups: operations by stage, and how many times those of the first two."""
    stages = ["rewrite", "retrieve", "rerank"]
    _table(
        ["set-up", *stages, "FLOP a question", "x retriever", "x rewriting"],
        [
            [c["name"], *(_scaled(c["flops"].get(stage, 0.0)) for stage in stages),
             _scaled(c["total"]), _times(c["times_retriever"]), _times(c["times_rewriting"])]
            for c in document["configurations"]
        ],
    )  # fmt: skip
    for role, model in document["models"].items():
        _out(f"{role}: {model}")
    _out("tokens: " + ", ".join(f"{what} {n}" for what, n in document["tokens"].items()))
    if timed := document.get("latency"):
        _out(f"{timed['model']} reranks {timed['passages']} passages in {timed['ms']} ms here")


def _scaled(number: float) -> str:
    """A number with four digits and its power of 1000, such as `1.787 T`."""
    for power, sign in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if number >= power:
            return f"{number / power:.4g} {sign}"
    return f"{number:.4g}"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"


def vectors(result: Document) -> None:
    """The beginning of each vector; programs read them all with --json."""
    for vector in result["vectors"]:
        shown = " ".join(f"{value:.4f}" for value in vector[:8])
        _out(f"{len(vector)} dimensions: {shown} …")
    if result["truncated"]:
        _out(f"{result['truncated']} texts were longer than the encoder reads and were cut")


def recipe(result: Document) -> None:
    """A command to copy, under what is to be known of it."""
    for note in result["notes"]:
        _out(f"# {note}")
    _out(result["command"])


def written(result: Document) -> None:
    """Where a file was written."""
    _out(f"written: {result['file']}")


def evaluation_set(result: Document) -> None:
    """What of the votes became an evaluation set."""
    written, left_out = result["questions"], result["left_out"]
    _out(
        f"written: {result['folder']}, with {written} of {written + left_out} questions voted on"
        + (" (of the others, no passage that answers is in the collection)" if left_out else "")
    )


def copied(report: Document) -> None:
    """What a backup holds, collection by collection."""
    _out("\n".join(copied_lines(report)))


def copied_lines(report: Document) -> list[str]:
    """What a backup holds; for where stdout carries the backup itself, too."""
    lines = [
        f"{c['name']}: {c['documents']} documents, {c['passages']} passages in {c['indexes']} "
        f"indexes, {c['originals']} original files"
        for c in report["collections"]
    ]
    megabytes = report["bytes"] / 1e6
    lines.append(f"{report['file']}: {megabytes:.1f} MB in {report['seconds']:.1f} s")
    people = [f"{report[kind]} {kind}" for kind in ("conversations", "users", "keys")]
    if any(report[kind] for kind in ("conversations", "users", "keys")):
        lines.append(", ".join(people))
    if report["left_out"]:
        lines.append(f"left out, as there are users or keys here: {', '.join(report['left_out'])}")
    lines += [f"missing: the original file of {document}" for document in report["missing"]]
    return lines


def created(result: Document) -> None:
    """What is there now."""
    _out(f"created: {result['created']}")


def renamed(result: Document) -> None:
    """What is called otherwise now."""
    _out(f"renamed: {result['renamed']} is {result['to']} now")


def deleted(result: Document) -> None:
    """What is gone, and what was not there."""
    for name in result["deleted"]:
        _out(f"deleted: {name}")
    for name in result["missing"]:
        _out(f"not there: {name}")


def keys(listing: Document) -> None:
    """A table of API keys."""
    _table(
        ["id", "name", "user", "rights", "collections", "created"],
        [
            [
                k["id"],
                k["name"],
                k["user"],
                k["rights"],
                ", ".join(k["collections"]) or "all",
                k["created"],
            ]
            for k in listing["keys"]
        ],
    )


def users(listing: Document) -> None:
    """A table of users."""
    _table(
        ["name", "role", "private collections", "created"],
        [[u["name"], u["role"], ", ".join(u["private"]), u["created"]] for u in listing["users"]],
    )


def chats(listing: Document) -> None:
    """A table of conversations."""
    _table(
        ["id", "title", "collection", "questions", "updated"],
        [
            [c["id"], c["title"], c["collection"], c["turns"], c["updated"]]
            for c in listing["conversations"]
        ],
    )


def hits(result: Document) -> None:
    """Passages with their places in each ranking."""
    for number, hit in enumerate(result["hits"], start=1):
        ranks = ", ".join(f"{name} {rank}" for name, rank in hit["ranks"].items())
        _out(f"{number}. {place(hit)}  score {hit['score']:.3f}  ({ranks})")
        _out(f"   {short(hit['text'])}\n")
    _out(f"{_notes(result['trace'])}{_timing(result['trace'])}")


def citations(answer: Document) -> None:
    """The evidence under an answer that has been streamed."""
    _out("\n")
    for citation in sorted(answer["citations"], key=lambda one: int(one["n"])):
        quoted = " … ".join(quote["text"] for quote in citation["quotes"])
        _out(f"[{citation['n']}] {place(citation)}: {short(quoted or citation['text'])}")
    trace = answer["trace"]
    _out(f"\n{_notes(trace)}{_evidence(trace)}{_timing(trace)}")


def probes(result: Document) -> None:
    """One line a part, then what is not used and how long it took."""
    for probe in result["probes"]:
        mark = "ok  " if probe["ok"] else "FAIL"
        hint = "" if probe["ok"] else f" -> {probe['hint']}"
        _out(f"{mark} {probe['role']:<9} {probe['detail']} ({probe['ms']:.0f} ms){hint}")
    off = f"; not used: {', '.join(result['unused'])}" if result["unused"] else ""
    _out(f"{result['seconds']:.1f} s{off}")


def config(tree: Document) -> None:
    """The settings as TOML, each with its description."""
    from rag_app.settings import Settings, describe

    _out(describe(Settings, tree))


def place(found: Document) -> str:
    """Where a passage stands, in words."""
    part = found.get("place") or (f"page {found['page']}" if found["page"] else "")
    part = f", {part}" if part else ""
    where = f", in {found['collection']}" if found.get("collection") else ""
    return f"{found['source']}{part}, characters {found['char_start']}-{found['char_end']}{where}"


def short(text: str, width: int = 240) -> str:
    """The beginning of a text on one line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def _notes(trace: Document) -> str:
    """What became of the question, a line each, without the marks that part directions of text."""
    from rag_app.results import notes

    lines = "".join(f"{note}\n" for note in notes(trace["stages"]))
    return lines.translate(dict.fromkeys((0x2068, 0x2069)))


def _evidence(trace: Document) -> str:
    """What the reader used, and how much of what it said shows its evidence."""
    if not trace["passages_given"]:
        return ""
    line = f"used {trace['passages_used']} of {trace['passages_given']} passages"
    coverage = next((s["coverage"] for s in trace["stages"] if "coverage" in s), None)
    return f"{line}, {coverage:.0%} of sentences cited\n" if coverage is not None else f"{line}\n"


def _timing(trace: Document) -> str:
    stages = ", ".join(
        f"{stage['stage']} {stage['ms']:.1f}"
        for stage in trace["stages"]
        if stage["kind"] != "none"
    )
    return f"milliseconds: {stages}"


def _table(head: list[str], rows: list[list[Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None)
    for name in head:
        table.add_column(name, overflow="fold")  # a name cut short cannot be used
    for row in rows:
        table.add_row(*[Text(harmless(str(cell))) for cell in row])
    width = None if sys.stdout.isatty() else UNWATCHED
    Console(width=width).print(table)


def _out(text: str) -> None:
    sys.stdout.write(harmless(text) + "\n")


def harmless(text: str) -> str:
    """Without the control characters by which a document could command the terminal."""
    return text.translate(_CONTROLS)
