"""A cell that knows which step it is at: the base of defects that strike at some moments only."""

from itertools import count
from typing import Any, NamedTuple

from conformance.cases.case import Case
from reference.cell import Cell, Sensitivity, Step


class Moment(NamedTuple):
    """A step of one direction of one layer; steps are counted in the order in which the direction takes them."""

    layer: int
    direction: int
    step: int


class Paced(Cell):
    """Counts its steps, so it serves one run: layers upwards and steps in their order, then all of it backwards."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case = case
        self._forth, self._back = count(), count()

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """One step forward, at its moment."""
        run, step = divmod(next(self._forth), self.case.seq_len)
        layer, direction = divmod(run, self.case.model.num_directions)
        return self.step_at(Moment(layer, direction, step), z, c_previous)

    def step_back(self, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """The adjoint of one step, at its moment."""
        run, step = divmod(next(self._back), self.case.seq_len)
        layer, direction = divmod(run, self.case.model.num_directions)
        moment = Moment(self.case.num_layers - 1 - layer, direction, self.case.seq_len - 1 - step)
        return self.step_back_at(moment, by, d_m, d_c)

    def step_at(self, moment: Moment, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """``Cell.step``, for defects to change."""
        del moment
        return super().step(z, c_previous)

    def step_back_at(self, moment: Moment, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """``Cell.step_back``, for defects to change."""
        del moment
        return super().step_back(by, d_m, d_c)
