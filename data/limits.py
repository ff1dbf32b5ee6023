"""How much one file may cost before it is refused."""

from dataclasses import dataclass, fields

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one file; all are positive, sizes in bytes, times in seconds.

    `max_file_bytes` bounds files that are parsed as a whole, `max_stream_bytes` those that are
    read line by line (JSONL), which may be far larger. `max_characters` and `max_pages` bound
    the text that comes out of a file parsed as a whole (a stream gives no more than it holds);
    `max_expanded_bytes`, `max_expansion` (ratio) and `max_members` bound zip containers such as
    DOCX. A small container may exceed the ratio: text of a few MiB honestly compresses that far.

    The parser may be silent for `seconds + seconds_per_mib * size of the file` in all, counted
    only while somebody waits for it: a slow consumer costs a file nothing. The same number
    bounds its processor time, and each page that is read as a picture adds `seconds_per_scan`, at
    most `max_scans` times. `memory_bytes` bounds its address space.

    Raises ValueError for a limit that is not above zero.
    """

    max_file_bytes: int = 200 * MIB
    max_stream_bytes: int = 4096 * MIB
    max_pages: int = 5000
    max_characters: int = 50_000_000
    max_expanded_bytes: int = 1024 * MIB
    max_expansion: int = 100
    max_members: int = 10_000
    seconds: float = 120.0
    seconds_per_mib: float = 5.0
    seconds_per_scan: float = 20.0
    max_scans: int = 2000
    memory_bytes: int = 2048 * MIB

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"{field.name} must be above 0, got {value}")

    def budget(self, size: int) -> float:
        """Seconds that a file of `size` bytes may keep the parser busy."""
        return self.seconds + self.seconds_per_mib * size / MIB
