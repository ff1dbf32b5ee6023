"""How much one file may cost before it is refused."""

from dataclasses import dataclass, fields

MIB = 1024 * 1024
_SMALL = 1_000_000
"""Characters that any file may hold, however small."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one file; all are positive, sizes in bytes, times in seconds.

    `max_file_bytes` bounds files that are parsed as a whole, `max_stream_bytes` those that are
    read line by line (JSONL), which may be far larger. `max_characters` and `max_pages` bound
    the text that comes out of a file parsed as a whole (a stream gives no more than it holds);
    `max_expanded_bytes`, `max_expansion` (ratio) and `max_members` bound zip containers such as
    DOCX. A small container may exceed the ratio: text of a few MiB honestly compresses that far.

    The parser may use `seconds + seconds_per_mib * size of the file` of processor time, and be
    silent for four times as long in all, counted only while somebody waits for it: a busy machine
    or a slow consumer costs a file nothing. Every hundredth page adds `seconds_per_100_pages`, as
    long as a page has a KiB of the file; each page that is read as a picture adds
    `seconds_per_scan`, at most `max_scans` times. `memory_bytes` bounds its address space.
    Splitting has the same processor time, and encoding `encode_seconds +
    encode_seconds_per_mib * size` in all.

    Raises ValueError for a limit that is not above zero.
    """

    max_file_bytes: int = 200 * MIB
    max_stream_bytes: int = 4096 * MIB
    max_pages: int = 5000
    max_characters: int = 50_000_000
    max_expanded_bytes: int = 1024 * MIB
    max_expansion: int = 100
    max_members: int = 10_000
    seconds: float = 20.0
    seconds_per_mib: float = 5.0
    seconds_per_100_pages: float = 6.0
    seconds_per_scan: float = 20.0
    max_scans: int = 2000
    memory_bytes: int = 2048 * MIB
    encode_seconds: float = 1800.0
    encode_seconds_per_mib: float = 600.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"{field.name} must be above 0, got {value}")

    def budget(self, size: int) -> float:
        """Seconds of processor time that a file of `size` bytes may cost the parser."""
        return self.seconds + self.seconds_per_mib * size / MIB

    def patience(self, size: int) -> float:
        """Seconds for which the parser may be silent over it, in all."""
        return 4 * self.budget(size)

    def encoding(self, size: int) -> float:
        """Seconds for which its passages may be encoded."""
        return self.encode_seconds + self.encode_seconds_per_mib * size / MIB

    def passage_characters(self, size: int) -> int:
        """Characters of all its passages together, which repeat what overlaps, and headers."""
        most = min(self.max_characters, max(_SMALL, self.max_expansion * size))
        return 2 * max(size, most)
