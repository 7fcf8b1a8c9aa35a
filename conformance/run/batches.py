"""Runs a plan on a cluster, in one batch for each implementation, or in several if it has many cases."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from conformance.cases.case import Case
from conformance.results.explanation import Explanation
from conformance.results.record import Result
from conformance.run.cluster import Cluster
from conformance.run.plan import Plan, by_shape
from conformance.run.runner import Runner
from conformance.run.settings import Settings
from conformance.verdict.oracle import prune
from conformance.worker.client import WorkerAdapter

MAX_CASES = 500
"""Largest number of planned cases in a batch. A batch explains its failures, and chooses the cases for power."""


@dataclass(frozen=True)
class Done:
    """Results of a batch.

    Attributes:
        results: the results.
        description: the implementation's description of itself.
        explanations: explanations of failures.
    """

    results: Sequence[Result]
    description: Mapping[str, str]
    explanations: Sequence[Explanation]


@dataclass(frozen=True)
class PlannedBatch:
    """Planned cases of one implementation.

    Attributes:
        implementation: name of the implementation.
        cases: the cases to run.
        planned: these and those that an interrupted run has results of.
        settings: settings of the run.
    """

    implementation: str
    cases: Sequence[Case]
    planned: Sequence[Case]
    settings: Settings

    def run(self, adapter: WorkerAdapter) -> Done:
        """Runs the cases. Called on a worker of the cluster."""
        oracle = self.settings.oracle()
        runner = self.settings.runner(oracle, lambda _: self.planned)
        results = list(runner.run([(adapter, self.cases)]))
        explanations: list[Explanation] = []
        runner.write_explanations(explanations.append)
        if oracle.cache:
            prune(oracle.cache)
        return Done(results, runner.descriptions.get(adapter.name, {}), explanations)


def run(cluster: Cluster, runner: Runner, plan: Plan, todo: Plan, settings: Settings) -> Generator[Result, None, None]:
    """Yields the results of a plan, as ``conformance.run.pool.run`` does.

    Args:
        cluster: cluster that runs the cases.
        runner: runner that receives descriptions and explanations.
        plan: all planned cases.
        todo: the planned cases that have no result yet.
        settings: settings of the run.
    """
    planned = {adapter.name: cases for adapter, cases in plan}
    for adapter, cases in todo:
        for batch in split(adapter.name, planned[adapter.name], cases, settings):
            cluster.submit(batch)
    while cluster.pending:
        batch, done = cluster.next()
        if done.description:
            runner.descriptions[batch.implementation] = dict(done.description)
        runner.add_explanations(done.explanations)
        yield from done.results


def split(name: str, planned: Sequence[Case], todo: Sequence[Case], settings: Settings) -> Iterator[PlannedBatch]:
    """Yields the batches of an implementation. Cases of the same layer shape are in one batch, or in adjacent ones."""
    ordered, left = sorted(planned, key=by_shape), {(case.id, case.key) for case in todo}
    for start in range(0, len(ordered), MAX_CASES):
        part = ordered[start : start + MAX_CASES]
        cases = [case for case in part if (case.id, case.key) in left]
        if cases:
            keys = {case.key for case in cases}
            rejected = {key: reason for key, reason in settings.rejected.items() if key in keys}
            yield PlannedBatch(name, cases, part, replace(settings, rejected=rejected))
