"""Rows that end at the wrong step, and rows that remain sorted by length."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import all_of, has_initial_state, row_lengths
from conformance.defects.catalogue.tensors import Layers, move_in_states, move_in_steps
from conformance.defects.defect import Defect

Lengths = NDArray[np.int64]
ChangeLengths = Callable[[Lengths, Case], Lengths]


def lengths_change(change: ChangeLengths) -> Callable[[Case], bool]:
    """Returns the condition that a case has padding after its valid steps and that the change affects its lengths."""

    def holds(case: Case) -> bool:
        lengths = row_lengths(case)
        return case.mask == "right" and case.lengths is not None and not np.array_equal(change(lengths, case), lengths)

    return holds


def every_step(lengths: Lengths, case: Case) -> Lengths:
    """Returns the lengths of rows without padding."""
    return np.full_like(lengths, case.seq_len)


def longest_for_all(lengths: Lengths, case: Case) -> Lengths:
    """Returns lengths in which every row has the length of the longest one."""
    del case
    return np.full_like(lengths, lengths.max())


def _wrong_lengths(id: str, what: str, change: ChangeLengths, represents: str = "") -> Defect:  # noqa: A002
    return Defect(id=id, what=what, represents=represents, requires=lengths_change(change), lengths=change)


def _longest_first(case: Case) -> Any:
    return np.argsort(-row_lengths(case), kind="stable")


def _not_sorted(case: Case) -> bool:
    order = _longest_first(case)
    return case.mask == "right" and case.lengths is not None and not np.array_equal(order, np.arange(len(order)))


def _sort_rows(array: Any, case: Case) -> Any:
    return array[:, _longest_first(case)]


def _sort_rows_of_each(layers: Layers, case: Case) -> Layers:
    return [_sort_rows(layer, case) for layer in layers]


DEFECTS = [
    _wrong_lengths(
        "lengths-ignored", "that ignores lengths", every_step, "onnx ReferenceEvaluator, MNN, OpenCV; mxnet#19323"
    ),
    _wrong_lengths("lengths-longest-for-all", "whose rows all have the length of the longest row", longest_for_all),
    _wrong_lengths(
        "lengths-shortest-for-all",
        "whose rows all have the length of the shortest row",
        lambda lengths, _: np.full_like(lengths, lengths.min()),
    ),
    _wrong_lengths(
        "lengths-of-first-row-for-all",
        "whose rows all have the length of the first row",
        lambda lengths, _: np.full_like(lengths, lengths[0]),
    ),
    _wrong_lengths(
        "lengths-one-less",
        "whose rows end one step early",
        lambda lengths, _: np.where(lengths > 1, lengths - 1, lengths),
    ),
    _wrong_lengths(
        "lengths-one-more",
        "whose rows end one step late",
        lambda lengths, case: np.where(lengths > 0, np.minimum(lengths + 1, case.seq_len), lengths),
    ),
    _wrong_lengths(
        "lengths-sorted",
        "that sorts the lengths, longest first, but not the rows",
        lambda lengths, _: -np.sort(-lengths),
        "pytorch#33602",
    ),
    _wrong_lengths(
        "lengths-reversed", "that reads the lengths of its rows in reverse order", lambda lengths, _: lengths[::-1]
    ),
    _wrong_lengths(
        "lengths-of-row-before",
        "whose rows each have the length of the previous row",
        lambda lengths, _: np.roll(lengths, 1),
    ),
    _wrong_lengths(
        "zero-length-read-as-full",
        "that treats a length of 0 as no length, and reads the whole row",
        lambda lengths, case: np.where(lengths == 0, case.seq_len, lengths),
        "flax RNN",
    ),
    _wrong_lengths(
        "zero-length-read-as-one", "that treats a length of 0 as 1", lambda lengths, _: np.maximum(lengths, 1)
    ),
    Defect(
        id="initial-states-not-sorted-with-rows",
        what="that sorts its rows by length, but not their initial states",
        requires=all_of(_not_sorted, has_initial_state),
        reads=move_in_states("h_0", "c_0", move=_sort_rows_of_each),
    ),
    Defect(
        id="final-states-left-sorted",
        what="that returns its final states still sorted by row length",
        represents="vsepp#36",
        requires=_not_sorted,
        writes=move_in_states("h_n", "c_n", move=_sort_rows_of_each),
    ),
    Defect(
        id="output-left-sorted",
        what="that returns its output still sorted by row length",
        represents="vsepp#36",
        requires=_not_sorted,
        writes=move_in_steps("output", _sort_rows),
    ),
]
