"""Verification of a conversion: both frameworks run the weights, and their results are compared with the reference."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from conformance.adapters import Adapter, installed, registry
from conformance.conversion.convert import Converted
from conformance.conversion.framework import Framework
from conformance.conversion.lstm import Array, Lstm
from conformance.run import implementations
from conformance.verdict.judge import judge
from conformance.verdict.oracle import Oracle, RejectedCaseError
from conformance.verdict.problem import Problem, make_problem
from conformance.worker.client import WorkerAdapter
from conformance.worker.failures import WorkerError


@dataclass(frozen=True)
class Outcome:
    """What one framework computed with the weights of an LSTM.

    Attributes:
        implementation: name of the implementation.
        error_ratio: largest error ratio; None if it did not run.
        reason: why it did not run, or how it deviates; empty if it conforms.
    """

    implementation: str
    error_ratio: float | None = None
    reason: str = ""

    @property
    def ran(self) -> bool:
        """Whether the implementation returned a result."""
        return self.error_ratio is not None

    @property
    def conforms(self) -> bool:
        """Whether the results are within the budget."""
        return self.ran and not self.reason


def check(results: Sequence[Converted], frameworks: Sequence[Framework]) -> list[Outcome]:
    """Runs each LSTM in the framework that it comes from, and in the one to which it was converted.

    Args:
        results: conversions.
        frameworks: source and target.

    Returns:
        The outcomes of the source and of the target, for each LSTM in turn.
    """
    outcomes = []
    with _Processes() as processes:
        for result in results:
            problem = replace(make_problem(result.before.case()), parameters=_stored(result.before))
            for framework, lstm in zip(frameworks, (result.before, result.after), strict=True):
                given = replace(problem, case=lstm.case(), parameters=_stored(lstm))
                outcomes.append(_run(framework, problem, given, processes))
    return outcomes


def _run(framework: Framework, expected: Problem, given: Problem, processes: "_Processes") -> Outcome:
    """Runs the first implementation of a framework that is installed and supports the case.

    Args:
        framework: framework of the weights.
        expected: problem whose solution is expected.
        given: the same problem with the weights as this framework stores them.
        processes: processes of implementations.
    """
    reasons = []
    for name in framework.implementations:
        adapter = registry.load(name)
        try:
            reason = installed.missing(adapter) or Adapter.supports(adapter, given.case)
            if not (reason := reason or processes.start(name).supports(given.case)):
                return _judge(processes.start(name), expected, given)
            reasons.append(reason)
        except (WorkerError, RejectedCaseError) as error:
            reasons.append(f"{name}: {error}")
    return Outcome(framework.implementations[0], reason="; ".join(dict.fromkeys(reasons)))


def _judge(adapter: Adapter, expected: Problem, given: Problem) -> Outcome:
    """Returns how the solution of one problem compares with the expectation of another one."""
    dialect = adapter.dialect(given.case)
    expectation = Oracle(None).expect(expected, adapter.profile(given.case), dialect)
    verdict = judge(expected, adapter.solve(given), expectation)
    reasons = "; ".join(tensor.reason for tensor in verdict.tensors if tensor.reason)
    return Outcome(adapter.name, verdict.error_ratio, reasons)


class _Processes:
    """Processes of implementations, each started when first used. A context manager that stops them."""

    def __init__(self) -> None:
        self._started: dict[str, Adapter] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for adapter in self._started.values():
            if isinstance(adapter, WorkerAdapter):
                adapter.close()

    def start(self, name: str) -> Adapter:
        """Returns the implementation with a name."""
        if name not in self._started:
            [self._started[name]] = implementations.load_all([name], isolated=True)
        return self._started[name]


def _stored(lstm: Lstm) -> dict[str, Array]:
    """Returns the parameters as problems store them: bfloat16 as float32."""
    parameters: dict[str, Array] = {}
    for name, array in lstm.parameters.items():
        parameters[name] = array.astype("float32") if array.dtype.name == "bfloat16" else array.copy()
        parameters[name].flags.writeable = False
    return parameters
