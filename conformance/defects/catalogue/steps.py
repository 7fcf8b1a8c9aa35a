"""Time steps of the input and the output that are shifted, repeated, ignored or returned in the wrong order."""

from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import (
    all_of,
    has_padding,
    has_steps,
    longest,
    requiring,
    row_lengths,
    several_steps,
)
from conformance.defects.catalogue.tensors import Move, move_in_steps
from conformance.defects.defect import NOTHING, Defect


def _repeat_middle_step(array: Any, case: Case) -> Any:
    """Replaces the middle step of the longest row by the step before it."""
    stale, lengths = array.copy(), row_lengths(case)
    row = int(lengths.argmax())
    step = max(1, longest(case) // 2)
    stale[step, row] = array[step - 1, row]
    return stale


def _delay(array: Any, case: Case) -> Any:
    del case
    late = np.roll(array, 1, axis=0)
    late[0] = NOTHING
    return late


def _repeat_second_to_last(array: Any, case: Case) -> Any:
    last, stale = longest(case) - 1, array.copy()
    stale[last] = array[last - 1]
    return stale


def _repeat_last_unit(array: Any, case: Case) -> Any:
    """Replaces the last unit of the longest row at its last step by its value at the step before."""
    stale, row, last = array.copy(), int(row_lengths(case).argmax()), longest(case) - 1
    stale[last, row, -1] = array[last - 1, row, -1]
    return stale


def _without_step(step: int) -> Move:
    def move(array: Any, case: Case) -> Any:
        rest = array.copy()
        rest[step if step >= 0 else longest(case) + step] = NOTHING
        return rest

    return move


def _without_second_half(array: Any, case: Case) -> Any:
    rest = array.copy()
    rest[(longest(case) + 1) // 2 :] = NOTHING
    return rest


DEFECTS = requiring(
    has_steps,
    [
        Defect(
            id="output-reversed",
            what="that returns its output in reverse time order",
            requires=several_steps,
            writes=move_in_steps("output", lambda array, _: array[::-1]),
        ),
        Defect(
            id="input-step-stale",
            what="that reads one time step of the input twice in one row, and skips the next step",
            requires=several_steps,
            reads=move_in_steps("input", _repeat_middle_step),
        ),
        Defect(
            id="input-a-step-late",
            what="that reads its input one time step late, and zeros at the first step",
            reads=move_in_steps("input", _delay),
        ),
        Defect(
            id="input-of-first-step-in-all",
            what="that reads the first time step of the input at every step",
            requires=several_steps,
            reads=move_in_steps("input", lambda array, _: np.broadcast_to(array[:1], array.shape)),
        ),
        Defect(
            id="input-of-last-step-ignored",
            what="that reads zeros at the last time step of the input",
            reads=move_in_steps("input", _without_step(-1)),
        ),
        Defect(
            id="input-of-first-step-ignored",
            what="that reads zeros at the first time step of the input",
            reads=move_in_steps("input", _without_step(0)),
        ),
        Defect(
            id="output-a-step-late",
            what="that returns its output one time step late, and zeros at the first step",
            requires=all_of(several_steps, lambda case: not has_padding(case)),
            writes=move_in_steps("output", _delay),
        ),
        Defect(
            id="output-of-first-step-never-written",
            what="that returns zeros as the output of the first time step",
            writes=move_in_steps("output", _without_step(0)),
        ),
        Defect(
            id="output-of-last-step-never-written",
            what="that returns zeros as the output of the last time step",
            requires=several_steps,
            writes=move_in_steps("output", _without_step(-1)),
        ),
        Defect(
            id="output-of-last-step-stale",
            what="that returns the output of the second-to-last time step for the last one too",
            requires=several_steps,
            writes=move_in_steps("output", _repeat_second_to_last),
        ),
        Defect(
            id="output-of-last-unit-stale",
            what="with one element of the output at the last time step left over from the step before",
            requires=several_steps,
            writes=move_in_steps("output", _repeat_last_unit),
        ),
        Defect(
            id="output-of-second-half-never-written",
            what="that returns zeros as the output of the second half of the time steps",
            requires=several_steps,
            writes=move_in_steps("output", _without_second_half),
        ),
    ],
)
