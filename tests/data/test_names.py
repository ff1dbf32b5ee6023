from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from data.names import is_address, safe_name


@given(st.text() | st.sampled_from(["../../etc/passwd", "..", "a/..", "C:\\x\\y.pdf", "\x00", "."]))
def test_a_name_is_never_a_path(name: str) -> None:
    safe = safe_name(name)
    assert safe == Path(safe).name
    assert safe not in {"", ".", ".."}
    assert len(safe.encode()) <= 200
    assert not any(ord(character) < 32 for character in safe)


@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20))
def test_an_ordinary_name_is_kept(stem: str) -> None:
    assert safe_name(f"{stem} (1).pdf") == f"{stem} (1).pdf"


def test_a_long_name_keeps_its_extension() -> None:
    assert safe_name("ü" * 300 + ".pdf").endswith("ü.pdf")
    long = "a" * 3_000_000  # letter by letter, this would take hours
    assert safe_name(f"{long}.pdf") == "a" * 196 + ".pdf"
    assert safe_name(f"a.{long}") == "." + "a" * 199


def test_addresses_of_the_web_are_told_from_paths() -> None:
    assert all(map(is_address, ("http://h", "HTTPS://h/a", "https://")))
    assert not any(map(is_address, ("", "/http://h", "ftp://h", "http:/h", "notes.txt")))
