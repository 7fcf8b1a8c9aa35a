"""A case's certificate: the smallest change of each parameter's element that the case sees.

A case that would not see an element change by 1e-3 does not see a part of its weights: whatever an implementation
does with that element, it passes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.power import detection
from conformance.verdict.judge import place
from conformance.verdict.oracle import Oracle
from conformance.verdict.oracle import solve as reference_solve
from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES, Dialect

WORST = 1e-3
"""A case that cannot see a change of this size is warned of."""
ELEMENTS = 2000
"""Elements of a case that are tried; of more, every so many."""
_CHANGE = 1e-6
"""What is added to an element: small enough for the deviation to be linear in it."""
_WORK = 4e9
"""Products of all runs of a case, beyond which fewer elements are tried, though at least ``_FEWEST``."""
_FEWEST = 50


@dataclass(frozen=True)
class Element:
    """A parameter's element.

    Attributes:
        name: the parameter.
        where: the element in words.
        smallest: the smallest change that has an error ratio of 1; infinite where none has.
    """

    name: str
    where: str
    smallest: float


@dataclass(frozen=True)
class Certificate:
    """What a case sees of its weights.

    Attributes:
        case: the case.
        worst: the element that it sees least.
        tried: elements that were tried.
        elements: all of them.
    """

    case: Case
    worst: Element
    tried: int
    elements: int

    @property
    def holds(self) -> bool:
        """Whether all that was tried is seen."""
        return self.worst.smallest <= WORST

    def __str__(self) -> str:
        sampled = "" if self.tried == self.elements else f" (of {self.tried} tried of {self.elements})"
        size = "no change at all" if np.isinf(self.worst.smallest) else f"no change below {self.worst.smallest:.1e}"
        return f"it sees {size} of {self.worst.name} at {self.worst.where}{sampled}"


def certify(case: Case, oracle: Oracle) -> Certificate:
    """Changes a case's parameters, element by element.

    Raises:
        ChaoticCaseError: rounding is amplified too much for any verdict.
    """
    problem = make_problem(case)
    expectation = oracle.expect(problem, PROFILES[case.dtype], Dialect())
    count = sum(array.size for array in problem.parameters.values())
    run = case.seq_len * (case.rows or 1) * count
    stride = -(-count // max(_FEWEST, min(ELEMENTS, int(_WORK / run))))
    compared = detection.Compared(expectation)
    found = [_smallest(problem, compared, name, index) for name, index in _elements(problem, stride)]
    return Certificate(case, max(found, key=lambda element: element.smallest), len(found), count)


def _elements(problem: Problem, stride: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every so many of all elements that are read, counted through all parameters."""
    number = 0
    for name, array in problem.parameters.items():
        # Of coupled gates, the forget gate's block is not: the second of four, or of a peephole's three.
        block = array.size // (3 if name.startswith("peephole") else 4)
        unread = range(block, 2 * block) if problem.case.coupled_gates and not name.startswith("weight_hr") else ()
        for flat in range(array.size):
            if number % stride == 0 and flat not in unread:
                yield name, tuple(int(i) for i in np.unravel_index(flat, array.shape))
            number += 1


def _smallest(problem: Problem, compared: detection.Compared, name: str, index: tuple[int, ...]) -> Element:
    changed: Any = np.array(problem.parameters[name], dtype=np.float64)
    changed[index] += _CHANGE
    wrong = replace(problem, parameters={**problem.parameters, name: changed})
    error_ratio = compared.error_ratio(reference_solve(wrong, Dialect()))
    return Element(name, place(problem.case, name, index), _CHANGE / error_ratio if error_ratio > 0 else np.inf)
