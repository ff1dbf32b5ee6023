"""GPQA comes from its files or its encrypted archive, stays private, and is whole or refused."""

import csv
import io
import struct
import zlib

import pytest

from eval.datasets.gpqa import find
from eval.errors import DatasetError

PASSWORD = b"deserted-untie-orchid"  # published in the README of github.com/idavidrein/gpqa


def rows(count):
    return [
        {
            "Record ID": f"rec{number}",
            "Question": f"SECRET question {number},\nof two lines\n",
            "Correct Answer": f"SECRET right {number}\n",
            "Incorrect Answer 1": "SECRET wrong",
            "Incorrect Answer 2": "SECRET worse",
            "Incorrect Answer 3": "SECRET worst",
            "High-level domain": "Physics",
            "Subdomain": "Optics",
        }
        for number in range(count)
    ]


def table(records):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode()


def encrypted(name, content, password):
    """An archive with one stored entry, encrypted as PKWARE's APPNOTE 6.1 says."""
    keys = [0x12345678, 0x23456789, 0x34567890]

    def turn(byte):
        keys[0] = zlib.crc32(bytes([byte]), keys[0] ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        last = bytes([keys[1] >> 24])
        keys[2] = zlib.crc32(last, keys[2] ^ 0xFFFFFFFF) ^ 0xFFFFFFFF

    def cipher(byte):
        stream = (keys[2] | 2) & 0xFFFF
        turn(byte)
        return byte ^ ((stream * (stream ^ 1)) >> 8) & 0xFF

    for byte in password:
        turn(byte)
    crc = zlib.crc32(content)
    hidden = bytes(cipher(byte) for byte in bytes(11) + bytes([crc >> 24]) + content)
    path = name.encode()
    common = struct.pack("<5H3I2H", 20, 1, 0, 0, 33, crc, len(hidden), len(content), len(path), 0)
    local = b"PK\x03\x04" + common + path + hidden
    central = b"PK\x01\x02" + struct.pack("<H", 20) + common
    central += struct.pack("<3H2I", 0, 0, 0, 0, 0) + path
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "gpqa").mkdir()
    return tmp_path / "gpqa"


@pytest.mark.parametrize("name", ["gpqa_main.csv", "dataset/gpqa_main.csv"])
def test_the_right_answer_comes_first_and_all_is_private(folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(table(rows(448)))
    data = find("gpqa_main", folder.parent)
    assert data.private
    assert len(data.questions) == 448
    first = data.questions[0]
    assert (first.id, first.subject, first.answer) == ("rec0", "Physics", 0)
    assert first.question == "SECRET question 0,\nof two lines"
    assert first.choices == ("SECRET right 0", "SECRET wrong", "SECRET worse", "SECRET worst")


def test_the_archive_of_the_authors_is_read_and_nothing_is_written(folder):
    plain = table(rows(198))
    archive = encrypted("dataset/gpqa_diamond.csv", plain, PASSWORD)
    assert b"SECRET" not in archive
    (folder / "dataset.zip").write_bytes(archive)
    from_archive = find("gpqa_diamond", folder.parent)
    assert [path.name for path in folder.iterdir()] == ["dataset.zip"]
    (folder / "gpqa_diamond.csv").write_bytes(plain)
    assert find("gpqa_diamond", folder.parent) == from_archive


def test_an_archive_under_another_password_or_without_the_part_is_refused(folder):
    archive = encrypted("gpqa_diamond.csv", table(rows(198)), b"another")
    (folder / "dataset.zip").write_bytes(archive)
    with pytest.raises(DatasetError, match=r"dataset.zip cannot be read: .*Give the authors'"):
        find("gpqa_diamond", folder.parent)
    with pytest.raises(DatasetError, match=r"dataset.zip holds no gpqa_main.csv"):
        find("gpqa_main", folder.parent)
    (folder / "dataset.zip").write_bytes(b"no archive")
    with pytest.raises(DatasetError, match=r"dataset.zip cannot be read"):
        find("gpqa_main", folder.parent)


@pytest.mark.parametrize(
    "records",
    [
        rows(197),
        [*rows(197), {**rows(1)[0], "Record ID": "", "Question": "SECRET"}],
        [{"Question": "SECRET", "Record ID": "rec1"}],
        [{"SECRET": "SECRET"}],
    ],
)
def test_what_is_not_whole_is_refused_without_a_word_of_its_text(folder, records):
    (folder / "gpqa_diamond.csv").write_bytes(table(records))
    with pytest.raises(DatasetError, match=r"gpqa_diamond") as refused:
        find("gpqa_diamond", folder.parent)
    assert "SECRET" not in str(refused.value)
    assert "hf auth login" in str(refused.value)
