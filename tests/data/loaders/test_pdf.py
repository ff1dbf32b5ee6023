"""PDF text, page by page."""

import pytest
from fpdf import FPDF

from data.blocks import Block, document_text
from data.errors import UnreadableFile
from data.loaders.pdf import load
from tests.data.loaders.pdfs import Sheets
from tests.data.loaders.support import runs


def make(path, *pages: str):
    pdf = FPDF()
    pdf.set_font("helvetica", size=12)
    for text in pages:
        pdf.add_page()
        pdf.multi_cell(0, text=text)
    pdf.output(str(path))
    return path


def searched(path):
    """Kind and text of the blocks that are searched."""
    return [(b.kind, b.text) for b in load(path) if isinstance(b, Block) and b.kind[:5] != "page_"]


def test_pages_are_numbered_from_one_and_empty_ones_are_left_out(tmp_path):
    path = make(tmp_path / "a.pdf", "Copper conducts.\nWood does not.", "", "Third page.")
    blocks = list(load(path))
    assert [(b.page, b.text) for b in blocks] == [
        (1, "Copper conducts.\nWood does not."),
        (3, "Third page."),
    ]
    (box,) = blocks[0].boxes
    assert (box.page, round(box.left)) == (1, 31)
    assert 25 < box.top < box.bottom < 70


def test_a_file_with_nothing_on_it_says_so(tmp_path):
    with pytest.raises(UnreadableFile, match="no text was found on its 1 page"):
        list(load(make(tmp_path / "a.pdf", "")))


def test_a_sentence_runs_on_over_a_page_break_between_running_lines(tmp_path):
    pdf = Sheets()
    whole = "Each valve is opened by two turns. The upper pump holds a pressure of"
    for number, text in enumerate([whole, "16.4 bar at all times."], 1):
        pdf.add_page()
        pdf.say(60, 20, "Water works - manual", 9)
        pdf.lines(60, 60, text)
        pdf.say(60, 810, f"Page {number} of 2", 9)
    path = pdf.save(tmp_path)
    assert document_text(load(path)) == f"{whole} 16.4 bar at all times."
    kinds = sorted((b.page, b.kind) for b in load(path) if isinstance(b, Block))
    assert kinds == [(n, k) for n in (1, 2) for k in ("page_footer", "page_header", "paragraph")]


def test_a_word_parted_by_a_page_break_is_whole(tmp_path):
    pdf = Sheets()
    pdf.add_page()
    pdf.lines(
        60, 60, "The northern reservoir is emptied each autumn so that the gates can be lubri-"
    )
    pdf.add_page()
    pdf.lines(60, 60, "cated before the frost.")
    assert "can be lubricated before" in document_text(load(pdf.save(tmp_path)))
    second = [b for b in load(tmp_path / "a.pdf") if isinstance(b, Block)][1]
    assert (second.page, second.joint) == (2, "")


@pytest.mark.parametrize("columns", [2, 3])
@pytest.mark.parametrize("linewise", [True, False])
def test_columns_are_read_one_after_the_other(tmp_path, columns, linewise):
    texts = [
        [
            f"{name} basin holds more water than",
            "any other of the lakes here, and it",
            f"was lined with {stuff} in the year",
            "of the great drought, long ago.",
        ]
        for name, stuff in [("North", "clay"), ("South", "stone"), ("West", "lead")]
    ][:columns]
    pdf = Sheets()
    pdf.add_page()
    places = [(c, r) for c in range(columns) for r in range(4)]
    for column, row in sorted(places, key=lambda p: p[1]) if linewise else places:
        pdf.say(50 + 170 * column, 60 + 12 * row, texts[column][row], 9)
    text = " ".join(document_text(load(pdf.save(tmp_path))).split())
    assert text == " ".join(line for column in texts for line in column)


def test_raised_and_lowered_characters_are_kept_apart(tmp_path):
    pdf = Sheets()
    pdf.add_page()
    pdf.say(60, 60, "The tank holds 10")
    at = 60 + pdf.get_string_width("The tank holds 10")
    pdf.say(at, 57, "6", 7)
    at += pdf.get_string_width("6")
    pdf.say(at, 60, " drops of H")
    at += pdf.get_string_width(" drops of H")
    pdf.say(at, 65, "2", 7)
    at += pdf.get_string_width("2")
    pdf.say(at, 60, "O in all.")
    assert searched(pdf.save(tmp_path)) == [
        ("paragraph", "The tank holds 10⁶ drops of H₂O in all.")
    ]


def test_a_footnote_stands_behind_the_block_that_refers_to_it(tmp_path):
    pdf = Sheets()
    pdf.add_page()
    long = "The keepers of the works write down each reading at dawn and at dusk."
    pdf.lines(60, 60, long, "Nobody opens the sluice alone")
    pdf.say(60 + pdf.get_string_width("Nobody opens the sluice alone"), 72, "1", 6)
    pdf.lines(60, 120, long, long)
    pdf.say(60, 740, "1", 5)
    pdf.say(64, 742, "Since the accident of 1911.", 8)
    kinds = searched(pdf.save(tmp_path))
    assert [kind for kind, _ in kinds] == ["paragraph", "note", "paragraph"]
    assert kinds[0][1].endswith("alone¹")
    assert kinds[1][1] == "¹ Since the accident of 1911."


