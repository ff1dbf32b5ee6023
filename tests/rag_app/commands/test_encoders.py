"""The commands about encoders, each as a process of its own, without any network."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.encoders.registry import built_in
from tests.rag_app.command import rag_app

REASONIR = ("--encoder", "reasonir-8b", "--accept-license")


def document(*arguments: str | Path, storage: Path, **more: Any) -> Any:
    done = rag_app(*arguments, "--json", storage=storage, **more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_texts_are_encoded_as_queries_or_passages(tmp_path, tiny_reasonir):
    common = ("encode", "tides", *REASONIR, "--model", tiny_reasonir)
    query = document(*common, "--as", "query", storage=tmp_path)
    passage = document(*common, storage=tmp_path)
    assert query["encoder"] == passage["encoder"] == "reasonir-8b"
    assert query["fingerprint"] == passage["fingerprint"]
    assert query["vectors"] != passage["vectors"]
    assert np.linalg.norm(query["vectors"][0]) == pytest.approx(1, abs=1e-5)
    other = document(*common, "--as", "query", "--instruction", "Find harbours", storage=tmp_path)
    assert other["vectors"] != query["vectors"]
    assert other["fingerprint"] == query["fingerprint"], "passages are not changed by it"


def test_the_empty_instruction_leaves_templates_away_and_is_another_fingerprint(
    tmp_path, tiny_reasonir
):
    common = ("encode", "tides", *REASONIR, "--model", tiny_reasonir)
    plain = [
        document(*common, "--as", role, "--instruction", "", storage=tmp_path)
        for role in ("query", "passage")
    ]
    assert plain[0] == plain[1]
    assert plain[0]["fingerprint"] != document(*common, storage=tmp_path)["fingerprint"]


def test_what_is_cut_is_said(tmp_path, tiny_reasonir):
    text = "the ferry leaves at dusk " * 20
    common = ("encode", text, *REASONIR, "--model", tiny_reasonir, "--max-length", "20")
    assert document(*common, storage=tmp_path)["truncated"] == 1
    assert document(*common, storage=tmp_path)["tokens"] == [20]
    assert "were cut" in rag_app(*common, storage=tmp_path).stdout


def test_the_bundled_encoder_is_the_default(tmp_path):
    found = document("encode", "tides", "ferries", storage=tmp_path)
    assert found["encoder"] == "minilm"
    assert np.shape(found["vectors"]) == (2, 384)


@pytest.mark.parametrize(
    ("arguments", "status", "parts"),
    [
        (["encode", "x", "--encoder", "magic"], 2, ["'magic'", "minilm", "[encoders.magic.row]"]),
        (["encode", "x", "--encoder", "reasonir-8b"], 2, ["CC-BY-NC-4.0", "--accept-license"]),
        (["ingest", ".", "--encoder", "reasonir-8b"], 2, ["CC-BY-NC-4.0", "--accept-license"]),
        (["encode", "x", *REASONIR, "--model", "absent/"], 1, ["absent", "does not exist"]),
        (["encode", " "], 1, ["cannot be encoded", "empty"]),
        (["encode", "x", "--instruction", "Find it"], 2, ["minilm takes no instruction"]),
        (["encode", "x", "--max-length", "1"], 2, ["passage_length", "2"]),
        (["serve-command", "openai-3-large"], 1, ["openai-3-large", "vLLM", "openai"]),
        (["golden", "--out", "absent/folder/x.json"], 1, ["absent/folder/x.json"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else str(value),
)
def test_what_cannot_be_encoded_is_explained(tmp_path, arguments, status, parts):
    done = rag_app(*arguments, storage=tmp_path, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (status, "")
    assert all(part in done.stderr for part in parts), done.stderr


def test_all_are_listed_with_rows_of_the_users(tmp_path):
    config = tmp_path / "config.toml"
    config.write_text(
        '[encoders.mine.row]\nmodel_id = "me/mine"\ndimension = 4\npooling = "cls"\n'
        'causal = false\nlicence = "MIT"\n'
    )
    listed = document("--config", config, "encoders", storage=tmp_path)["encoders"]
    assert {row["name"] for row in listed} == {*built_in(), "mine"}
    shown = rag_app("encoders", storage=tmp_path).stdout
    assert "reasonir/ReasonIR-8B" in shown
    assert "CC-BY-NC-4.0" in shown


def test_the_serve_command_can_be_pasted_into_a_shell(tmp_path):
    recipe = document("serve-command", "reasonir-8b", "--port", "9000", storage=tmp_path)
    assert recipe["argv"][:3] == ["vllm", "serve", "reasonir/ReasonIR-8B"]
    words = [word for word in shlex.split(recipe["command"]) if word.strip()]
    assert words[len(recipe["env"]) :] == recipe["argv"]
    assert "9000" in words
    shown = rag_app("serve-command", "reasonir-8b", storage=tmp_path).stdout
    assert all(line.startswith("# ") for line in shown.splitlines() if "plugin" in line)


def test_golden_vectors_are_written_for_others_to_check(tmp_path):
    file = tmp_path / "minilm.json"
    assert document("golden", "--out", file, storage=tmp_path)["encoder"] == "minilm"
    from retrieval.encoders.golden import load

    assert load(file).identity["encoder"] == "minilm"
