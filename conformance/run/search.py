"""Judges releases for a bisection: whether one has a known divergence, or whether a case deviates on it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from textwrap import shorten

from conformance.adapters import Adapter
from conformance.cases.case import Case
from conformance.cases.features import features
from conformance.cases.size import operations
from conformance.environments.requirements import Spec
from conformance.known.divergences import Divergence
from conformance.results.record import NOT_RUN, Result, Status
from conformance.run import on_demand
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle

_SHOWN_CHARACTERS = 200
_WITHOUT_RESULT: frozenset[Status] = frozenset({"error", "crash", "timeout"})
"""Statuses of cases that ended without a result."""
MAX_CASES = 5
"""Number of cases that run without the deviation before a release counts as being without it."""


@dataclass(frozen=True)
class Finding:
    """Results of a release on some cases.

    Attributes:
        deviates: whether it has the deviation; None if it cannot be tested.
        text: the result in words.
    """

    deviates: bool | None
    text: str


@dataclass(frozen=True)
class Question:
    """A deviation to look for in releases.

    Attributes:
        cases: cases that show it.
        divergence: known divergence to look for; None for any deviation of the cases.
    """

    cases: Sequence[Case]
    divergence: Divergence | None = None
    _oracle: Oracle = field(default_factory=Oracle)

    def ask(self, spec: Spec) -> Finding:
        """Runs cases on a release until one has the deviation, or enough do not have it."""
        worker = on_demand.usable(spec)
        if isinstance(worker, str):
            return Finding(None, shorten(worker, _SHOWN_CHARACTERS))
        # In every version, so that the range of the entry does not matter.
        entries = [self.divergence.model_copy(update={"versions": ""})] if self.divergence else []
        runner = Runner(self._oracle, entries, diagnoses=False)
        results: list[Result] = []
        try:
            for case in self.cases:
                result = runner.check(case, worker)
                if self._shows(result):
                    return Finding(True, shorten(f"{result.status}: {result.reason}", _SHOWN_CHARACTERS))
                results.append(result)
                if sum(result.status not in NOT_RUN for result in results) == MAX_CASES:
                    break
        finally:
            worker.close()
        return _without_deviation(results)

    def _shows(self, result: Result) -> bool:
        return result.status == "known" if self.divergence else result.deviates


def cases_for(divergence: Divergence, adapter: Adapter, cases: Sequence[Case]) -> list[Case]:
    """Returns the supported cases on which an implementation is expected to show a divergence, the smallest first."""
    anywhere = divergence.model_copy(update={"versions": ""})
    # Without gradients, the runner checks the forward half of a case.
    supported = adapter.features | ({"gradients"} if "gradients" not in divergence.cases.get("check", ()) else set())
    matching = [
        case
        for case in cases
        if anywhere.matches(case, adapter.name, lambda _: "1")
        and (not adapter.features or set(features(case)) <= supported)
    ]
    return sorted(matching, key=lambda case: (operations(case), case.id))


def _without_deviation(results: Sequence[Result]) -> Finding:
    """Describes the results on a release that does not show the deviation, the most important first.

    A release on which every case that runs raises cannot be judged: the error may hide the deviation.
    """
    ran = [result for result in results if result.status not in NOT_RUN]
    otherwise = [result for result in ran if result.deviates and result.status != "fixed"]
    if not ran:
        return Finding(None, results[0].reason if results else "no case")
    if all(result.status in _WITHOUT_RESULT for result in ran):
        return Finding(None, shorten(f"every case raises: {ran[0].reason}", _SHOWN_CHARACTERS))
    if otherwise:
        return Finding(False, shorten(f"deviates otherwise: {otherwise[0].reason}", _SHOWN_CHARACTERS))
    return Finding(False, "conforms")