def test_a_page_with_text_printed_sideways_is_read_and_its_boxes_are_on_the_page_as_shown(tmp_path):
    pdf = Sheets()
    pdf.add_page()
    with pdf.rotation(90, 300, 400):
        pdf.lines(300, 400, "This line runs up the page.", "So does this one.")
    (block,) = load(pdf.save(tmp_path))
    assert block.text.split() == [
        "This",
        "line",
        "runs",
        "up",
        "the",
        "page.",
        "So",
        "does",
        "this",
        "one.",
    ]
    (box,) = block.boxes
    assert box.bottom - box.top > 3 * (box.right - box.left)
    assert 290 < box.left < 310


def test_an_invisible_text_layer_is_text(shared_data):
    (section,) = runs(load(shared_data / "documents/invisible_text_layer.pdf"))
    assert "Invisible" in section.text


def test_an_encrypted_file_is_refused(shared_data):
    with pytest.raises(UnreadableFile, match="encrypted with a password"):
        runs(load(shared_data / "documents/password.pdf"))


def test_a_truncated_file_is_damaged(tmp_path):
    path = make(tmp_path / "a.pdf", "Some text. " * 300)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 4])
    with pytest.raises(UnreadableFile, match="damaged"):
        runs(load(path))


def test_words_parted_at_a_line_end_are_whole(shared_data):
    text = "".join(s.text for s in runs(load(shared_data / "documents/code_and_formula.pdf")))
    assert "\ufffe" not in text
    assert "sed diam nonumy eirmod" in text


def test_arabic_ligatures_are_in_reading_order(shared_data):
    (section,) = runs(load(shared_data / "documents/right_to_left_01.pdf"))
    lam_alef = "\u0627\u0644\u0625\u0646\u062a\u0627\u062c\u064a\u0629"  # "productivity"
    assert lam_alef in section.text
    assert "\u0627\u0625\u0644" not in section.text


def test_a_footnote_that_runs_over_a_page_break_is_one(tmp_path):
    long = "The keepers of the works write down each reading at dawn and at dusk."
    pdf = Sheets()
    pdf.add_page()
    pdf.lines(60, 60, long, "Nobody opens the sluice alone")
    pdf.say(60 + pdf.get_string_width("Nobody opens the sluice alone"), 72, "1", 6)
    pdf.lines(60, 110, long, long)
    pdf.say(60, 730, "1", 5)
    pdf.lines(64, 732, "The board has asked for two keepers at each gate, who are", size=8, step=10)
    pdf.add_page()
    pdf.lines(60, 60, long, long)
    pdf.lines(64, 732, "paid in full for the night shift.", size=8, step=10)
    kinds = searched(pdf.save(tmp_path))
    assert [kind for kind, _ in kinds] == ["paragraph", "note", "paragraph", "paragraph"]
    assert kinds[1][1].endswith("each gate, who are paid in full for the night shift.")


def test_a_header_that_is_turned_is_read_as_words(tmp_path):
    pdf = Sheets()
    pdf.add_page()
    for number, name in enumerate(["Region", "Wet wells", "Valves"]):
        x = 60 + 80 * number
        with pdf.rotation(90 if number else 0, x + 20, 190):
            pdf.say(x + 20 if number else x, 190 - 11, name, 10)
    for row, values in enumerate([("North", "3", "14"), ("South", "7", "2"), ("East", "1", "5")]):
        for column, value in enumerate(values):
            pdf.say(60 + 80 * column, 200 + 18 * row, value, 10)
    for row in range(4):
        pdf.line(55, 197 + 18 * row, 300, 197 + 18 * row)
    pdf.line(55, 120, 300, 120)
    for x in (55, 135, 215, 300):
        pdf.line(x, 120, x, 251)
    text = document_text(load(pdf.save(tmp_path)))
    assert "| Region | Wet wells | Valves |" in text and "| South | 7 | 2 |" in text


def test_names_of_groups_above_narrow_gaps_part_no_columns(tmp_path):
    pdf = Sheets()
    pdf.add_page()
    x = 310
    for y, texts in enumerate(
        [("Site", "Summer plan"), ("", "Aides", "Cost"), ("North", "3", "1.20"),
         ("South", "4", "1.30"), ("West", "5", "1.40")]
    ):  # fmt: skip
        places = (0, 100) if y == 0 else (0, 90, 160)
        for place, text in zip(places, texts, strict=True):
            pdf.say(x + place, 100 + 13 * y, text, 9, "B" if y < 2 else "")
    text = document_text(load(pdf.save(tmp_path)))
    assert text.startswith("| Site | Summer plan / Aides | Summer plan / Cost |")
    assert "| West | 5 | 1.40 |" in text


def test_labels_with_colons_are_no_header(tmp_path):
    pdf = Sheets()
    pdf.add_page()
    pairs = [
        ("Client:", "Ode Ltd"),
        ("Bill:", "R-17"),
        ("Due:", "03.05.2025"),
        ("Net:", "1.234,50"),
    ]
    for row, (label, value) in enumerate(pairs):
        pdf.say(60, 60 + 18 * row, label, style="B")
        pdf.say(210, 60 + 18 * row, value)
    assert "| Client: | Ode Ltd |\n| Bill: | R-17 |" in document_text(load(pdf.save(tmp_path)))
