"""Weights transposed, exchanged, of another direction, or off. Whole gates in the wrong order are in ``gates``."""

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.parts import (
    both_ways,
    element_off,
    every,
    forward_of,
    from_parameter,
    layers_feed_layers,
    needing,
    of_kinds,
    other_direction,
    remembers,
    remembers_cell,
    takes_steps,
)
from conformance.defects.defect import NOTHING, Defect, Rewire


def _transposed(array: Any, case: Case) -> Any:
    """Each gate's matrix transposed, where it is square."""
    del case
    if array.shape[0] != 4 * array.shape[1]:
        return array
    return np.concatenate([gate.T for gate in np.split(array, 4)])


def _column_major(array: Any, case: Case) -> Any:
    del case
    return array.reshape(array.shape[::-1]).T


def _by_unit(array: Any, case: Case) -> Any:
    """Read as if the rows were unit by unit, the four gates of each together."""
    del case
    return array.reshape(-1, 4, *array.shape[1:]).swapaxes(0, 1).reshape(array.shape)


def _gates(*places: int) -> Rewire:
    def move(array: Any, case: Case) -> Any:
        del case
        return np.concatenate([np.split(array, 4)[k] for k in places])

    return of_kinds("weight_ih", "weight_hh", "bias", move=move)


def _columns(kind: str, change: Callable[[Any], Any]) -> Rewire:
    """Moves the columns of a kind of weights; each row of ``change``'s argument is a column."""
    return of_kinds(kind, move=lambda array, _: change(array.T.copy()).T)


def _nothing_at(*places: int) -> Callable[[Any], Any]:
    def change(columns: Any) -> Any:
        for place in places:
            columns[place] = NOTHING
        return columns

    return change


