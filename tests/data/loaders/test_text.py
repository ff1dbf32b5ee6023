"""Plain text, and text of lines."""

import pytest

from data.blocks import Block, document_text
from data.loaders.text import load
from tests.data.loaders.support import runs


@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "iso-8859-1"])
def test_common_encodings_are_recognised(tmp_path, code):
    (tmp_path / "a.txt").write_bytes("caf\u00e9\r\nna\u00efve".encode(code))
    assert [s.text for s in runs(load(tmp_path / "a.txt"))] == ["caf\u00e9\nna\u00efve"]


def test_long_text_comes_in_adjacent_blocks(tmp_path):
    text = "".join(f"This is sentence {number}.\n" for number in range(20_000))
    (tmp_path / "a.txt").write_text(text)
    blocks = list(load(tmp_path / "a.txt"))
    assert len(blocks) > 3
    assert document_text(blocks) == text


@pytest.mark.parametrize(
    "line",
    [
        "[07:{:02d}] Ola: fine", "2024-05-01 07:{:02d} pump started", "May  1 07:{:02d}:01 host x",
        "ERROR code {:02d} in module", "12/05/24, 07:{:02d} - Petra: yes",
        "<petra> in shed {}", "王芳：三号仓库第{}排", "**Petra:** in shed {}", "petra> shed {}",
    ],
)  # fmt: skip
def test_lines_of_logs_and_chats_are_blocks(tmp_path, line):
    text = "".join(line.format(n) + "\n" for n in range(9)) + "  and goes on\n"
    (tmp_path / "a.log").write_text(text)
    blocks = [block for block in load(tmp_path / "a.log") if isinstance(block, Block)]
    assert {block.kind for block in blocks} == {"line"}
    assert len(blocks) == 9
    assert blocks[-1].text.endswith("and goes on\n")
    assert document_text(blocks) == text
