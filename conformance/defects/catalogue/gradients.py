"""Gradients are left out, scaled, misplaced or rounded once they are found: wrong gradients of right results."""

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue import needs
from conformance.defects.catalogue.cotangents import time_axis
from conformance.defects.catalogue.precision import BFLOAT16, TF32, rounded
from conformance.defects.defect import Arrays, Change, Defect

_PARAMETERS = ("weight", "bias")
Applies = Callable[[Case], bool]


def _each(names: str | tuple[str, ...], change: Callable[[Any, Case], Any]) -> Change:
    """Changes the gradients by the tensors whose names start so."""

    def changed(tensors: Arrays, case: Case) -> Arrays:
        return {name: change(array, case) if name.startswith(names) else array for name, array in tensors.items()}

    return changed


def _times(factor: float) -> Callable[[Any, Case], Any]:
    return lambda array, _: factor * array


def _states_exchanged(tensors: Arrays, case: Case) -> Arrays:
    del case
    other = {"h_0": "c_0", "c_0": "h_0"}
    return {name: tensors[other[name[:3]] + name[3:]] if name[:3] in other else a for name, a in tensors.items()}


def _directions_exchanged(tensors: Arrays, case: Case) -> Arrays:
    del case
    other = {name: name.removesuffix("_reverse") if "_reverse" in name else f"{name}_reverse" for name in tensors}
    return {name: tensors.get(other[name], array) for name, array in tensors.items()}


def _upper_biases_zero(tensors: Arrays, case: Case) -> Arrays:
    del case
    return {name: a * (not name.startswith("bias") or "_l0" in name) for name, a in tensors.items()}


def _iofg(array: Any, case: Case) -> Any:
    del case
    i, f, g, o = np.split(array, 4)
    return np.concatenate((i, o, f, g))


def _each_gate_transposed(array: Any, case: Case) -> Any:
    del case
    return np.concatenate([gate.T for gate in np.split(array, 4)])


def _over_rows(array: Any, case: Case) -> Any:
    return array / (case.rows or 1)


def _over_steps(array: Any, case: Case) -> Any:
    return array / case.seq_len


def _first_row_zero(array: Any, case: Case) -> Any:
    kept = array.copy()
    kept[(slice(None), 0) if time_axis(case) == 0 else 0] = 0.0
    return kept


def _turned(array: Any, case: Case) -> Any:
    return np.flip(array, time_axis(case))


def _clipped(array: Any, case: Case) -> Any:
    del case
    return np.clip(array, -1.0, 1.0)


def _clipped_by_norm(tensors: Arrays, case: Case) -> Arrays:
    del case
    norm = np.sqrt(sum(np.square(array).sum() for name, array in tensors.items() if name.startswith(_PARAMETERS)))
    return {name: a / max(norm, 1.0) if name.startswith(_PARAMETERS) else a for name, a in tensors.items()}


def _off(size: float) -> Defect:
    return Defect(
        id=f"grad-parameters-off-by-{size:.0e}",
        what=f"whose gradients by the parameters are {size:.0e} too large, in relative terms",
        applies=needs.gradients,
        gradients=_each(_PARAMETERS, _times(1 + size)),
        size=size,
        sized=_off,
    )


def _defect(
    name: str, what: str, gradients: Change, applies: Applies = needs.gradients, stands_for: str = ""
) -> Defect:
    return Defect(id=name, what=what, gradients=gradients, applies=applies, stands_for=stands_for)


def _zero(name: str, applies: Applies = needs.gradients) -> Defect:
    return _defect(f"grad-{name}-zero", f"whose gradient by {name} is 0", _each(name, _times(0.0)), applies)


def _twice(name: str) -> Defect:
    return _defect(
        f"grad-{name}-doubled",
        f"whose gradient by {name} is doubled",
        _each(name, _times(2.0)),
        needs.gradients_of_biases,
    )


