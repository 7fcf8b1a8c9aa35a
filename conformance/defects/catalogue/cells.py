"""Cells with wrong equations and the matching adjoints."""

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.defects.catalogue.activations import one
from conformance.defects.catalogue.changed_cells import (
    MappedGates,
    MappedState,
    RewrittenState,
    cell_defect,
    gate_blocks,
    mask_state,
)
from conformance.defects.catalogue.conditions import (
    all_of,
    forget_gate_matters,
    recurrent_weights_matter,
    several_rows,
)
from conformance.defects.catalogue.tensors import move_in_parameters
from conformance.defects.defect import NOTHING, Defect
from reference.cell import Cell, Sensitivity, Step


class AddedCandidate(RewrittenState):
    """A cell with c_t = f c_{t-1} + i + g."""

    def state(self, gates: Any, c_previous: Any) -> Any:
        """Computes c_t, see the class."""
        i, f, g, _ = gate_blocks(gates)
        return f * c_previous + i + g

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """Computes the partial derivatives, see ``Cell.sensitivity``."""
        i, _, g, _ = gate_blocks(step.gates)
        by = super().sensitivity(step, c_previous)
        return by._replace(c_by_i=self.input_gate.slope(i), c_by_g=self.candidate.slope(g))


class ForgottenCandidate(RewrittenState):
    """A cell with c_t = f (c_{t-1} + i g)."""

    def state(self, gates: Any, c_previous: Any) -> Any:
        """Computes c_t, see the class."""
        i, f, g, _ = gate_blocks(gates)
        return f * (c_previous + i * g)

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """Computes the partial derivatives, see ``Cell.sensitivity``."""
        i, f, g, _ = gate_blocks(step.gates)
        by = super().sensitivity(step, c_previous + i * g)
        return by._replace(c_by_i=by.c_by_i * f, c_by_g=by.c_by_g * f)


class ClippedState(RewrittenState):
    """A cell with c_t = f c_{t-1} + i g, clipped to ±limit."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def state(self, gates: Any, c_previous: Any) -> Any:
        """Computes c_t, see the class."""
        i, f, g, _ = gate_blocks(gates)
        return np.clip(f * c_previous + i * g, -self.limit, self.limit)

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """Computes the partial derivatives, which are 0 where c_t is clipped."""
        by = super().sensitivity(step, c_previous)
        return mask_state(by, np.abs(step.squashed) < np.tanh(self.limit))


class ClippedHidden(Cell):
    """A cell with m_t = o tanh(c_t), clipped to ±limit."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """Computes one step, see ``Cell.step``."""
        m, c, step = super().step(z, c_previous)
        return np.clip(m, -self.limit, self.limit), c, step

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """Computes the partial derivatives, which are 0 where m_t is clipped."""
        by = super().sensitivity(step, c_previous)
        free = np.abs(gate_blocks(step.gates)[3] * step.squashed) < self.limit
        return by._replace(m_by_o=by.m_by_o * free, m_by_c=by.m_by_c * free)


class EarlyOutput(Cell):
    """A cell with m_t = o tanh(c_{t-1})."""

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """Computes one step, see ``Cell.step``."""
        _, c, step = super().step(z, c_previous)
        squashed = self.cell_state(c_previous)
        return gate_blocks(step.gates)[3] * squashed, c, Step(step.gates, squashed)

    def step_back(self, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """Computes the adjoint of one step, see ``Cell.step_back``."""
        d_z, d_c_previous = super().step_back(by._replace(m_by_c=np.zeros_like(by.m_by_c)), d_m, d_c)
        return d_z, d_c_previous + d_m * by.m_by_c


def forget_gate_from_input_gate() -> Cell:
    """Returns a cell with f = 1 - i, which is σ(-z_i)."""
    return MappedGates(lambda z: [z[0], -z[0], z[2], z[3]], lambda d: [d[0] - d[1], np.zeros_like(d[1]), d[2], d[3]])


def input_gate_from_forget_gate() -> Cell:
    """Returns a cell with i = 1 - f, which is σ(-z_f)."""
    return MappedGates(lambda z: [-z[1], z[1], z[2], z[3]], lambda d: [np.zeros_like(d[0]), d[1] - d[0], d[2], d[3]])


def _roll_rows(shift: int) -> Callable[[Any], Any]:
    # The rows are the second-to-last axis: ``sensitivity`` gets many steps at once, with time as the first axis.
    return lambda c: np.roll(c, shift, axis=-2)


def leaking(size: float) -> Defect:
    """Returns the defect of a cell state that loses a fraction ``size`` of its value at each step."""
    return Defect(
        id=f"cell-state-leaks-{size:.0e}",
        what=f"whose cell state is scaled by 1 - {size:.0e} at each step",
        requires=forget_gate_matters,
        cell=lambda _: MappedState(lambda c: c * (1 - size), lambda d_c: d_c * (1 - size)),
        size=size,
        with_size=leaking,
    )


DEFECTS = [
    cell_defect(
        "coupled-gates-f-is-1-minus-i",
        "whose forget gate is 1 - i",
        forget_gate_from_input_gate(),
        forget_gate_matters,
        "onnx LSTM with input_forget=1",
    ),
    cell_defect("coupled-gates-i-is-1-minus-f", "whose input gate is 1 - f", input_gate_from_forget_gate()),
    cell_defect(
        "candidate-added-to-gate",
        "whose cell state is f c_{t-1} + i + g, not f c_{t-1} + i g",
        AddedCandidate(),
        represents="torchrecurrent#22",
    ),
    cell_defect(
        "forget-gate-scales-candidate-too",
        "whose cell state is f (c_{t-1} + i g), not f c_{t-1} + i g",
        ForgottenCandidate(),
    ),
    cell_defect("no-input-gate", "whose input gate is always 1", Cell(input_gate=one)),
    cell_defect("no-forget-gate", "whose forget gate is always 1", Cell(forget_gate=one), forget_gate_matters),
    cell_defect("no-output-gate", "whose output gate is always 1", Cell(output_gate=one)),
    cell_defect(
        "output-from-previous-cell-state",
        "whose hidden state is o tanh(c_{t-1}), computed from the previous cell state",
        EarlyOutput(),
    ),
    Defect(
        id="recurrent-weights-ignored",
        what="that ignores the previous hidden state at every step",
        represents="burn#2701",
        requires=recurrent_weights_matter,
        reads=move_in_parameters("weight_hh", move=lambda array, _: np.full_like(array, NOTHING)),
    ),
    cell_defect(
        "cell-state-of-row-before",
        "whose rows each continue from the previous row's cell state",
        MappedState(_roll_rows(1), _roll_rows(-1)),
        all_of(several_rows, forget_gate_matters),
    ),
    cell_defect(
        "cell-state-clipped-at-3",
        "whose cell state is clipped to [-3, 3]",
        ClippedState(3.0),
        represents="burn, which clips the cell state",
    ),
    cell_defect("cell-state-clipped-at-1", "whose cell state is clipped to [-1, 1]", ClippedState(1.0)),
    cell_defect(
        "hidden-state-clipped-at-half",
        "whose hidden state is clipped to [-0.5, 0.5] before any projection",
        ClippedHidden(0.5),
    ),
    leaking(1e-4),
]
