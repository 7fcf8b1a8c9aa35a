"""Problems that are kept for the next implementation, because all implementations run the same cases."""

from conformance.cases.case import Case
from conformance.cases.size import count
from conformance.verdict.problem import Problem, make_problem

KEPT_ELEMENTS = 2**24
"""Number of array elements that are kept, in up to 128 MB.

The shipped cases need two thirds of it. If they did not fit, each implementation would draw all of them again, because
all implementations run them in the same order.
"""
_ELEMENTS_OF_PROBLEM = 2**11
"""Number of elements that take as much memory as the objects of a problem, about 9 kB."""


class Problems:
    """Draws problems and keeps the latest ones. A problem above the capacity is drawn each time.

    Args:
        capacity: number of array elements to keep.
    """

    def __init__(self, capacity: int = KEPT_ELEMENTS) -> None:
        self._capacity = self._free = capacity
        self._kept: dict[tuple[Case, int], Problem] = {}

    def draw(self, case: Case, draw: int) -> Problem:
        """Returns the problem of a draw of a case. It is drawn unless it is kept."""
        key = case, draw
        if key in self._kept:
            return self._kept[key]
        problem = make_problem(case, draw)
        if elements(case) <= self._capacity:
            self._kept[key] = problem
            self._free -= elements(case)
        while self._free < 0:
            oldest = next(iter(self._kept))
            self._free += elements(oldest[0])
            del self._kept[oldest]
        return problem


def elements(case: Case) -> int:
    """Returns about how many array elements the problem of a case holds."""
    counts = count(case)
    return _ELEMENTS_OF_PROBLEM + counts.parameters + counts.inputs + counts.values
