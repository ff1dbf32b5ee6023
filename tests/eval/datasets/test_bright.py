"""BRIGHT's tasks are whole, judged as published, and excluded documents are known."""

import json

import pytest

from eval.datasets.bright import TASKS, find, parse
from eval.errors import DatasetError
from retrieval.encoders.registry import row

PONY = 7894


def lines(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def published(path):
    """Judgements in TREC's form: query id -> document id -> relevance."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        query, _, document, relevance = line.split()
        found.setdefault(query, {})[document] = int(relevance)
    return found


@pytest.fixture
def pony(tmp_path):
    """A made copy of pony: 112 queries whose gold is one passage, of one page."""

    def write(documents=PONY, pages=3, **changed):
        folder = tmp_path / "data" / "bright"
        examples = [
            {
                "id": str(number),
                "query": f"query {number}",
                "gold_ids": [f"p/{number}"],
                "gold_ids_long": ["page"],
                "excluded_ids": ["N/A"],
                **changed,
            }
            for number in range(112)
        ]
        lines(folder / "pony.jsonl", examples)
        if documents:
            lines(folder / "documents" / "pony.jsonl",
                  ({"_id": f"p/{number}", "text": "t"} for number in range(documents)))  # fmt: skip
        if pages:
            ids = ["page", *map(str, range(1, pages))]
            lines(folder / "long_documents" / "pony.jsonl", ({"_id": i, "text": "t"} for i in ids))
        return tmp_path / "data"

    return write


@pytest.mark.parametrize(
    ("text", "slug", "name"),
    [
        ("biology", "biology", "bright:biology"),
        ("earth-science", "earth_science", "bright:earth_science"),
        ("earth_science", "earth_science", "bright:earth_science"),
        ("Pony-long", "pony", "bright:pony-long"),
        ("sustainable_living_long", "sustainable_living", "bright:sustainable_living-long"),
        ("aops@gpt4", "aops", "bright:aops@gpt4_reason"),
        ("theoremqa-questions@grit_reason", "theoremqa_questions",
         "bright:theoremqa_questions@grit_reason"),
    ],
)  # fmt: skip
def test_tasks_may_be_spelled_either_way_and_have_one_name(text, slug, name):
    asked = parse(text)
    assert (asked.slug, asked.name) == (slug, name)
    assert parse(asked.name.removeprefix("bright:")) == asked


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("chemistry", "no task 'chemistry'. It has biology, earth_science"),
        ("aops-long", "aops has no long documents. There are biology-long"),
        ("biology@gpt5", "no queries 'gpt5'. original, gpt4_reason"),
    ],
)
def test_what_there_is_not_is_answered_with_what_there_is(text, reason):
    with pytest.raises(DatasetError, match=reason):
        parse(text)


def test_encoders_know_an_instruction_for_every_task():
    known = row("reasonir-8b").instructions
    asked = [*TASKS, *(f"{slug}_long" for slug, task in TASKS.items() if task.long)]
    assert set(asked) == set(known)


def test_the_real_queries_are_whole_and_judged_as_they_were_published(shared_data, tmp_path):
    total = 0
    for slug in TASKS:
        data = find(slug, shared_data, tmp_path)
        stem = f"qrels.{slug.replace('_', '-')}"
        assert data.qrels == published(shared_data / "bright" / f"{stem}.txt")
        assert data.task == slug
        assert not any("N/A" in ids for ids in data.excluded.values())
        total += len(data.queries)
    assert total == 1384


def test_the_judgements_called_fixed_only_add_and_are_not_used(shared_data, tmp_path):
    added = {}
    for slug in TASKS:
        ours = find(slug, shared_data, tmp_path).qrels
        stem = f"qrels.{slug.replace('_', '-')}"
        fixed = published(shared_data / "bright" / f"{stem}.fixed.txt")
        assert all(set(ours[query]) <= set(fixed[query]) for query in ours)
        more = {query: len(fixed[query]) - len(ours[query]) for query in ours}
        if any(more.values()):
            added[slug] = max(more.values())
    assert set(added) == {
        "biology", "earth_science", "robotics", "stackoverflow", "sustainable_living",
    }  # fmt: skip
    assert added["sustainable_living"] == 487


def test_long_documents_have_judgements_of_their_own(shared_data, tmp_path):
    data = find("biology-long", shared_data, tmp_path)
    assert data.task == "biology_long"
    assert set(data.qrels["0"]) == {
        "insects_attracted_to_light/Proximate_and_ultimate_causation.txt",
        "insects_attracted_to_light/Phototaxis.txt",
    }


def test_without_documents_the_command_that_gets_them_is_told(pony, tmp_path):
    folder = pony(documents=0, pages=0)
    short, long = find("pony", folder, tmp_path), find("pony-long", folder, tmp_path)
    assert short.corpus is long.corpus is None
    assert 'load_dataset("xlangai/BRIGHT", "documents", split="pony")' in short.missing
    assert 'load_dataset("xlangai/BRIGHT", "long_documents", split="pony")' in long.missing
    assert f"{folder}/bright/documents/pony.jsonl" in short.missing


def test_documents_that_lie_at_hand_are_the_corpus(pony, tmp_path):
    folder = pony()
    short, long = find("pony", folder, tmp_path), find("pony-long", folder, tmp_path)
    assert short.corpus == folder / "bright" / "documents" / "pony.jsonl"
    assert long.corpus == folder / "bright" / "long_documents" / "pony.jsonl"
    assert short.qrels["7"] == {"p/7": 1}
    assert long.qrels["7"] == {"page": 1}
    assert short.missing == long.missing == ""
    assert short.revision != long.revision


def test_documents_in_the_cache_serve_too(pony, tmp_path):
    folder = pony()
    (tmp_path / "cache").mkdir()
    (folder / "bright" / "documents").rename(tmp_path / "documents")
    (tmp_path / "cache" / "bright").mkdir()
    (tmp_path / "documents").rename(tmp_path / "cache" / "bright" / "documents")
    found = find("pony", folder, tmp_path / "cache").corpus
    assert found == tmp_path / "cache" / "bright" / "documents" / "pony.jsonl"


def test_a_corpus_of_another_size_or_without_the_gold_is_refused(pony, tmp_path):
    with pytest.raises(
        DatasetError, match=r"bright:pony has 7893 documents: .*over 7894.*Get them"
    ):
        find("pony", pony(documents=PONY - 1), tmp_path)
    with pytest.raises(DatasetError, match=r"lacks 12 of 112 documents .*'p/100'"):
        find("pony", pony(documents=100), tmp_path)


def test_excluded_ids_are_known_and_a_cut_list_of_them_is_refused_with_documents(pony, tmp_path):
    whole = find("pony", pony(excluded_ids=["p/5", "N/A"]), tmp_path)
    assert whole.excluded["0"] == {"p/5"}
    cut = pony(excluded_ids=[], n_excluded=300)
    with pytest.raises(
        DatasetError, match=r"taken out of 112 rankings.*Get them whole: .*examples"
    ):
        find("pony", cut, tmp_path)
    (cut / "bright" / "documents" / "pony.jsonl").unlink()
    assert find("pony", cut, tmp_path).corpus is None


def test_whole_lists_in_the_cache_are_taken_before_cut_ones(pony, tmp_path):
    lines_whole = pony(excluded_ids=["p/5"]) / "bright" / "pony.jsonl"
    (tmp_path / "cache" / "bright").mkdir(parents=True)
    lines_whole.rename(tmp_path / "cache" / "bright" / "pony.jsonl")
    data = find("pony", pony(excluded_ids=[], n_excluded=300), tmp_path / "cache")
    assert data.excluded["0"] == {"p/5"}


def test_rewritten_queries_take_the_place_of_the_original_ones(pony, tmp_path):
    folder = pony()
    rewritten = [{"id": str(number), "query": f"better {number}"} for number in range(112)]
    lines(folder / "bright" / "gpt4_reason" / "pony.jsonl", rewritten)
    data = find("pony", folder, tmp_path, "gpt4_reason")
    assert data.queries["7"] == "better 7"
    assert data.name == "bright:pony@gpt4_reason"
    assert data.qrels == find("pony", folder, tmp_path).qrels
    lines(folder / "bright" / "gpt4_reason" / "pony.jsonl", rewritten[1:])
    with pytest.raises(DatasetError, match=r"does not have the queries of pony: .*'0'"):
        find("pony@gpt4", folder, tmp_path)


def test_examples_that_are_not_whole_are_refused(pony, tmp_path):
    folder = pony()
    path = folder / "bright" / "pony.jsonl"
    rows = path.read_text().splitlines()
    path.write_text("\n".join(rows[1:]))
    with pytest.raises(
        DatasetError, match=r"not whole: .*111 different queries in 111 lines, not 112"
    ):
        find("pony", folder, tmp_path)
    path.write_text("\n".join([*rows[1:], rows[1]]))
    with pytest.raises(DatasetError, match=r"111 different queries in 112 lines"):
        find("pony", folder, tmp_path)


@pytest.mark.parametrize(
    "changed", [{"gold_ids": ["N/A"]}, {"gold_ids": "['p/1']"}, {"excluded_ids": None}]
)
def test_a_malformed_example_is_named(pony, tmp_path, changed):
    with pytest.raises(DatasetError, match=r"pony.jsonl line 1 cannot be read"):
        find("pony", pony(**changed), tmp_path)
