"""The rows of the stage that cuts documents."""

from data.registry import Row, registry

SPLITTERS = registry(
    Row("blocks", "data.splitting:Splitter", "packs sentences, rows and lines of blocks"),
)
