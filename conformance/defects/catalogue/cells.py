"""The cell's equations are wrong, each with the adjoint of what it computes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue import needs
from conformance.defects.catalogue.activations import one
from conformance.defects.catalogue.parts import several_rows, takes_steps
from conformance.defects.defect import NOTHING, Arrays, Defect
from reference.cell import Cell, Sensitivity, Step

Applies = Callable[[Case], bool]


def blocks(gates: Any) -> Any:
    """A copy of gates (…, 4H) as four (…, H): i, f, g, o."""
    return [np.array(block) for block in np.split(gates, 4, axis=-1)]


class Rewritten(Cell):
    """A cell whose cell state is another function of the gates' values; h follows it."""

    def state(self, gates: Any, c_previous: Any) -> Any:
        """c, from i, f, g, o (B, 4H) and c'."""
        raise NotImplementedError

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """One step forward."""
        step = super().step(z, c_previous)[2]
        c = self.state(step.gates, c_previous)
        squashed = self.cell_state(c)
        return blocks(step.gates)[3] * squashed, c, Step(step.gates, squashed)


class AddedGate(Rewritten):
    """c = f c' + i + g."""

    def state(self, gates: Any, c_previous: Any) -> Any:
        """See the class."""
        i, f, g, _ = blocks(gates)
        return f * c_previous + i + g

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """The partial derivatives of that."""
        i, _, g, _ = blocks(step.gates)
        by = super().sensitivity(step, c_previous)
        return by._replace(c_by_i=self.input_gate.slope(i), c_by_g=self.candidate.slope(g))


class ForgottenCandidate(Rewritten):
    """c = f (c' + i g)."""

    def state(self, gates: Any, c_previous: Any) -> Any:
        """See the class."""
        i, f, g, _ = blocks(gates)
        return f * (c_previous + i * g)

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """The partial derivatives of that."""
        i, f, g, _ = blocks(step.gates)
        by = super().sensitivity(step, c_previous + i * g)
        return by._replace(c_by_i=by.c_by_i * f, c_by_g=by.c_by_g * f)


