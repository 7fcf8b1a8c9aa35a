"""Weights that are transposed, swapped, inexact or read from the other direction. Gate orders are in ``gates``."""

from collections.abc import Callable
from typing import Any

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import (
    Condition,
    alike_directions,
    all_of,
    connected_layers,
    has_previous_c,
    has_previous_h,
    has_steps,
    requiring,
    several_features,
    several_units,
)
from conformance.defects.catalogue.tensors import (
    add_to_element,
    forward_of,
    move_in_parameters,
    other_direction,
    read_gates,
    read_parameters,
    transpose_gates,
)
from conformance.defects.defect import NOTHING, Defect, Rewire

_ALL = ("weight_ih", "weight_hh", "bias")


def _transpose_if_square(array: Any, case: Case) -> Any:
    return transpose_gates(array, case) if array.shape[0] == 4 * array.shape[1] else array


def _read_column_major(array: Any, case: Case) -> Any:
    del case
    return array.reshape(array.shape[::-1]).T


def _read_by_unit(array: Any, case: Case) -> Any:
    """Reads the rows as if the four gates of each unit were stored together."""
    del case
    return array.reshape(-1, 4, *array.shape[1:]).swapaxes(0, 1).reshape(array.shape)


def _swap_first_units(array: Any, case: Case) -> Any:
    """Swaps the first two units of each gate."""
    del case
    units = array.reshape(4, -1, *array.shape[1:])
    order = [1, 0, *range(2, units.shape[1])] if units.shape[1] > 1 else [0]
    return units[:, order].reshape(array.shape)


def _move_columns(kind: str, change: Callable[[Any], Any]) -> Rewire:
    """Moves the columns of a kind of weights. ``change`` receives and returns the transposed matrix."""
    return move_in_parameters(kind, move=lambda array, _: change(array.T.copy()).T)


def _ignore_column(index: int) -> Callable[[Any], Any]:
    def change(columns: Any) -> Any:
        columns[index] = NOTHING
        return columns

    return change


