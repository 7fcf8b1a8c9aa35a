"""The element of a vector's results that best distinguishes mistakes, and its value under each mistake."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import reference
from conformance.defects.defect import Arrays, Defect
from conformance.defects.solve import solve
from conformance.vectors.document import Probe
from conformance.verdict.oracle import Expectation
from conformance.verdict.problem import Problem
from reference import Dialect

_WITHIN = 1e-3
_DIGITS = 4
"""Number of decimal places of a prediction."""


def choose_probe(problem: Problem, expectation: Expectation, defects: Sequence[Defect | None]) -> Probe:
    """Chooses the element that takes the most different values.

    Args:
        problem: problem of the vector.
        expectation: the expected results.
        defects: for each mistake of the file, the defect if the vector detects it.
    """
    solutions = _solve(problem, defects)
    best, most = ("", 0), -1
    for tensor, expected in expectation.values.items():
        counts = _count_values([each[tensor] for each in solutions if each], expected)
        element = int(np.argmax(counts))
        if counts[element] > most:
            best, most = (tensor, element), counts[element]
    tensor, element = best
    within = max(_WITHIN, 4 * float(expectation.budget[tensor].flat[element]))
    return Probe(tensor=tensor, element=element, within=within, predicted=_read(solutions, tensor, element))


def wrong_predictions(probe: Probe, problem: Problem, defects: Sequence[Defect | None]) -> list[int]:
    """Returns the places of the mistakes that a probe predicts wrongly. Arguments as in ``choose_probe``."""
    right = _read(_solve(problem, defects), probe.tensor, probe.element)
    given = enumerate(zip(probe.predicted, right, strict=True))
    # On another machine, a value may be rounded to the other side.
    return [i for i, (a, b) in given if (a is None) != (b is None) or abs((a or 0.0) - (b or 0.0)) > 2 * 10.0**-_DIGITS]


def _solve(problem: Problem, defects: Sequence[Defect | None]) -> list[Arrays | None]:
    """Returns the results of each defect; None for no defect, and for one that depends on the order of rounding."""
    with np.errstate(all="ignore"):  # A defect may overflow.
        return [
            solve(defect, problem, Dialect()) if defect is not None and defect.lift is reference.float64 else None
            for defect in defects
        ]


def _read(solutions: Sequence[Arrays | None], tensor: str, element: int) -> list[float | None]:
    """Returns an element of each solution, rounded; None if it is not finite."""
    values = [float(each[tensor].flat[element]) if each else np.nan for each in solutions]
    return [round(value, _DIGITS) if np.isfinite(value) else None for value in values]


def _count_values(solved: Sequence[NDArray[np.float64]], expected: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns the number of different values of each element; -1 if the expected value is NaN."""
    ordered = np.sort(np.round(np.array([expected, *solved]).reshape(len(solved) + 1, -1) / _WITHIN), axis=0)
    counts = 1 + (np.diff(ordered, axis=0) > 0).sum(axis=0)  # NaN is sorted to the end and differs from nothing.
    return np.where(np.isnan(expected.ravel()), -1, counts)