def _second_half_ignored(columns: Any) -> Any:
    columns[len(columns) // 2 :] = NOTHING
    return columns


def _ih_and_hh(name: str, case: Case) -> str:
    del case
    return name.replace("_ih_", "_hh_") if "_ih_" in name else name.replace("_hh_", "_ih_")


def _alike(case: Case) -> bool:
    """Some layer's two weights have the same shape."""
    shapes = case.model.parameter_shapes()
    return any(s == shapes[_ih_and_hh(name, case)] for name, s in shapes.items() if name.startswith("weight_ih"))


def _square(kind: str) -> Callable[[Case], bool]:
    """Some layer's gates have square matrices of a kind, larger than 1 by 1, and something to multiply."""

    def holds(case: Case) -> bool:
        shapes = case.model.parameter_shapes()
        kinds = (kind,) if kind == "weight_hh" or layers_feed_layers(case) else (f"{kind}_l0",)
        return any(s[0] == 4 * s[1] > 4 for name, s in shapes.items() if name.startswith(kinds))

    return holds


def _wide(case: Case) -> bool:
    """Several units."""
    return max(case.hidden_sizes) > 1


def _several_features(case: Case) -> bool:
    return case.input_size > 1


def _off(kind: str) -> Callable[[float], Defect]:
    def sized(size: float) -> Defect:
        return Defect(
            id=f"{kind}-element-off-by-{size:.0e}",
            what=f"with one element of one {kind} off by {size:.0e}",
            applies=remembers if kind == "weight_hh" else lambda _: True,
            shifts=element_off(kind, size),
            size=size,
            sized=sized,
        )

    return sized


def _rows_swapped(array: Any, case: Case) -> Any:
    """The first two units of each gate in each other's place."""
    del case
    units = array.reshape(4, -1, *array.shape[1:])
    order = [1, 0, *range(2, units.shape[1])] if units.shape[1] > 1 else [0]
    return units[:, order].reshape(array.shape)


DEFECTS = needing(
    takes_steps,
    [
        Defect(
            id="weight_hh-transposed",
            what="whose recurrent weights are transposed in each gate",
            applies=every(_square("weight_hh"), remembers),
            reads=of_kinds("weight_hh", move=_transposed),
        ),
        Defect(
            id="weight_ih-transposed",
            what="whose input weights are transposed in each gate where they are square",
            applies=_square("weight_ih"),
            reads=of_kinds("weight_ih", move=_transposed),
        ),
        Defect(
            id="weight_hh-column-major",
            what="that reads weight_hh from memory column by column",
            applies=every(remembers, lambda case: case.model.state_size(0) > 1),
            reads=of_kinds("weight_hh", move=_column_major),
        ),
        Defect(
            id="weight_ih-column-major",
            what="that reads weight_ih from memory column by column",
            applies=_several_features,
            reads=of_kinds("weight_ih", move=_column_major),
        ),
        Defect(
            id="gates-interleaved",
            what="that reads the rows of weights and biases unit by unit in place of gate by gate",
            applies=_wide,
            reads=of_kinds("weight_ih", "weight_hh", "bias", move=_by_unit),
        ),
        Defect(
            id="weight_ih-rows-of-units-swapped",
            what="that reads the first two units' rows of weight_ih in each other's place",
            applies=_wide,
            reads=of_kinds("weight_ih", move=_rows_swapped),
        ),
        Defect(
            id="weight_ih-and-weight_hh-swapped",
            what="that exchanges weight_ih and weight_hh where they have the same shape",
            applies=_alike,
            reads=from_parameter("weight_ih", "weight_hh", source=_ih_and_hh),
        ),
        Defect(
            id="weight_ih-read-as-weight_hh",
            what="that reads weight_ih in place of weight_hh too where they have the same shape",
            applies=every(_alike, remembers),
            reads=from_parameter("weight_hh", source=_ih_and_hh),
        ),
        Defect(
            id="forget-gate-is-input-gate",
            what="whose forget gate has the input gate's weights and biases",
            applies=remembers_cell,
            reads=_gates(0, 0, 2, 3),
        ),
        Defect(
            id="output-gate-is-forget-gate",
            what="whose output gate has the forget gate's weights and biases",
            reads=_gates(0, 1, 2, 1),
        ),
        Defect(
            id="candidate-is-output-gate",
            what="whose candidate has the output gate's weights and biases",
            reads=_gates(0, 1, 3, 3),
        ),
        *(
            Defect(
                id=f"reverse-{kind}-from-forward",
                what=f"whose reverse direction reads the forward direction's {kind}",
                applies=both_ways if kind == "weight_ih" else every(both_ways, remembers),
                reads=from_parameter(kind, source=forward_of),
            )
            for kind in ("weight_ih", "weight_hh")
        ),
        Defect(
            id="reverse-parameters-from-forward",
            what="whose reverse direction reads all of the forward direction's parameters",
            applies=both_ways,
            reads=from_parameter("weight", "bias", source=forward_of),
        ),
        Defect(
            id="parameters-of-directions-swapped",
            what="whose directions read each other's parameters",
            applies=both_ways,
            reads=from_parameter("weight", "bias", source=other_direction),
        ),
        Defect(
            id="weight_hh-ignores-last-unit",
            what="whose steps do not read the last unit of the hidden state before",
            applies=remembers,
            reads=_columns("weight_hh", _nothing_at(-1)),
        ),
        Defect(
            id="weight_hh-ignores-half",
            what="whose steps read the first half of the hidden state before only",
            applies=remembers,
            reads=_columns("weight_hh", _second_half_ignored),
        ),
        Defect(
            id="first-feature-ignored",
            what="that does not read the first feature of the input",
            reads=_columns("weight_ih_l0", _nothing_at(0)),
        ),
        Defect(
            id="last-feature-ignored",
            what="that does not read the last feature of the input",
            # With one feature it is the first one.
            applies=_several_features,
            reads=_columns("weight_ih_l0", _nothing_at(-1)),
        ),
        Defect(
            id="first-features-swapped",
            what="that reads the first two features of the input in each other's place",
            applies=_several_features,
            reads=_columns("weight_ih_l0", lambda columns: columns[[1, 0, *range(2, len(columns))]]),
        ),
        Defect(
            id="features-reversed",
            what="that reads the features of the input last one first",
            # With two features it is their exchange.
            applies=lambda case: case.input_size > 2,
            reads=_columns("weight_ih_l0", lambda columns: columns[::-1]),
        ),
        _off("weight_ih")(1e-5),
        _off("weight_hh")(1e-4),
    ],
)