def _ignore_second_half(columns: Any) -> Any:
    columns[len(columns) // 2 :] = NOTHING
    return columns


def _other_weight(name: str, case: Case) -> str:
    del case
    return name.replace("_ih_", "_hh_") if "_ih_" in name else name.replace("_hh_", "_ih_")


def _equal_shapes(case: Case) -> bool:
    """Returns whether weight_ih and weight_hh of some layer have the same shape."""
    shapes = case.model.parameter_shapes()
    inputs = {name: shape for name, shape in shapes.items() if name.startswith("weight_ih")}
    return any(shape == shapes[_other_weight(name, case)] for name, shape in inputs.items())


def _square(kind: str) -> Condition:
    """Returns the condition that in some layer with nonzero input the gates' matrices are square and not 1 × 1."""

    def holds(case: Case) -> bool:
        shapes = case.model.parameter_shapes()
        kinds = (kind,) if kind == "weight_hh" or connected_layers(case) else (f"{kind}_l0",)
        return any(s[0] == 4 * s[1] > 4 for name, s in shapes.items() if name.startswith(kinds))

    return holds


def _several_states(case: Case) -> bool:
    return case.model.state_size(0) > 1


def _element_off(kind: str) -> Callable[[float], Defect]:
    def with_size(size: float) -> Defect:
        return Defect(
            id=f"{kind}-element-off-by-{size:.0e}",
            what=f"with one element of one {kind} off by {size:.0e}",
            requires=has_previous_h if kind == "weight_hh" else has_steps,
            shifts=add_to_element(kind, size),
            size=size,
            with_size=with_size,
        )

    return with_size


DEFECTS = requiring(
    has_steps,
    [
        Defect(
            id="weight_hh-transposed",
            what="that transposes the recurrent weights of each gate",
            requires=all_of(_square("weight_hh"), has_previous_h),
            reads=move_in_parameters("weight_hh", move=_transpose_if_square),
        ),
        Defect(
            id="weight_ih-transposed",
            what="that transposes the input weights of each gate where they are square",
            requires=_square("weight_ih"),
            reads=move_in_parameters("weight_ih", move=_transpose_if_square),
        ),
        Defect(
            id="weight_hh-column-major",
            what="that reads weight_hh in column-major order",
            requires=all_of(has_previous_h, _several_states),
            reads=move_in_parameters("weight_hh", move=_read_column_major),
        ),
        Defect(
            id="weight_ih-column-major",
            what="that reads weight_ih in column-major order",
            requires=several_features,
            reads=move_in_parameters("weight_ih", move=_read_column_major),
        ),
        Defect(
            id="gates-interleaved",
            what="that reads the rows of its weights and biases unit by unit instead of gate by gate",
            requires=several_units,
            reads=move_in_parameters(*_ALL, move=_read_by_unit),
        ),
        Defect(
            id="weight_ih-rows-of-units-swapped",
            what="that swaps the first two units' rows of weight_ih in each gate",
            requires=several_units,
            reads=move_in_parameters("weight_ih", move=_swap_first_units),
        ),
        Defect(
            id="weight_ih-and-weight_hh-swapped",
            what="that swaps weight_ih and weight_hh where they have the same shape",
            requires=_equal_shapes,
            reads=read_parameters("weight_ih", "weight_hh", source=_other_weight),
        ),
        Defect(
            id="weight_ih-read-as-weight_hh",
            what="that reads weight_ih for both weights where they have the same shape",
            requires=all_of(_equal_shapes, has_previous_h),
            reads=read_parameters("weight_hh", source=_other_weight),
        ),
        Defect(
            id="forget-gate-is-input-gate",
            what="whose forget gate uses the input gate's weights and biases",
            requires=has_previous_c,
            reads=read_gates((0, 0, 2, 3), *_ALL),
        ),
        Defect(
            id="output-gate-is-forget-gate",
            what="whose output gate uses the forget gate's weights and biases",
            reads=read_gates((0, 1, 2, 1), *_ALL),
        ),
        Defect(
            id="candidate-is-output-gate",
            what="whose candidate uses the output gate's weights and biases",
            reads=read_gates((0, 1, 3, 3), *_ALL),
        ),
        *(
            Defect(
                id=f"reverse-{kind}-from-forward",
                what=f"whose reverse direction reads the forward direction's {kind}",
                requires=alike_directions if kind == "weight_ih" else all_of(alike_directions, has_previous_h),
                reads=read_parameters(kind, source=forward_of),
            )
            for kind in ("weight_ih", "weight_hh")
        ),
        Defect(
            id="reverse-parameters-from-forward",
            what="whose reverse direction reads all parameters of the forward direction",
            requires=alike_directions,
            reads=read_parameters("weight", "bias", source=forward_of),
        ),
        Defect(
            id="parameters-of-directions-swapped",
            what="whose two directions read each other's parameters",
            requires=alike_directions,
            reads=read_parameters("weight", "bias", source=other_direction),
        ),
        Defect(
            id="weight_hh-ignores-last-unit",
            what="whose recurrent weights ignore the last unit of the previous hidden state",
            requires=has_previous_h,
            reads=_move_columns("weight_hh", _ignore_column(-1)),
        ),
        Defect(
            id="weight_hh-ignores-half",
            what="whose recurrent weights ignore the second half of the previous hidden state",
            requires=has_previous_h,
            reads=_move_columns("weight_hh", _ignore_second_half),
        ),
        Defect(
            id="first-feature-ignored",
            what="that ignores the first feature of the input",
            reads=_move_columns("weight_ih_l0", _ignore_column(0)),
        ),
        Defect(
            id="last-feature-ignored",
            what="that ignores the last feature of the input",
            # With one feature, it is the first feature.
            requires=several_features,
            reads=_move_columns("weight_ih_l0", _ignore_column(-1)),
        ),
        Defect(
            id="first-features-swapped",
            what="that swaps the first two features of the input",
            requires=several_features,
            reads=_move_columns("weight_ih_l0", lambda columns: columns[[1, 0, *range(2, len(columns))]]),
        ),
        Defect(
            id="features-reversed",
            what="that reads the features of the input in reverse order",
            # With two features, this swaps them.
            requires=lambda case: case.input_size > 2,
            reads=_move_columns("weight_ih_l0", lambda columns: columns[::-1]),
        ),
        _element_off("weight_ih")(1e-5),
        _element_off("weight_hh")(1e-4),
    ],
)
