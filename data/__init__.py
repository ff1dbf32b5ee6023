"""Documents: files of many formats -> blocks -> passages."""

from data.exports import lazy

__getattr__, __all__ = lazy("data")
