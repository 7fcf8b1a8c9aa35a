"""Errors at one time step, in one row or in one unit. Everything else is correct."""

from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.changed_cells import (
    CountingCell,
    MappedGates,
    Moment,
    RewrittenState,
    cell_defect,
    gate_blocks,
    mask_state,
)
from conformance.defects.catalogue.conditions import all_of, forget_gate_matters, has_steps, without_lengths
from conformance.defects.catalogue.tensors import GATES
from conformance.defects.defect import Defect
from reference.cell import Sensitivity, Step


def _moment_of_error(case: Case) -> Moment:
    """Returns the middle step of the last direction of the first layer."""
    return Moment(0, case.model.num_directions - 1, case.seq_len // 2)


class SkippingCell(CountingCell):
    """A cell that skips one step of the last row, so that the row keeps its states. The step must not be the first.

    Attributes:
        m: hidden state, before any projection, of the previous step.
        d_m: gradient with respect to ``m`` that flows through the skipped step; None at all other steps.
    """

    m: Any = None
    d_m: Any = None

    def step_at(self, moment: Moment, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """Computes the step. At the skipped step, the last row keeps its states."""
        m, c, step = super().step_at(moment, z, c_previous)
        if moment == _moment_of_error(self.case):
            m[-1], c[-1] = self.m[-1], c_previous[-1]
        self.m = m
        return m, c, step

    def step_back_at(self, moment: Moment, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """Computes the adjoint of ``step_at``."""
        if self.d_m is not None:
            d_m, self.d_m = d_m + self.d_m, None
        d_z, d_c_previous = super().step_back_at(moment, by, d_m, d_c)
        if moment == _moment_of_error(self.case):
            d_z[-1], d_c_previous[-1] = 0.0, d_c[-1]
            self.d_m = np.zeros_like(d_m)
            self.d_m[-1] = d_m[-1]
        return d_z, d_c_previous


class GateOffOnce(CountingCell):
    """A cell that adds an error to the pre-activations of one gate, at one step of the last row."""

    def __init__(self, case: Case, gate: int, size: float) -> None:
        super().__init__(case)
        self.gate, self.size = gate, size

    def step_at(self, moment: Moment, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """Computes the step, and adds the error at its moment."""
        if moment == _moment_of_error(self.case):
            hidden = c_previous.shape[-1]
            z = z.copy()
            z[-1, self.gate * hidden : (self.gate + 1) * hidden] += self.size
        return super().step_at(moment, z, c_previous)


class StateOffOnce(CountingCell):
    """A cell that adds an error to the first unit of the hidden or the cell state, at one step of the last row."""

    def __init__(self, case: Case, state: str, size: float) -> None:
        super().__init__(case)
        self.state, self.size = state, size

    def step_at(self, moment: Moment, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """Computes the step, and adds the error at its moment."""
        m, c, step = super().step_at(moment, z, c_previous)
        if moment == _moment_of_error(self.case):
            (m if self.state == "hidden" else c)[-1, 0] += self.size
        return m, c, step


class FrozenUnit(RewrittenState):
    """A cell whose last unit keeps its initial cell state."""

    def state(self, gates: Any, c_previous: Any) -> Any:
        """Computes c_t, see the class."""
        i, f, g, _ = gate_blocks(gates)
        c = f * c_previous + i * g
        c[..., -1] = c_previous[..., -1]
        return c

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """Computes the partial derivatives, see ``Cell.sensitivity``."""
        changes = np.ones(c_previous.shape[-1])
        changes[-1] = 0.0
        by = mask_state(super().sensitivity(step, c_previous), changes)
        return by._replace(c_by_previous=by.c_by_previous + (1 - changes))


def _stuck_gate(gate: int, name: str) -> Defect:
    def stuck(blocks: list[Any]) -> list[Any]:
        blocks[gate][..., 0] = 0.0
        return blocks

    return cell_defect(
        f"{name}-gate-of-one-unit-stuck",
        f"whose first unit's {name} gate is stuck at a pre-activation of 0",
        MappedGates(stuck, stuck),
        forget_gate_matters if name == "forget" else has_steps,
    )


def _forget_gate_off(size: float) -> Defect:
    return Defect(
        id=f"forget-gate-off-once-by-{size:.0e}",
        what=f"whose forget gate's pre-activation is off by {size:.0e} at one time step of one row",
        requires=all_of(without_lengths, forget_gate_matters),
        cell=lambda case: GateOffOnce(case, 1, size),
        size=size,
        with_size=_forget_gate_off,
    )


def _hidden_state_off(size: float) -> Defect:
    return Defect(
        id=f"hidden-state-off-once-by-{size:.0e}",
        what=f"whose hidden state is off by {size:.0e} in one unit at one time step of one row",
        requires=without_lengths,
        cell=lambda case: StateOffOnce(case, "hidden", size),
        size=size,
        with_size=_hidden_state_off,
    )


def _cell_state_off(size: float) -> Defect:
    return Defect(
        id=f"cell-state-off-once-by-{size:.0e}",
        what=f"whose cell state is off by {size:.0e} in one unit after one time step of one row",
        requires=without_lengths,
        cell=lambda case: StateOffOnce(case, "cell", size),
        size=size,
        with_size=_cell_state_off,
    )


DEFECTS = [
    Defect(
        id="one-row-skips-one-step",
        what="that skips one time step of the first layer in one row, which keeps its states",
        requires=lambda case: without_lengths(case) and case.seq_len > 1,
        cell=SkippingCell,
    ),
    *map(_forget_gate_off, (1e-4, 1e-5)),
    _hidden_state_off(1e-5),
    _cell_state_off(1e-5),
    cell_defect("cell-state-of-last-unit-frozen", "whose last unit never changes its cell state", FrozenUnit()),
    *(_stuck_gate(gate, name) for gate, name in enumerate(GATES)),
]
