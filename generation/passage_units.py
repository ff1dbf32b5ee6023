"""What of a passage can be quoted: sentences, list items and rows of tables, each with its place.

Headings, lines of a mail's header, captions, header rows and code are recognised and left out: they
say what something is about, and answer nothing. So are questions, whose answer stands behind them.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from data.sentences import split_sentences
from data.tables import cells, named_row

Span = tuple[int, int]
"""A half-open range of characters."""

_HEADING: Final = re.compile(r"[ \t]*#{1,6}[ \t]")
_MAIL_HEADER: Final = re.compile(
    r"(?:from|to|cc|bcc|date|sent|subject|reply-to|message-id|attachments?|von|an|datum|gesendet|"
    r"betreff|de|para|fecha|asunto|à|objet|fra|til|dato|emne|received|content-type)[ \t]*:[ \t]*\S",
    re.IGNORECASE,
)
_CAPTION: Final = re.compile(
    r"[*_]*(?:figure|fig\.|table|abbildung|abb\.|tabelle|tab\.|figura|tabla|tableau|exhibit|图|表|図)"
    r"[ \t]*[A-Z]?\d+(?:[.\-–]\d+)*[a-z]?(?=[ \t]*[:.–—-]|[ \t]*$|[ \t]+[A-ZÀ-Ý])",
    re.IGNORECASE,
)
_BULLETS: Final = "-*+–—•‣⁃∙◦·●○■□▪▫►➢➤❖✓✔"
_MARKS: Final = re.compile(rf"[ \t]*(?:[{_BULLETS}>][ \t]+)+")
_ITEM: Final = re.compile(
    rf"[ \t]*(?:[{_BULLETS}]|\(?\d{{1,3}}(?:\.\d{{1,3}})*[.)]|\(?[a-z][.)])[ \t]+(?=\S)"
    # "2.1 Market stops"; "2.4 GHz" is no item
    r"|[ \t]*\d{1,2}(?:\.\d{1,2}){1,3}[ \t]+(?=[^\W\d_a-z][^\W\d_A-Z]{2})"
)
_RULE: Final = re.compile(r"[ \t]*\|?(?:[ \t]*:?-+:?[ \t]*\|)+[ \t]*(?::?-+:?)?[ \t]*")
_FENCE: Final = re.compile(r"[ \t]*(?:```|~~~)")
_RECORD: Final = re.compile(
    r"(?:[^\n:;|]{1,60}:[ \t][^\n;]*;[ \t]+){2,}[^\n:;|]{1,60}:[ \t]"
    r"|[^\n:;|]{1,200}:[ \t][^\n:;|]{1,60}:[ \t][^\n;]*;[ \t]+[^\n:;|]{1,60}:[ \t]"
)
"""Names and values of an object; two are enough behind its path ("pump / motor: ")."""
_LETTER: Final = re.compile(r"[^\W_]")
_IDEOGRAPH: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD: Final = re.compile(rf"[{_IDEOGRAPH}]{{2}}|[^\W_]+(?:['’-][^\W_]+)*")
_LEANING: Final = re.compile(
    # words that begin a sentence which is not understood without the one before
    r"[\"'“„(]*(?:(?:it|its|they|them|their|this|these|that|those|he|him|his|she|her|such|then|"
    r"thus|therefore|hence|however|but|instead|otherwise|also|so|and|or|nor|yet|"
    r"er|sie|es|dies|diese|dieser|dieses|deren|dessen|dort|dabei|damit|dadurch|daher|deshalb|"
    r"aber|jedoch|danach|il|elle|ils|elles|cela|ceci|ce|cette|ces|celui-ci|mais|donc|ensuite|alors|"
    r"ello|esto|esta|este|estos|estas|ellos|ellas|pero|además|entonces|han|hun|dette|"
    r"disse|men|derfor|dog)(?:['’][a-z]+)?(?![^\W_])|这|那|它|他|她|其|それ|これ|その|この|しかし)",
    re.IGNORECASE,
)
_PAIR: Final = re.compile(r"[^\W_][^:：]*[:：][ \t]*[^\W_].*")
_FEWEST_WORDS: Final = 3
_LONGEST_LIST: Final = 900
_FEWEST_ITEMS: Final = 2
_LONGEST_TITLE: Final = 9
_ENDS: Final = ("", *".!?:;,…。！？：；،؟")


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of a passage that belong together; ``kind`` is the name that it has in Markdown."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Unit:
    """What can be quoted by itself.

    Attributes:
        core: The sentence, list item or row of a table.
        span: It, and as much around it as it needs to be understood: the sentence before one that
            begins with "It", the title above a value, the list behind a lead-in or a title, the
            table behind a lead-in, the question before its answer.
        text: ``core`` in words, as it is scored; a row with the names of its columns, a value with
            its title.
        context: ``span`` in words.
        table: The block of the table that a row belongs to; None for all else.
    """

    core: Span
    span: Span
    text: str
    context: str
    table: Block | None = None


def parse_blocks(text: str, headings: Collection[str] = ()) -> list[Block]:
    """Divide a passage's text into blocks, in time that grows with its length.

    Args:
        headings: The titles above the passage; a line that repeats one is a heading.

    Returns:
        Blocks in order: ``heading``, ``mail_header``, ``caption``, ``code``, ``table``, ``item``,
        ``record`` (a line of ``name: value`` pairs) and ``paragraph``.
    """
    titles = {" ".join(title.split()) for title in headings}
    blocks: list[Block] = []
    fenced = False
    joinable = False
    at = 0
    for line in text.splitlines(keepends=True):
        start, at = at, at + len(line)
        end = start + len(line.rstrip())
        if end == start:
            joinable = False
            continue
        kind = _kind(line, titles, fenced=fenced)
        if _FENCE.match(line):
            fenced = not fenced
        if kind == "paragraph" and joinable and blocks[-1].kind in {"paragraph", "item"}:
            blocks[-1] = Block(blocks[-1].kind, blocks[-1].start, end)
        elif kind in {"table", "code"} and joinable and blocks[-1].kind == kind:
            blocks[-1] = Block(kind, blocks[-1].start, end)
        elif kind == "caption" and joinable and blocks[-1].kind == "paragraph":
            blocks[-1] = Block("paragraph", blocks[-1].start, end)  # "as is shown in / Figure 3."
        else:
            blocks.append(Block(kind, start, end))
        joinable = True
    return [
        Block("heading", block.start, block.end) if _is_title(text, block, rest) else block
        for block, rest in zip_longest(blocks, blocks[1:])
    ]


def _is_title(text: str, block: Block, following: Block | None) -> bool:
    """Whether a paragraph is a title: a few words without a verb's full stop, set apart."""
    words = plain(text[block.start : block.end])
    return (
        block.kind == "paragraph"
        and following is not None
        and following.kind != "record"
        and "\n\n" in text[block.end : following.start]
        and words[:1].isupper()
        and words[-1].isalpha()
        and ":" not in words
        and not any(map(str.isdigit, words))
        and len(words.split()) <= _LONGEST_TITLE
    )


