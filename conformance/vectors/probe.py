"""The element of a vector's results that best tells mistakes apart, and its value under each mistake."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import reference
from conformance.defects.defect import Defect, solve
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
    predictable = {i: each for i, each in enumerate(defects) if each is not None and each.lift is reference.float64}
    with np.errstate(all="ignore"):  # A defect may overflow.
        solutions = {i: solve(defect, problem, Dialect()) for i, defect in predictable.items()}
    best, most = ("", 0), -1
    for tensor, expected in expectation.values.items():
        counts = _count_values([solution[tensor] for solution in solutions.values()], expected)
        element = int(np.argmax(counts))
        if counts[element] > most:
            best, most = (tensor, element), counts[element]
    tensor, element = best
    values = {i: float(solution[tensor].flat[element]) for i, solution in solutions.items()}
    predicted = {i: round(value, _DIGITS) for i, value in values.items() if np.isfinite(value)}
    return Probe(
        tensor=tensor,
        element=element,
        within=max(_WITHIN, 4 * float(expectation.budget[tensor].flat[element])),
        predicted=[predicted.get(i) for i in range(len(defects))],
    )


def _count_values(solved: Sequence[NDArray[np.float64]], expected: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns the number of different values of each element; -1 if the expected value is NaN."""
    ordered = np.sort(np.round(np.array([expected, *solved]).reshape(len(solved) + 1, -1) / _WITHIN), axis=0)
    counts = 1 + (np.diff(ordered, axis=0) > 0).sum(axis=0)  # NaN is sorted to the end and differs from nothing.
    return np.where(np.isnan(expected.ravel()), -1, counts)
