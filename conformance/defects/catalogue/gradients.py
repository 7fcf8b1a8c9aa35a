"""Gradients that are dropped, scaled, moved or rounded after the backward pass. The forward pass is correct."""

from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import (
    Condition,
    alike_directions,
    all_of,
    checks_gradients,
    checks_initial_state_gradients,
    checks_nonzero_gradients,
    first_row_has_steps,
    has_biases,
    has_previous_h,
    has_projection,
    no_projection,
    several_layers,
    several_rows,
    several_steps,
    several_units,
    single_or_double,
)
from conformance.defects.catalogue.precision import BFLOAT16, TF32, round_to_bits
from conformance.defects.catalogue.tensors import (
    change_tensors,
    layer_of,
    reverse_steps,
    scale_tensors,
    swap_states,
    time_axis,
    transpose_gates,
)
from conformance.defects.defect import Arrays, Change, Defect

_PARAMETERS = ("weight", "bias")
_checks_biases = all_of(checks_gradients, has_biases)


def _swap_directions(tensors: Arrays, case: Case) -> Arrays:
    del case
    other = {name: name.removesuffix("_reverse") if "_reverse" in name else f"{name}_reverse" for name in tensors}
    return {name: tensors.get(other[name], array) for name, array in tensors.items()}


def _zeros_above_first(tensors: Arrays, case: Case) -> Arrays:
    """Sets the gradients with respect to the biases above the first layer to 0."""
    del case
    return {
        name: array * (layer_of(name) == 0) if name.startswith("bias") else array for name, array in tensors.items()
    }


def _order_iofg(array: Any, case: Case) -> Any:
    del case
    i, f, g, o = np.split(array, 4)
    return np.concatenate((i, o, f, g))


def _divide_by_rows(array: Any, case: Case) -> Any:
    return array / (case.rows or 1)


def _divide_by_steps(array: Any, case: Case) -> Any:
    return array / case.seq_len


def _without_first_row(array: Any, case: Case) -> Any:
    rest = array.copy()
    rest[(slice(None), 0) if time_axis(case) == 0 else 0] = 0.0
    return rest


def _clip(array: Any, case: Case) -> Any:
    del case
    return np.clip(array, -1.0, 1.0)


def _clip_norm(tensors: Arrays, case: Case) -> Arrays:
    """Scales the gradients with respect to the parameters so that their joint norm is at most 1."""
    del case
    norm = np.sqrt(sum(np.square(array).sum() for name, array in tensors.items() if name.startswith(_PARAMETERS)))
    return {name: a / max(norm, 1.0) if name.startswith(_PARAMETERS) else a for name, a in tensors.items()}


def _gradient_defect(
    id: str,  # noqa: A002
    what: str,
    change: Change,
    requires: Condition = checks_gradients,
    represents: str = "",
) -> Defect:
    return Defect(id=id, what=what, represents=represents, requires=requires, gradients=change)


def _parameters_off(size: float) -> Defect:
    return Defect(
        id=f"grad-parameters-off-by-{size:.0e}",
        what=f"whose gradients with respect to the parameters are scaled by 1 + {size:.0e}",
        requires=checks_gradients,
        gradients=scale_tensors(_PARAMETERS, 1 + size),
        size=size,
        with_size=_parameters_off,
    )


def _zero(name: str, requires: Condition = checks_gradients) -> Defect:
    return _gradient_defect(
        f"grad-{name}-zero", f"whose gradient with respect to {name} is 0", scale_tensors(name, 0.0), requires
    )


def _doubled(name: str) -> Defect:
    return _gradient_defect(
        f"grad-{name}-doubled",
        f"whose gradient with respect to {name} is doubled",
        scale_tensors(name, 2.0),
        _checks_biases,
    )


def _rounded(name: str, bits: int) -> Defect:
    return _gradient_defect(
        f"grad-parameters-in-{name.lower()}",
        f"whose gradients with respect to the parameters are rounded to {name}",
        change_tensors(_PARAMETERS, lambda array, _: round_to_bits(array, bits)),
        all_of(checks_gradients, single_or_double),
    )


