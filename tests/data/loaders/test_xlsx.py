"""Worksheets as lines."""

import datetime

import openpyxl

from data.loaders.xlsx import load
from tests.data.loaders.support import runs


def make(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(str(path))
    return runs(load(path))


def test_sheets_are_pages_and_rows_are_lines_with_column_names(tmp_path):
    sections = make(
        tmp_path / "a.xlsx",
        Cities=[
            ["City", "People", "Founded"],
            ["Bonn", 331_885, datetime.datetime(1949, 5, 10)],
            ["Ulm", None, None],
        ],
        Empty=[],
        Facts=[["only one cell"]],
    )
    assert [(s.page, s.heading_path, s.text) for s in sections] == [
        (
            1,
            ("Cities",),
            "City | People | Founded\n\nCity: Bonn; People: 331885; Founded: 1949-05-10\nCity: Ulm",
        ),
        (3, ("Facts",), "only one cell"),
    ]


def test_a_second_table_below_gets_its_own_names(tmp_path):
    (section,) = make(tmp_path / "a.xlsx", S=[["a", "b"], [1, 2], [], ["c", "d"], [3, 4]])
    assert section.text == "a | b\n\na: 1; b: 2\n\nc | d\n\nc: 3; d: 4"


def test_a_table_of_texts_with_an_empty_row_keeps_its_names(tmp_path):
    (section,) = make(tmp_path / "a.xlsx", S=[["Name", "Job"], ["Ada", "poet"], [], ["Bo", "cook"]])
    assert section.text.endswith("Name: Bo; Job: cook")


def test_numbers_without_names_are_parted_by_bars(tmp_path):
    (section,) = make(tmp_path / "a.xlsx", S=[[1, 2.5], [True, 4.0]])
    assert section.text == "1 | 2.5\nyes | 4"


def test_a_real_table_beside_another_is_named(shared_data):
    sections = runs(load(shared_data / "documents/xlsx_01.xlsx"))
    assert sections[0].page == 1
    assert "col-4: 20; col-1: 1; col-2: 2; col-3: 3" in "".join(s.text for s in sections)
