"""Form fields and remarks of PDF."""

from data.blocks import Block
from data.loaders.pdf import load

_FORM = """\
1 0 obj <</Type /Catalog /Pages 2 0 R
 /AcroForm <</Fields [{refs}] /DR <</Font <</F1 4 0 R>>>>>>>> endobj
2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj
3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R
 /Resources <</Font <</F1 4 0 R>>>> /Annots [{refs}]>> endobj
4 0 obj <</Type /Font /Subtype /Type1 /BaseFont /Helvetica>> endobj
5 0 obj <</Length {length}>> stream
{content}
endstream endobj
"""


def make(folder, lines, annotations):
    """A page with lines of text at (x, y from below) and annotations given as PDF dictionaries."""
    content = "\n".join(f"BT /F1 11 Tf {x} {y} Td ({text}) Tj ET" for x, y, text in lines)
    refs = " ".join(f"{6 + number} 0 R" for number in range(len(annotations)))
    body = _FORM.format(refs=refs, length=len(content), content=content)
    for number, entry in enumerate(annotations):
        body += f"{6 + number} 0 obj <</Type /Annot {entry}>> endobj\n"
    path = folder / "form.pdf"
    path.write_bytes(f"%PDF-1.7\n{body}trailer <</Root 1 0 R>>\n%%EOF\n".encode("latin-1"))
    return path


def widget(rect, name, kind, more):
    return f"/Subtype /Widget /Rect [{rect}] /T ({name}) /FT /{kind} {more}"


def blocks(path, kind):
    return [b.text for b in load(path) if isinstance(b, Block) and b.kind == kind]


def test_what_was_filled_in_is_read_with_its_label(tmp_path):
    path = make(
        tmp_path,
        [(60, 700, "Name of the tank:"), (60, 660, "Depth"), (80, 622, "has a lid"),
         (80, 602, "is heated"), (60, 560, "Colour:"), (80, 520, "oil"), (140, 520, "water")],
        [
            widget("180 696 300 712", "tank", "Tx", "/V (North basin)"),
            widget("60 640 160 656", "depth_in_m", "Tx", "/V (4.5)"),
            widget("60 620 72 632", "lid", "Btn", "/V /Yes /AS /Yes"),
            widget("60 600 72 612", "heated", "Btn", "/V /Off /AS /Off"),
            widget("180 556 300 572", "colour", "Ch", "/Ff 131072 /V (grey) /Opt [(red) (grey)]"),
            widget("180 530 300 546", "empty", "Tx", ""),
            widget("180 400 300 416", "x1", "Tx", "/V (4711) /TU (Order number)"),
        ],
    )  # fmt: skip
    assert blocks(path, "form_field") == [
        "Name of the tank: North basin",
        "Depth: 4.5",
        "has a lid: yes",
        "is heated: no",
        "Colour: grey",
        "Order number: 4711",
    ]


def test_the_chosen_radio_button_names_its_group(tmp_path):
    on = "<</N <</{0} 5 0 R /Off 5 0 R>>>>"
    path = make(
        tmp_path,
        [(80, 520, "oil"), (140, 520, "water")],
        [
            f"/Subtype /Widget /Rect [60 518 72 530] /T (filled_with) /FT /Btn /Ff 49152 /V /w"
            f" /AS /Off /AP {on.format('o')}",
            f"/Subtype /Widget /Rect [120 518 132 530] /T (filled_with) /FT /Btn /Ff 49152 /V /w"
            f" /AS /w /AP {on.format('w')}",
        ],
    )
    assert blocks(path, "form_field") == ["filled with: water"]


def test_remarks_are_notes_with_their_author_and_what_they_mark(tmp_path):
    path = make(
        tmp_path,
        [(60, 700, "The gate is opened at dawn."), (60, 600, "It is closed at dusk.")],
        [
            "/Subtype /Text /Rect [300 690 320 710] /T (Ada) /Contents (Who has the key?)",
            "/Subtype /Highlight /Rect [60 596 110 612] /QuadPoints [60 612 120 612 60 596 120 596]"
            " /Contents (Not in June)",
            "/Subtype /FreeText /Rect [300 560 420 580] /Contents (See plan 7) /DA (/F1 9 Tf)",
            "/Subtype /Text /Rect [300 500 320 510] /F 2 /Contents (hidden)",
            "/Subtype /Link /Rect [60 690 100 700] /Contents (a link)",
        ],
    )
    assert blocks(path, "note") == [
        "Comment by Ada: Who has the key?",
        "Marked on “It is closed”: Not in June",
        "See plan 7",
    ]
    kinds = [b.kind for b in load(path) if isinstance(b, Block)]
    assert kinds == ["paragraph", "note", "paragraph", "note", "note"]


def test_a_form_with_nothing_but_fields_is_read(tmp_path):
    path = make(tmp_path, [], [widget("60 696 300 712", "serialNumber", "Tx", "/V (BP-40)")])
    assert blocks(path, "form_field") == ["serial Number: BP-40"]


def test_a_flood_of_annotations_is_cut_off(tmp_path):
    remark = "/Subtype /Text /Rect [300 690 320 710] /Contents (x)"
    path = make(tmp_path, [(60, 700, "Text")], [remark] * 1001)
    assert len(blocks(path, "note")) == 1000
