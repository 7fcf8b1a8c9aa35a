"""Journal of a campaign: one line of the results file for each drawn case, so that an interrupted campaign resumes.

Rows follow the settings, and may be missing for cases that conform. The journal has every case:

``{"kind": "drawn", "implementation": …, "number": 17, "status": "pass", "dtype": "float32", "error_ratio": 0.2}``
"""

import json
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from conformance.results.record import DEVIATIONS, Result

KIND = "drawn"


@dataclass(frozen=True)
class Drawn:
    """One case of a campaign.

    Attributes:
        implementation: name of the implementation.
        number: number of the case in the implementation's sequence.
        status: status of the result.
        dtype: dtype of the case.
        error_ratio: largest error ratio; None if nothing was compared.
    """

    implementation: str
    number: int
    status: str
    dtype: str
    error_ratio: float | None = None

    @classmethod
    def of(cls, number: int, result: Result) -> Self:
        """Returns the entry of a result."""
        return cls(result.implementation, number, result.status, result.dtype, result.error_ratio)


@dataclass
class Tally:
    """Counts of the cases of one implementation.

    Attributes:
        statuses: number of cases by status.
        next: number of the next case.
        ratios: error ratios of the cases that pass, by dtype.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    next: int = 0
    ratios: dict[str, "array[float]"] = field(default_factory=dict)

    def add(self, drawn: Drawn) -> None:
        """Counts a case, unless it was counted before."""
        if drawn.number < self.next:
            return
        self.next = drawn.number + 1
        self.statuses[drawn.status] += 1
        if drawn.status == "pass" and drawn.error_ratio is not None:
            self.ratios.setdefault(drawn.dtype, array("f")).append(drawn.error_ratio)

    @property
    def cases(self) -> int:
        """Number of cases."""
        return self.statuses.total()

    @property
    def deviations(self) -> int:
        """Number of deviations."""
        return sum(self.statuses[status] for status in DEVIATIONS)

    def quantiles(self) -> dict[str, tuple[int, float, float, float]]:
        """Returns, by dtype, the number of passed cases and the median, 99th percentile and maximum of their ratios."""
        found = {}
        for dtype, ratios in sorted(self.ratios.items()):
            median, p99, largest = map(float, np.quantile(ratios, (0.5, 0.99, 1.0)))
            found[dtype] = (len(ratios), median, p99, largest)
        return found


def read(path: Path) -> Iterator[Drawn]:
    """Yields the journal of a results file. An incomplete last line is ignored."""
    with path.open("rb") as lines:
        for line in lines:
            if line.startswith(_START) and line.endswith(b"\n"):
                content: dict[str, Any] = json.loads(line)
                del content["kind"]
                yield Drawn(**content)


_START = json.dumps({"kind": KIND}, separators=(",", ":"))[:-1].encode()
