"""Tables in text files, nested data, source code and rich text."""

from pathlib import Path

import pytest

from data.blocks import document_text
from data.errors import UnreadableFile
from data.loaders import load, sniff
from data.tables import index_text
from tests.data.loaders.support import reasons


def read(path: Path, source: str) -> str:
    path.write_text(source, encoding="utf-8")
    return document_text(load(path, sniff(path)))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_of_a_table_is_found(tmp_path, delimiter):
    rows = [["Item", "Name", "Price"], ["V-12", "Valve, mid", "18,90"], ["V-13", 'a "b"', "2,00"]]
    quoted = ['"{}"'.format(cell.replace('"', '""')) for row in rows for cell in row]
    lines = [delimiter.join(quoted[at : at + 3]) for at in range(0, 9, 3)]
    text = index_text(read(tmp_path / "a.csv", "\r\n".join(lines)))
    assert "Item: V-12; Name: Valve, mid; Price: 18,90" in text
    assert 'Name: a "b"' in text


def test_a_table_without_names_and_rows_of_other_lengths(tmp_path):
    (tmp_path / "a.csv").write_text("1,2,3\n4,5,6\n7,8\n9,10,11,12\n")
    blocks = list(load(tmp_path / "a.csv", "csv"))
    assert index_text(document_text(blocks)) == "1; 2; 3\n4; 5; 6\n7; 8\n9; 10; 11; 12"
    assert reasons(blocks) == ["2 rows have more or fewer cells than the others"]


@pytest.mark.parametrize("dated", ["", "As of 2025-04-02;;\n"])
def test_title_lines_above_a_table_are_paragraphs(tmp_path, dated):
    source = f"Catch of the fleet;;\n{dated};;\nBoat;Kilos;Note\nMerle;412;late\nStorm;90;\n"
    text = read(tmp_path / "a.csv", source)
    assert text.startswith("Catch of the fleet\n\n")
    assert "Boat: Merle; Kilos: 412; Note: late" in index_text(text)


def test_a_first_row_with_one_value_is_a_row(tmp_path):
    text = read(tmp_path / "a.csv", "12;;\n13;4;5\n14;6;7\n")
    assert index_text(text) == "12\n13; 4; 5\n14; 6; 7"


def test_a_long_table_comes_in_parts_that_join_to_one(tmp_path):
    source = "id,name\n" + "".join(f"{n},item{n}\n" for n in range(1234))
    text = read(tmp_path / "a.csv", source)
    assert text.count("| id | name |") == 1
    assert len(text.split("\n")) == 1236


@pytest.mark.parametrize(
    ("name", "source", "line"),
    [
        ("a.json", '{"pump": {"motor": {"kW": 4, "on": true}}}', "pump / motor: kW: 4; on: yes"),
        ("a.json", '[{"id": "V-3", "turns": 11}, {"id": "V-4"}]', "id: V-3; turns: 11"),
        ("a.json", '[{"kW": 4, "id": "V-3", "seat": {"mm": 9}}]', "V-3 / seat: mm: 9"),
        ("a.json", '{"saws": [{"mark": "S4", "at": {"V": 400}}]}', "saws / S4 / at: V: 400"),
        (
            "a.jsonl",
            '{"who": "Ann"}\n{"who": "Bo", "did": {"what": "left"}}',
            "Bo / did: what: left",
        ),
        ("a.xml", "<s><p id='1'/><p id='2'><q><n>x</n></q></p></s>", "p / 2 / q: n: x"),
        ("a.json", '{"oils": ["a", "b"]}', "oils: a, b"),
        ("a.xml", "<s><p no='1'><name>Mill</name></p></s>", "p: no: 1; name: Mill"),
        ("a.xml", "<d><p>Keep <b>dry</b> always.</p></d>", "Keep dry always."),
        ("a.xml", "<d><t>A</t><e>H<sub>2</sub>O in</e><u>B</u></d>", "H\u2082O in"),
        ("a.xml", "<f><i>&lt;p&gt;Off &lt;b&gt;now&lt;/b&gt;.&lt;/p&gt;</i></f>", "i: Off now."),
        ("a.json", '{"price": 12.50}', "price: 12.50"),
        ("a.json", '{"rows": [["a", 1], ["b", 2]]}', "| b | 2 |"),
        ("a.json", '{ // old\n "bar": 16,\n}', ' "bar": 16,'),
        ("a.jsonl", '{"who": "Ann"}\nno object\n{"who": "Bo"}', "no object"),
        ("a.rtf", r"{\rtf1\ansi{\pntext\f0 4.\tab}Check it\par}", "4.\tCheck it"),
        (
            "a.rtf",
            r"{\rtf1\ansi up to{\super\chftn} 5 {\v no}{\deleted no }bar\par}",
            "up to 5 bar",
        ),
        ("a.rtf", r"{\rtf1\ansi\outlinelevel1 Scope\par a |\par}", "a |"),
        ("a.yaml", "alarm:\n  after: 25  # minutes\n", "  after: 25  # minutes"),
        ("a.rtf", r"{\rtf1\ansi gr\'fcne \b Halle\b0\par next}", "gr\u00fcne Halle"),
    ],
)
def test_nested_data_says_where_a_value_belongs(tmp_path, name, source, line):
    assert line in read(tmp_path / name, source).split("\n")


