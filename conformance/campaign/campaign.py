"""Runs a campaign: draws cases, confirms each deviation in a fresh process, and shrinks it to a minimal case."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from conformance.adapters import Adapter
from conformance.campaign.draw import MAX_SECONDS, Drawer
from conformance.campaign.groups import Minimal, same_kind, signature
from conformance.campaign.journal import Tally
from conformance.campaign.shrink import fewest, shrink
from conformance.cases.case import Case
from conformance.results.record import Result
from conformance.run.plan import Plan
from conformance.run.runner import Runner
from conformance.worker.client import WorkerAdapter

_T = TypeVar("_T")

MAX_HISTORY = 256
"""Number of earlier cases of a process on which a deviation may depend."""
SHRINKING_SECONDS = 300.0
"""Time for shrinking a deviation, or for finding the earlier cases on which it depends."""
MAX_EMPTY_DRAWS = 20
"""Number of draws without a case, one after the other, after which the campaign of an implementation ends."""


@dataclass(frozen=True)
class Settings:
    """Settings of a campaign.

    Attributes:
        seed: seed of all cases.
        cases: number of cases for each implementation; None for no limit.
        seconds: time for each implementation; None for no limit.
        max_seconds: limit of the estimated CPU seconds of a case.
        end: number at which to stop; None for no limit.
    """

    seed: int = 0
    cases: int | None = None
    seconds: float | None = None
    max_seconds: float = MAX_SECONDS
    end: int | None = None


@dataclass(frozen=True)
class Outcome:
    """Outcome of a drawn case.

    Attributes:
        number: number of the case in the implementation's sequence.
        result: its result.
        signature: signature of a deviation, see ``conformance.campaign.groups``; empty for other results.
        minimal: the minimal case of a deviation whose signature was not known before.
    """

    number: int
    result: Result
    signature: str = ""
    minimal: Minimal | None = None


@dataclass
class Campaign:
    """A campaign. ``conformance.run.pool.run`` runs it on several implementations at once.

    Attributes:
        runner: runner that diagnoses failures.
        settings: settings of the campaign.
        drawers: source of the cases of each implementation, by its name.
        tallies: counts of an interrupted campaign, by implementation.
        known: signatures of each implementation's deviations that have a minimal case.
        histories: earlier cases of each implementation's process.
        clock: function that returns the time in seconds.
    """

    runner: Runner
    settings: Settings
    drawers: Mapping[str, Drawer]
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    known: MutableMapping[str, set[str]] = field(default_factory=dict)
    histories: MutableMapping[str, deque[Case]] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        # Most deviations are diagnosed only after they are confirmed. Each runner asks an implementation for its
        # versions when it first describes it.
        self.quick = replace(self.runner, diagnoses=False, descriptions={})

    def run(self, plan: Plan) -> Iterator[Outcome]:
        """Yields the outcomes of drawn cases, one implementation after the other."""
        for adapter, _ in plan:
            yield from self._run(adapter)

    def remember(self, outcome: Outcome) -> None:
        """Adds the signatures of an outcome to the known ones."""
        if outcome.signature:
            signatures = self.known.setdefault(outcome.result.implementation, set())
            signatures |= {outcome.signature, outcome.minimal.signature if outcome.minimal else outcome.signature}

    def _run(self, adapter: Adapter) -> Iterator[Outcome]:
        drawer = self.drawers[adapter.name]
        drawer.accepts = lambda case: _supports(adapter, case)
        tally = self.tallies.get(adapter.name, Tally())
        number, done, empty = tally.next, tally.cases, 0
        history = self.histories.setdefault(adapter.name, deque(maxlen=MAX_HISTORY))
        end = self.clock() + self.settings.seconds if self.settings.seconds is not None else None
        while (
            (end is None or self.clock() < end)
            and (self.settings.cases is None or done < self.settings.cases)
            and (self.settings.end is None or number < self.settings.end)
            and empty < MAX_EMPTY_DRAWS
        ):
            case = drawer.draw(number)
            number += 1
            if case is None:
                empty += 1
                continue
            done, empty = done + 1, 0
            outcome = Outcome(number - 1, self.quick.check(case, adapter))
            if outcome.result.deviates:
                outcome = self._investigated(case, outcome, adapter, history)
                self.remember(outcome)
                _restart(adapter)
                history.clear()
            else:
                history.append(case)
            yield outcome
            if isinstance(adapter, WorkerAdapter) and adapter.gave_up:
                return

    def _is_known(self, implementation: str, signature: str) -> bool:
        return signature in self.known.get(implementation, ())

    def _investigated(self, case: Case, first: Outcome, adapter: Adapter, history: Sequence[Case]) -> Outcome:
        """Returns the outcome of a deviating case in a fresh process."""
        confirmed = self._fresh(self.runner, [case], adapter)
        if not confirmed.deviates:
            return self._unrepeated(case, first, adapter, history)
        found = replace(first, result=confirmed, signature=signature(confirmed))
        if self._is_known(adapter.name, found.signature):
            return found
        minimal, smallest = confirmed, case
        shrunk = shrink(case, self._in_time(lambda tried: self._deviates(tried, confirmed, adapter)))
        if shrunk.key != case.key:
            again = self._fresh(self.runner, [shrunk], adapter)
            if same_kind(again, confirmed):
                minimal, smallest = again, shrunk
        return replace(found, minimal=Minimal(minimal, (smallest,), signature(minimal)))

    def _unrepeated(self, case: Case, first: Outcome, adapter: Adapter, history: Sequence[Case]) -> Outcome:
        """Returns the outcome of a case that conforms in a fresh process, with the earlier cases it depends on."""

        def deviates(before: Sequence[Case]) -> bool:
            return same_kind(self._fresh(self.quick, [*before, case], adapter), first.result)

        own = f"depends on earlier calls: {signature(first.result)}"
        if self._is_known(adapter.name, own):
            return replace(first, result=replace(first.result, diagnosis="depends on earlier calls"), signature=own)
        before = shortest_sequence(list(history), self._in_time(deviates))
        if before is None:
            text = f"depends on earlier calls: did not deviate again after the {len(history)} cases before it"
        else:
            text = f"depends on earlier calls: deviates after {', '.join(each.name for each in before)}"
        result = replace(first.result, diagnosis=text)
        return replace(first, result=result, signature=own, minimal=Minimal(result, (*(before or ()), case), own))

    def _fresh(self, runner: Runner, cases: Sequence[Case], adapter: Adapter) -> Result:
        """Returns the result of the last case, after the others have run in a fresh process."""
        _restart(adapter)
        for case in cases[:-1]:
            runner.check(case, adapter)
        return runner.check(cases[-1], adapter)

    def _deviates(self, case: Case, like: Result, adapter: Adapter) -> bool:
        return _supports(adapter, case) and same_kind(self.quick.check(case, adapter), like)

    def _in_time(self, function: Callable[[_T], bool]) -> Callable[[_T], bool]:
        """Returns a function that returns False after ``SHRINKING_SECONDS``."""
        end = self.clock() + SHRINKING_SECONDS
        return lambda argument: self.clock() < end and function(argument)


def shortest_sequence(history: Sequence[_T], deviates: Callable[[Sequence[_T]], bool]) -> list[_T] | None:
    """Returns as few earlier cases as were found after which a case deviates; None if it does not deviate again.

    Args:
        history: earlier cases in the order in which they ran.
        deviates: function that returns whether the case deviates after some of them, in a fresh process.
    """
    count = 1
    while count < 2 * len(history):
        last = history[-count:]
        if deviates(last):
            return fewest(last, deviates)
        count *= 2
    return None


def _restart(adapter: Adapter) -> None:
    """Ends the process of an implementation. The next case starts another."""
    if isinstance(adapter, WorkerAdapter):
        adapter.close()


def _supports(adapter: Adapter, case: Case) -> bool:
    """Returns whether an implementation supports a case. If it raises, the runner reports the error."""
    try:
        return adapter.supports(case) is None
    except KeyboardInterrupt:
        raise
    except BaseException:
        return True
