"""Padding that is read as input, or that affects the output or the final states."""

from dataclasses import replace
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import (
    all_of,
    has_empty_row,
    has_forward,
    has_initial_state,
    has_padding,
    has_partial_row,
    requiring,
    row_lengths,
)
from conformance.defects.catalogue.lengths import every_step, lengths_change, longest_for_all
from conformance.defects.catalogue.tensors import h_n_from_output, move_in_steps
from conformance.defects.defect import NOTHING, Defect
from reference.layer import Dialect


def other_padding(dialect: Dialect) -> Dialect:
    """Returns the dialect with the other convention for the output at padded steps."""
    return replace(dialect, padding="zero" if dialect.padding == "repeat" else "repeat")


def _other_zero_length(dialect: Dialect) -> Dialect:
    return replace(dialect, zero_length="zero" if dialect.zero_length == "initial" else "initial")


def _valid(case: Case) -> Any:
    return (np.arange(case.seq_len)[:, None] < row_lengths(case))[..., None]


def _zeros_in_padding(array: Any, case: Case) -> Any:
    return np.where(_valid(case), array, NOTHING)


def _longest_row_in_padding(array: Any, case: Case) -> Any:
    """Fills the padding with the values of the longest row at the same step, like memory that was not cleared."""
    row = int(row_lengths(case).argmax())
    return np.where(_valid(case), array, array[:, [row]])


def _move_from_end(array: Any, case: Case) -> Any:
    """Fills the valid steps of each row with the last steps of the row, which include padding."""
    moved = array.copy()
    for row, length in enumerate(row_lengths(case)):
        moved[:length, row] = array[case.seq_len - length :, row]
    return moved


def _move_to_end(array: Any, case: Case) -> Any:
    """Moves the valid steps of each row to its end and fills the rest with zeros."""
    moved = np.full_like(array, NOTHING)
    for row, length in enumerate(row_lengths(case)):
        moved[case.seq_len - length :, row] = array[:length, row]
    return moved


def _last_step(case: Case) -> int:
    return case.seq_len - 1


def _second_to_last_valid_step(case: Case) -> Any:
    return np.maximum(row_lengths(case) - 2, 0)


def _single_reverse_layer(case: Case) -> bool:
    return case.direction == "reverse" and case.num_layers == 1


def _has_lengths_above_one(case: Case) -> bool:
    return case.lengths is not None and bool((row_lengths(case) > 1).any())


DEFECTS = requiring(
    lambda case: case.mask == "right",
    [
        Defect(
            id="padding-updates-states",
            what="that updates its states in the padding, which it reads as zeros",
            represents="keras#1934",
            requires=has_padding,
            reads=move_in_steps("input", _zeros_in_padding),
            lengths=every_step,
            writes=move_in_steps("output", _zeros_in_padding),
        ),
        Defect(
            id="padding-read",
            what="that updates its states in the padding, whose values it reads",
            requires=has_padding,
            lengths=every_step,
            writes=move_in_steps("output", _zeros_in_padding),
        ),
        Defect(
            id="output-runs-on-over-padding",
            what="that updates its states and its output in the padding, which it reads as zeros",
            represents="flax RNN",
            requires=has_padding,
            reads=move_in_steps("input", _zeros_in_padding),
            lengths=every_step,
        ),
        Defect(
            id="output-of-padding-left-over",
            what="whose output in the padding is the previous content of the memory",
            represents="onnxruntime#1193",
            requires=lengths_change(longest_for_all),
            writes=move_in_steps("output", _longest_row_in_padding),
        ),
        Defect(
            id="input-reversed-without-mask",
            what="that reverses its input together with the padding, so that rows start with padding",
            represents="keras#1934, keras#3737",
            requires=all_of(_single_reverse_layer, has_partial_row),
            reads=move_in_steps("input", _move_from_end),
            writes=move_in_steps("output", _move_to_end),
        ),
        Defect(
            id="padding-in-the-other-dialect",
            what="that repeats the last output in the padding, or returns zeros where it should repeat it",
            represents="onnxruntime#12492",
            requires=all_of(has_forward, has_partial_row),
            dialect=other_padding,
        ),
        Defect(
            id="zero-length-in-the-other-dialect",
            what="that returns zeros, not initial states, as the final states of empty rows, or the other way around",
            requires=all_of(has_empty_row, has_initial_state),
            dialect=_other_zero_length,
        ),
        Defect(
            id="h_n-from-last-output",
            what="whose forward direction returns the output of the last time step as h_n, whatever the lengths",
            represents="tensorflow#23632",
            requires=all_of(has_forward, has_padding),
            writes=h_n_from_output(_last_step, direction=0),
        ),
        Defect(
            id="h_n-a-step-early",
            what="whose forward direction returns each row's second-to-last output as h_n",
            requires=all_of(has_forward, _has_lengths_above_one),
            writes=h_n_from_output(_second_to_last_valid_step, direction=0),
        ),
    ],
)
