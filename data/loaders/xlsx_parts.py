"""Parts of a workbook's archive that openpyxl does not read: formulas beside values, text boxes."""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from itertools import islice
from typing import cast
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from data.cleaning import inline

_FORMULA = re.compile(
    rb'<c\b[^>]*?\br="([A-Z]{1,3}\d{1,7})"[^>]*>\s*<f\b[^>]*?(?:/>|>([^<]*)</f>)\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>'
)
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


class Parts:
    """The parts of an archive that belong to a sheet of this name."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        sheets = _below(self._read("xl/workbook.xml"), "sheet")
        targets = self._targets("xl/workbook.xml")
        ids = ((node.get("name"), node.get(f"{_R}id", "")) for node in sheets)
        self._paths = {name: targets[key][1] for name, key in ids if key in targets}

    def formulas(self, sheet: str) -> dict[str, str]:
        """Coordinate to formula, of those without a stored value: no Excel wrote the file."""
        try:
            raw = self._archive.read(self._paths.get(sheet, ""))
        except KeyError:
            return {}
        if b"<f" not in raw:
            return {}
        found = {}
        for match in islice(_FORMULA.finditer(raw), 100_000):
            formula = (match[2] or b"").decode("utf-8", "replace")
            found[match[1].decode()] = f"={formula}" if formula else "(formula)"
        return found

    def text_boxes(self, sheet: str) -> Iterator[str]:
        """The texts of the shapes that are drawn on a sheet."""
        for kind, path in self._targets(self._paths.get(sheet, "")).values():
            if kind == "drawing":
                for body in _below(self._read(path), "txBody"):
                    parts = (
                        "".join(leaf.text or "" for leaf in _below(each, "t")) for each in body
                    )
                    yield inline(" ".join(parts))

    def pictures(self, sheet: str) -> Iterator[str]:
        """What is said of the pictures on a sheet."""
        for kind, path in self._targets(self._paths.get(sheet, "")).values():
            if kind == "drawing":
                for node in _below(self._read(path), "cNvPr"):
                    yield node.get("descr", "")

    def threads(self, sheet: str) -> dict[str, str]:
        """Coordinate to the comments on a cell that answer each other, with their authors."""
        found: dict[str, str] = {}
        people = {
            node.get("id", ""): node.get("displayName", "")
            for kind, path in self._targets("xl/workbook.xml").values()
            if kind == "person"
            for node in _below(self._read(path), "person")
        }
        for kind, path in self._targets(self._paths.get(sheet, "")).values():
            if kind == "threadedComment":
                for node in _below(self._read(path), "threadedComment"):
                    said = "".join(leaf.text or "" for leaf in _below(node, "text"))
                    place, who = node.get("ref", ""), people.get(node.get("personId", ""), "")
                    one = inline(f"{who}: {said}" if who else said)
                    found[place] = f"{found[place]}; {one}" if place in found else one
        return found

    def _targets(self, path: str) -> dict[str, tuple[str, str]]:
        """Kind and path of what a part refers to, by id."""
        folder, name = posixpath.split(path)
        return {
            node.get("Id", ""): (
                node.get("Type", "").rpartition("/")[2],
                posixpath.normpath(posixpath.join("/", folder, node.get("Target", "")))[1:],
            )
            for node in _below(self._read(f"{folder}/_rels/{name}.rels"), "Relationship")
        }

    def _read(self, path: str) -> Element:
        try:
            return cast("Element", fromstring(self._archive.read(path)))
        except (KeyError, ParseError, DefusedXmlException):
            return Element("none")


def _below(root: Element, name: str) -> list[Element]:
    return [node for node in root.iter() if node.tag.rpartition("}")[2] == name]
