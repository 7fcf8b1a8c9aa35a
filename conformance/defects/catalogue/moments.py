"""One step, one row or one unit goes wrong inside the recurrence; everything else is right."""

from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue import needs
from conformance.defects.catalogue.cells import Fed
from conformance.defects.catalogue.paced import Moment, Paced
from conformance.defects.catalogue.parts import takes_steps
from conformance.defects.defect import Defect
from reference.cell import Cell, Sensitivity, Step


def struck(case: Case) -> Moment:
    """Where these defects strike: half-way through the last direction of the first layer."""
    return Moment(0, case.model.num_directions - 1, case.seq_len // 2)


class Frozen(Paced):
    """A cell that skips the last row at one step, not the first: its states stay as they were.

    Attributes:
        m: the hidden state, before any projection, of the step before.
        d_m: what the way back has to add to the gradient by it.
    """

    m: Any = None
    d_m: Any = None

    def step_at(self, moment: Moment, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """A step, or none."""
        m, c, step = super().step_at(moment, z, c_previous)
        if moment == struck(self.case):
            m[-1], c[-1] = self.m[-1], c_previous[-1]
        self.m = m
        return m, c, step

    def step_back_at(self, moment: Moment, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """Its adjoint."""
        if self.d_m is not None:
            d_m, self.d_m = d_m + self.d_m, None
        d_z, d_c_previous = super().step_back_at(moment, by, d_m, d_c)
        if moment == struck(self.case):
            d_z[-1], d_c_previous[-1] = 0.0, d_c[-1]
            self.d_m = np.zeros_like(d_m)
            self.d_m[-1] = d_m[-1]
        return d_z, d_c_previous


class Nudged(Paced):
    """A cell in which one gate's sum is off at one step of the last row."""

    def __init__(self, case: Case, gate: int, size: float) -> None:
        super().__init__(case)
        self.gate, self.size = gate, size

    def step_at(self, moment: Moment, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """A step, nudged or not."""
        if moment == struck(self.case):
            hidden = c_previous.shape[-1]
            z = z.copy()
            z[-1, self.gate * hidden : (self.gate + 1) * hidden] += self.size
        return super().step_at(moment, z, c_previous)


class OffOnce(Paced):
    """A cell whose first unit is off at one step of the last row, in its hidden or in its cell state."""

    def __init__(self, case: Case, state: str, size: float) -> None:
        super().__init__(case)
        self.state, self.size = state, size

    def step_at(self, moment: Moment, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """A step, off or not."""
        m, c, step = super().step_at(moment, z, c_previous)
        if moment == struck(self.case):
            (m if self.state == "hidden" else c)[-1, 0] += self.size
        return m, c, step


class Stopped(Cell):
    """A cell whose last unit keeps the cell state that it starts with."""

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """One step forward."""
        step = super().step(z, c_previous)[2]
        i, f, g, o = (np.array(block) for block in np.split(step.gates, 4, axis=-1))
        c = f * c_previous + i * g
        c[..., -1] = c_previous[..., -1]
        squashed = self.cell_state(c)
        return o * squashed, c, Step(step.gates, squashed)

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """The partial derivatives of that."""
        by = super().sensitivity(step, c_previous)
        moves = np.ones(c_previous.shape[-1])
        moves[-1] = 0.0
        return by._replace(
            c_by_i=by.c_by_i * moves,
            c_by_f=by.c_by_f * moves,
            c_by_g=by.c_by_g * moves,
            c_by_previous=by.c_by_previous * moves + (1 - moves),
        )


def _stuck(gate: int, name: str) -> Defect:
    """One gate of the first unit is fed 0."""

    def held(parts: Any) -> Any:
        parts[gate][..., 0] = 0.0
        return parts

    return Defect(
        id=f"{name}-gate-of-one-unit-stuck",
        what=f"whose {name} gate of the first unit is always that of a sum of 0",
        applies=needs.forgetting if name == "forget" else takes_steps,
        cell=lambda _: Fed(held, held),
    )


def nudged(size: float) -> Defect:
    """A forget gate that is off once."""
    return Defect(
        id=f"forget-gate-off-once-by-{size:.0e}",
        what=f"whose forget gate's sum is off by {size:.0e} at one step of one row",
        applies=lambda case: needs.full_rows(case) and needs.forgetting(case),
        cell=lambda case: Nudged(case, 1, size),
        size=size,
        sized=nudged,
    )


def hidden_off(size: float) -> Defect:
    """A hidden state that is off once."""
    return Defect(
        id=f"hidden-state-off-once-by-{size:.0e}",
        what=f"whose hidden state is off by {size:.0e} in one unit at one step of one row",
        applies=needs.full_rows,
        cell=lambda case: OffOnce(case, "hidden", size),
        size=size,
        sized=hidden_off,
    )


def cell_off(size: float) -> Defect:
    """A cell state that is off once."""
    return Defect(
        id=f"cell-state-off-once-by-{size:.0e}",
        what=f"whose cell state is off by {size:.0e} in one unit after one step of one row",
        applies=needs.full_rows,
        cell=lambda case: OffOnce(case, "cell", size),
        size=size,
        sized=cell_off,
    )


DEFECTS = [
    Defect(
        id="one-row-skips-one-step",
        what="one of whose rows skips one step of the first layer, and keeps its states",
        applies=lambda case: needs.full_rows(case) and case.seq_len > 1,
        cell=Frozen,
    ),
    *map(nudged, (1e-4, 1e-5)),
    hidden_off(1e-5),
    cell_off(1e-5),
    Defect(
        id="last-unit-stopped",
        what="whose last unit never changes its cell state",
        applies=takes_steps,
        cell=lambda _: Stopped(),
    ),
    *(_stuck(gate, name) for gate, name in enumerate(("input", "forget", "candidate", "output"))),
]