def _kind(line: str, titles: Collection[str], *, fenced: bool) -> str:
    if fenced or _FENCE.match(line):
        return "code"
    if _HEADING.match(line) or " ".join(line.split()) in titles:
        return "heading"
    if line.lstrip().startswith("|"):
        return "table"
    for kind, pattern in (
        ("mail_header", _MAIL_HEADER),
        ("caption", _CAPTION),
        ("record", _RECORD),
        ("item", _ITEM),
    ):
        if pattern.match(line):
            return kind
    return "paragraph"


def find_units(text: str, headings: Collection[str] = ()) -> list[Unit]:
    """Return what can be quoted of a passage, in its order."""
    units: list[Unit] = []
    blocks = parse_blocks(text, headings)
    mail = sum(block.kind == "mail_header" for block in blocks) > 1
    previous: Span | None = None
    for i, block in enumerate(blocks):
        if block.kind == "table":
            units.extend(_rows(text, block))
            previous = None
        elif block.kind == "record":
            quote = " ".join(text[block.start : block.end].split())
            units.append(Unit((block.start, block.end), (block.start, block.end), quote, quote))
            previous = None
        elif block.kind in {"paragraph", "item"} or (block.kind == "mail_header" and not mail):
            above = blocks[i - 1] if i else block
            if above.kind == "heading" and block.kind == "paragraph" and _is_value(text, block):
                units.append(_titled_value(text, above, block))
                previous = None
                continue
            sentences = _sentences(text, block)
            end = _list_behind(text, blocks, i)
            nested = end is not None and _indent(text, blocks[i + 1]) > _indent(text, block)
            units.extend(_of_sentences(text, sentences, previous, end, nested=nested))
            previous = sentences[-1] if sentences else None
        elif block.kind != "caption":
            if block.kind == "heading" and (end := _titled_list(text, blocks, i)):
                start = _behind_mark(text, block)
                words, context = plain(text[start : block.end]), plain(text[start:end])
                units.append(Unit((start, block.end), (start, end), words, context))
            previous = None
    return units


def _is_value(text: str, block: Block) -> bool:
    """Whether a paragraph is a name, a number or the like: a few words without a sentence's end."""
    words = plain(text[block.start : block.end])
    return words[-1:] not in _ENDS and len(words.split()) <= _LONGEST_TITLE


