"""Shards: parts of a run. Each case × implementation belongs to exactly one of n shards.

Only the case's key and the implementation's name select the shard, so adding other cases or implementations moves no
row.
"""

import hashlib
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Shard:
    """One of several parts of a run.

    Attributes:
        index: number of the shard, from 1.
        of: number of shards.
    """

    index: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses ``i/n``.

        Raises:
            ValueError: the text is not ``i/n`` with 1 ≤ i ≤ n.
        """
        index, slash, of = text.partition("/")
        if not (slash and index.isdecimal() and of.isdecimal() and 1 <= int(index) <= int(of)):
            raise ValueError(f"a shard is i/n with i from 1 to n, such as 1/3, not {text!r}")
        return cls(int(index), int(of))

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    def holds(self, key: str, implementation: str) -> bool:
        """Returns whether the row of a case and an implementation belongs to this shard."""
        digest = hashlib.sha256(f"{key} {implementation}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.of == self.index - 1
