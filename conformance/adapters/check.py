"""Contract check for adapters.

``assert check_adapter(MyLSTM()) == []`` is a complete test of an adapter. The cases check the LSTM itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, permutations, zip_longest
from textwrap import shorten
from typing import Any

import numpy as np

from conformance.adapters.adapter import Adapter, Solution
from conformance.cases.case import Case
from conformance.errors import message_of
from conformance.verdict.judge import TensorVerdict, judge
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import Problem, Tensors, make_problem
from reference import Dialect

_SMALL = {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 2}
_OPTIONS: dict[str, dict[str, Any]] = {
    "one layer": {},
    "one layer, other values": {"values": "scale-2"},
    "no state": {"initial_state": "omitted"},
    "two layers both ways": {"num_layers": 2, "direction": "bidirectional"},
    "reverse": {"direction": "reverse"},
    "batch first": {"batch_first": True},
    "unbatched": {"batch": "unbatched"},
    "lengths": {"lengths": "ragged", "batch": 3},
    "no bias": {"bias": False},
    "no bias, no state": {"bias": False, "initial_state": "omitted"},
    "projection": {"proj_size": 2},
    "a size per layer": {"hidden_size": (4, 2)},
    "dropout": {"num_layers": 2, "dropout": 0.5, "mode": "train"},
    "forward only": {"check": ("output", "h_n", "c_n")},
    "float64": {"dtype": "float64"},
    "float16": {"dtype": "float16"},
    "bfloat16": {"dtype": "bfloat16"},
    "loss of h_n": {"cotangents": ("h_n",), "frozen": ("weight_hh_l0",)},
    "in pieces": {"chunks": (2, 3), "num_layers": 2},
    "after other calls": {"earlier_calls": ("longer", "fewer-rows", "error")},
    "after training and other weights": {"earlier_calls": ("other-mode", "other-weights", "no-grad")},
    "from a file": {"saved": True, "num_layers": 2},
    "strided memory": {"memory": "strided", "batch_first": True},
    "rows alone": {"batching": "alone", "lengths": "ragged"},
}

EXAMPLES = tuple(Case.model_validate({"name": name, **_SMALL, **options}) for name, options in _OPTIONS.items())
"""Small cases with one option each. The check skips those that an implementation does not support."""


def check_adapter(adapter: Adapter, cases: Iterable[Case] = EXAMPLES) -> list[str]:
    """Returns an adapter's violations of the contract of ``conformance.Adapter``, one line each.

    The check solves two draws of each supported case and, if the implementation supports it, the first draw without
    gradients. An implementation without gradients is checked on the forward half of each case. All problems are solved
    once, then again in reverse order, so that each follows two different problems.

    - ``solve`` must not raise for a case that ``supports`` accepts.
    - ``solve`` must return exactly the expected tensors.
    - ``solve`` must not change or return the problem's arrays, nor return arrays that share memory.
    - The second solution of a problem must equal the first bit for bit. This detects state that survives a call.
    - A tensor that conforms to the reference in one draw must not deviate in the other. This detects weights that are
      kept from an earlier call.

    A tensor that deviates in both draws is not a violation: the implementation may be wrong, which the cases detect.

    Args:
        adapter: adapter to check.
        cases: cases to check it on.
    """
    return check_adapters([adapter], cases)


def check_adapters(adapters: Sequence[Adapter], cases: Iterable[Case] = EXAMPLES) -> list[str]:
    """Checks several adapters in one process. Also detects adapters that disturb each other.

    All adapters solve one problem before any of them solves the next; the second pass reverses this order. See
    ``check_adapter`` for the requirements.

    Args:
        adapters: adapters to check.
        cases: cases to check them on.
    """
    violations = _Violations(several=len(adapters) > 1)
    trials: list[_Trial] = []
    for case in cases:
        columns = [_problems(adapter, case, violations) for adapter in adapters]
        for row in zip_longest(*columns):
            trials += [_Trial(adapter, *problem) for adapter, problem in zip(adapters, row, strict=True) if problem]
    oracle = Oracle(cache=None)
    for trial in trials:
        violations.add(trial.adapter, trial.case, trial.solve(oracle))
    for trial in reversed(trials):
        violations.add(trial.adapter, trial.case, trial.solve_again())
    for trial in trials:
        violations.add(trial.adapter, trial.case, trial.compare_arrays())
    for adapter in adapters:
        own = [trial for trial in trials if trial.adapter is adapter]
        violations.add(adapter, None, _coverage(own))
        for case in dict.fromkeys(trial.case for trial in own):
            violations.add(adapter, case, _compare_draws([trial for trial in own if trial.case == case]))
    return violations.lines()


class _Violations:
    """Faults by adapter and case, without duplicates. If there are several adapters, each line names the adapter."""

    def __init__(self, several: bool) -> None:
        self._faults: dict[str, dict[str, None]] = {}
        self._several = several

    def add(self, adapter: Adapter, case: Case | None, faults: Iterable[str]) -> None:
        """Adds an adapter's faults on a case, or on all cases if it is None."""
        label = adapter.name
        if case is not None:
            label = (case.id or case.canonical) + (f"[{adapter.name}]" if self._several else "")
        self._faults.setdefault(label, {}).update(dict.fromkeys(faults))

    def lines(self) -> list[str]:
        """Returns one line per fault, in the order in which adapters and cases were added."""
        return [f"{label}: {fault}" for label, faults in self._faults.items() for fault in faults]


