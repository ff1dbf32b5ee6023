"""A data set as it is asked for, whatever kind it is."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Asked:
    """What a loader of data sets is called with.

    Attributes:
        split: whose judgements or questions, where there are several.
        queries: `original`, or whose rewriting of BRIGHT's queries, such as `gpt4_reason`.
    """

    name: str
    data_dir: Path | None
    cache: Path
    split: str = "test"
    queries: str = "original"

    @property
    def argument(self) -> str:
        """What stands behind the colon; empty for nothing."""
        return self.name.partition(":")[2]
