"""Padding that is read, rows that end at the wrong step, and rows left in the order that they were sorted in."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.defects.catalogue.parts import (
    as_tensors,
    every,
    given,
    goes_forth,
    needing,
    of_states,
    of_steps,
    output_of,
    padded,
    padded_after_a_step,
    row_lengths,
    states,
)
from conformance.defects.defect import NOTHING, Arrays, Defect, Rewire
from reference.layer import Dialect

Lengths = NDArray[np.int64]
_any_given = given("h_0", "c_0")


def _changes(change: Callable[[Lengths, Case], Lengths]) -> Callable[[Case], bool]:
    """Whether a case has lengths, and a change makes others of them."""

    def holds(case: Case) -> bool:
        lengths = row_lengths(case)
        return case.lengths is not None and not np.array_equal(change(lengths, case), lengths)

    return holds


def _ends(id: str, what: str, change: Callable[[Lengths, Case], Lengths], stands_for: str = "") -> Defect:  # noqa: A002
    return Defect(id=id, what=what, stands_for=stands_for, applies=_changes(change), lengths=change)


def _all_steps(lengths: Lengths, case: Case) -> Lengths:
    return np.full_like(lengths, case.seq_len)


def _longest_first(case: Case) -> Any:
    return np.argsort(-row_lengths(case), kind="stable")


def _unsorted(case: Case) -> bool:
    order = _longest_first(case)
    return case.lengths is not None and not np.array_equal(order, np.arange(len(order)))


def _sorted_rows(array: Any, case: Case) -> Any:
    return array[:, _longest_first(case)]


def _valid(case: Case) -> Any:
    return (np.arange(case.seq_len)[:, None] < row_lengths(case))[..., None]


def _padding_nothing(array: Any, case: Case) -> Any:
    return np.where(_valid(case), array, NOTHING)


def _padding_from_longest(array: Any, case: Case) -> Any:
    """What the memory held before: here, what the longest row has at the same step."""
    row = int(row_lengths(case).argmax())
    return np.where(_valid(case), array, array[:, [row]])


def _h_n_at(step: Callable[[Lengths, Case], Lengths]) -> Rewire:
    """The last layer's h_n in the forward direction, read from each row's output at some step."""

    def rewire(numbers: Arrays, case: Case) -> Arrays:
        layers = [layer.copy() for layer in states(numbers, "h_n", case)]
        output = output_of(numbers, case)
        rows = np.arange(output.shape[1])
        layers[-1][0] = output[step(row_lengths(case), case), rows, 0]
        return as_tensors(layers, "h_n", numbers, case)

    return rewire


def _shift_to_end(array: Any, case: Case) -> Any:
    """Each row's first steps hold its last ones, padding among them."""
    moved = array.copy()
    for row, length in enumerate(row_lengths(case)):
        moved[:length, row] = array[case.seq_len - length :, row]
    return moved


def _shift_from_end(array: Any, case: Case) -> Any:
    moved = np.full_like(array, NOTHING)
    for row, length in enumerate(row_lengths(case)):
        moved[case.seq_len - length :, row] = array[:length, row]
    return moved


def other_padding(dialect: Dialect) -> Dialect:
    """The other convention about what the output holds in the padding."""
    return replace(dialect, padding="zero" if dialect.padding == "repeat" else "repeat")


def _other_zero_length(dialect: Dialect) -> Dialect:
    return replace(dialect, zero_length="zero" if dialect.zero_length == "initial" else "initial")


def _zero_length(case: Case) -> bool:
    return bool((row_lengths(case) == 0).any())


