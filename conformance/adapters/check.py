"""A check of adapters: whether one keeps the contract of ``adapter.py``, whatever its implementation computes.

``assert check_adapter(MyLSTM()) == []`` is the whole of an adapter's own test.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.adapter import Adapter, Solution
from conformance.cases.case import Case
from conformance.verdict.problem import Problem, Tensors, make_problem

_SMALL = {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 2}
_OPTIONS: dict[str, dict[str, Any]] = {
    "one layer": {},
    "one layer, other values": {"values": "scale-2"},
    "two layers both ways": {"num_layers": 2, "direction": "bidirectional"},
    "reverse": {"direction": "reverse"},
    "batch first": {"batch_first": True},
    "unbatched": {"batch": "unbatched"},
    "lengths": {"lengths": "ragged", "batch": 3},
    "no bias, no state": {"bias": False, "initial_state": "omitted"},
    "projection": {"proj_size": 2},
    "a size per layer": {"hidden_size": (4, 2)},
    "dropout": {"num_layers": 2, "dropout": 0.5, "mode": "train"},
    "forward only": {"check": ("output", "h_n", "c_n")},
    "float64": {"dtype": "float64"},
    "float16": {"dtype": "float16"},
    "bfloat16": {"dtype": "bfloat16"},
}

EXAMPLES = tuple(Case.model_validate({"name": name, **_SMALL, **options}) for name, options in _OPTIONS.items())
"""Small cases, one an option; those that the implementation does not support are passed over."""


def check_adapter(adapter: Adapter, cases: Iterable[Case] = EXAMPLES) -> list[str]:
    """What an adapter does against its contract, in words; empty when it keeps it.

    ``solve`` must neither change nor hand out the problem's arrays, hand out no array twice, give the same bytes
    for the same problem whenever it is asked, and give exactly the tensors that are expected. ``supports`` must
    say None of just the cases that ``solve`` runs. Whether values are right is not looked at.

    Args:
        adapter: what to check.
        cases: what to check it on.
    """
    violations: list[str] = []
    solved: list[tuple[Case, Solution, dict[str, bytes]]] = []
    for case in cases:
        reason = adapter.supports(case)
        if reason is not None:
            if not isinstance(reason, str) or not reason.strip():
                violations.append(f"{_label(case)}: supports gives {reason!r}, neither None nor a reason in words")
            continue
        problem = _writable(make_problem(case))
        try:
            solution = adapter.solve(problem)
        except Exception as error:  # Whatever it is, it is what the adapter did.
            violations.append(f"{_label(case)}: supports says yes, and solve raised {type(error).__name__}: {error}")
            continue
        faults = [*_changed(problem), *_misshapen(adapter, problem, solution)]
        if not faults:
            faults += _shared(problem, solution)
            first = _bytes(solution)
            if _bytes(adapter.solve(make_problem(case))) != first:
                faults.append("the same problem solved twice gives different bytes")
            else:
                solved.append((case, solution, first))
        violations += [f"{_label(case)}: {fault}" for fault in faults]
    return violations + list(_order(adapter, solved))


def _order(adapter: Adapter, solved: list[tuple[Case, Solution, dict[str, bytes]]]) -> Iterator[str]:
    """Solves everything again from the last to the first, with other problems of the same cases in between."""
    for case, solution, first in reversed(solved):
        adapter.solve(make_problem(case, draw=1))
        if _bytes(solution) != first:
            yield f"{_label(case)}: solving another problem changed the arrays of an earlier solution"
        if _bytes(adapter.solve(make_problem(case))) != first:
            yield f"{_label(case)}: the result depends on what was solved before"


def _changed(problem: Problem) -> Iterator[str]:
    originals = _arrays(make_problem(problem.case))
    for name, array in _arrays(problem).items():
        if array.tobytes() != originals[name].tobytes():
            yield f"solve changed the problem's {name}"


def _misshapen(adapter: Adapter, problem: Problem, solution: Solution) -> Iterator[str]:
    expected = problem.expected_shapes()
    if missing := [name for name in expected if name not in solution]:
        yield f"the solution lacks {', '.join(missing)}"
    if extra := [name for name in solution if name not in expected]:
        yield f"the solution has {', '.join(extra)}, which nobody asked for"
    for name, array in solution.items():
        if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.floating):
            yield f"{name} is no NumPy array of floating-point numbers"
        elif name in expected and array.shape != expected[name]:
            yield f"{name} has shape {array.shape}, expected {expected[name]}"
    masks = adapter.dropout_masks(problem)
    shapes = {name: mask.shape for name, mask in problem.dropout_masks.items()}
    if {name: mask.shape for name, mask in masks.items()} != shapes:
        yield f"dropout_masks has shapes { {name: mask.shape for name, mask in masks.items()} }, expected {shapes}"


def _shared(problem: Problem, solution: Solution) -> Iterator[str]:
    for name, array in solution.items():
        for given, original in _arrays(problem).items():
            if np.shares_memory(array, original):
                yield f"{name} shares memory with the problem's {given}"
    for (name, array), (other, second) in combinations(solution.items(), 2):
        if np.shares_memory(array, second):
            yield f"{name} shares memory with {other}"


def _writable(problem: Problem) -> Problem:
    """A copy that lets itself be changed, so that a change is seen instead of refused."""

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
    )


def _arrays(problem: Problem) -> dict[str, NDArray[Any]]:
    """All of a problem's arrays by a name for messages."""
    groups: dict[str, Mapping[str, NDArray[Any]]] = {
        "parameter ": problem.parameters,
        "": {"input": problem.input, **(problem.initial_state or {})},
        "dropout mask ": problem.dropout_masks,
        "cotangent of ": problem.cotangents,
    }
    if problem.lengths is not None:
        groups["row "] = {"lengths": problem.lengths}
    return {f"{kind}{name}": array for kind, group in groups.items() for name, array in group.items()}


def _bytes(solution: Solution) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in solution.items()}


def _label(case: Case) -> str:
    return case.id or case.canonical
