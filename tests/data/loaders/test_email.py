"""E-mail messages."""

from email.message import EmailMessage
from io import BytesIO

import openpyxl
import pytest

from data.blocks import document_text
from data.errors import UnreadableFile
from data.loaders.email import load
from tests.data.loaders.support import reasons, runs


def message() -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = "Gr\u00fc\u00dfe"
    mail["From"] = "Ada <ada@example.org>"
    mail["To"] = "bo@example.org"
    return mail


def read(tmp_path, raw: bytes) -> str:
    path = tmp_path / "a.eml"
    path.write_bytes(raw)
    return "\n\n".join(s.text for s in runs(load(path)))


def test_headers_body_and_names_of_attachments(tmp_path):
    mail = message()
    mail.set_content("First line.\n\nSecond.")
    mail.add_alternative("<p>Other</p>", subtype="html")
    mail.add_attachment(b"%PDF-1.4 secret", maintype="application", subtype="pdf", filename="b.pdf")
    assert read(tmp_path, mail.as_bytes()) == (
        "Gr\u00fc\u00dfe\n\nFrom: Ada <ada@example.org>\nTo: bo@example.org\n\nFirst line.\n\n"
        "Second.\n\nAttachment: b.pdf"
    )


def test_a_plain_part_that_is_a_stub_gives_way_to_the_page(tmp_path):
    mail = message()
    mail.set_content("See the page.")
    mail.add_alternative(
        "<p>" + "The lift is out of order until May. " * 5 + "</p>", subtype="html"
    )
    assert "out of order until May" in read(tmp_path, mail.as_bytes())


def test_a_page_that_says_more_than_the_plain_part_is_read(tmp_path):
    mail = message()
    mail.set_content(
        "Here are the readings of June, with kind regards from all of us in the office."
    )
    rows = "".join(f"<tr><td>Basin {n}</td><td>{n * 37}</td></tr>" for n in range(9))
    mail.add_alternative(
        f"<p>Here are the readings of June.</p><table>{rows}</table>", subtype="html"
    )
    assert "| Basin 7 | 259 |" in read(tmp_path, mail.as_bytes())


def test_parts_behind_one_another_are_all_read(tmp_path):
    mail = message()
    mail.set_content("The first says seven.")
    mail.make_mixed()
    page = EmailMessage()
    page.set_content("<p>The second says nine.</p>", subtype="html")
    event = EmailMessage()
    event.set_content("SUMMARY:Test of pump 3", subtype="calendar")
    event.add_header("Content-Disposition", "attachment", filename="invite.ics")
    picture = EmailMessage()
    picture.set_content(b"x", maintype="image", subtype="png", cid="<a@b>")
    for part in (page, event, picture):
        mail.attach(part)
    assert read(tmp_path, mail.as_bytes()).endswith(
        "The first says seven.\n\nThe second says nine.\n\nAttachment: invite.ics\n\n"
        "SUMMARY:Test of pump 3"
    )


def test_forwarded_messages_and_attached_files_are_read(tmp_path):
    inner = message()
    inner.set_content("Seals are in cabinet 9.")
    inner.add_attachment(b"a,b\n1,2\n3,4\n", maintype="text", subtype="csv", filename="t.csv")
    mail = message()
    mail.set_content("See below.")
    mail.add_attachment(inner)
    mail.add_attachment(b"MZ", maintype="application", subtype="exe", filename="x.exe")
    (tmp_path / "a.eml").write_bytes(mail.as_bytes())
    blocks = list(load(tmp_path / "a.eml"))
    text = document_text(blocks)
    assert "Forwarded message" in text and "Seals are in cabinet 9." in text
    assert "| 3 | 4 |" in text
    assert reasons(blocks) == ["the attachment x.exe is not read: its type is not supported"]


@pytest.mark.parametrize("name", ["terms.txt", "terms.md"])
def test_the_name_of_an_attachment_is_parted_from_its_text(tmp_path, name):
    mail = message()
    mail.set_content("See the terms.")
    mail.add_attachment("Rent is due in May.\n\nPay early.", filename=name)
    mail.add_attachment("Bye.", filename="b.txt")
    (tmp_path / "a.eml").write_bytes(mail.as_bytes())
    text = document_text(load(tmp_path / "a.eml"))
    assert f"Attachment: {name}\n\nRent is due in May.\n\nPay early." in text
    assert text.rstrip().endswith("\n\nAttachment: b.txt\n\nBye.")


def test_an_html_body_is_read_like_a_page(tmp_path):
    mail = message()
    mail.set_content("<h2>News</h2><p>caf\u00e9</p>", subtype="html", charset="iso-8859-1")
    assert read(tmp_path, mail.as_bytes()).endswith("News\n\ncaf\u00e9")


def test_an_unknown_charset_is_no_obstacle(tmp_path):
    raw = b"Subject: x\nContent-Type: text/plain; charset=martian\n\nhello \xe9"
    assert read(tmp_path, raw).endswith("hello \u00e9")


def test_a_file_without_headers_is_no_message(tmp_path):
    with pytest.raises(UnreadableFile, match="none of the headers"):
        read(tmp_path, b"just some words\n")


def test_a_real_message(shared_data):
    (section,) = runs(load(shared_data / "documents/eml_simple.eml"))
    assert section.heading_path == ("Simple Email",)
    assert section.text.startswith("Simple Email\n\nFrom: Alice Example")


def test_attached_workbooks_are_read(tmp_path):
    sheet = BytesIO()
    book = openpyxl.Workbook()
    book.active.append(["Line", "Budget"])
    book.active.append(["Travel", 7300])
    book.save(sheet)
    mail = message()
    mail.set_content("See below.")
    mail.add_attachment(sheet.getvalue(), maintype="application", subtype="x", filename="b.xlsx")
    assert "| Travel | 7300 |" in read(tmp_path, mail.as_bytes())
