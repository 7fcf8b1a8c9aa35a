"""Defects that a case detects, without their exact error ratios. This is several times cheaper than the kill matrix.

A defect whose outputs already deviate needs no backward pass, and defects that change only the end of the computation
share the rest of it. The results are cached on disk by content.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from conformance.defects.defect import Defect
from conformance.defects.derivatives import derivatives
from conformance.defects.forward import Forward
from conformance.defects.power.detection import DETECTED_ABOVE, FlatExpectation
from conformance.defects.power.kill_matrix import REQUIRED, View, code_hash
from conformance.errors import UserError
from conformance.results import atomic
from conformance.verdict.oracle import Expectation, Oracle
from conformance.verdict.problem import Problem, make_problem
from reference import Dialect

_CORRECT = Defect("correct", "without a defect")


def compute(view: View, folder: Path | None) -> frozenset[str]:
    """Returns the ids of the defects that a case detects, from the cache if possible.

    Args:
        view: the case and how it is judged.
        folder: cache folder; None to compute without a cache.

    Raises:
        RejectedCaseError: the case cannot be judged.
    """
    path = cache_path(view, folder) if folder else None
    if path and (found := _load(path)) is not None:
        return found
    problem = make_problem(view.case).under(view.dialect)
    expectation = Oracle(folder).expect(problem, view.profile, view.dialect)
    ids = detected(problem, expectation, view.dialect, REQUIRED)
    if path:
        with suppress(UserError, OSError):  # A cache that cannot be written costs only time.
            atomic.write(path, json.dumps(sorted(ids)))
    return ids


def cache_path(view: View, folder: Path) -> Path:
    """Returns the path of a case's detected defects in the cache."""
    key = hashlib.sha256(f"{code_hash()} {_own_hash()} {np.__version__} {view.key}".encode()).hexdigest()
    return folder / key[:2] / key


def _load(path: Path) -> frozenset[str] | None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    # Anything else is damaged and computed again.
    if not isinstance(content, list) or not all(isinstance(name, str) for name in content):
        return None
    return frozenset(content)


@cache
def _own_hash() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def detected(problem: Problem, expectation: Expectation, dialect: Dialect, defects: Iterable[Defect]) -> frozenset[str]:
    """Returns the ids of the applicable defects whose ``detection.error_ratios`` exceed ``DETECTED_ABOVE``."""
    screen = _Screen(problem, expectation, dialect)
    with np.errstate(all="ignore"):  # A defect may overflow.
        return frozenset(defect.id for defect in defects if defect.applies_to(problem.case) and screen.detects(defect))


class _Screen:
    """Compares the outputs of defects first, then their gradients, then their derivatives along a direction.

    Each is computed only if those before are close to the reference.
    """

    def __init__(self, problem: Problem, expectation: Expectation, dialect: Dialect) -> None:
        self._problem = problem
        self._dialect = dialect
        self._outputs = _part(expectation, "")
        self._gradients = _part(expectation, "grad")
        self._derivatives = _part(expectation, "jvp", "hvp")

    def detects(self, defect: Defect) -> bool:
        trace = None if defect.changes_forward else self._correct.trace
        solution = Forward.run(defect, self._problem, self._dialect, trace)
        if _deviates(self._outputs, solution.outputs):
            return True
        if self._gradients is not None:
            known = None if defect.changes_backward else self._correct_gradients
            if _deviates(self._gradients, solution.gradients(known)):
                return True
        return self._derivatives is not None and _deviates(
            self._derivatives, derivatives(defect, self._problem, self._dialect)
        )

    @cached_property
    def _correct(self) -> Forward:
        return Forward.run(_CORRECT, self._problem, self._dialect)

    @cached_property
    def _correct_gradients(self) -> dict[str, Any]:
        return {name.removeprefix("grad."): array for name, array in self._correct.gradients().items()}


def _part(expectation: Expectation, *prefixes: str) -> FlatExpectation | None:
    """Returns the expectation of the tensors with some prefixes; None if the case compares none of them."""
    values = {name: array for name, array in expectation.values.items() if name.rpartition(".")[0] in prefixes}
    return FlatExpectation(replace(expectation, values=values)) if values else None


def _deviates(expectation: FlatExpectation | None, tensors: Mapping[str, Any]) -> bool:
    return expectation is not None and expectation.error_ratio(tensors) > DETECTED_ABOVE
