"""The blocks of a document as a person reads them."""

from collections.abc import Iterable, Iterator

from data.blocks import Block, document_text


def as_text(blocks: Iterable[Block]) -> str:
    """The document's text: what the offsets of its passages count in, unless blocks are missing."""
    return document_text(blocks)


def as_markdown(blocks: Iterable[Block]) -> str:
    """Headings with their marks, tables, lists and code as Markdown; running heads in italics."""
    return "\n".join(_paragraphs(blocks)).strip() + "\n"


def _paragraphs(blocks: Iterable[Block]) -> Iterator[str]:
    before = ""
    for block in blocks:
        text = block.text.strip("\n").rstrip()
        if not text:
            continue
        tight = block.kind == before and block.kind in {"list_item", "line", "form_field"}
        runs_on = block.joint is not None and "\n" not in block.joint
        if before and not tight and not (runs_on and block.kind == before):
            yield ""
        before = block.kind
        if block.kind == "heading" and not text.startswith("#"):
            yield f"{'#' * min(max(block.level, 1), 6)} {' '.join((block.title or text).split())}"
        elif block.kind == "code" and not text.startswith(("```", "~~~")):
            yield f"```\n{text}\n```"
        elif block.kind in {"page_header", "page_footer"}:
            yield f"*{text}*"
        elif block.kind == "note":
            yield "\n".join(f"> {line}" for line in text.split("\n"))
        elif block.kind in {"line", "form_field"}:
            yield f"{text}  "
        else:
            yield text
