"""Response maps: which results respond when one block of what an implementation reads changes."""

from collections.abc import Mapping
from dataclasses import dataclass

EXPECTED, MISSING, UNEXPECTED, NONE = "+", "-", "x", "."
"""Marks of a result that responds as it must, that does not although it must, that must not, and that does not."""


@dataclass(frozen=True)
class ResponseMap:
    """The blocks that an implementation reads wrongly, and the results that respond to a change of each.

    Attributes:
        probe: name of the probe or case in which the responses were measured.
        results: descriptions of the blocks that may respond, such as ``h_n, layer 0, forward, row 1``.
        rows: for each changed block with a wrong response, by description, one mark for each of the results.
        omitted: number of further blocks with a wrong response.
    """

    probe: str
    results: tuple[str, ...]
    rows: Mapping[str, str]
    omitted: int = 0

    def as_lines(self, limit: int) -> list[str]:
        """Returns the first rows as text under a legend, in at most ``limit`` lines; none if no row fits."""
        tensors = [name.partition(",")[0] for name in self.results]
        spans = {name: slice(tensors.index(name), tensors.index(name) + tensors.count(name)) for name in tensors}
        rows = [
            f"{block}: " + ", ".join(f"{name} {marks[span]}" for name, span in spans.items())
            for block, marks in self.rows.items()
        ]
        legend = f"{EXPECTED} responds, {MISSING} must respond but does not, {UNEXPECTED} must not respond but does"
        shown = rows[: max(limit - 1, 0)]
        count = f"{len(shown)} of {len(rows) + self.omitted} blocks of the case {self.probe}"
        return [f"{count}: {legend}", *shown] if shown else []
