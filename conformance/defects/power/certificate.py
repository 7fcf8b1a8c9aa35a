"""Certificate of a case: the smallest change of each parameter element that the case detects.

If a case does not detect a change of an element by 1e-3, an implementation can misread that element and still pass.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.power.detection import FlatExpectation
from conformance.verdict.judge import describe_element
from conformance.verdict.oracle import Oracle
from conformance.verdict.oracle import solve as reference_solve
from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES, Dialect

MAX_UNDETECTED_CHANGE = 1e-3
"""Change of a parameter element that a case should detect. If not, ``conformance check --certify`` warns."""
MAX_ELEMENTS = 2000
"""Largest number of elements to change per case. In larger cases, evenly spaced elements are changed."""
_CHANGE = 1e-6
"""Amount added to an element, so small that the deviation is linear in it."""
_MAX_MULTIPLICATIONS = 4e9
"""Limit on multiplications per case. To stay below it, fewer elements are changed, but at least ``_MIN_ELEMENTS``."""
_MIN_ELEMENTS = 50


@dataclass(frozen=True)
class Element:
    """One element of a parameter.

    Attributes:
        name: name of the parameter.
        where: position of the element in words.
        smallest_change: change of the element that causes an error ratio of 1; infinite if there is none.
    """

    name: str
    where: str
    smallest_change: float


@dataclass(frozen=True)
class Certificate:
    """Sensitivity of a case to changes of its parameters.

    Attributes:
        case: the case.
        worst: element with the largest ``smallest_change``.
        tried: number of elements that were changed.
        elements: number of parameter elements.
    """

    case: Case
    worst: Element
    tried: int
    elements: int

    @property
    def holds(self) -> bool:
        """Whether the case detects a change of each tried element by ``MAX_UNDETECTED_CHANGE``."""
        return self.worst.smallest_change <= MAX_UNDETECTED_CHANGE

    def __str__(self) -> str:
        undetectable = np.isinf(self.worst.smallest_change)
        size = "no change" if undetectable else f"no change below {self.worst.smallest_change:.1e}"
        tried = "" if self.tried == self.elements else f" (tried {self.tried} of {self.elements} elements)"
        return f"detects {size} of {self.worst.name} at {self.worst.where}{tried}"


def certify(case: Case, oracle: Oracle) -> Certificate:
    """Changes the parameters of a case, one element at a time, and measures the error ratios.

    Raises:
        RejectedCaseError: the case cannot be judged.
    """
    problem = make_problem(case)
    flat = FlatExpectation(oracle.expect(problem, PROFILES[case.dtype], Dialect()))
    count = sum(array.size for array in problem.parameters.values())
    multiplications = case.seq_len * (case.rows or 1) * count
    stride = -(-count // max(_MIN_ELEMENTS, min(MAX_ELEMENTS, int(_MAX_MULTIPLICATIONS / multiplications))))
    found = [_measure(problem, flat, name, index) for name, index in _elements(problem, stride)]
    return Certificate(case, max(found, key=lambda element: element.smallest_change), len(found), count)


def _elements(problem: Problem, stride: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yields every stride-th element of all parameters, except those that the problem's LSTM does not read."""
    number = 0
    for name, array in problem.parameters.items():
        # Coupled gates do not read the forget gate's block: the second of four gates, or of three peepholes.
        block = array.size // (3 if name.startswith("peephole") else 4)
        unread = range(block, 2 * block) if problem.case.coupled_gates and not name.startswith("weight_hr") else ()
        for flat in range(array.size):
            if number % stride == 0 and flat not in unread:
                yield name, tuple(int(i) for i in np.unravel_index(flat, array.shape))
            number += 1


def _measure(problem: Problem, flat: FlatExpectation, name: str, index: tuple[int, ...]) -> Element:
    """Changes one element and extrapolates linearly to an error ratio of 1."""
    changed: Any = np.array(problem.parameters[name], dtype=np.float64)
    changed[index] += _CHANGE
    wrong = replace(problem, parameters={**problem.parameters, name: changed})
    error_ratio = flat.error_ratio(reference_solve(wrong, Dialect()))
    smallest_change = _CHANGE / error_ratio if error_ratio > 0 else np.inf
    return Element(name, describe_element(problem.case, name, index), smallest_change)
