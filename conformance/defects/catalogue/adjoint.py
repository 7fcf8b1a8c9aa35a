"""Gradients that are wrong because the adjoint of a single step is wrong. The forward pass is correct."""

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.defects.catalogue.changed_cells import cell_defect, gate_blocks
from conformance.defects.catalogue.conditions import (
    Condition,
    all_of,
    checks_gradients,
    checks_gradients_through_states,
    has_previous_c,
)
from conformance.defects.catalogue.tensors import GATES
from conformance.defects.defect import Defect
from reference.activations import Activation, sigmoid, tanh
from reference.cell import Cell, Sensitivity, Step


class ChangedDerivatives(Cell):
    """A cell with changed partial derivatives. The change may depend on the step and on c_{t-1}."""

    def __init__(self, change: Callable[[Sensitivity, Step, Any], Sensitivity]) -> None:
        super().__init__()
        self.change = change

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """Computes the partial derivatives and changes them."""
        return self.change(super().sensitivity(step, c_previous), step, c_previous)


class ChangedAdjoint(Cell):
    """A cell that changes the results of the adjoint of a step: δz_t and δc_{t-1}."""

    def __init__(self, change: Callable[[Any, Any], tuple[Any, Any]]) -> None:
        super().__init__()
        self.change = change

    def step_back(self, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """Computes the adjoint of a step and changes the result."""
        return self.change(*super().step_back(by, d_m, d_c))


class ChangedStateGradient(Cell):
    """A cell that changes δc_t from the next step."""

    def __init__(self, change: Callable[[Any], Any]) -> None:
        super().__init__()
        self.change = change

    def step_back(self, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """Computes the adjoint of a step with the changed δc_t."""
        return super().step_back(by, d_m, self.change(d_c))


def _gradient_defect(
    id: str,  # noqa: A002
    what: str,
    cell: Cell,
    requires: Condition = checks_gradients,
    represents: str = "",
) -> Defect:
    return cell_defect(id, what, cell, requires, represents)


def _checks_gate(name: str) -> Condition:
    """Returns the condition that a case compares gradients through a gate and they are not all 0."""
    return all_of(checks_gradients, has_previous_c) if name == "forget" else checks_gradients


def replace_block(array: Any, block: int, value: Any) -> Any:
    """Returns a copy of an array (…, 4H) with the block of one gate replaced."""
    blocks = gate_blocks(array)
    blocks[block] = np.broadcast_to(value, blocks[block].shape)
    return np.concatenate(blocks, axis=-1)


def _wrong_deltas(block: int, name: str) -> list[Defect]:
    """Returns two defects: a gate's gradient is 0, or is the gradient of the next gate."""
    other = (block + 1) % 4
    return [
        _gradient_defect(
            f"grad-delta-{'ifgo'[block]}-zero",
            f"whose gradient does not flow through the {name} gate",
            ChangedAdjoint(lambda d_z, d_c: (replace_block(d_z, block, 0.0), d_c)),
            _checks_gate(name),
        ),
        _gradient_defect(
            f"grad-delta-{'ifgo'[block]}-of-{'ifgo'[other]}",
            f"whose {name} gate has the gradient of the {GATES[other]} gate",
            ChangedAdjoint(lambda d_z, d_c: (replace_block(d_z, block, gate_blocks(d_z)[other]), d_c)),
            represents="learn_dl#53",
        ),
    ]


def _wrong_slopes(block: int, name: str) -> list[Defect]:
    """Returns two defects: the derivative of a gate's activation is missing, or is that of another activation."""
    if name == "candidate":
        field, right, other, slope = "candidate", tanh, "that of sigmoid", sigmoid.slope
    else:
        field, right, other, slope = f"{name}_gate", sigmoid, "0.2, that of a hard sigmoid", _slope_of_hard_sigmoid
    return [
        _gradient_defect(
            f"grad-slope-{'ifgo'[block]}-{kind}",
            f"in whose gradient the derivative of the {name} gate's activation is {words}",
            Cell(**{field: Activation(right.name, right.value, wrong)}),
            _checks_gate(name),
        )
        for kind, words, wrong in (("missing", "missing", _one), ("of-another", other, slope))
    ]


def _one(y: Any) -> Any:
    return np.ones_like(y)


def _slope_of_hard_sigmoid(y: Any) -> Any:
    return np.full_like(y, 0.2)


def _slope_of_tanh_off(size: float) -> Defect:
    inexact = Activation("tanh", tanh.value, lambda y: tanh.slope(y) * (1 + size * np.square(y)))
    return Defect(
        id=f"grad-slope-of-tanh-off-by-{size:.0e}",
        what=f"in whose gradient the derivative of tanh has relative errors of up to {size:.0e}",
        requires=checks_gradients,
        cell=lambda _: Cell(candidate=inexact, cell_state=inexact),
        size=size,
        with_size=_slope_of_tanh_off,
    )


def _cell_state(step: Step, c_previous: Any) -> Any:
    i, f, g, _ = gate_blocks(step.gates)
    return f * c_previous + i * g


def _use_new_state_at_forget_gate(by: Sensitivity, step: Step, c_previous: Any) -> Sensitivity:
    return by._replace(c_by_f=_cell_state(step, c_previous) * sigmoid.slope(gate_blocks(step.gates)[1]))


def _use_state_at_output_gate(by: Sensitivity, step: Step, c_previous: Any) -> Sensitivity:
    return by._replace(m_by_o=_cell_state(step, c_previous) * sigmoid.slope(gate_blocks(step.gates)[3]))


def _use_input_gate_at_input_gate(by: Sensitivity, step: Step, c_previous: Any) -> Sensitivity:
    del c_previous
    i = gate_blocks(step.gates)[0]
    return by._replace(c_by_i=i * sigmoid.slope(i))


DEFECTS = [
    *(defect for block, name in enumerate(GATES) for defect in _wrong_deltas(block, name)),
    *(defect for block, name in enumerate(GATES) for defect in _wrong_slopes(block, name)),
    *map(_slope_of_tanh_off, (1e-4, 1e-5)),
    _gradient_defect(
        "grad-misses-tanh-of-c",
        "in whose gradient the factor 1 - tanh²(c) is missing",
        Cell(cell_state=Activation("tanh", tanh.value, _one)),
    ),
    _gradient_defect(
        "grad-tanh-of-c-not-squared",
        "in whose gradient the factor 1 - tanh²(c) is replaced by 1 - tanh(c)",
        Cell(cell_state=Activation("tanh", tanh.value, lambda y: 1 - y)),
    ),
    _gradient_defect(
        "grad-f-from-c-after",
        "whose gradient with respect to the forget gate uses c_t instead of c_{t-1}",
        ChangedDerivatives(_use_new_state_at_forget_gate),
    ),
    _gradient_defect(
        "grad-o-from-c-unsquashed",
        "whose gradient with respect to the output gate uses c_t instead of tanh(c_t)",
        ChangedDerivatives(_use_state_at_output_gate),
    ),
    _gradient_defect(
        "grad-i-from-i",
        "whose gradient with respect to the input gate uses i instead of g",
        ChangedDerivatives(_use_input_gate_at_input_gate),
    ),
    _gradient_defect(
        "grad-c-overwritten-by-h",
        "whose gradient with respect to the cell state is overwritten by the hidden state's share, not added to it",
        ChangedStateGradient(np.zeros_like),
    ),
    _gradient_defect(
        "grad-c-clipped",
        "whose gradient with respect to the cell state is clipped to [-1, 1] at each step",
        ChangedStateGradient(lambda d_c: np.clip(d_c, -1.0, 1.0)),
    ),
    _gradient_defect(
        "grad-pre-activations-clipped",
        "whose gradient with respect to the pre-activations is clipped to [-0.1, 0.1] at each step",
        ChangedAdjoint(lambda d_z, d_c: (np.clip(d_z, -0.1, 0.1), d_c)),
    ),
    _gradient_defect(
        "grad-c-stops-at-each-step",
        "whose gradient does not flow through the cell state to the previous step",
        ChangedAdjoint(lambda d_z, d_c: (d_z, np.zeros_like(d_c))),
        checks_gradients_through_states,
    ),
    _gradient_defect(
        "grad-c-misses-forget-gate",
        "whose gradient flows through the cell state to the previous step without the forget gate's factor",
        ChangedDerivatives(lambda by, *_: by._replace(c_by_previous=np.ones_like(by.c_by_previous))),
        checks_gradients_through_states,
    ),
]
