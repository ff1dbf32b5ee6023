"""Worksheets as tables."""

import datetime
import re
import zipfile
from io import BytesIO

import openpyxl
import xlsxwriter
from openpyxl.comments import Comment
from PIL import Image

from data.blocks import document_text
from data.limits import Limits
from data.loaders.xlsx import load
from data.parsing import Parser
from data.tables import index_text
from tests.data.loaders.support import reasons, runs


def make(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(str(path))
    return runs(load(path))


def test_sheets_are_pages_and_regions_are_tables(tmp_path):
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
            "Cities\n\n| City | People | Founded |\n| --- | --- | --- |\n"
            "| Bonn | 331885 | 1949-05-10 |\n| Ulm |  |  |",
        ),
        (3, ("Facts",), "Facts\n\nonly one cell"),
    ]


def test_a_second_table_below_gets_its_own_names(tmp_path):
    (section,) = make(tmp_path / "a.xlsx", S=[["a", "b"], [1, 2], [], ["c", "d"], [3, 4]])
    assert index_text(section.text) == "S\n\na: 1; b: 2\n\nc: 3; d: 4"


def test_a_table_of_texts_with_an_empty_row_keeps_its_names(tmp_path):
    (section,) = make(tmp_path / "a.xlsx", S=[["Name", "Job"], ["Ada", "poet"], [], ["Bo", "cook"]])
    assert index_text(section.text).endswith("Name: Bo; Job: cook")


def test_numbers_without_names_are_rows(tmp_path):
    (section,) = make(tmp_path / "a.xlsx", S=[[1, 2.5], [True, 4.0]])
    assert index_text(section.text) == "S\n\n1; 2.5\nyes; 4"


def test_what_is_hidden_is_left_out_with_a_warning(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["Tag", "Rate", "Cost"], ["V-1", 1, 7], ["V-2", 2, 8]):
        sheet.append(row)
    sheet.row_dimensions[3].hidden = True
    sheet.column_dimensions["C"].hidden = True
    book.create_sheet("Secret").append(["x"])
    book["Secret"].sheet_state = "hidden"
    book.save(str(tmp_path / "a.xlsx"))
    blocks = list(load(tmp_path / "a.xlsx"))
    assert index_text(document_text(blocks)) == "Sheet\n\nTag: V-1; Rate: 1"
    assert reasons(blocks) == [
        "hidden columns and rows are left out",
        'the hidden sheet "Secret" is left out',
    ]


def test_merged_headers_and_formulas_without_a_value(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["Plan", "Summer", None], [None, "Aides", "Cooks"], ["A", 3, "=B3+1"]):
        sheet.append(row)
    sheet.merge_cells("B1:C1")
    sheet.merge_cells("A1:A2")
    book.save(str(tmp_path / "a.xlsx"))
    blocks = list(load(tmp_path / "a.xlsx"))
    assert "Plan: A; Summer / Aides: 3; Summer / Cooks: =B3+1" in index_text(document_text(blocks))
    assert reasons(blocks) == ["formulas without a stored value: C3"]


def test_a_real_table_beside_another_is_named(shared_data):
    sections = runs(load(shared_data / "documents/xlsx_01.xlsx"))
    assert sections[0].page == 1
    assert "col-1: 5; col-2: 10; col-3: 15; col-4: 20" in index_text(
        "".join(s.text for s in sections)
    )


def test_quarters_and_months_name_columns(tmp_path):
    rows = [["Dept", "Q1", "Q2"], ["Ops", 10, 14], ["IT", 20, 24]]
    months = [["Dept", "Jan 2024", "31.12.2024"], ["Ops", 11, 15]]
    make(tmp_path / "a.xlsx", One=rows, Two=months)
    text = index_text(document_text(load(tmp_path / "a.xlsx")))
    assert "Dept: IT; Q1: 20; Q2: 24" in text
    assert "Dept: Ops; Jan 2024: 11; 31.12.2024: 15" in text