def _problems(adapter: Adapter, case: Case, violations: _Violations) -> list[tuple[Case, int]]:
    """Returns the problems to solve for a case, each as a case and a draw. Unsupported cases have none."""

    def supports(variant: Case) -> bool:
        reason = adapter.supports(variant)
        if reason is not None and (not isinstance(reason, str) or not reason.strip()):
            violations.add(adapter, variant, [f"supports returned {reason!r}, expected None or a reason"])
        return reason is None

    forward = case.forward_only() if "gradients" in case.check else None
    if supports(case):
        return [(case, 0), (case, 1), *([(forward, 0)] if forward and supports(forward) else [])]
    return [(forward, 0), (forward, 1)] if forward and supports(forward) else []


class _Trial:
    """A problem that an adapter solves twice, with both outcomes."""

    def __init__(self, adapter: Adapter, case: Case, draw: int) -> None:
        self.adapter, self.case, self.draw = adapter, case, draw
        self.verdicts: dict[str, TensorVerdict] = {}
        self._solution: Solution = {}
        self._bytes: dict[str, bytes] = {}
        self._error = ""

    def solve(self, oracle: Oracle) -> Iterator[str]:
        """Solves the problem for the first time, judges the solution and yields faults."""
        try:
            problem, dialect, faults = self._problem()
            given = _writable(problem)
            solution = self.adapter.solve(given)
        except Exception as error:
            self._error = _one_line(error)
            yield f"supports returned None, but solve raised {self._error}"
            return
        faults += [*_changed(given, problem), *_malformed(problem, solution)]
        if not faults:
            faults += _shared(given, solution)
            self._solution, self._bytes = solution, _bytes(solution)
            expectation = oracle.expect(problem, self.adapter.profile(self.case), dialect)
            self.verdicts = {verdict.name: verdict for verdict in judge(problem, solution, expectation).tensors}
        yield from faults

    def solve_again(self) -> Iterator[str]:
        """Solves the problem for the second time and yields differences from the first."""
        try:
            solution = self.adapter.solve(_writable(self._problem()[0]))
        except Exception as error:
            if not self._error:
                yield f"solve raised only when solving a problem again: {_one_line(error)}"
            return
        if self._error:
            yield "solve raised only when solving a problem for the first time"
        elif self._bytes and (differences := _differences(self._bytes, solution)):
            yield (
                f"the second solution of a problem differs from the first in {', '.join(differences)}: solve is not "
                "deterministic, or it keeps state from earlier problems"
            )

    def compare_arrays(self) -> Iterator[str]:
        """Yields a fault if the arrays of the first solution have changed since."""
        if _bytes(self._solution) != self._bytes:
            yield "solving another problem changed the arrays of an earlier solution"

    def _problem(self) -> tuple[Problem, Dialect, list[str]]:
        """Makes the problem under the adapter's dialect and with its dropout masks.

        Returns:
            The problem, the dialect and the faults of ``dropout_masks``.
        """
        dialect, problem = self.adapter.dialect(self.case), make_problem(self.case, self.draw)
        masks = self.adapter.dropout_masks(problem)
        got, expected = ({name: mask.shape for name, mask in of.items()} for of in (masks, problem.dropout_masks))
        if got != expected:
            return problem.under(dialect), dialect, [f"dropout_masks has shapes {got}, expected {expected}"]
        return replace(problem.under(dialect), dropout_masks=masks), dialect, []


