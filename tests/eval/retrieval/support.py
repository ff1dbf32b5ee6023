"""A small data set in BEIR's form, of which every retriever finds something."""

import json
from pathlib import Path

from eval.report import write
from eval.retrieval.plan import RetrievalPlan
from eval.retrieval.task import RetrievalTask
from eval.runs.lifecycle import run
from rag_app.systems.grammar import parse_all
from tests.rag_app.support import prose

NAMES = ["bm25", "dense", "hybrid"]

WORDS = ["heron", "quartz", "saffron", "tundra", "walrus", "zephyr", "cobalt", "fjord"]
FILLERS = 40


def beir(folder: Path) -> Path:
    """Eight queries with one relevant passage each, and forty passages beside them."""
    passages = [
        {"_id": f"d{n}", "title": "", "text": f"{prose(n, 2)} The {word} is here: {word}."}
        for n, word in enumerate(WORDS)
    ] + [{"_id": f"f{n}", "title": "", "text": prose(f"filler{n}", 2)} for n in range(FILLERS)]
    queries = [
        {"_id": f"q{n}", "text": f"where is the {word} of the harbour and the lantern"}
        for n, word in enumerate(WORDS)
    ]
    (folder / "qrels").mkdir(parents=True)
    _write(folder / "corpus.jsonl", passages)
    _write(folder / "queries.jsonl", queries)
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(len(WORDS)))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    return folder


def openstax(folder: Path) -> Path:
    """The same passages as parts of modules, three a module, and questions about modules."""
    books = folder / "openstax"
    books.mkdir(parents=True)
    passages = [
        {"id": f"b:m{n}:{part}", "title": "", "text": f"{prose((n, part), 2)} Of the {word}."}
        for n, word in enumerate(WORDS)
        for part in range(3)
    ]
    questions = [
        {"id": f"b:m{n}:q0", "book": "b", "module": f"m{n}", "question": f"what of the {word}",
         "options": ["x", "y"], "answer": "A", "answer_idx": 0}
        for n, word in enumerate(WORDS)
    ]  # fmt: skip
    _write(books / "passages.jsonl", passages)
    _write(books / "mcq.jsonl", questions)
    return folder


def _write(path: Path, lines: list[dict[str, object]]) -> None:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def plan(dataset: str, *systems: str, **more) -> RetrievalPlan:
    return RetrievalPlan(dataset, tuple(parse_all(systems or NAMES)), **more)


async def finish(directory, opened=None, command=(), report=False):
    """A run to its end, and its report, which takes a second; what metrics.json holds."""
    result = await run(directory, RetrievalTask(directory), opened=opened, command=command)
    if report:
        write(directory)
    return result.metrics
