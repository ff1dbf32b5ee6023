"""What the documentation says about encoders is what ships."""

import re
import tomllib
from pathlib import Path

import pytest

from rag_app.assembly.encoders import choose
from rag_app.settings import load_settings
from retrieval.encoders.registry import EncoderRow, built_in

PAGE = Path(__file__).resolve().parent.parent / "docs" / "retrievers.md"
ROWS = {
    cells[0].strip("`"): cells[1:]
    for line in PAGE.read_text("utf-8").splitlines()
    if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 8 and "`" in cells[0]
}


def test_every_encoder_that_ships_is_in_the_table_and_no_other() -> None:
    assert set(ROWS) == set(built_in())


@pytest.mark.parametrize("name", sorted(built_in()))
def test_the_table_says_of_an_encoder_what_its_row_says(name: str) -> None:
    row = built_in()[name]
    attention = "causal" if row.causal else "bidirectional"
    model, dimension, pooling, attends, licence, bright, backends = ROWS[name]
    assert model == row.model_id
    assert dimension == str(row.dimension)
    assert pooling == (row.pooling if row.pool_prefix else "mean of the text")
    assert attends == ("unpublished" if row.pooling == "unpublished" else attention)
    assert licence == row.licence
    assert re.sub(r" \[\d\]$", "", bright) == ("–" if row.bright is None else f"{row.bright:.1f}")
    assert backends == ", ".join(row.backends)


def test_the_example_of_an_own_row_is_complete_and_valid(tmp_path: Path) -> None:
    (example,) = re.findall(
        r"```toml\n(\[encoders\..*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL
    )
    fields = tomllib.loads(example)["encoders"]["mine-4b"]["row"]
    assert set(fields) == set(EncoderRow.model_fields) - {"name"}
    file = tmp_path / "settings.toml"
    file.write_text(example + '\n[encoder]\nname = "mine-4b"\ntask = "proofs"\n')
    chosen = choose(load_settings(file))
    assert chosen.backend == "transformers"
    assert chosen.row.query_prefix(chosen.instruction) == "query: Find the theorem that is used. "


def test_every_source_of_a_published_number_is_linked() -> None:
    text = PAGE.read_text("utf-8")
    listed = {source: n for n, source in re.findall(r"^- \[(\d+)\] (https://.+)$", text, re.M)}
    for name, row in built_in().items():
        if row.bright:
            cited = rf"^\| `{re.escape(name)}` .*\| {row.bright} \[{listed[row.bright_source]}\] \|"
            assert re.search(cited, text, re.M), name
