"""Base classes of cells that compute a wrong step, with the matching adjoints."""

from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import Condition, has_steps
from conformance.defects.defect import Defect
from reference.cell import Cell, Sensitivity, Step


def cell_defect(
    id: str,  # noqa: A002
    what: str,
    cell: Cell,
    requires: Condition = has_steps,
    represents: str = "",
) -> Defect:
    """Returns the defect of a wrong cell that does not depend on the case."""
    return Defect(id=id, what=what, represents=represents, requires=requires, cell=lambda _: cell)


def gate_blocks(gates: Any) -> list[Any]:
    """Returns copies (…, H) of the four gates i, f, g, o of an array (…, 4H)."""
    return [np.array(block) for block in np.split(gates, 4, axis=-1)]


class RewrittenState(Cell):
    """A cell with a wrong formula for c_t. The hidden state follows from c_t."""

    def state(self, gates: Any, c_previous: Any) -> Any:
        """Returns c_t, given the gates i, f, g, o (B, 4H) and c_{t-1}."""
        raise NotImplementedError

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """Computes one step, see ``Cell.step``."""
        step = super().step(z, c_previous)[2]
        c = self.state(step.gates, c_previous)
        squashed = self.cell_state(c)
        return gate_blocks(step.gates)[3] * squashed, c, Step(step.gates, squashed)


class MappedGates(Cell):
    """A cell whose gates read a linear function of the pre-activations z.

    Attributes:
        map: linear function of the blocks of z, in the order i, f, g, o.
        adjoint: adjoint of ``map``.
    """

    def __init__(self, map: Callable[[list[Any]], list[Any]], adjoint: Callable[[list[Any]], list[Any]]) -> None:  # noqa: A002
        super().__init__()
        self.map, self.adjoint = map, adjoint

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """Computes one step, see ``Cell.step``."""
        return super().step(np.concatenate(self.map(gate_blocks(z)), axis=-1), c_previous)

    def step_back(self, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """Computes the adjoint of one step, see ``Cell.step_back``."""
        d_z, d_c_previous = super().step_back(by, d_m, d_c)
        return np.concatenate(self.adjoint(gate_blocks(d_z)), axis=-1), d_c_previous


class MappedState(Cell):
    """A cell that reads a linear function of the previous cell state.

    Attributes:
        map: linear function of c_{t-1} (…, B, H).
        adjoint: adjoint of ``map``.
    """

    def __init__(self, map: Callable[[Any], Any], adjoint: Callable[[Any], Any]) -> None:  # noqa: A002
        super().__init__()
        self.map, self.adjoint = map, adjoint

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """Computes one step, see ``Cell.step``."""
        return super().step(z, self.map(c_previous))

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """Computes the partial derivatives, see ``Cell.sensitivity``."""
        return super().sensitivity(step, self.map(c_previous))

    def step_back(self, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """Computes the adjoint of one step, see ``Cell.step_back``."""
        d_z, d_c_previous = super().step_back(by, d_m, d_c)
        return d_z, self.adjoint(d_c_previous)


class Moment(NamedTuple):
    """One step of one direction of one layer. Steps are numbered in the order of processing."""

    layer: int
    direction: int
    step: int


class CountingCell(Cell):
    """A cell that counts its steps, so that a defect can occur at some moments only.

    Each instance is for one run: forward from the first layer to the last, then backward from the last to the first.
    """

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case = case
        self._steps, self._steps_back = count(), count()

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """Computes the next step in order, see ``Cell.step``."""
        run, step = divmod(next(self._steps), self.case.seq_len)
        layer, direction = divmod(run, self.case.model.num_directions)
        return self.step_at(Moment(layer, direction, step), z, c_previous)

    def step_back(self, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """Computes the adjoint of the next step in reverse order, see ``Cell.step_back``."""
        run, step = divmod(next(self._steps_back), self.case.seq_len)
        layer, direction = divmod(run, self.case.model.num_directions)
        moment = Moment(self.case.num_layers - 1 - layer, direction, self.case.seq_len - 1 - step)
        return self.step_back_at(moment, by, d_m, d_c)

    def step_at(self, moment: Moment, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """Computes the step at a moment. Subclasses override this method."""
        del moment
        return super().step(z, c_previous)

    def step_back_at(self, moment: Moment, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """Computes the adjoint of the step at a moment. Subclasses override this method."""
        del moment
        return super().step_back(by, d_m, d_c)


def mask_state(by: Sensitivity, kept: Any) -> Sensitivity:
    """Multiplies the partial derivatives of c_t by a mask: 1 where they are kept, else 0."""
    return by._replace(
        c_by_i=by.c_by_i * kept, c_by_f=by.c_by_f * kept, c_by_g=by.c_by_g * kept, c_by_previous=by.c_by_previous * kept
    )
