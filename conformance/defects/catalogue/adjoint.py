"""The forward pass is right, the adjoint of a single step is not."""

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue import needs
from conformance.defects.catalogue.cells import blocks
from conformance.defects.defect import Defect
from reference.activations import Activation, sigmoid, tanh
from reference.cell import Cell, Sensitivity, Step

Applies = Callable[[Case], bool]
GATES = {"input": "i", "forget": "f", "candidate": "g", "output": "o"}


class Differentiated(Cell):
    """A cell whose partial derivatives are changed, given the step and c'."""

    def __init__(self, change: Callable[[Sensitivity, Step, Any], Sensitivity]) -> None:
        super().__init__()
        self.change = change

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """The partial derivatives, changed."""
        return self.change(super().sensitivity(step, c_previous), step, c_previous)


class Returned(Cell):
    """A cell that passes changed gradients on: by its gates' sums, and by the cell state before it."""

    def __init__(self, change: Callable[[Any, Any], tuple[Any, Any]]) -> None:
        super().__init__()
        self.change = change

    def step_back(self, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """The adjoint of a step, changed."""
        return self.change(*super().step_back(by, d_m, d_c))


class Received(Cell):
    """A cell that finds a changed gradient by its cell state, from the step after."""

    def __init__(self, change: Callable[[Any], Any]) -> None:
        super().__init__()
        self.change = change

    def step_back(self, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """The adjoint of a step, from what was changed."""
        return super().step_back(by, d_m, self.change(d_c))


def _defect(name: str, what: str, cell: Cell, stands_for: str = "", applies: Applies = needs.gradients) -> Defect:
    return Defect(id=name, what=what, stands_for=stands_for, applies=applies, cell=lambda _: cell)


def _of_gate(name: str) -> Applies:
    """Whether gradients flow through a gate."""
    return needs.gradients_by_forgetting if name == "forget" else needs.gradients


def with_block(array: Any, block: int, value: Any) -> Any:
    """A copy of gates (…, 4H) with the values of one of them replaced."""
    parts = blocks(array)
    parts[block] = np.broadcast_to(value, parts[block].shape)
    return np.concatenate(parts, axis=-1)


def _deltas(block: int, name: str) -> list[Defect]:
    """One gate's delta is left out, or is the next gate's."""
    other = (block + 1) % 4
    return [
        _defect(
            f"grad-delta-{GATES[name]}-zero",
            f"whose gradient does not flow through the {name} gate",
            Returned(lambda d_z, d_c: (with_block(d_z, block, 0.0), d_c)),
            applies=_of_gate(name),
        ),
        _defect(
            f"grad-delta-{GATES[name]}-of-{'ifgo'[other]}",
            f"whose gradient by the {name} gate's sum is the {list(GATES)[other]} gate's",
            Returned(lambda d_z, d_c: (with_block(d_z, block, blocks(d_z)[other]), d_c)),
            "learn_dl#53",
        ),
    ]


def _slopes(name: str, place: str, right: Activation) -> list[Defect]:
    """One gate's nonlinearity is right, its derivative is left out, or another's."""
    other, slope = ("0.2, that of a hard sigmoid", _hard) if right is sigmoid else ("that of sigmoid", sigmoid.slope)
    return [
        _defect(
            f"grad-slope-{GATES[name]}-{kind}",
            f"in whose gradient the derivative of the {name} gate's nonlinearity is {words}",
            Cell(**{place: Activation(right.name, right.value, wrong)}),
            applies=_of_gate(name),
        )
        for kind, words, wrong in (("missing", "missing", _one), ("of-another", other, slope))
    ]


def _one(y: Any) -> Any:
    return np.ones_like(y)


def _hard(y: Any) -> Any:
    return np.full_like(y, 0.2)


def _near_tanh(size: float) -> Defect:
    near = Activation("tanh", tanh.value, lambda y: tanh.slope(y) * (1 + size * np.square(y)))
    return Defect(
        id=f"grad-slope-of-tanh-off-by-{size:.0e}",
        what=f"in whose gradient the derivative of tanh errs by up to {size:.0e}, in relative terms",
        applies=needs.gradients,
        cell=lambda _: Cell(candidate=near, cell_state=near),
        size=size,
        sized=_near_tanh,
    )


def _c(step: Step, c_previous: Any) -> Any:
    i, f, g, _ = blocks(step.gates)
    return f * c_previous + i * g


def _f_from_c(by: Sensitivity, step: Step, c_previous: Any) -> Sensitivity:
    return by._replace(c_by_f=_c(step, c_previous) * sigmoid.slope(blocks(step.gates)[1]))


def _o_from_c(by: Sensitivity, step: Step, c_previous: Any) -> Sensitivity:
    return by._replace(m_by_o=_c(step, c_previous) * sigmoid.slope(blocks(step.gates)[3]))


def _i_from_i(by: Sensitivity, step: Step, c_previous: Any) -> Sensitivity:
    del c_previous
    i = blocks(step.gates)[0]
    return by._replace(c_by_i=i * sigmoid.slope(i))


def _into_the_past(name: str, what: str, cell: Callable[[Case], Cell]) -> Defect:
    return Defect(id=name, what=what, applies=needs.gradients_into_a_past, cell=cell)


DEFECTS = [
    *(defect for block, name in enumerate(GATES) for defect in _deltas(block, name)),
    *_slopes("input", "input_gate", sigmoid),
    *_slopes("forget", "forget_gate", sigmoid),
    *_slopes("candidate", "candidate", tanh),
    *_slopes("output", "output_gate", sigmoid),
    *map(_near_tanh, (1e-4, 1e-5)),
    _defect(
        "grad-misses-tanh-of-c",
        "in whose gradient the factor 1 - tanh²(c) is missing",
        Cell(cell_state=Activation("tanh", tanh.value, _one)),
    ),
    _defect(
        "grad-tanh-of-c-not-squared",
        "in whose gradient the factor 1 - tanh²(c) is 1 - tanh(c)",
        Cell(cell_state=Activation("tanh", tanh.value, lambda y: 1 - y)),
    ),
    _defect("grad-f-from-c-after", "in whose gradient c stands for c' at the forget gate", Differentiated(_f_from_c)),
    _defect(
        "grad-o-from-c-unsquashed",
        "in whose gradient c stands for tanh(c) at the output gate",
        Differentiated(_o_from_c),
    ),
    _defect("grad-i-from-i", "in whose gradient i stands for g at the input gate", Differentiated(_i_from_i)),
    _defect(
        "grad-c-overwritten-by-h",
        "whose gradient by the cell state is overwritten by the hidden state's share, not added to it",
        Received(np.zeros_like),
    ),
    _defect(
        "grad-c-clipped",
        "whose gradient by the cell state is clipped to [-1, 1] at each step",
        Received(lambda d_c: np.clip(d_c, -1.0, 1.0)),
    ),
    _defect(
        "grad-sums-clipped",
        "whose gradient by the gates' sums is clipped to [-0.1, 0.1] at each step",
        Returned(lambda d_z, d_c: (np.clip(d_z, -0.1, 0.1), d_c)),
    ),
    _into_the_past(
        "grad-c-stops-at-each-step",
        "whose gradient does not flow through the cell state to the step before",
        lambda _: Returned(lambda d_z, d_c: (d_z, np.zeros_like(d_c))),
    ),
    _into_the_past(
        "grad-c-misses-forget-gate",
        "whose gradient flows through the cell state to the step before without the forget gate's factor",
        lambda _: Differentiated(lambda by, *_: by._replace(c_by_previous=np.ones_like(by.c_by_previous))),
    ),
]
