"""Runs a campaign on a cluster. A batch is a range of numbers of one implementation's cases.

The outcomes of an implementation arrive in the order of their numbers, so that a campaign resumes as on one machine.
"""

import math
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

from conformance.adapters import Adapter
from conformance.campaign.campaign import MAX_EMPTY_DRAWS, MAX_HISTORY, Campaign, Outcome, Settings
from conformance.campaign.draw import Drawer
from conformance.campaign.journal import Tally
from conformance.cases.case import Case
from conformance.known import divergences as known
from conformance.run.cluster import Cluster
from conformance.run.plan import Plan
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle
from conformance.worker.client import WorkerAdapter

FIRST_NUMBERS = 20
"""Size of the first batch of an implementation."""
MAX_NUMBERS = 1000
"""Size of the largest batch."""
BATCH_SECONDS = 30.0
"""Time that a batch should take, estimated from earlier ones. The death of a worker costs as much."""
BATCHES_PER_THREAD = 2
"""Number of batches in the cluster for each thread, so that no worker waits for the next one."""

_HISTORIES: WeakKeyDictionary[Adapter, deque[Case]] = WeakKeyDictionary()
"""On a worker, the earlier cases of each implementation's process, which stays from batch to batch."""


@dataclass(frozen=True)
class Done:
    """Results of a batch.

    Attributes:
        outcomes: the outcomes.
        description: the implementation's description of itself.
        seen: pairs that have occurred, see ``Drawer``.
        refused: pairs for which no accepted case was found.
        seconds: time that the batch took.
        stopped: whether the batch ended early: the implementation does not start, or supports no cases.
    """

    outcomes: Sequence[Outcome]
    description: dict[str, str]
    seen: Set[int]
    refused: Set[int]
    seconds: float
    stopped: bool


@dataclass(frozen=True)
class NumberedBatch:
    """Cases with the given numbers.

    Attributes:
        implementation: name of the implementation.
        numbers: the numbers.
        settings: settings of the campaign.
        features: features that the implementation declares; None if unknown.
        options: options that vary, see ``Drawer``.
        known: signatures of deviations that have a minimal case.
    """

    implementation: str
    numbers: range
    settings: Settings
    features: Set[str] | None
    options: Set[str] | None
    known: Set[str]

    def run(self, adapter: WorkerAdapter) -> Done:
        """Runs the cases. Called on a worker of the cluster."""
        start, name = time.monotonic(), adapter.name
        drawer = Drawer(self.settings.seed, self.features, self.settings.max_seconds, self.options)
        campaign = Campaign(
            Runner(Oracle(None), known.shipped()),
            replace(self.settings, cases=None, seconds=None, end=self.numbers.stop),
            {name: drawer},
            {name: Tally(next=self.numbers.start)},
            {name: set(self.known)},
            {name: _HISTORIES.setdefault(adapter, deque(maxlen=MAX_HISTORY))},
        )
        outcomes = list(campaign.run([(adapter, ())]))
        description = campaign.quick.descriptions.get(name, {})
        stopped = adapter.gave_up or (not outcomes and len(self.numbers) >= MAX_EMPTY_DRAWS)
        return Done(outcomes, description, drawer.seen, drawer.refused, time.monotonic() - start, stopped)


@dataclass
class _Sequence:
    """The batches of one implementation.

    Attributes:
        name: name of the implementation.
        campaign: the campaign.
        submitted: number after the last one that was submitted.
        delivered: number after the last one whose outcome was delivered.
        cases: number of cases that were delivered.
        size: size of the next batch.
        early: batches that have finished before an earlier one.
        in_cluster: number of batches that were submitted and have not finished.
        ended: whether no further batch is needed.
    """

    name: str
    campaign: Campaign
    submitted: int
    delivered: int
    cases: int
    size: int = FIRST_NUMBERS
    early: dict[int, tuple[range, Done]] = field(default_factory=dict)
    in_cluster: int = 0
    ended: bool = False

    def next_batch(self) -> NumberedBatch | None:
        """Returns the next batch; None if enough cases are on their way."""
        settings, size = self.campaign.settings, self.size
        if settings.cases is not None:
            size = min(size, settings.cases - self.cases - (self.submitted - self.delivered))
        if self.ended or size <= 0:
            return None
        numbers = range(self.submitted, self.submitted + size)
        self.submitted = numbers.stop
        signatures = frozenset(self.campaign.known.get(self.name, ()))
        drawer = self.campaign.drawers[self.name]
        return NumberedBatch(self.name, numbers, settings, drawer.features, drawer.options, signatures)

    def take(self, batch: NumberedBatch, done: Done) -> Iterator[Outcome]:
        """Adds a finished batch, and yields the outcomes that are next in order."""
        rate = len(batch.numbers) / max(done.seconds, 1e-3)
        self.size = max(1, min(MAX_NUMBERS, int(rate * BATCH_SECONDS)))
        self.early[batch.numbers.start] = batch.numbers, done
        while found := self.early.pop(self.delivered, None):
            numbers, done = found
            for outcome in done.outcomes:
                self.cases += 1
                self.campaign.remember(outcome)
                yield outcome
            self.delivered = numbers.stop
            self.campaign.drawers[self.name].merge(done.seen, done.refused)
            self.ended = self.ended or done.stopped


def run(cluster: Cluster, campaign: Campaign, plan: Plan) -> Generator[Outcome, None, None]:
    """Yields the outcomes of a campaign, as ``conformance.run.pool.run`` does.

    Each implementation gets an equal share of the cluster. When the time is over, batches that run are finished.
    """
    sequences = {}
    for adapter, _ in plan:
        tally = campaign.tallies.get(adapter.name, Tally())
        sequences[adapter.name] = _Sequence(adapter.name, campaign, tally.next, tally.next, tally.cases)
    seconds = campaign.settings.seconds
    end = campaign.clock() + seconds if seconds is not None else math.inf
    while True:
        if campaign.clock() < end:
            _submit(cluster, list(sequences.values()))
        if not cluster.pending:
            return
        batch, done = cluster.next()
        sequence = sequences[batch.implementation]
        sequence.in_cluster -= 1
        if done.description:
            campaign.quick.descriptions[batch.implementation] = done.description
        yield from sequence.take(batch, done)


def _submit(cluster: Cluster, sequences: Sequence[_Sequence]) -> None:
    """Submits batches until each implementation has its share in the cluster."""
    active = [sequence for sequence in sequences if not sequence.ended]
    share = math.ceil(BATCHES_PER_THREAD * cluster.threads / max(1, len(active)))
    for sequence in active:
        while sequence.in_cluster < share and (batch := sequence.next_batch()):
            cluster.submit(batch)
            sequence.in_cluster += 1