def _titled_value(text: str, title: Block, value: Block) -> Unit:
    """A value with the title right above it, without which it says nothing."""
    start = _behind_mark(text, title)
    words = f"{plain(text[start : title.end])}: {plain(text[value.start : value.end])}"
    return Unit((value.start, value.end), (start, value.end), words, words)


def _behind_mark(text: str, title: Block) -> int:
    mark = _HEADING.match(text, title.start, title.end)
    return mark.end() if mark else title.start


def _sentences(text: str, block: Block) -> list[Span]:
    """The spans of a block's sentences; one that is a number alone goes with the next."""
    found: list[Span] = []
    for start, end in split_sentences(text[block.start : block.end]):
        span = (block.start + start, block.start + end)
        if found and not _WORD.search(_without_mark(text[slice(*found[-1])])):
            found[-1] = (found[-1][0], span[1])
        else:
            found.append(span)
    return found


def _list_behind(text: str, blocks: Sequence[Block], i: int) -> int | None:
    """Where the list, records or table behind block ``i`` end, as far as quoted with it."""
    end = None
    for block in blocks[i + 1 :]:
        first = blocks[i + 1]
        if (
            block.kind not in {"item", "record", "table"}
            or block.kind != first.kind
            or block.end - blocks[i].end > _LONGEST_LIST
            or _indent(text, block) < _indent(text, first)
        ):
            break
        end = block.end
    return end


def _titled_list(text: str, blocks: Sequence[Block], i: int) -> int | None:
    """Where the list ends that a title stands right above; None where it lists no statements."""
    end = _list_behind(text, blocks, i)
    items = [block for block in blocks[i + 1 :] if end is not None and block.end <= end]
    if len(items) < _FEWEST_ITEMS or items[0].kind != "item":
        return None
    return None if any(text[one.end - 1] in "?？؟" for one in items) else end


def _indent(text: str, block: Block) -> int:
    line = text[block.start : block.end].expandtabs(4)
    return len(line) - len(line.lstrip())


def _of_sentences(
    text: str,
    sentences: Sequence[Span],
    previous: Span | None,
    list_end: int | None,
    *,
    nested: bool,
) -> Iterator[Unit]:
    """Units of a block, whose last sentence brings the list behind it if it leads to it.

    It does where it ends in a colon, or where the list is ``nested`` in the block.
    """
    for i, (start, end) in enumerate(sentences):
        words = plain(text[start:end])
        is_last = i == len(sentences) - 1
        leads = is_last and list_end is not None and (nested or words.endswith((":", "：")))
        if not words.endswith(("?", "？", "؟")) and (leads or is_sayable(words)):
            begin, stop = start, end
            if previous and (_leans(words) or text[previous[1] - 1] in "?？؟:："):
                begin = previous[0]
            if leads and list_end is not None:
                stop = list_end
            yield Unit((start, end), (begin, stop), words, plain(text[begin:stop]))
        previous = (start, end)


def _leans(words: str) -> bool:
    return bool(_LEANING.match(words))


def is_sayable(words: str) -> bool:
    """Whether a text says something: three words, or a name and its value ("Total: 512").

    Of a script that parts no words two characters count as one.
    """
    return len(_WORD.findall(words)) >= _FEWEST_WORDS or bool(_PAIR.fullmatch(words))


def plain(text: str) -> str:
    """A piece of a passage in words: white space joined, list marks and emphasis taken out."""
    lines = (_without_mark(line) for line in text.splitlines())
    return re.sub(r"(\*\*|__|`)(?=\S)|(?<=\S)(\*\*|__|`)", "", " ".join(" ".join(lines).split()))


def _without_mark(line: str) -> str:
    marks = _MARKS.match(line)
    return line[marks.end() :] if marks else line


def header_rows(lines: Sequence[str]) -> int:
    """How many of a table's first lines are its header with the rule below it; 0 for none."""
    for i, line in enumerate(lines[:4]):
        if _RULE.fullmatch(line.strip()):
            return i + 1
    return 0


def _rows(text: str, block: Block) -> Iterator[Unit]:
    lines = text[block.start : block.end].splitlines(keepends=True)
    skipped = header_rows([line.strip() for line in lines])
    names = cells(lines[skipped - 2]) if skipped > 1 else []
    at = block.start
    for i, line in enumerate(lines):
        start, at = at, at + len(line)
        values = cells(line)
        if i < skipped or not any(_LETTER.search(value) for value in values):
            continue
        words = " ".join(named_row(names, values).split())
        begin = start + len(line) - len(line.lstrip())
        span = (begin, begin + len(line.strip()))
        yield Unit(span, span, words, words, block)
