"""Cases that cannot be judged: they are too large, amplify rounding errors too much, or overflow."""

import math
from collections.abc import Iterable, Iterator

from conformance.cases.case import Case
from conformance.cases.size import SizeLimits, estimate
from conformance.verdict.oracle import Oracle, RejectedCaseError
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect


def rejections(
    cases: Iterable[Case], oracle: Oracle, limits: SizeLimits, max_seconds: float = math.inf
) -> Iterator[tuple[Case, str]]:
    """Yields the cases that cannot be judged under the generic profile of their dtype, with the reason.

    Args:
        cases: the cases.
        oracle: source of the expectations.
        limits: limits of the memory and the CPU time of a case.
        max_seconds: estimated CPU time above which a case within the limits is not judged.
    """
    for case in cases:
        if refusal := limits.refusal(case):
            yield case, reason(refusal)
            continue
        if estimate(case).seconds > max_seconds:
            continue
        try:
            oracle.expect(make_problem(case), PROFILES[case.dtype], Dialect())
        except RejectedCaseError as error:
            yield case, reason(error)


def reason(error: RejectedCaseError | str) -> str:
    """Returns the reason that the result of a rejected case gives."""
    return f"cannot be judged: {error}"


def describe(case: Case, why: str) -> str:
    """Returns a line with the position, the name and the reason of a rejected case."""
    place = f"{case.file}:{case.line}: " if case.file else ""
    return f"{place}{case.name} {why}"