DEFECTS = needing(
    lambda case: case.mask == "right",
    [
        _ends(
            "lengths-ignored", "that ignores lengths", _all_steps, "onnx ReferenceEvaluator, MNN, OpenCV; mxnet#19323"
        ),
        _ends(
            "lengths-longest-for-all",
            "whose rows all end with the longest one",
            lambda lengths, _: np.full_like(lengths, lengths.max()),
        ),
        _ends(
            "lengths-shortest-for-all",
            "whose rows all end with the shortest one",
            lambda lengths, _: np.full_like(lengths, lengths.min()),
        ),
        _ends(
            "lengths-of-first-row-for-all",
            "whose rows all end with the first one",
            lambda lengths, _: np.full_like(lengths, lengths[0]),
        ),
        _ends(
            "lengths-one-less",
            "whose rows end one step early",
            lambda lengths, _: np.where(lengths > 1, lengths - 1, lengths),
        ),
        _ends(
            "lengths-one-more",
            "whose rows end one step late",
            lambda lengths, case: np.where(lengths > 0, np.minimum(lengths + 1, case.seq_len), lengths),
        ),
        _ends(
            "lengths-sorted",
            "that sorts lengths, longest first, but not its rows",
            lambda lengths, _: -np.sort(-lengths),
            "pytorch#33602",
        ),
        _ends("lengths-reversed", "that reads lengths last row first", lambda lengths, _: lengths[::-1]),
        _ends(
            "lengths-of-row-before", "whose rows each end with the row before", lambda lengths, _: np.roll(lengths, 1)
        ),
        _ends(
            "zero-length-is-all",
            "that takes a length of 0 for no length",
            lambda lengths, case: np.where(lengths == 0, case.seq_len, lengths),
            "flax RNN",
        ),
        _ends("zero-length-is-one", "that takes a length of 0 for 1", lambda lengths, _: np.maximum(lengths, 1)),
        Defect(
            id="padding-updates-states",
            what="whose states run on over the padding, read as zeros",
            stands_for="keras#1934",
            applies=padded,
            reads=of_steps("input", _padding_nothing),
            lengths=_all_steps,
            answers=of_steps("output", _padding_nothing),
        ),
        Defect(
            id="padding-read",
            what="whose states run on over the padding, as it is",
            applies=padded,
            lengths=_all_steps,
            answers=of_steps("output", _padding_nothing),
        ),
        Defect(
            id="output-runs-on-over-padding",
            what="whose states and output run on over the padding, read as zeros",
            stands_for="flax RNN",
            applies=padded,
            reads=of_steps("input", _padding_nothing),
            lengths=_all_steps,
        ),
        Defect(
            id="output-of-padding-left-over",
            what="whose output in the padding is what the memory held before",
            stands_for="onnxruntime#1193",
            applies=lambda case: _changes(lambda lengths, _: np.full_like(lengths, lengths.max()))(case),
            answers=of_steps("output", _padding_from_longest),
        ),
        Defect(
            id="input-reversed-without-mask",
            what="that reverses its input with the padding, so that rows begin in it",
            stands_for="keras#1934, keras#3737",
            applies=lambda case: case.direction == "reverse" and case.num_layers == 1 and padded_after_a_step(case),
            reads=of_steps("input", _shift_to_end),
            answers=of_steps("output", _shift_from_end),
        ),
        Defect(
            id="padding-in-the-other-dialect",
            what="that repeats the last output in the padding, or answers zeros where it should repeat it",
            stands_for="onnxruntime#12492",
            applies=every(goes_forth, padded_after_a_step),
            dialect=other_padding,
        ),
        Defect(
            id="zero-length-in-the-other-dialect",
            what="whose empty rows answer zeros as final states, not their initial ones, or the other way round",
            applies=every(_zero_length, _any_given),
            dialect=_other_zero_length,
        ),
        Defect(
            id="h_n-from-last-output",
            what="whose forward direction answers the output of the last step as h_n, whatever the lengths",
            stands_for="tensorflow#23632",
            applies=every(goes_forth, padded),
            answers=_h_n_at(lambda lengths, case: np.full_like(lengths, case.seq_len - 1)),
        ),
        Defect(
            id="h_n-a-step-early",
            what="whose forward direction answers each row's last output but one as h_n",
            applies=every(goes_forth, lambda case: case.lengths is not None and bool((row_lengths(case) > 1).any())),
            answers=_h_n_at(lambda lengths, _: np.maximum(lengths - 2, 0)),
        ),
        Defect(
            id="initial-states-not-sorted-with-rows",
            what="that sorts rows by length but not their initial states",
            applies=every(_unsorted, _any_given),
            reads=of_states("h_0", "c_0", move=lambda layers, case: [_sorted_rows(layer, case) for layer in layers]),
        ),
        Defect(
            id="final-states-left-sorted",
            what="that leaves its final states sorted by the length of their rows",
            stands_for="vsepp#36",
            applies=_unsorted,
            answers=of_states("h_n", "c_n", move=lambda layers, case: [_sorted_rows(layer, case) for layer in layers]),
        ),
        Defect(
            id="output-left-sorted",
            what="that leaves its output sorted by the length of its rows",
            stands_for="vsepp#36",
            applies=_unsorted,
            answers=of_steps("output", _sorted_rows),
        ),
    ],
)
