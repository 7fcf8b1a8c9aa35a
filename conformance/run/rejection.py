"""Cases that cannot be judged, because they amplify rounding errors too much or overflow."""

from collections.abc import Iterable, Iterator

from conformance.cases.case import Case
from conformance.verdict.oracle import Oracle, RejectedCaseError
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect


def rejections(cases: Iterable[Case], oracle: Oracle) -> Iterator[tuple[Case, str]]:
    """Yields the cases that cannot be judged under the generic profile of their dtype, with the reason."""
    for case in cases:
        try:
            oracle.expect(make_problem(case), PROFILES[case.dtype], Dialect())
        except RejectedCaseError as error:
            yield case, reason(error)


def reason(error: RejectedCaseError) -> str:
    """Returns the reason that the result of a rejected case gives."""
    return f"cannot be judged: {error}"


def describe(case: Case, why: str) -> str:
    """Returns a line with the position, the name and the reason of a rejected case."""
    place = f"{case.file}:{case.line}: " if case.file else ""
    return f"{place}{case.name} {why}"
