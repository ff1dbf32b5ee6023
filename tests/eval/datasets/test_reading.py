"""Lines are numbered as an editor numbers them, and revisions tell contents apart."""

import pytest

from eval.datasets.reading import identifier, records, revision, rows
from eval.errors import DatasetError


def test_blank_lines_count_and_are_left_out(tmp_path):
    path = tmp_path / "file"
    path.write_bytes("\ufeffa\r\n\n \nb".encode())
    assert list(rows(path)) == [(1, b"a"), (4, b"b")]


def test_a_folder_or_nothing_in_place_of_a_file_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="absent cannot be read: no such file"):
        list(rows(tmp_path / "absent"))
    with pytest.raises(DatasetError, match="cannot be read"):
        list(rows(tmp_path))


@pytest.mark.parametrize("line", ["{", "1", "[]", "\udcff"])
def test_a_line_that_is_no_object_is_named_with_the_hint(tmp_path, line):
    path = tmp_path / "file"
    path.write_bytes(b"{}\n" + line.encode("utf-8", "surrogateescape"))
    with pytest.raises(DatasetError, match=r"file line 2 cannot be read: .*Write objects"):
        list(records(path, "Write objects"))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"_id": "a", "id": "b"}, "a"),
        ({"id": "b"}, "b"),
        ({"id": 7}, "7"),
        ({"id": True}, None),
        ({"id": 1.5}, None),
        ({"_id": ""}, None),
        ({}, None),
    ],
)
def test_ids_are_texts_or_whole_numbers(record, expected):
    assert identifier(record) == expected


def test_revisions_differ_with_order_between_parts_and_files_and_not_with_that_of_keys(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    two.write_text("2")
    assert revision([{"a": 1, "b": 2}]) == revision([{"b": 2, "a": 1}])
    digests = [
        revision([]),
        revision([1, 2]),
        revision([2, 1]),
        revision([12]),
        revision([], one),
        revision([], two),
        revision([], one, two),
        revision([], two, one),
    ]
    assert len(set(digests)) == len(digests)
    assert all(len(digest) == 16 for digest in digests)
