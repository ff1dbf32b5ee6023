"""Rebuilding page texts from sections."""

import pytest

from data.sections import Section, page_texts


def test_gaps_are_line_feeds_and_pages_are_apart():
    sections = [Section("ab", 1), Section("cd", 2, (), 1), Section("ef", 1, (), 4)]
    assert page_texts(sections) == {1: "ab\n\nef", 2: "\ncd"}


def test_overlap_is_an_error():
    with pytest.raises(ValueError, match="overlaps"):
        page_texts([Section("abc"), Section("d", char_start=2)])