class Clipped(Rewritten):
    """c is clipped to ±limit."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def state(self, gates: Any, c_previous: Any) -> Any:
        """See the class."""
        i, f, g, _ = blocks(gates)
        return np.clip(f * c_previous + i * g, -self.limit, self.limit)

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """The partial derivatives of that: 0 where it is clipped."""
        by = super().sensitivity(step, c_previous)
        free = np.abs(step.squashed) < np.tanh(self.limit)
        return by._replace(
            c_by_i=by.c_by_i * free,
            c_by_f=by.c_by_f * free,
            c_by_g=by.c_by_g * free,
            c_by_previous=by.c_by_previous * free,
        )


class ClippedHidden(Cell):
    """h (before any projection) is clipped to ±limit."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """One step forward."""
        m, c, step = super().step(z, c_previous)
        return np.clip(m, -self.limit, self.limit), c, step

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """The partial derivatives of that: 0 where it is clipped."""
        by = super().sensitivity(step, c_previous)
        free = np.abs(blocks(step.gates)[3] * step.squashed) < self.limit
        return by._replace(m_by_o=by.m_by_o * free, m_by_c=by.m_by_c * free)


class EarlyOutput(Cell):
    """h = o tanh(c'): the cell state that goes out is the one before."""

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """One step forward."""
        _, c, step = super().step(z, c_previous)
        squashed = self.cell_state(c_previous)
        return blocks(step.gates)[3] * squashed, c, Step(step.gates, squashed)

    def step_back(self, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """The adjoint of that."""
        d_z, d_c_previous = super().step_back(by._replace(m_by_c=np.zeros_like(by.m_by_c)), d_m, d_c)
        return d_z, d_c_previous + d_m * by.m_by_c


class Fed(Cell):
    """A cell whose gates are fed a linear function of their sums z."""

    def __init__(self, forth: Callable[[Any], Any], back: Callable[[Any], Any]) -> None:
        super().__init__()
        self.forth, self.back = forth, back

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """One step forward."""
        return super().step(np.concatenate(self.forth(blocks(z)), axis=-1), c_previous)

    def step_back(self, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """The adjoint of that."""
        d_z, d_c_previous = super().step_back(by, d_m, d_c)
        return np.concatenate(self.back(blocks(d_z)), axis=-1), d_c_previous


class Mixed(Cell):
    """A cell that reads a linear function of the cell state before."""

    def __init__(self, forth: Callable[[Any], Any], back: Callable[[Any], Any]) -> None:
        super().__init__()
        self.forth, self.back = forth, back

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """One step forward."""
        return super().step(z, self.forth(c_previous))

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """The partial derivatives of that."""
        return super().sensitivity(step, self.forth(c_previous))

    def step_back(self, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """The adjoint of that."""
        d_z, d_c_previous = super().step_back(by, d_m, d_c)
        return d_z, self.back(d_c_previous)


def coupled() -> Cell:
    """The forget gate is 1 - i, which is σ(-z_i)."""
    return Fed(lambda z: [z[0], -z[0], z[2], z[3]], lambda d: [d[0] - d[1], np.zeros_like(d[1]), d[2], d[3]])


def coupled_to_forget() -> Cell:
    """The input gate is 1 - f, which is σ(-z_f)."""
    return Fed(lambda z: [-z[1], z[1], z[2], z[3]], lambda d: [np.zeros_like(d[0]), d[1] - d[0], d[2], d[3]])


def _from_row_before(axis_shift: int) -> Callable[[Any], Any]:
    # Sensitivities are asked for with time in front: rows are the last axis but one.
    return lambda c: np.roll(c, axis_shift, axis=-2)


def leaking(size: float) -> Defect:
    """A cell state that loses a share of itself at each step."""
    return Defect(
        id=f"cell-state-leaks-{size:.0e}",
        what=f"whose cell state loses {size:.0e} of itself at each step",
        applies=needs.forgetting,
        cell=lambda _: Mixed(lambda c: c * (1 - size), lambda d_c: d_c * (1 - size)),
        size=size,
        sized=leaking,
    )


def _without_recurrence(numbers: Arrays, case: Case) -> Arrays:
    del case
    return {name: np.full_like(a, NOTHING) for name, a in numbers.items() if name.startswith("weight_hh")}


def _defect(name: str, what: str, cell: Cell, applies: Applies = takes_steps, stands_for: str = "") -> Defect:
    return Defect(id=name, what=what, stands_for=stands_for, applies=applies, cell=lambda _: cell)


DEFECTS = [
    _defect(
        "coupled-gates-f-is-1-minus-i",
        "whose forget gate is 1 - i",
        coupled(),
        needs.forgetting,
        "onnx LSTM with input_forget=1",
    ),
    _defect("coupled-gates-i-is-1-minus-f", "whose input gate is 1 - f", coupled_to_forget()),
    _defect(
        "candidate-added-to-gate",
        "whose cell state is f c' + i + g, not f c' + i g",
        AddedGate(),
        stands_for="torchrecurrent#22",
    ),
    _defect(
        "forget-gate-scales-candidate-too", "whose cell state is f (c' + i g), not f c' + i g", ForgottenCandidate()
    ),
    _defect("no-input-gate", "whose input gate is always 1", Cell(input_gate=one)),
    _defect("no-forget-gate", "whose forget gate is always 1", Cell(forget_gate=one), needs.forgetting),
    _defect("no-output-gate", "whose output gate is always 1", Cell(output_gate=one)),
    _defect(
        "output-from-cell-state-before",
        "whose hidden state is o tanh(c'), from the cell state before the step",
        EarlyOutput(),
    ),
    Defect(
        id="recurrent-weights-ignored",
        what="whose steps never see the hidden state before",
        stands_for="burn#2701",
        applies=needs.recurring,
        reads=_without_recurrence,
    ),
    _defect(
        "cell-state-of-row-before",
        "whose rows each go on from the cell state of the row before",
        Mixed(_from_row_before(1), _from_row_before(-1)),
        lambda case: several_rows(case) and needs.forgetting(case),
    ),
    _defect(
        "cell-state-clipped-at-3",
        "whose cell state is clipped to [-3, 3]",
        Clipped(3.0),
        stands_for="burn, whose clip is of the cell state",
    ),
    _defect("cell-state-clipped-at-1", "whose cell state is clipped to [-1, 1]", Clipped(1.0)),
    _defect(
        "hidden-state-clipped-at-half",
        "whose hidden state is clipped to [-0.5, 0.5] before any projection",
        ClippedHidden(0.5),
    ),
    leaking(1e-4),
]
