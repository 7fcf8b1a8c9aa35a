"""The plan of a run: which cases run on which implementation."""

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

from conformance.adapters import Adapter
from conformance.cases.case import Case
from conformance.cases.select import Selection
from conformance.cases.shard import Shard
from conformance.results.record import Result

Plan = Sequence[tuple[Adapter, Sequence[Case]]]
"""Each implementation with the cases that it runs."""

SHOWN_FIRST = ("torch.nn.LSTM", "torch.nn.LSTMCell", "keras.layers.LSTM[tensorflow]")
"""Well-known implementations, which start first, so that a long run soon shows results."""
SLOW = ("openvino[LSTMSequence]", "torch.nn.LSTM[script]")
"""Implementations that take several times as long as the others that need one package."""


def make_plan(
    selection: Selection, cases: Sequence[Case], adapters: Sequence[Adapter], named: Collection[str] = ()
) -> Plan:
    """Pairs each adapter with the selected cases.

    Args:
        selection: conditions that the cases must meet.
        cases: all cases.
        adapters: all adapters.
        named: names of the implementations that the user named. Their default tags do not restrict them.
    """
    return [
        (adapter, [case for case in selection.cases(cases, adapter.name) if adapter.runs_by_default(case, named)])
        for adapter in adapters
    ]


def digest(plan: Plan) -> str:
    """Returns a hash of all rows of a plan, 16 hexadecimal digits. A run resumes only from rows of the same plan."""
    rows = [f"{case.id} {case.key} {adapter.name}" for adapter, cases in plan for case in cases]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def planned(plan: Plan) -> dict[str, int]:
    """Returns the number of planned rows for each implementation."""
    return {adapter.name: len(cases) for adapter, cases in plan}


def part(plan: Plan, shard: Shard | None) -> Plan:
    """Returns one shard of a plan. Keeps implementations without rows, so that every shard lists all of them."""
    if shard is None:
        return plan
    return [(adapter, [case for case in cases if shard.holds(case.key, adapter.name)]) for adapter, cases in plan]


def without(plan: Plan, done: Sequence[Result]) -> Plan:
    """Returns a plan without the rows that already have a result."""
    found = {(result.case, result.key, result.implementation) for result in done}
    return [
        (adapter, [case for case in cases if (case.id, case.key, adapter.name) not in found]) for adapter, cases in plan
    ]


def in_starting_order(plan: Plan) -> Plan:
    """Returns a plan in the order in which its implementations start.

    The implementations of ``SHOWN_FIRST`` start first. Expensive ones follow, so that none of them runs alone at the
    end: those that run only some cases by default, then those that need the most packages, then those of ``SLOW``.
    """

    def key(entry: tuple[Adapter, Sequence[Case]]) -> tuple[int, bool, int, bool]:
        adapter, _ = entry
        first = SHOWN_FIRST.index(adapter.name) if adapter.name in SHOWN_FIRST else len(SHOWN_FIRST)
        return first, not adapter.default_tag, -len(adapter.requires), adapter.name not in SLOW

    return sorted(plan, key=key)


def by_shape(case: Case) -> tuple[Any, ...]:
    """Sort key that groups cases of the same layer shape: a framework that compiles per shape then compiles once.

    Cases that require a number of threads come last, because they need another process.
    """
    return (
        case.threads or 0,
        case.dtype,
        case.input_size,
        case.hidden_sizes,
        case.reverse_hidden_size or 0,
        case.proj_size,
        case.direction,
        case.bias,
        case.lengths is not None,
        case.gives_state,
        case.file,
        case.line,
        case.name,
    )
