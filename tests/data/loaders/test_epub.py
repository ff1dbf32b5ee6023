"""Books."""

import zipfile

import pytest

from data.errors import UnreadableFile
from data.loaders.epub import load
from tests.data.loaders.support import runs

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
)
PACKAGE = (
    '<package xmlns="http://www.idpf.org/2007/opf"><manifest>'
    '<item id="b" href="two%20b.xhtml" media-type="application/xhtml+xml"/>'
    '<item id="a" href="one.xhtml" media-type="application/xhtml+xml"/>'
    '<item id="x" href="gone.xhtml" media-type="application/xhtml+xml"/>'
    '<item id="c" href="c.css" media-type="text/css"/></manifest>'
    '<spine><itemref idref="a"/><itemref idref="x"/><itemref idref="b"/></spine></package>'
)


def make(path, package: str = PACKAGE, **extra: str):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr("OEBPS/book.opf", package)
        archive.writestr("OEBPS/one.xhtml", "<html><body><h1>One</h1><p>First.</p></body></html>")
        archive.writestr("OEBPS/two b.xhtml", "<html><body><h1>Two</h1><p>Last.</p></body></html>")
        for name, text in extra.items():
            archive.writestr(name.replace("__", "/").replace("_xml", ".xml"), text)
    return path


def test_pages_come_in_the_order_of_the_spine(tmp_path):
    sections = runs(load(make(tmp_path / "a.epub")))
    assert [(s.heading_path, s.text, s.char_start) for s in sections] == [
        (("One",), "One\n\nFirst.", 0),
        (("Two",), "Two\n\nLast.", 13),
    ]


def test_entities_are_not_expanded(tmp_path):
    bomb = '<!DOCTYPE p [<!ENTITY a "aaaa">]>' + PACKAGE
    with pytest.raises(UnreadableFile, match="damaged"):
        runs(load(make(tmp_path / "a.epub", bomb)))


def test_encrypted_pages_are_refused(tmp_path):
    encryption = '<encryption><CipherReference URI="OEBPS/one.xhtml"/></encryption>'
    with pytest.raises(UnreadableFile, match="digital rights"):
        runs(load(make(tmp_path / "a.epub", **{"META-INF__encryption_xml": encryption})))


def test_encrypted_fonts_do_not_matter(tmp_path):
    encryption = '<encryption><CipherReference URI="OEBPS/font.otf"/></encryption>'
    path = make(tmp_path / "a.epub", **{"META-INF__encryption_xml": encryption})
    assert len(runs(load(path))) == 2


def test_a_chapter_that_is_named_many_times_is_read_once(tmp_path):
    path = make(tmp_path / "a.epub")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    package = next(name for name in parts if name.endswith(".opf"))
    first = b"<itemref" + parts[package].split(b"<itemref", 1)[1].split(b">", 1)[0] + b">"
    parts[package] = parts[package].replace(b"</spine>", first * 3000 + b"</spine>")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert len(runs(load(path))) == len(runs(load(make(tmp_path / "b.epub"))))


def test_the_book_says_its_title_and_its_author(tmp_path):
    said = "<metadata><title>Weirs</title><creator>A. Odell</creator><date/></metadata><manifest>"
    (first, *_) = runs(load(make(tmp_path / "a.epub", PACKAGE.replace("<manifest>", said))))
    assert first.text.startswith("Weirs\n\nCreator: A. Odell")