def _in(name: str, bits: int) -> Defect:
    return _defect(
        f"grad-parameters-in-{name}",
        f"whose gradients by the parameters are rounded to {name}",
        _each(_PARAMETERS, lambda array, _: rounded(array, bits)),
        lambda case: needs.gradients(case) and needs.single(case),
    )


DEFECTS = [
    _zero("h_0", needs.gradients_of_states),
    _zero("c_0", needs.gradients_of_states),
    _zero("input"),
    _zero("weight_ih"),
    _zero("weight_hh", needs.gradients_of_recurrence),
    _zero("weight_hr", lambda case: needs.gradients(case) and case.proj_size > 0),
    _zero("bias_ih", needs.gradients_of_biases),
    _zero("bias_hh", needs.gradients_of_biases),
    _twice("bias_ih"),
    _twice("bias_hh"),
    _defect(
        "grad-biases-halved",
        "whose two biases share one gradient, half to each",
        _each("bias", _times(0.5)),
        needs.gradients_of_biases,
    ),
    _defect(
        "grad-biases-of-upper-layers-zero",
        "whose gradients by the biases above the first layer are 0",
        _upper_biases_zero,
        lambda case: needs.gradients_of_layers(case) and case.bias,
        "mxnet#17872",
    ),
    _defect(
        "grad-biases-averaged-over-rows",
        "whose gradients by the biases are averaged over the batch",
        _each("bias", _over_rows),
        lambda case: needs.gradients_of_rows(case) and case.bias,
    ),
    _defect(
        "grad-parameters-averaged-over-rows",
        "whose gradients by the parameters are averaged over the batch",
        _each(_PARAMETERS, _over_rows),
        needs.gradients_of_rows,
    ),
    _defect(
        "grad-parameters-averaged-over-steps",
        "whose gradients by the parameters are averaged over time",
        _each(_PARAMETERS, _over_steps),
        needs.gradients_between_steps,
    ),
    _defect(
        "grad-parameters-doubled",
        "whose gradients by the parameters are accumulated twice",
        _each(_PARAMETERS, _times(2.0)),
        stands_for="pytorch#777",
    ),
    _defect(
        "grad-all-quadrupled",
        "all of whose gradients are four times too large",
        _each("", _times(4.0)),
        needs.gradients_of_some_kind,
        "axon#646",
    ),
    _defect(
        "grad-parameters-clipped-by-norm",
        "whose gradients by the parameters are clipped to a norm of 1",
        _clipped_by_norm,
    ),
    _defect(
        "grad-all-clipped", "whose gradients are clipped to [-1, 1]", _each("", _clipped), needs.gradients_of_some_kind
    ),
    _defect(
        "grad-weight_hh-transposed",
        "whose gradients by each gate's recurrent weights are transposed",
        _each("weight_hh", _each_gate_transposed),
        lambda case: needs.gradients_of_recurrence(case) and not case.proj_size and max(case.hidden_sizes) > 1,
    ),
    _defect(
        "grad-gates-iofg",
        "whose gradients by the parameters have their gates in the order i, o, f, g",
        _each(("weight_ih", "weight_hh", "bias"), _iofg),
    ),
    _defect(
        "grad-h_0-and-c_0-exchanged",
        "whose gradients by h_0 and c_0 are exchanged",
        _states_exchanged,
        lambda case: needs.gradients_of_states(case) and not case.proj_size,
    ),
    _defect(
        "grad-directions-exchanged",
        "whose two directions' gradients by the parameters are exchanged",
        _directions_exchanged,
        needs.gradients_of_directions,
    ),
    _defect(
        "grad-input-backwards",
        "whose gradient by the input comes backwards in time",
        _each("input", _turned),
        needs.gradients_between_steps,
    ),
    _defect(
        "grad-input-misses-first-row",
        "whose gradient by the input is 0 in the first row",
        _each("input", _first_row_zero),
        needs.gradients_of_first_row,
    ),
    _off(1e-5),
    _in("tf32", TF32),
    _in("bfloat16", BFLOAT16),
]
