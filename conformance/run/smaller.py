"""Finds a smaller variant of a large failing case, to diagnose the failure there."""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import NamedTuple

from conformance.adapters import Adapter
from conformance.cases.case import Case
from conformance.defects.diagnosis.shrink import Shrunk, is_large, shrink
from conformance.run.attempt import Attempt, RaisedError
from conformance.verdict.judge import Verdict
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import RejectedCaseError

MAX_CPU_SECONDS = 12.0
"""CPU time, including that of the implementation, after which no further variant is tried."""

TOO_LARGE = "the case is too large to try defects, and no smaller variant that was tried fails"

Check = Callable[[Case, Attempt], tuple[Verdict, JudgedSolution]]
"""Function that runs a case and judges its solution."""


class SmallerFailure(NamedTuple):
    """A smaller variant that fails too.

    Attributes:
        shrunk: the variant, with the sizes on which the failure depends.
        judged: its solution.
    """

    shrunk: Shrunk
    judged: JudgedSolution


def find(case: Case, verdict: Verdict, adapter: Adapter, check: Check, attempt: Attempt) -> SmallerFailure | None:
    """Returns a smaller variant in which some of the same tensors deviate; None if the case is not large or none does.

    Args:
        case: the failing case.
        verdict: verdict on the case.
        adapter: the implementation.
        check: function that runs and judges a variant.
        attempt: attempt to charge with the CPU time, as ``diagnosis``.
    """
    if not is_large(case):
        return None
    tries = Attempt(adapter)
    deviating = {tensor.name for tensor in verdict.tensors if not tensor.conforms}
    forward = case.forward_only()
    outputs = {name for name in deviating if not name.startswith("grad.")}
    # The forward pass alone takes less time.
    tried, names = (forward, outputs) if forward and outputs else (case, deviating)

    last: list[JudgedSolution] = []
    """The last failing solution, which is that of the smallest failing variant in most cases."""

    def fails(smaller: Case, names: Collection[str]) -> bool:
        """Returns whether one of the named tensors deviates in a variant."""
        try:
            if tries.call(adapter.supports, smaller):
                return False
            verdict, judged = check(smaller, tries)
        except (RaisedError, RejectedCaseError):
            return False
        if failing := any(tensor.name in names and not tensor.conforms for tensor in verdict.tensors):
            last[:] = [judged]
        return failing

    def is_late() -> bool:
        return sum(tries.seconds.values()) >= MAX_CPU_SECONDS

    shrunk = shrink(tried, lambda smaller: fails(smaller, names), is_late)
    if shrunk:
        shrunk = replace(shrunk, case=shrunk.case.model_copy(update={"check": case.check}))
        if last[0].problem.case.key != shrunk.case.key and not fails(shrunk.case, deviating):
            shrunk = None
    tries.charge("diagnosis")
    attempt.charge_parts({"diagnosis": sum(tries.seconds.values())})
    return SmallerFailure(shrunk, last[0]) if shrunk else None
