"""A store that stops before any write one chooses, as a process that is killed there would."""

from typing import Any

from pydantic import PrivateAttr

from retrieval.index.edge import EdgeStore

WRITES = (
    "upsert", "reweigh", "delete_version", "delete_source", "put_record", "delete_record",
    "put_collection",
)  # fmt: skip


class Crash(Exception):
    """The process ends here."""


class FragileStore(EdgeStore):
    """Raises Crash before write number `survives` (from 0), and before every later one."""

    _survives: int | None = PrivateAttr(default=None)
    _writes: int = PrivateAttr(default=0)

    def crash_before(self, write: int) -> "FragileStore":
        self._survives, self._writes = write, 0
        return self

    @property
    def crashed(self) -> bool:
        return self._survives is not None and self._writes > self._survives

    def _write(self, name: str, *arguments: Any) -> Any:
        self._writes += 1
        if self.crashed:
            raise Crash(f"before write {self._survives}: {name}")
        return getattr(super(), name)(*arguments)


def _fragile(name: str) -> Any:
    def write(self: FragileStore, *arguments: Any) -> Any:
        return self._write(name, *arguments)

    return write


for _name in WRITES:
    setattr(FragileStore, _name, _fragile(_name))
