"""What Word draws without saying it as text: characters of its symbol fonts, ticks, choices."""

from typing import Any

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_GREEK = "aα bβ gγ dδ eε zζ hη qθ lλ mμ nν pπ rρ sσ tτ fφ cχ wω DΔ GΓ PΠ SΣ FΦ WΩ"
_FONTS = {
    font: {ord(pair[0]): pair[1] for pair in pairs.split()}
    for font, pairs in (
        ("Symbol", f"{_GREEK} °° ±± ´× £≤ ³≥ ¹≠ ®→"),
        ("Wingdings", "o☐ ¨☐ x☒ ý☒ þ☑ ü✓ û✗"),
        ("Wingdings 2", "£☐ Q☒ R☑ S☒ T☒ P✓ O✗"),
    )
}
"""The low byte of a font's character, as Latin-1 has it, and what the font shows for it."""


def symbol(node: Any) -> str:
    """The character of a `w:sym`; "-" for one that its font alone knows, as bullets are."""
    try:
        point = int(node.get(f"{_W}char", ""), 16)
    except ValueError:
        return ""
    known = _FONTS.get(node.get(f"{_W}font", ""), {}).get(point & 0xFF)
    return known or (chr(point) if 0x20 <= point < 0xE000 or 0xF900 <= point < 0xFFFE else "-")


def form_field(node: Any) -> str:
    """What a `w:ffData` shows that has no text of its own: a check box, the choice of a list."""
    inner = {str(each.tag).rpartition("}")[2]: each.get(f"{_W}val", "1") for each in node.iter()}
    if "checkBox" in inner:
        ticked = inner.get("checked", inner.get("default", "0"))
        return "☐" if ticked in {"0", "false"} else "☒"
    if "ddList" in inner:
        choices = [each.get(f"{_W}val", "") for each in node.iter(f"{_W}listEntry")]
        at = inner.get("result", inner.get("default", "0"))
        return str(choices[int(at)]) if at.isdigit() and int(at) < len(choices) else ""
    return ""
