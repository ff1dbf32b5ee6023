"""The command `cost`, and that docs/cost.md says what it prints."""

import ast
import json
import operator
import re
from pathlib import Path
from typing import Any

import pytest

from tests.rag_app.command import REPOSITORY, rag_app
from tests.tiny_models import tiny_bert

PAGE = (REPOSITORY / "docs" / "cost.md").read_text("utf-8")
ARITHMETIC = [
    line
    for block in re.findall(r"```arithmetic\n(.*?)```", PAGE, flags=re.DOTALL)
    for line in block.splitlines()
]
COMMANDS = re.findall(r"rag-app (cost --[^\n`]+)", PAGE)
OPERATORS = {ast.Add: operator.add, ast.Mult: operator.mul, ast.Div: operator.truediv}


def value(expression: str) -> float:
    """The value of sums, products and quotients of numbers."""

    def of(node: Any) -> float:
        if isinstance(node, ast.BinOp):
            return OPERATORS[type(node.op)](of(node.left), of(node.right))
        assert isinstance(node, ast.Constant), expression
        return node.value

    return of(ast.parse(expression.replace("×", "*"), mode="eval").body)


def document(*flags: str, storage: Path, **more: Any) -> Any:
    done = rag_app("cost", *flags, "--json", storage=storage, **more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("line", ARITHMETIC)
def test_the_arithmetic_of_the_page_is_right(line):
    _, expression, result = line.split(" = ")
    assert round(value(expression)) == int(result)


def test_a_wrong_number_on_the_page_would_be_found():
    line = ARITHMETIC[0]
    with pytest.raises(AssertionError):
        test_the_arithmetic_of_the_page_is_right(line.replace("52_428_800", "52_428_801"))


def test_the_results_of_the_page_are_those_of_the_command(tmp_path):
    stated = {}
    for line in ARITHMETIC:
        label, _, result = line.split(" = ")
        stated.setdefault(label, []).append(int(result))
    alone, rewriting, reranked, _, reasoned, _ = document(storage=tmp_path)["configurations"]
    assert stated["retrieve"] == [alone["total"], rewriting["flops"]["retrieve"]]
    assert stated["rewrite"] == [rewriting["flops"]["rewrite"]]
    assert stated["rewriting"] == [rewriting["total"]]
    assert stated["rerank"] == [reranked["flops"]["rerank"]]
    assert stated["reason"] == [reasoned["total"]]
    assert [round(reasoned["times_rewriting"]), round(reasoned["times_retriever"])] == [
        stated["beside rewriting and retrieving"][0],
        stated["beside retrieving the question itself"][0],
    ]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_of_the_page_is_what_the_command_prints(tmp_path):
    rows = [cells(line) for line in PAGE.splitlines() if line.startswith(("| reasonir", "| BM25"))]
    printed = rag_app(*COMMANDS[0].split(), storage=tmp_path).stdout.splitlines()
    assert len(rows) == 6
    assert [re.split(r"\s{2,}", line.strip()) for line in printed[1:7]] == rows


def test_the_assumptions_of_the_page_are_the_defaults(tmp_path):
    rows = [cells(line) for line in PAGE.splitlines() if "| `--" in line]
    flags = [part for row in rows for part in (row[2].strip("`"), row[1])]
    assert len(rows) == 7
    assert document(*flags, storage=tmp_path) == document(storage=tmp_path)


def test_the_claim_comes_out_where_the_page_says_so(tmp_path):
    _, command = COMMANDS
    found = document(*command.split()[1:], storage=tmp_path)["configurations"][-2]
    assert round(found["times_rewriting"]) == 200


def test_the_reranker_of_the_settings_is_timed(tmp_path):
    model = tiny_bert(tmp_path / "model", pairs=True)
    chosen = {"RAG_APP_RERANK__KIND": "cross-encoder", "RAG_APP_RERANK__MODEL": str(model)}
    few = ("--candidates", "3", "--measure")
    latency = document(*few, storage=tmp_path, **chosen)["latency"]
    assert (latency["model"], latency["passages"]) == (str(model), 3)
    assert latency["ms"] > 0
    done = rag_app("cost", *few, storage=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no reranker to time" in done.stderr


def test_every_flag_reaches_the_arithmetic(tmp_path):
    usual = document(storage=tmp_path)["configurations"]
    for flag, other in [
        ("--encoder", "minilm"), ("--rewriter", "7e9"), ("--reranker", "qwen3-8b"),
        ("--reasoner", "rank1-7b"), ("--candidates", "10"), ("--query-tokens", "5"),
        ("--passage-tokens", "5"), ("--prompt-tokens", "5"), ("--rewrite-tokens", "5"),
        ("--grade-tokens", "5"), ("--reasoning-tokens", "5"),
        ("--cross-encoder", "bge-reranker-v2-m3"),
    ]:  # fmt: skip
        assert document(flag, other, storage=tmp_path)["configurations"] != usual, flag


@pytest.mark.parametrize(
    ("flags", "status", "said"),
    [
        (["--reranker", "gpt-4o"], 2, "gpt-4o is not known"),
        (["--encoder", "openai-3-large"], 2, "how many parameters"),
        (["--encoder", "nope"], 2, "nope"),
        (["--candidates", "0"], 2, "--candidates"),
    ],
)
def test_what_cannot_be_computed_is_said(tmp_path, flags, status, said):
    done = rag_app("cost", *flags, storage=tmp_path)
    assert done.returncode == status
    assert said in done.stderr
