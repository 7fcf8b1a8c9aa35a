"""A part of a run: ``2/3`` is the second of three, in which together every case × implementation is once.

Where a row goes depends on the case's key and the implementation's name alone, so it stays when others come or go.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Shard:
    """One of several parts.

    Attributes:
        index: which one, from 1.
        of: how many there are.
    """

    index: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The shard that ``i/n`` names.

        Raises:
            ValueError: it names none.
        """
        index, slash, of = text.partition("/")
        if not (slash and index.isdecimal() and of.isdecimal() and 1 <= int(index) <= int(of)):
            raise ValueError(f"a shard is named i/n with i from 1 to n, such as 1/3, not {text!r}")
        return cls(int(index), int(of))

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    def holds(self, key: str, implementation: str) -> bool:
        """Whether the row of a case and an implementation is in this part."""
        digest = hashlib.sha256(f"{key} {implementation}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.of == self.index - 1

    def header(self, cases: str = "", planned: dict[str, int] | None = None) -> dict[str, Any]:
        """What the header of its results file says.

        Args:
            cases: a hash of all rows of the whole run; empty where it is not known.
            planned: how many rows of each implementation the whole run has.
        """
        return {"index": self.index, "of": self.of, "cases": cases, "planned": planned or {}}
