"""Defects in the padding, and in rows without valid steps."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.catalogue.tensors import (
    Directions,
    last_state,
    move_in_directions,
    move_in_steps,
    output_by_direction,
)
from conformance.defects.defect import NOTHING, Arrays
from conformance.verdict.problem import Problem
from reference import Dialect
from reference.layer import Pass

_READ_AS_FULL = next(defect for defect in CATALOGUE if defect.id == "zero-length-read-as-full")


def show_initial_state(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Returns h_0 as the output of masked steps before the first valid one."""
    mask, direction = _mask(problem), problem.case.direction
    forward, reverse = np.maximum.accumulate(mask), np.maximum.accumulate(mask[::-1])[::-1]
    started = {"forward": [forward], "reverse": [reverse], "bidirectional": [forward, reverse]}[direction]
    before = [~of_direction[..., None] for of_direction in started]  # (T, B, 1): steps before the first valid one.
    if direction == "reverse" and dialect.reverse_output == "processing":
        before = [before[0][::-1]]
    cotangent = np.asarray(problem.complete_cotangents()["output"], np.float64)
    cotangents = output_by_direction({"output": cotangent}, problem.case)

    def results(found: Arrays, case: Case) -> Arrays:
        if problem.initial_state is None:
            return found
        state = dict(problem.complete_state())

        def show(directions: Directions, case: Case) -> Directions:
            h_0 = [np.asarray(last_state(state, "h_0", k, case), np.float64) for k in range(len(directions))]
            return [np.where(*each) for each in zip(before, h_0, directions, strict=True)]

        return found | move_in_directions(show)(found, case)

    def gradients(found: Arrays, case: Case) -> Arrays:
        changed = {name: array.copy() for name, array in found.items()}
        for direction, (steps, cotangent) in enumerate(zip(before, cotangents, strict=True)):
            h_0 = last_state(changed, "h_0", direction, case)
            h_0 += np.where(steps, cotangent, 0.0).sum(axis=0)
        return changed

    return {"results": results, "gradients": gradients}


def mask_output_back_to_front(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Repeats the output at masked steps, then sets it to 0 by the mask.

    The reverse direction reads the mask last step first.
    """
    mask = _mask(problem)[..., None]

    def masks(found: Arrays, case: Case) -> Arrays:
        sizes = [[case.model.state_size(layer, direction) for direction in (0, 1)] for layer in range(case.num_layers)]
        shown = {
            f"l{layer}": np.concatenate([mask * np.ones(forward), mask[::-1] * np.ones(reverse)], axis=-1)
            for layer, (forward, reverse) in enumerate(sizes)
        }
        return found | {name: found.get(name, 1.0) * array for name, array in shown.items()}

    return repeat_in_padding(problem, dialect) | {"dropout_masks": masks}


def repeat_in_padding(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Repeats the last valid output in the padding."""
    del problem, dialect
    return {"dialect": lambda followed: replace(followed, padding="repeat")}


def run_empty_rows(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Runs rows of length 0 over all of their padding, in every layer."""
    del dialect
    valid = _mask(problem)[..., None]
    return {
        "lengths": _READ_AS_FULL.lengths,
        "writes": move_in_steps("output", lambda numbers, _: np.where(valid, numbers, NOTHING)),
    }


def run_empty_rows_with_zero_output(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Runs rows of length 0 over all of their padding, where every layer's output is 0."""
    del dialect
    valid = _mask(problem)
    nonempty = np.broadcast_to(valid.any(axis=0), valid.shape)[..., None] * 1.0

    def masks(found: Arrays, case: Case) -> Arrays:
        shown = {f"l{layer}": nonempty * np.ones(case.model.output_size(layer)) for layer in range(case.num_layers)}
        return found | {name: found.get(name, 1.0) * array for name, array in shown.items()}

    return {"lengths": _READ_AS_FULL.lengths, "dropout_masks": masks}


def omit_h_0_in_gradient(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Omits the contribution of h_0 of padded rows to the gradient of the reverse recurrent weights."""
    del dialect
    padded = ~_mask(problem)
    # The reverse direction's states are (T + 1, B, ·). Those after the last valid step are the initial state.
    initial = np.concatenate([padded, padded[-1:]])[..., None]

    def saved(one: Pass, case: Case) -> Pass:
        del case
        return one._replace(h=np.where(initial, 0.0, one.h)) if one.time.suffix == "_reverse" else one

    return {"saved": saved}


def _mask(problem: Problem) -> NDArray[np.bool_]:
    """Returns which steps of each row are valid (T, B)."""
    if problem.mask is not None:
        return problem.mask
    return np.ones((problem.case.seq_len, problem.case.rows or 1), dtype=bool)
