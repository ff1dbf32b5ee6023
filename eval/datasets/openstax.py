"""College textbooks of OpenStax, and the multiple-choice questions at the ends of their sections.

``openstax/mcq.jsonl`` holds the questions, each with the module whose end it stands at;
``openstax/passages.jsonl`` the text of the books, with ids ``book:module:n``. As a retrieval data
set the module is what should be found, and a passage counts as its module.
"""

from dataclasses import replace
from pathlib import Path

from eval.datasets import choice_jsonl
from eval.datasets.asked import Asked
from eval.datasets.choice import ChoiceDataset
from eval.datasets.corpus import check, passages
from eval.datasets.reading import bad, records, revision
from eval.datasets.retrieval import RetrievalDataset
from eval.errors import DatasetError

_HINT = "Give the folder that holds openstax/mcq.jsonl and openstax/passages.jsonl with --data-dir"


def load_retrieval(asked: Asked) -> RetrievalDataset:
    """The data set that is asked for; raises as `retrieval`."""
    return retrieval(asked.data_dir)


def load_choice(asked: Asked) -> ChoiceDataset:
    """The data set that is asked for; raises as `choice`."""
    return choice(asked.data_dir)


def retrieval(data_dir: Path | None) -> RetrievalDataset:
    """The questions, without their choices, judged by module.

    Raises:
        DatasetError: the files are missing or malformed, or the books lack a module.
    """
    folder = _folder(data_dir)
    corpus, path = folder / "passages.jsonl", folder / "mcq.jsonl"
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    for number, record in records(path, _HINT):
        try:
            one, module = choice_jsonl.question(record), f"{record['book']}:{record['module']}"
        except (ValueError, KeyError) as error:
            raise bad(
                path, number, f"it is no question with book and module ({error})", _HINT
            ) from error
        queries[one.id], qrels[one.id] = one.question, {module: 1}
    parents = {passage: passage.rpartition(":")[0] for passage, _, _ in passages(corpus)}
    check("openstax", corpus, qrels, parents)
    digest = revision([queries, qrels], corpus)
    return RetrievalDataset("openstax", corpus, queries, qrels, digest, parents=parents)


def choice(data_dir: Path | None) -> ChoiceDataset:
    """The questions with their choices; the books are their corpus.

    Raises:
        DatasetError: the files are missing or malformed.
    """
    return replace(choice_jsonl.find(str(_folder(data_dir) / "mcq.jsonl"), None), name="openstax")


def _folder(data_dir: Path | None) -> Path:
    folder = (data_dir or Path()) / "openstax"
    for name in ("mcq.jsonl", "passages.jsonl"):
        if not (folder / name).is_file():
            raise DatasetError("openstax is missing", cause=f"no {folder / name}", hint=_HINT)
    return folder
