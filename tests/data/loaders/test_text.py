"""Plain text and its encodings."""

import pytest

from data.errors import UnreadableFile
from data.loaders.text import decode, load
from tests.data.loaders.support import runs


@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "iso-8859-1"])
def test_common_encodings_are_recognised(tmp_path, code):
    (tmp_path / "a.txt").write_bytes("caf\u00e9\r\nna\u00efve".encode(code))
    assert [s.text for s in runs(load(tmp_path / "a.txt"))] == ["caf\u00e9\nna\u00efve"]


def test_bytes_that_no_better_code_takes_are_latin_1():
    assert decode(b"\x81x", "a") == "\x81x"


@pytest.mark.parametrize("raw", [b"a\0b", bytes(range(1, 32)) * 9])
def test_binary_content_is_refused(raw):
    with pytest.raises(UnreadableFile, match=r"a\.txt.*binary"):
        decode(raw, "a.txt")


def test_a_lying_byte_order_mark_is_refused():
    with pytest.raises(UnreadableFile, match="byte-order mark"):
        decode(b"\xff\xfea", "a.txt")


def test_long_text_comes_in_adjacent_sections(tmp_path):
    text = "".join(f"line {number}\n" for number in range(20_000))
    (tmp_path / "a.txt").write_text(text)
    sections = runs(load(tmp_path / "a.txt"))
    assert len(sections) > 3
    assert all(text[s.char_start : s.char_end] == s.text for s in sections)
    assert "".join(s.text for s in sections) == text
