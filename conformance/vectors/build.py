"""Builds vectors from cases."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.cases.features import features
from conformance.cases.uses import OTHER_GRADIENTS, SAME_RESULTS
from conformance.defects.defect import Defect
from conformance.defects.power.kill_matrix import REQUIRED
from conformance.vectors.document import Mistake, Probe, Tensor, Vector, VectorFile
from conformance.vectors.probe import choose_probe
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES, Dialect

MAX_FLAGS = 10
"""Number of flags of a vector. ``Vector.detects`` covers all mistakes."""

_BUDGET_DIGITS = 3
_NOT_OPTIONS = {"name", "file", "line", "tags", "notes", "links", *OTHER_GRADIENTS, *SAME_RESULTS}
"""Fields of a case that are not options of a vector. Uses always have their defaults."""


def build_file(name: str, cases: Sequence[Case], masks: Sequence[int], oracle: Oracle) -> VectorFile:
    """Builds a vector file.

    Args:
        name: name of the set.
        cases: cases to include. Each detects a defect.
        masks: bit masks of the defects that the cases detect. Bit n refers to defect n of ``REQUIRED``.
        oracle: source of the expected results.

    Raises:
        RejectedCaseError: a case cannot be judged.
    """
    counts = {bit: count for bit in range(len(REQUIRED)) if (count := sum(mask >> bit & 1 for mask in masks))}
    vectors = []
    for case, mask in zip(cases, masks, strict=True):
        distinctive = sorted((bit for bit in counts if mask >> bit & 1), key=lambda bit: counts[bit])
        flags = [REQUIRED[bit].id for bit in distinctive[:MAX_FLAGS]]
        detected = [REQUIRED[bit] if mask >> bit & 1 else None for bit in counts]
        vectors.append(build_vector(case, flags, detected, oracle))
    defects = [REQUIRED[bit] for bit in counts]
    mistakes = [Mistake(id=each.id, sentence=f"An LSTM {each.what}.", bug=each.represents) for each in defects]
    return VectorFile(name=name, mistakes=mistakes, vectors=vectors)


def build_vector(
    case: Case, flags: Sequence[str], detected: Sequence[Defect | None], oracle: Oracle, probe: Probe | None = None
) -> Vector:  # fmt: skip
    """Builds the vector of a case.

    Args:
        case: the case.
        flags: ids of the most distinctive mistakes that the case detects.
        detected: for each mistake of the file, the defect if the case detects it.
        oracle: source of the expected results.
        probe: the probe; None to choose the best one.

    Raises:
        RejectedCaseError: the case cannot be judged.
    """
    problem = make_problem(case)
    expectation = oracle.expect(problem, PROFILES[case.dtype], Dialect())
    vector = Vector(
        name=case.id,
        notes=case.notes,
        features=features(case),
        flags=list(flags),
        detects="".join("0" if defect is None else "1" for defect in detected),
        probe=probe or choose_probe(problem, expectation, detected),
        options=case.model_dump(mode="json", exclude=_NOT_OPTIONS),
        given=_tensors(_given(problem)),
        expected=_tensors(expectation.values),
        budget=_tensors({name: _round_down(array) for name, array in expectation.budget.items()}),
    )
    return vector.model_copy(update={"sha256": vector.checksum()})


def _given(problem: Problem) -> dict[str, NDArray[np.generic]]:
    """Returns the arrays that an implementation needs."""
    unused = set()
    if problem.lengths is not None:
        unused.add("mask")
    if "gradients" not in problem.case.check:
        unused |= {f"cotangent.{name}" for name in problem.cotangents}
    return {name: array for name, array in problem.arrays().items() if name not in unused}


def _tensors(arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, Tensor]:
    return {name: Tensor.of(array) for name, array in arrays.items()}


def _round_down(budget: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounds budgets down to a few decimal digits. This makes files shorter and no budget larger."""
    return np.array([_round_number_down(number) for number in budget.ravel().tolist()]).reshape(budget.shape)


def _round_number_down(number: float) -> float:
    rounded = float(f"{number:.{_BUDGET_DIGITS - 1}e}")
    if rounded <= number:
        return rounded
    digits, exponent = f"{rounded:.{_BUDGET_DIGITS - 1}e}".split("e")
    return float(f"{float(digits) - 10.0 ** (1 - _BUDGET_DIGITS):.{_BUDGET_DIGITS - 1}f}e{exponent}")
