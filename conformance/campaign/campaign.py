"""Runs a campaign: draws cases, confirms each deviation in a fresh process, and shrinks it to a minimal case."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from conformance.adapters import Adapter
from conformance.campaign.draw import MAX_SECONDS, Drawer
from conformance.campaign.groups import Group, Groups, note_of, same_kind, signature
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
    """

    seed: int = 0
    cases: int | None = None
    seconds: float | None = None
    max_seconds: float = MAX_SECONDS


@dataclass(frozen=True)
class Outcome:
    """What became of a drawn case.

    Attributes:
        number: number of the case in the implementation's sequence.
        result: its result.
        drawer: source of the cases, which counts pairs.
        group: the group of a deviation; None for other results.
    """

    number: int
    result: Result
    drawer: Drawer
    group: Group | None = None


@dataclass
class Campaign:
    """A campaign. ``conformance.run.pool.run`` runs it on several implementations at once.

    Attributes:
        runner: runner that diagnoses failures.
        settings: settings of the campaign.
        groups: groups of the deviations.
        drawers: source of the cases of each implementation, by its name.
        tallies: counts of an interrupted campaign, by implementation.
        specs: names of implementations on the command line, by their names, if they differ.
        clock: function that returns the time in seconds.
    """

    runner: Runner
    settings: Settings
    groups: Groups
    drawers: Mapping[str, Drawer]
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    specs: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        # Most deviations are diagnosed only after they are confirmed. Each runner asks an implementation for its
        # versions when it first describes it.
        self.quick = replace(self.runner, diagnoses=False, descriptions={})

    def run(self, plan: Plan) -> Iterator[Outcome]:
        """Yields the outcomes of drawn cases, one implementation after the other."""
        for adapter, _ in plan:
            yield from self._run(adapter)

    def _run(self, adapter: Adapter) -> Iterator[Outcome]:
        drawer = self.drawers[adapter.name]
        drawer.accepts = lambda case: _supports(adapter, case)
        tally = self.tallies.get(adapter.name, Tally())
        number, done, empty = tally.next, tally.cases, 0
        history: deque[Case] = deque(maxlen=MAX_HISTORY)
        end = self.clock() + self.settings.seconds if self.settings.seconds is not None else None
        while (
            (end is None or self.clock() < end)
            and (self.settings.cases is None or done < self.settings.cases)
            and empty < MAX_EMPTY_DRAWS
        ):
            case = drawer.draw(number)
            number += 1
            if case is None:
                empty += 1
                continue
            done, empty = done + 1, 0
            result, group = self.quick.check(case, adapter), None
            if result.deviates:
                result, group = self._investigated(case, result, adapter, history)
                result = replace(result, notes=(*result.notes, note_of(group)))
                _restart(adapter)
                history.clear()
            else:
                history.append(case)
            yield Outcome(number - 1, result, drawer, group)
            if isinstance(adapter, WorkerAdapter) and adapter.gave_up:
                return

    def _investigated(
        self, case: Case, first: Result, adapter: Adapter, history: Sequence[Case]
    ) -> tuple[Result, Group]:
        """Returns the result of a deviating case in a fresh process, and its group."""
        confirmed = self._fresh(self.runner, [case], adapter)
        if not confirmed.deviates:
            return self._unrepeated(case, first, adapter, history)
        own = signature(confirmed)
        if known := self.groups.find(adapter.name, own):
            return confirmed, self.groups.count(known, own)
        minimal, smallest = confirmed, case
        shrunk = shrink(case, self._in_time(lambda tried: self._deviates(tried, confirmed, adapter)))
        if shrunk.key != case.key:
            again = self._fresh(self.runner, [shrunk], adapter)
            if same_kind(again, confirmed):
                minimal, smallest = again, shrunk
        group = self.groups.find(adapter.name, signature(minimal))
        group = group or self.groups.add(minimal, [smallest], self.specs.get(adapter.name, ""))
        return confirmed, self.groups.count(group, own)

    def _unrepeated(self, case: Case, first: Result, adapter: Adapter, history: Sequence[Case]) -> tuple[Result, Group]:
        """Returns the result of a case that conforms in a fresh process, with the earlier cases that it depends on."""

        def deviates(before: Sequence[Case]) -> bool:
            return same_kind(self._fresh(self.quick, [*before, case], adapter), first)

        own = f"depends on earlier calls: {signature(first)}"
        if known := self.groups.find(adapter.name, own):
            return replace(first, diagnosis="depends on earlier calls"), self.groups.count(known, own)
        before = shortest_sequence(list(history), self._in_time(deviates))
        if before is None:
            text = f"depends on earlier calls: did not deviate again after the {len(history)} cases before it"
        else:
            text = f"depends on earlier calls: deviates after {', '.join(each.name for each in before)}"
        result = replace(first, diagnosis=text)
        group = self.groups.add(result, [*(before or ()), case], self.specs.get(adapter.name, ""))
        group.signatures = [own]
        return result, self.groups.count(group, own)

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
