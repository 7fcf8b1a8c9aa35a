"""Verifies the vectors of a file: checksums, values, agreement with the reference, and the mistakes they detect."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from conformance.cases.case import Case
from conformance.defects.defect import Defect
from conformance.defects.power import screening
from conformance.defects.power.kill_matrix import REQUIRED
from conformance.vectors.build import build_vector
from conformance.vectors.document import Tensor, Vector, VectorFile
from conformance.vectors.probe import wrong_predictions
from conformance.verdict.oracle import Oracle, RejectedCaseError
from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES, Dialect

_SHARE_OF_BUDGET = 1e-3
"""Share of a budget by which ``expected`` may deviate from the reference on this machine, except in float64."""
_BUDGET_RTOL = 0.02
"""Relative deviation of a budget from that on this machine. Budgets are rounded to three digits."""

_BY_ID = {defect.id: defect for defect in REQUIRED}


def find_mistakes(file: VectorFile, oracle: Oracle) -> Iterator[str]:
    """Yields a line for each mistake in the vectors of a file with a valid structure."""
    ids = [mistake.id for mistake in file.mistakes]
    for vector in file.vectors:
        try:
            yield from (f"{vector.name}: {line}" for line in _check(vector, ids, oracle))
        except RejectedCaseError as error:
            yield f"{vector.name}: cannot be judged: {error}"
        except ValidationError as error:
            yield f"{vector.name}: options: {error.errors()[0]['msg']}"


def _check(vector: Vector, ids: list[str], oracle: Oracle) -> Iterator[str]:
    if vector.sha256 != vector.checksum():
        yield "the numbers do not match sha256. Export or download the file again"
        return
    case = Case.model_validate(vector.options)
    # A file of another version may list mistakes that are not in the catalogue.
    claimed = {name for name, flag in zip(ids, vector.detects, strict=True) if flag == "1" and name in _BY_ID}
    problem = make_problem(case)
    expectation = oracle.expect(problem, PROFILES[case.dtype], Dialect())
    detected = screening.detected(problem, expectation, Dialect(), [_BY_ID[name] for name in ids if name in _BY_ID])
    if wrong := sorted(claimed ^ set(detected)):
        yield f"detects is wrong for {', '.join(wrong)}"
        return
    defects = [_BY_ID[name] if name in claimed else None for name in ids]
    right = build_vector(case, vector.flags, defects, oracle, vector.probe)
    if vector.features != right.features:
        yield f"has features {', '.join(vector.features)}, expected {', '.join(right.features)}"
    if vector.tensors.keys() != right.tensors.keys():
        yield f"has other arrays than expected: {', '.join(sorted(vector.tensors.keys() ^ right.tensors.keys()))}"
        return
    if wrong := _wrongly_predicted(vector, ids, problem, defects):
        yield f"probe predicts wrong values for {', '.join(wrong)}"
    for name, got in vector.tensors.items():
        yield from _compare(name, got, right, case)


def _wrongly_predicted(
    vector: Vector, ids: list[str], problem: Problem, defects: Sequence[Defect | None]
) -> list[str]:  # fmt: skip
    probe = vector.probe
    if probe.tensor not in vector.expected or not 0 <= probe.element < len(vector.expected[probe.tensor].data):
        return ["all mistakes, because its element does not exist"]
    return [ids[i] for i in wrong_predictions(probe, problem, defects) if ids[i] in _BY_ID]


def _compare(name: str, got: Tensor, right: Vector, case: Case) -> Iterator[str]:
    """Compares an array with that of the right vector."""
    expected = right.tensors[name]
    part, _, tensor = name.partition("/")
    if got.shape != expected.shape:
        yield f"{name} has shape {list(got.shape)}, expected {list(expected.shape)}"
    elif part == "given" and got != expected:
        yield f"{name} differs from the values of the case"
    elif part == "budget" and not np.allclose(got.values, expected.values, rtol=_BUDGET_RTOL, atol=0):
        yield f"{name} differs from the budget of the reference"
    elif part == "expected":
        share = 1.0 if case.dtype == "float64" else _SHARE_OF_BUDGET
        if not _agree(got.values, expected.values, share * right.budget[tensor].values):
            yield f"{name} differs from the reference"


def _agree(got: NDArray[np.float64], expected: NDArray[np.float64], within: NDArray[np.float64]) -> bool:
    return bool(((np.abs(got - expected) <= within) | (np.isnan(got) & np.isnan(expected))).all())