def test_fractions_are_shown_as_such(tmp_path):
    book = openpyxl.Workbook()
    for value, form in ((0.5, "# ?/?"), (-1.375, "# ??/??"), (2.25, "# ?/8"), (3, "# ?/?")):
        book.active.append(["part", value])
        book.active.cell(book.active.max_row, 2).number_format = form
    book.save(tmp_path / "a.xlsx")
    text = document_text(load(tmp_path / "a.xlsx"))
    assert [row for row in ("1/2", "-1 3/8", "2 2/8", "| 3 |") if row not in text] == []


def test_a_remark_below_a_table_is_no_row_of_it(tmp_path):
    rows = [["Dept", "Plan", "Actual"], ["Ops", 10, 12], [], ["Note", "in thousands"]]
    make(tmp_path / "a.xlsx", One=rows)
    assert "Note | in thousands" in document_text(load(tmp_path / "a.xlsx"))


def test_figures_are_parted_and_chosen_as_their_format_says(tmp_path):
    local = "[<=9999999]###\\-####;(###) ###\\-####"
    cells = (
        (5550142, "000-0000"), (123456789, "000\\-00\\-0000"), (5550142, local),
        (2125550142, local),
    )  # fmt: skip
    book = openpyxl.Workbook()
    for value, form in cells:
        book.active.append(["number", value])
        book.active.cell(book.active.max_row, 2).number_format = form
    book.save(tmp_path / "a.xlsx")
    text = document_text(load(tmp_path / "a.xlsx"))
    shown = ("| 555-0142 |", "| 123-45-6789 |", "| 555-0142 |", "| (212) 555-0142 |")
    assert [row for row in shown if row not in text] == []


def test_text_boxes_running_heads_and_raised_figures_are_read(tmp_path):
    book = xlsxwriter.Workbook(str(tmp_path / "a.xlsx"))
    sheet, raised = book.add_worksheet("Tanks"), book.add_format({"font_script": 1})
    sheet.write_row(0, 0, ["Tank", "Volume"])
    sheet.write(1, 0, "T-4")
    sheet.write_rich_string(1, 1, "31 m", raised, "3", " net")
    sheet.insert_textbox(4, 1, "Liner due in May")
    sheet.set_header('&L&"Arial,Bold"&12Contract KV-7&R&P of &N')
    book.close()
    assert document_text(load(tmp_path / "a.xlsx")) == (
        "Tanks\n\n| Tank | Volume |\n| --- | --- |\n| T-4 | 31 m\u00b3 net |\n\n"
        "Liner due in May\n\nContract KV-7"
    )


def test_formulas_belong_to_their_sheet_in_whatever_order_sheets_stand(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["Base", 1])
    book.create_sheet("Sums").append(["Sum", "=B7*2"])
    book.save(tmp_path / "a.xlsx")
    with zipfile.ZipFile(tmp_path / "a.xlsx") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheets = re.findall(rb"<sheet [^>]*/>", parts["xl/workbook.xml"])
    turned = parts["xl/workbook.xml"].replace(b"".join(sheets), b"".join(reversed(sheets)))
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, turned if name == "xl/workbook.xml" else content)
    assert "Sum | =B7*2" in document_text(load(tmp_path / "b.xlsx"))


def test_an_empty_row_parts_a_table_from_other_rows_below_it(tmp_path):
    table = [["Yard", "Boats", "Crews"], ["North", 12, 31], ["South", 8, 20], []]
    narrow = [["Deepest berth", 4.5], ["Keeper", "Ilse"]]
    other = [["Checked", datetime.datetime(2025, 4, 2), "Ilse"], ["Paid", "in May", "Bo"]]
    make(tmp_path / "a.xlsx", One=[*table, *narrow], Two=[*table, *other])
    text = index_text(document_text(load(tmp_path / "a.xlsx")))
    assert "Yard: South; Boats: 8; Crews: 20\n\nDeepest berth; 4.5\nKeeper; Ilse" in text
    assert "\n\nChecked; 2025-04-02; Ilse\n" in text


def test_units_tell_whether_rows_below_an_empty_row_belong_to_the_table(tmp_path):
    book = openpyxl.Workbook()
    rows = ["Yard", "Cost"], ["North", 12], [], ["South", 8], [], ["Share", 0.5]
    for row in rows:
        book.active.append(row)
    for row, form in ((2, '0 "EUR"'), (4, '0 "EUR"'), (6, "0%")):
        book.active.cell(row, 2).number_format = form
    book.save(tmp_path / "a.xlsx")
    text = index_text(document_text(load(tmp_path / "a.xlsx")))
    assert "Yard: South; Cost: 8 EUR" in text
    assert text.endswith("\n\nShare | 50%")


