"""Verification of a conversion: both frameworks run the weights, and their results are compared with the reference."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from conformance.adapters import Adapter, installed, registry
from conformance.conversion.convert import Converted
from conformance.conversion.framework import Framework
from conformance.conversion.lstm import Array, Lstm
from conformance.run import implementations
from conformance.verdict.judge import judge
from conformance.verdict.oracle import Oracle, RejectedCaseError
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import round_to
from conformance.worker.client import WorkerAdapter
from conformance.worker.failures import WorkerError


@dataclass(frozen=True)
class Outcome:
    """Result of running one framework with the weights of an LSTM.

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
            problem = _draw(result.before)
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


def _draw(lstm: Lstm) -> Problem:
    """Returns a problem with the weights of an LSTM, and a drawn input and initial state.

    ``make_problem`` would also draw weights, which takes long for large ones.
    """
    case, random = lstm.case(), np.random.default_rng(0)
    rows, model = case.rows, case.model
    drawn = {"input": random.normal(size=(case.seq_len, rows or 1, case.input_size))}
    drawn |= {name: random.uniform(-1, 1, shape) for name, shape in model.state_shapes("h_0", rows).items()}
    drawn |= {name: random.normal(size=shape) for name, shape in model.state_shapes("c_0", rows).items()}
    given = _read_only({name: round_to(case.dtype, array) for name, array in drawn.items()})
    x = given.pop("input")
    outputs = {"output": (*x.shape[:-1], model.output_size())}
    outputs |= {**model.state_shapes("h_n", rows), **model.state_shapes("c_n", rows)}
    cotangents = _read_only({name: np.zeros(shape, x.dtype) for name, shape in outputs.items()})
    return Problem(case, _stored(lstm), x, given, None, None, {}, cotangents)


def _stored(lstm: Lstm) -> dict[str, Array]:
    """Returns the parameters as problems store them: bfloat16 as float32."""
    narrow = lstm.dtype == "bfloat16"
    return _read_only({name: array.astype("f4") if narrow else array[:] for name, array in lstm.parameters.items()})


def _read_only(arrays: dict[str, Array]) -> dict[str, Array]:
    for array in arrays.values():
        array.flags.writeable = False
    return arrays
