"""What a message quotes of an older one."""

import pytest

from data.blocks import Block, document_text
from data.loaders.html import blocks, parse
from data.loaders.making import paragraph
from data.loaders.replies import marked

HEADERS = [
    "-----Original Message-----\nFrom: Bo\nSent: Monday\nTo: X",
    "Von: Bo\nGesendet: Montag, 3. Juni\nAn: X",
    "De : Bo\nEnvoyé : lundi\nÀ : X",
    "________________________________\nFrom: Bo <b@x>\nDate: 3 June",
    "发件人: 王\n发送时间: 2024年6月3日",
    "От: Бо\nОтправлено: понедельник",
]


@pytest.mark.parametrize("header", HEADERS)
def test_all_behind_the_header_of_an_older_message_is_quoted(header):
    read = list(marked(map(paragraph, ["Tuesday works.", header, "When?\nAt nine?"])))
    assert read[0].text == "Tuesday works."
    assert all(line.startswith("> ") for block in read[1:] for line in block.text.split("\n"))


@pytest.mark.parametrize("text", ["From: here to there\nNothing else", "Sent: yes", "From now on"])
def test_other_words_begin_no_quotation(text):
    assert [one.text for one in marked([paragraph(text)])] == [text]


def test_a_table_that_is_quoted_stays_a_table():
    page = "<p>Yes.</p><p>From: Bo<br>Sent: Monday</p><table><tr><th>a<th>b<tr><td>1<td>2</table>"
    read = list(marked(blocks(parse(page))))
    assert read[-1].table is not None


def test_quotations_of_a_page_are_marked_as_deep_as_they_are():
    page = (
        '<div>New</div><div class="gmail_quote"><div>On Sunday Bo wrote:</div><blockquote>Old'
        "<br>words<ul><li>one</ul><blockquote>Older</blockquote>Bo</blockquote></div><p>Below</p>"
    )
    text = document_text(b for b in blocks(parse(page)) if isinstance(b, Block))
    assert text.split("\n\n") == [
        "New", "On Sunday Bo wrote:", "> Old\n> words", "> - one", "> > Older", "> Bo", "Below",
    ]  # fmt: skip
