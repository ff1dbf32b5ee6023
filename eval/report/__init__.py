"""Reports of finished runs, as a web page and as Markdown, and comparisons of two.

`write(directory)` is all that a run needs.
"""

from eval.report.writing import MARKDOWN, PAGE, write

__all__ = ["MARKDOWN", "PAGE", "write"]
