"""Gradients that are wrong because the cotangents of the outputs are ignored or misplaced."""

from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import (
    Condition,
    alike_directions,
    all_of,
    bidirectional,
    checks_gradients,
    checks_nonzero_gradients,
    no_projection,
    several_layers,
    several_steps,
    uniform_layers,
)
from conformance.defects.catalogue.tensors import (
    Move,
    change_tensors,
    reverse_steps,
    scale_tensors,
    swap_states,
    time_axis,
)
from conformance.defects.defect import Arrays, Change, Defect


def _only_output(tensors: Arrays, case: Case) -> Arrays:
    del case
    return {name: array * (name == "output") for name, array in tensors.items()}


def _zeros(array: Any, case: Case) -> Any:
    del case
    return np.zeros_like(array)


def _only_last_step(array: Any, case: Case) -> Any:
    steps = np.arange(case.seq_len).reshape(-1, *(1,) * (array.ndim - 1 - time_axis(case)))
    return array * (steps == case.seq_len - 1)


def _divide_by_steps(array: Any, case: Case) -> Any:
    return array / case.seq_len


def _only_direction(direction: int) -> Move:
    """Returns a function that zeroes the part of the last axis that belongs to the other direction."""

    def move(array: Any, case: Case) -> Any:
        kept, part = np.zeros_like(array), case.model.output_parts()[direction]
        kept[..., part] = array[..., part]
        return kept

    return move


def _swap_directions(array: Any, case: Case) -> Any:
    del case
    return np.concatenate(np.split(array, 2, axis=-1)[::-1], axis=-1)


def _swap_directions_of_state(array: Any, case: Case) -> Any:
    del case
    return array.reshape(-1, 2, *array.shape[1:])[:, ::-1].reshape(array.shape)


def _reverse_layers(array: Any, case: Case) -> Any:
    return array.reshape(case.num_layers, -1, *array.shape[1:])[::-1].reshape(array.shape)


def _add_c_n_to_h_n(tensors: Arrays, case: Case) -> Arrays:
    del case
    sums = {f"h_n{name[3:]}": tensors[f"h_n{name[3:]}"] + c for name, c in tensors.items() if name.startswith("c_n")}
    return {name: np.zeros_like(a) if name.startswith("c_n") else sums.get(name, a) for name, a in tensors.items()}


def _cotangent_defect(
    id: str,  # noqa: A002
    what: str,
    change: Change,
    requires: Condition = checks_gradients,
    represents: str = "",
) -> Defect:
    return Defect(id=id, what=what, represents=represents, requires=requires, cotangents=change)


def _of_state(name: str) -> list[Defect]:
    return [
        _cotangent_defect(
            f"grad-{name}-doubled",
            f"that counts the cotangent of {name} twice",
            scale_tensors(name, 2.0),
            checks_nonzero_gradients,
        ),
        _cotangent_defect(
            f"grad-{name}-of-other-layer",
            f"that reads the cotangents of {name} in reverse layer order",
            change_tensors(name, _reverse_layers),
            all_of(checks_gradients, several_layers, uniform_layers),
        ),
        _cotangent_defect(
            f"grad-{name}-of-other-direction",
            f"whose two directions read each other's cotangent of {name}",
            change_tensors(name, _swap_directions_of_state),
            all_of(checks_gradients, alike_directions),
        ),
    ]


DEFECTS = [
    _cotangent_defect(
        "grad-ignores-output", "whose gradient ignores the cotangent of output", change_tensors("output", _zeros)
    ),
    _cotangent_defect(
        "grad-ignores-h_n",
        "whose gradient ignores the cotangent of h_n",
        change_tensors("h_n", _zeros),
        checks_nonzero_gradients,
    ),
    _cotangent_defect(
        "grad-ignores-c_n",
        "whose gradient ignores the cotangent of c_n",
        change_tensors("c_n", _zeros),
        checks_nonzero_gradients,
        "deeplearning4j#8838",
    ),
    _cotangent_defect(
        "grad-of-output-only",
        "whose gradient ignores the cotangents of h_n and c_n",
        _only_output,
        checks_nonzero_gradients,
    ),
    *_of_state("h_n"),
    *_of_state("c_n"),
    _cotangent_defect(
        "grad-c_n-added-to-h_n",
        "that adds the cotangent of c_n to that of h_n, and uses zeros for c_n",
        _add_c_n_to_h_n,
        all_of(checks_nonzero_gradients, no_projection),
    ),
    _cotangent_defect(
        "grad-h_n-and-c_n-exchanged",
        "that swaps the cotangents of h_n and c_n",
        swap_states("h_n", "c_n"),
        all_of(checks_nonzero_gradients, no_projection),
    ),
    _cotangent_defect(
        "grad-of-forward-output-only",
        "whose cotangent of output reaches the forward direction only",
        change_tensors("output", _only_direction(0)),
        all_of(checks_gradients, bidirectional),
        "mxnet#18203",
    ),
    _cotangent_defect(
        "grad-of-reverse-output-only",
        "whose cotangent of output reaches the reverse direction only",
        change_tensors("output", _only_direction(1)),
        all_of(checks_gradients, bidirectional),
    ),
    _cotangent_defect(
        "grad-of-output-of-other-direction",
        "whose two directions read each other's cotangent of output",
        change_tensors("output", _swap_directions),
        all_of(checks_gradients, alike_directions),
    ),
    _cotangent_defect(
        "grad-of-output-backwards",
        "that reads the cotangent of output in reverse time order",
        change_tensors("output", reverse_steps),
        all_of(checks_gradients, several_steps),
    ),
    _cotangent_defect(
        "grad-of-last-output-only",
        "that uses the cotangent of output at the last time step only",
        change_tensors("output", _only_last_step),
        all_of(checks_gradients, several_steps),
    ),
    _cotangent_defect(
        "grad-of-output-averaged",
        "that divides the cotangent of output by the number of time steps",
        change_tensors("output", _divide_by_steps),
        all_of(checks_gradients, several_steps),
    ),
]