def test_a_header_of_two_rows_waits_for_its_rows_behind_an_empty_one(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["Yard", "Boats", None], [None, "Old", "New"], [], ["North", 12, None], [], ["x"]):
        sheet.append(row)
    sheet.merge_cells("B1:C1")
    sheet.merge_cells("A1:A2")
    book.create_sheet("Bare").append(["Yard", "Boats", "Boats"])
    book["Bare"].append(["Yard", "Old", "New"])
    book.save(tmp_path / "a.xlsx")
    text = document_text(load(tmp_path / "a.xlsx"))
    assert "Yard: North; Boats / Old: 12" in index_text(text)
    assert text.endswith("| Yard | Boats | Boats |\n| --- | --- | --- |\n| Yard | Old | New |")


def test_a_cell_far_away_is_read_within_the_limits_of_a_small_file(tmp_path):
    book = openpyxl.Workbook()
    book.active["A1"], book.active["XFD1048576"] = "lantern", "harbour"
    book.save(str(tmp_path / "far.xlsx"))
    with Parser(Limits(seconds=10)) as parser:
        texts = [one.text for one in parser.parse(tmp_path / "far.xlsx", "far.xlsx")]
    assert {"lantern", "harbour"} <= set(texts)


def test_links_pictures_and_authors_of_comments_are_read(tmp_path):
    book = xlsxwriter.Workbook(str(tmp_path / "a.xlsx"))
    sheet = book.add_worksheet("Pumps")
    sheet.write_row("A1", ["Pump", "Sheet", "Mail"])
    sheet.write_row("A2", ["P-7", "", ""])
    sheet.write_url("B2", "https://pumps.example/p7.pdf", string="here")
    sheet.write_url("C2", "mailto:ada@pumps.example")
    sheet.write_row("A3", ["P-8", "none", "none"])
    sheet.write_comment("B3", "Ada Berg:\nask again", {"author": "Ada Berg"})
    picture = BytesIO()
    Image.new("1", (2, 2)).save(picture, "PNG")
    options = {"image_data": picture, "description": "Two pumps in a shed"}
    sheet.insert_image("E1", "p.png", options)
    book.close()
    text = document_text(load(tmp_path / "a.xlsx"))
    assert "| P-7 | here (https://pumps.example/p7.pdf) | ada@pumps.example |" in text
    assert "Comment by Ada Berg on B3 (P-8) = none: ask again" in text
    assert "Picture: Two pumps in a shed" in text


def test_comments_that_answer_each_other_are_read_with_their_authors(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["Item", "Cost"])
    book.active.append(["Roof", 12])
    book.active["B2"].comment = Comment("[Threaded comment]\nYour version of Excel", "tc={1}")
    book.save(str(tmp_path / "a.xlsx"))
    threads = (
        '<T><threadedComment ref="B2" personId="{A}"><text>Why 12?</text></threadedComment>'
        '<threadedComment ref="B2" personId="{B}"><text>A guess.</text></threadedComment></T>'
    )
    people = '<P><person id="{A}" displayName="Ada"/><person id="{B}" displayName="Bo"/></P>'
    relation = '<Relationship Id="{0}" Type="x/{0}" Target="../{0}.xml"/></Relationships>'
    with (
        zipfile.ZipFile(tmp_path / "a.xlsx") as archive,
        zipfile.ZipFile(tmp_path / "b.xlsx", "w") as changed,
    ):
        for name in archive.namelist():
            text = archive.read(name).decode()
            for end, kind in (("sheet1.xml.rels", "threadedComment"), ("book.xml.rels", "person")):
                if name.endswith(end):
                    text = text.replace("</Relationships>", relation.format(kind))
            changed.writestr(name, text)
        changed.writestr("xl/threadedComment.xml", threads)
        changed.writestr("person.xml", people)
    text = document_text(load(tmp_path / "b.xlsx"))
    assert text.endswith("Comment on B2 (Roof) = 12: Ada: Why 12?; Bo: A guess.")
