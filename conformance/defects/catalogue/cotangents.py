"""What arrives from the loss is read in the wrong place, or not at all: wrong gradients of right results."""

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue import needs
from conformance.defects.defect import Arrays, Change, Defect


def time_axis(case: Case) -> int:
    """Where ``output`` and ``input`` have their time steps."""
    return 1 if case.batch_first and case.rows is not None else 0


def _each(prefix: str, change: Callable[[Any, Case], Any]) -> Change:
    """Changes the tensors whose names start so."""

    def changed(tensors: Arrays, case: Case) -> Arrays:
        return {name: change(array, case) if name.startswith(prefix) else array for name, array in tensors.items()}

    return changed


def _only(prefix: str) -> Change:
    """All others are 0."""

    def changed(tensors: Arrays, case: Case) -> Arrays:
        del case
        return {name: array * name.startswith(prefix) for name, array in tensors.items()}

    return changed


def _zero(array: Any, case: Case) -> Any:
    del case
    return np.zeros_like(array)


def _doubled(array: Any, case: Case) -> Any:
    del case
    return 2.0 * array


def _turned(array: Any, case: Case) -> Any:
    return np.flip(array, time_axis(case))


def _last_step(array: Any, case: Case) -> Any:
    steps = np.arange(case.seq_len).reshape(-1, *(1,) * (array.ndim - 1 - time_axis(case)))
    return array * (steps == case.seq_len - 1)


def _over_steps(array: Any, case: Case) -> Any:
    return array / case.seq_len


def _directions_exchanged(array: Any, case: Case) -> Any:
    del case
    return np.concatenate(np.split(array, 2, axis=-1)[::-1], axis=-1)


def _direction(kept: int) -> Callable[[Any, Case], Any]:
    """Only this half of the last axis."""
    return lambda array, case: array * (np.arange(array.shape[-1]) // case.model.state_size(-1) == kept)


def _state_directions_exchanged(array: Any, case: Case) -> Any:
    del case
    return array.reshape(-1, 2, *array.shape[1:])[:, ::-1].reshape(array.shape)


def _layers_turned(array: Any, case: Case) -> Any:
    return array.reshape(case.num_layers, -1, *array.shape[1:])[::-1].reshape(array.shape)


def _c_n_joins_h_n(tensors: Arrays, case: Case) -> Arrays:
    del case
    joined = {f"h_n{name[3:]}": tensors[f"h_n{name[3:]}"] + c for name, c in tensors.items() if name.startswith("c_n")}
    return {name: np.zeros_like(a) if name.startswith("c_n") else joined.get(name, a) for name, a in tensors.items()}


def _states_exchanged(tensors: Arrays, case: Case) -> Arrays:
    del case
    other = {"h_n": "c_n", "c_n": "h_n"}
    return {name: tensors[other[name[:3]] + name[3:]] if name[:3] in other else a for name, a in tensors.items()}


def _stacked(case: Case) -> bool:
    return needs.gradients_of_layers(case) and case.model.is_uniform


def _defect(
    name: str,
    what: str,
    cotangents: Change,
    applies: Callable[[Case], bool] = needs.gradients,
    stands_for: str = "",
) -> Defect:
    return Defect(id=name, what=what, cotangents=cotangents, applies=applies, stands_for=stands_for)


def _of_states(name: str) -> list[Defect]:
    return [
        _defect(
            f"grad-{name}-doubled",
            f"whose cotangent of {name} counts twice",
            _each(name, _doubled),
            needs.gradients_of_some_kind,
        ),
        _defect(
            f"grad-{name}-of-other-layer",
            f"whose cotangents of {name} go to the layers in the opposite order",
            _each(name, _layers_turned),
            _stacked,
        ),
        _defect(
            f"grad-{name}-of-other-direction",
            f"whose cotangents of {name} go to the other direction",
            _each(name, _state_directions_exchanged),
            needs.gradients_of_directions,
        ),
    ]


DEFECTS = [
    _defect("grad-ignores-output", "whose gradient ignores the cotangent of output", _each("output", _zero)),
    _defect(
        "grad-ignores-h_n",
        "whose gradient ignores the cotangent of h_n",
        _each("h_n", _zero),
        needs.gradients_of_some_kind,
    ),
    _defect(
        "grad-ignores-c_n",
        "whose gradient ignores the cotangent of c_n",
        _each("c_n", _zero),
        needs.gradients_of_some_kind,
        "deeplearning4j#8838",
    ),
    _defect(
        "grad-of-output-only", "whose gradient is that of output alone", _only("output"), needs.gradients_of_some_kind
    ),
    *_of_states("h_n"),
    *_of_states("c_n"),
    _defect(
        "grad-c_n-added-to-h_n",
        "whose cotangent of c_n is added to that of h_n",
        _c_n_joins_h_n,
        needs.gradients_of_equal_states,
    ),
    _defect(
        "grad-h_n-and-c_n-exchanged",
        "whose cotangents of h_n and c_n are exchanged",
        _states_exchanged,
        needs.gradients_of_equal_states,
    ),
    _defect(
        "grad-of-forward-output-only",
        "whose cotangent of output reaches the forward direction only",
        _each("output", _direction(0)),
        needs.gradients_of_directions,
        "mxnet#18203",
    ),
    _defect(
        "grad-of-reverse-output-only",
        "whose cotangent of output reaches the reverse direction only",
        _each("output", _direction(1)),
        needs.gradients_of_directions,
    ),
    _defect(
        "grad-of-output-of-other-direction",
        "whose cotangent of output reaches the other direction",
        _each("output", _directions_exchanged),
        needs.gradients_of_directions,
    ),
    _defect(
        "grad-of-output-backwards",
        "whose cotangent of output is read backwards in time",
        _each("output", _turned),
        needs.gradients_between_steps,
    ),
    _defect(
        "grad-of-last-output-only",
        "whose cotangent of output counts at the last step only",
        _each("output", _last_step),
        needs.gradients_between_steps,
    ),
    _defect(
        "grad-of-output-averaged",
        "whose cotangent of output is divided by the number of steps",
        _each("output", _over_steps),
        needs.gradients_between_steps,
    ),
]