def _coverage(trials: Sequence[_Trial]) -> Iterator[str]:
    """Yields a fault if nothing was checked or if no value could be compared with the reference."""
    if not trials:
        yield "supports accepted none of the cases, so nothing was checked"
    verdicts = [verdict for trial in trials for verdict in trial.verdicts.values()]
    if verdicts and not any(verdict.conforms for verdict in verdicts):
        yield (
            "no tensor of any case conforms to the reference, so weights kept from an earlier call cannot be detected. "
            "Run `conformance smoke` first"
        )


def _compare_draws(trials: Sequence[_Trial]) -> Iterator[str]:
    """Yields a fault if tensors that conform in one draw of a case are proven wrong in another."""
    for trial, other in permutations(trials, 2):
        wrong = [
            verdict
            for name, verdict in trial.verdicts.items()
            if verdict.proven and name in other.verdicts and other.verdicts[name].conforms
        ]
        if wrong:
            worst = max(wrong, key=lambda verdict: verdict.error_ratio)
            yield (
                f"draw {trial.draw} deviates in {len(wrong)} tensors that conform in draw {other.draw}, as if solve "
                f"kept values of an earlier problem: {worst.reason}"
            )


def _changed(given: Problem, original: Problem) -> Iterator[str]:
    originals = original.arrays()
    for name, array in given.arrays().items():
        if array.tobytes() != originals[name].tobytes():
            yield f"solve changed the problem's {name}"


def _malformed(problem: Problem, solution: object) -> Iterator[str]:
    if not isinstance(solution, Mapping):
        yield f"solve returned a {type(solution).__name__}, expected a mapping of names to arrays"
        return
    expected = problem.expected_shapes()
    if missing := [name for name in expected if name not in solution]:
        yield f"missing from the solution: {', '.join(missing)}"
    if extra := [name for name in solution if name not in expected]:
        yield f"the solution has unexpected tensors: {', '.join(extra)}"
    for name, array in solution.items():
        if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.floating):
            yield f"{name} is not a NumPy array of floating-point numbers"
        elif name in expected and array.shape != expected[name]:
            yield f"{name} has shape {array.shape}, expected {expected[name]}"


def _shared(problem: Problem, solution: Solution) -> Iterator[str]:
    for name, array in solution.items():
        for given, original in problem.arrays().items():
            if np.shares_memory(array, original):
                yield f"{name} shares memory with the problem's {given}"
    for (name, array), (other, second) in combinations(solution.items(), 2):
        if np.shares_memory(array, second):
            yield f"{name} shares memory with {other}"


def _writable(problem: Problem) -> Problem:
    """Copies a problem with writable arrays, so that a change does not raise and can be reported."""

    def copies(tensors: Tensors) -> Tensors:
        return {name: array.copy() for name, array in tensors.items()}

    return replace(
        problem,
        parameters=copies(problem.parameters),
        input=problem.input.copy(),
        initial_state=None if problem.initial_state is None else copies(problem.initial_state),
        lengths=None if problem.lengths is None else problem.lengths.copy(),
        dropout_masks=copies(problem.dropout_masks),
        cotangents=copies(problem.cotangents),
        tangents=copies(problem.tangents),
    )


def _one_line(error: Exception) -> str:
    return shorten(f"{type(error).__name__}: {message_of(error)}", 300)


def _bytes(solution: Solution) -> dict[str, bytes]:
    return {name: np.asarray(array).tobytes() for name, array in solution.items()}


def _differences(first: Mapping[str, bytes], solution: object) -> list[str]:
    """Returns the names of tensors that are not the same bytes."""
    second = _bytes(solution) if isinstance(solution, Mapping) else {}
    return [name for name in {**first, **second} if first.get(name) != second.get(name)]
