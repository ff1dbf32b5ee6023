"""Outlook messages."""

import pytest

from data.blocks import document_text
from data.errors import UnreadableFile
from data.loaders.msg import load
from tests.data.loaders.compound import outlook_message
from tests.data.loaders.support import reasons


def read(tmp_path, raw: bytes) -> str:
    (tmp_path / "a.msg").write_bytes(raw)
    return document_text(load(tmp_path / "a.msg"))


def test_people_body_and_attachments_are_read(tmp_path):
    body = "The pump stands in bay 5.\r\n\r\nVon: Bo\r\nGesendet: Montag\r\n\r\nWhere is it?"
    raw = outlook_message(
        "Größe", body, stock_csv=b"Item,Qty\nHub,7\n", photo_png=b"\x89PNG\r\n\x1a\n"
    )
    assert read(tmp_path, raw) == (
        'Größe\n\nFrom: "Ida" <ida@x.example>\nTo: Bo <bo@x.example>\n\nThe pump stands in bay 5.'
        "\n\n> Von: Bo\n> Gesendet: Montag\n\n> Where is it?\n\nAttachment: stock.csv\n\n"
        "| Item | Qty |\n| --- | --- |\n| Hub | 7 |\n\nAttachment: photo.png"
    )
    (reason,) = reasons(load(tmp_path / "a.msg"))
    assert reason.startswith("the attachment photo.png is not read")


@pytest.mark.parametrize("body", [None, "Please see the page."])
def test_a_page_that_says_more_than_the_body_is_read(tmp_path, body):
    page = "<p>The lift is out of order until May, for its rope is worn – says Odell.</p>".encode()
    assert "rope is worn – says Odell" in read(tmp_path, outlook_message("Lift", body, page))


@pytest.mark.parametrize("raw", [b"", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)])
def test_what_is_no_message_is_refused(tmp_path, raw):
    with pytest.raises(UnreadableFile, match="damaged"):
        read(tmp_path, raw)
