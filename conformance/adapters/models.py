"""Uses of a converted model: a file with fixed weights that takes NumPy arrays, for inference only."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from conformance.adapters import uses
from conformance.adapters.earlier_calls import make_earlier_calls, resized
from conformance.cases.case import Case
from conformance.cases.uses import is_batch_dynamic, is_time_dynamic
from conformance.verdict.problem import Problem

BUILT = frozenset({"built for another length", "built for another batch"})
"""Uses of a model that is built for a shape."""
USES = BUILT | frozenset(
    {"chunks", "repeated call", "after other lengths", "after other batches", "after an error", "saved",
     "strided memory", "expanded states", "aliased states", "read-only memory", "rows alone", "rows permuted"}
)  # fmt: skip
"""Uses of a converted model."""
ARGUMENTS = frozenset(
    {"empty sequence", "empty batch", "wrong input", "wrong dtype", "wrong state", "wrong layers of a state",
     "wrong lengths"}
)  # fmt: skip
"""Empty and wrong arguments that a converted model can be given."""


def refuse(case: Case) -> str | None:
    """Returns the reason why no model with fixed inputs can run a case; None if it can."""
    if case.chunks and len(case.given_states) < 2:
        return "a model without inputs for both initial states cannot continue a sequence"
    return None


def run(problem: Problem, call: uses.Call) -> dict[str, Any]:
    """Uses a model that takes NumPy arrays as a case says, and returns its results.

    Args:
        problem: the problem.
        call: function that runs the model once.

    Raises:
        RuntimeError: the model wrote into its arguments.
    """
    make_earlier_calls(problem, lambda earlier, _: call(uses.laid_out(earlier.case, uses.arguments(earlier))))
    given = uses.laid_out(problem.case, uses.arguments(problem))
    results = uses.run(problem.case, call, given, np.concatenate)
    uses.check_unchanged(given, problem)
    return {name: results[name] for name in problem.expected_shapes()}


def built_problem(problem: Problem) -> Problem:
    """Returns a problem of the shape for which the implementation is built, with other inputs and states."""
    case = problem.case
    return resized(problem, case.built_seq_len or case.seq_len, (case.built_batch or case.rows) if case.rows else None)


def dynamic_axes(case: Case, names: Sequence[str]) -> dict[str, dict[int, str]]:
    """Returns the axes in which calls of one object differ, as ``steps`` or ``rows``, by the names of arrays."""
    found: dict[str, dict[int, str]] = {}
    for name in names:
        axes = {uses.row_axis(case, name): "rows"} if is_batch_dynamic(case) else {}
        if name in ("input", "output") and is_time_dynamic(case):
            axes[uses.time_axis(case)] = "steps"
        found[name] = axes
    return found
