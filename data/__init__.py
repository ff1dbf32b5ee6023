"""Documents: files of many formats -> blocks -> passages."""

from typing import TYPE_CHECKING

from data.exports import lazy

if TYPE_CHECKING:
    from data.blocks import Block, Box, LoadWarning, Table
    from data.discovery import discover
    from data.errors import DataError, RagAppError, UnreadableFile
    from data.limits import Limits
    from data.loaders import load, sniff
    from data.parsing import Parser
    from data.registry import Row
    from data.splitting import Passage, Splitter

__all__ = [
    "Block",
    "Box",
    "DataError",
    "Limits",
    "LoadWarning",
    "Parser",
    "Passage",
    "RagAppError",
    "Row",
    "Splitter",
    "Table",
    "UnreadableFile",
    "discover",
    "load",
    "sniff",
]

__getattr__ = lazy(
    "data",
    {
        "blocks": ("Block", "Box", "LoadWarning", "Table"),
        "discovery": ("discover",),
        "errors": ("DataError", "RagAppError", "UnreadableFile"),
        "limits": ("Limits",),
        "loaders": ("load", "sniff"),
        "parsing": ("Parser",),
        "registry": ("Row",),
        "splitting": ("Passage", "Splitter"),
    },
)