def test_xml_in_an_encoding_of_several_bytes_is_read(tmp_path):
    source = '<?xml version="1.0" encoding="EUC-JP"?><a><b>予備のポンプ</b></a>'
    (tmp_path / "a.xml").write_bytes(source.encode("euc_jp"))
    assert document_text(load(tmp_path / "a.xml", "xml")) == "b: 予備のポンプ"


def test_entities_are_refused(tmp_path):
    bomb = '<!DOCTYPE a [<!ENTITY b "x">]><a>&b;</a>'
    with pytest.raises(UnreadableFile, match="not well-formed"):
        read(tmp_path / "a.xml", bomb)


def test_functions_of_a_program_are_blocks(tmp_path):
    source = (
        "import os\n\n\n@cached\ndef one():\n    a = 1\n\n    return a\n\n\n"
        "# two\ndef two():\n    pass\n"
    )
    (tmp_path / "a.py").write_text(source)
    blocks = list(load(tmp_path / "a.py", "code"))
    assert [block.text.split("\n")[0] for block in blocks] == ["import os", "@cached", "# two"]
    assert document_text(blocks) == source


def test_pictures_in_base64_are_no_text(tmp_path):
    blob = "iVBORw0KGgoAAAANSUhEUgAAAAUA" * 30
    text = read(tmp_path / "a.md", f"Chart\n\n![x](data:image/png;base64,{blob})\n\nend")
    assert text == "Chart\n\n![x]()\n\nend"


def test_rich_text_keeps_tables_notes_and_what_stands_high(tmp_path):
    path = tmp_path / "a.rtf"
    path.write_bytes(
        rb"{\rtf1\ansi\ansicpg1250{\fonttbl{\f0 A;}}\pard 10{\super\f0 6} H{\sub 2}O "
        rb"{\super 1}/{\sub 2}{\super{\*}}{\footnote Only in M\'e1j.} end\par"
        rb"\trowd\cellx1\cellx2 Item\cell Price\cell\row\trowd\cellx1\cellx2 Lid\cell 12\cell\row"
        rb"\pard after\par}"
    )
    text = document_text(load(path, "rtf"))
    assert text.startswith(
        "10\u2076 H\u2082O 1/2 end\n\nNote: Only in M\u00e1j.\n\n| Item | Price |"
    )
    assert text.endswith("| Lid | 12 |\n\nafter")


@pytest.mark.parametrize("tail", [b"{\\footnote a", b"{\\footnote {{{", b"\\footnote", b"{\\super"])
def test_rich_text_that_ends_too_early_is_read_as_far_as_it_goes(tmp_path, tail):
    (tmp_path / "a.rtf").write_bytes(rb"{\rtf1\ansi The pump is off.\par " + tail)
    assert "The pump is off." in document_text(load(tmp_path / "a.rtf", "rtf"))


def test_rich_text_has_merged_cells_and_cells_of_several_lines(tmp_path):
    rows = (
        r"\trowd\clvmgf\cellx1\cellx2\cellx3 North\cell Hub\line big\cell 7\cell\row"
        r"\trowd\clvmrg\cellx1\cellx2\cellx3\cell Fuse|F\cell 31\cell\row"
        r"\trowd\clmgf\cellx1\clmrg\cellx2\cellx3 All\cell\cell 38\cell\row"
    )
    text = read(tmp_path / "a.rtf", r"{\rtf1\ansi " + rows + r"\pard end\par}")
    assert "| North | Hub big | 7 |" in text
    assert r"| North | Fuse\|F | 31 |" in text
    assert "| All | All | 38 |" in text


def test_a_second_table_of_a_file_has_a_header_of_its_own(tmp_path):
    text = index_text(read(tmp_path / "a.csv", "item,qty\nHub,7\n\ncity,post,code\nOslo,1,22\n"))
    assert "item: Hub; qty: 7" in text and "city: Oslo; post: 1; code: 22" in text


def test_columns_of_one_name_are_named(tmp_path):
    text = index_text(read(tmp_path / "a.csv", "name,phone,phone\nAnn,12,13\nBo,14,15\n"))
    assert "name: Bo; phone: 14; phone: 15" in text


def test_a_header_of_two_lines_without_merged_cells_is_one(tmp_path):
    source = "Region,Q1,,Q2,\n,Units,Rev,Units,Rev\nNorth,1,2,3,4\nSouth,5,6,7,8\n"
    text = index_text(read(tmp_path / "a.csv", source))
    assert "Region: South; Q1 / Units: 5; Q1 / Rev: 6; Q2 / Units: 7; Q2 / Rev: 8" in text


def test_a_column_without_a_name_is_no_second_header(tmp_path):
    text = read(tmp_path / "a.csv", "id,,name\nV-1,x,Ann\nV-2,y,Bob\n")
    assert text.startswith("| id |  | name |\n| --- | --- | --- |\n| V-1 | x | Ann |")


def test_json_as_python_writes_it_is_read(tmp_path):
    text = read(tmp_path / "a.json", '{"pump": {"rate": NaN, "limit": Infinity, "name": "P-4"}}')
    assert "name: P-4" in text