DEFECTS = [
    _zero("h_0", checks_initial_state_gradients),
    _zero("c_0", checks_initial_state_gradients),
    _zero("input"),
    _zero("weight_ih"),
    _zero("weight_hh", all_of(checks_gradients, has_previous_h)),
    _zero("weight_hr", all_of(checks_gradients, has_projection)),
    _zero("bias_ih", _checks_biases),
    _zero("bias_hh", _checks_biases),
    _doubled("bias_ih"),
    _doubled("bias_hh"),
    _gradient_defect(
        "grad-biases-halved",
        "whose two biases share one gradient, half each",
        scale_tensors("bias", 0.5),
        _checks_biases,
    ),
    _gradient_defect(
        "grad-biases-of-upper-layers-zero",
        "whose gradients with respect to the biases above the first layer are 0",
        _zeros_above_first,
        all_of(_checks_biases, several_layers),
        "mxnet#17872",
    ),
    _gradient_defect(
        "grad-biases-averaged-over-rows",
        "whose gradients with respect to the biases are averaged over the batch",
        change_tensors("bias", _divide_by_rows),
        all_of(_checks_biases, several_rows),
    ),
    _gradient_defect(
        "grad-parameters-averaged-over-rows",
        "whose gradients with respect to the parameters are averaged over the batch",
        change_tensors(_PARAMETERS, _divide_by_rows),
        all_of(checks_gradients, several_rows),
    ),
    _gradient_defect(
        "grad-parameters-averaged-over-steps",
        "whose gradients with respect to the parameters are averaged over time",
        change_tensors(_PARAMETERS, _divide_by_steps),
        all_of(checks_gradients, several_steps),
    ),
    _gradient_defect(
        "grad-parameters-doubled",
        "whose gradients with respect to the parameters are accumulated twice",
        scale_tensors(_PARAMETERS, 2.0),
        represents="pytorch#777",
    ),
    _gradient_defect(
        "grad-all-quadrupled",
        "whose gradients are all multiplied by 4",
        scale_tensors("", 4.0),
        checks_nonzero_gradients,
        "axon#646",
    ),
    _gradient_defect(
        "grad-parameters-clipped-by-norm",
        "whose gradients with respect to the parameters are clipped to a norm of 1",
        _clip_norm,
    ),
    _gradient_defect(
        "grad-all-clipped",
        "whose gradients are clipped to [-1, 1]",
        change_tensors("", _clip),
        checks_nonzero_gradients,
    ),
    _gradient_defect(
        "grad-weight_hh-transposed",
        "whose gradients with respect to the recurrent weights are transposed in each gate",
        change_tensors("weight_hh", transpose_gates),
        all_of(checks_gradients, has_previous_h, no_projection, several_units),
    ),
    _gradient_defect(
        "grad-gates-iofg",
        "whose gradients with respect to the parameters have their gates in the order i, o, f, g",
        change_tensors(("weight_ih", "weight_hh", "bias"), _order_iofg),
    ),
    _gradient_defect(
        "grad-h_0-and-c_0-exchanged",
        "that swaps the gradients with respect to h_0 and c_0",
        swap_states("h_0", "c_0"),
        all_of(checks_initial_state_gradients, no_projection),
    ),
    _gradient_defect(
        "grad-directions-exchanged",
        "that swaps the two directions' gradients with respect to the parameters",
        _swap_directions,
        all_of(checks_gradients, alike_directions),
    ),
    _gradient_defect(
        "grad-input-backwards",
        "whose gradient with respect to the input is reversed in time",
        change_tensors("input", reverse_steps),
        all_of(checks_gradients, several_steps),
    ),
    _gradient_defect(
        "grad-input-misses-first-row",
        "whose gradient with respect to the input is 0 in the first row",
        change_tensors("input", _without_first_row),
        all_of(checks_gradients, several_rows, first_row_has_steps),
    ),
    _parameters_off(1e-5),
    _rounded("TF32", TF32),
    _rounded("bfloat16", BFLOAT16),
]
