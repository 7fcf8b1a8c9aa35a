"""Peepholes that are lost, exchanged or seen at another time."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np

from conformance.adapters.layout import CANONICAL_PEEPHOLES
from conformance.cases.case import Case
from conformance.defects.catalogue.needs import gradients
from conformance.defects.catalogue.optional import each, made, of_cells
from conformance.defects.catalogue.parts import every, forward_of, from_parameter, layer_below, remembers_cell
from conformance.defects.defect import NOTHING, Arrays, Defect, Rewire
from reference.cell import Sensitivity, Step
from reference.onnx_cell import OnnxCell

_GATES = {"i": "input", "f": "forget", "o": "output"}


def _sees(case: Case) -> bool:
    return case.peepholes


def _of_peepholes(move: Callable[[list[Any]], list[Any]]) -> Rewire:
    """Moves the blocks of every peephole: those of i, f and o."""
    return lambda numbers, _: {
        name: np.concatenate(move(np.split(array, 3))) for name, array in numbers.items() if name.startswith("peephole")
    }


def _order(order: str) -> Defect:
    places = [CANONICAL_PEEPHOLES.index(gate) for gate in order]
    return Defect(
        id=f"peepholes-read-{order}",
        what=f"whose peepholes of i, f, o are read as those of {', '.join(order)}",
        stands_for="OpenCV dnn, which reads i, f, o where ONNX has i, o, f" if order == "iof" else "",
        applies=_sees,
        reads=_of_peepholes(lambda blocks: [blocks[places.index(place)] for place in range(3)]),
    )


def _blind(gate: str) -> Defect:
    place = CANONICAL_PEEPHOLES.index(gate)
    return Defect(
        id=f"peephole-of-{_GATES[gate]}-gate-ignored",
        what=f"whose {_GATES[gate]} gate has no peephole",
        applies=every(_sees, lambda case: gate == "o" or remembers_cell(case)),
        reads=_of_peepholes(lambda b: [np.full_like(b[k], NOTHING) if k == place else b[k] for k in range(3)]),
    )


def _negated(ones: Arrays, case: Case) -> Arrays:
    del case
    return {name: -array if name.startswith("peephole") else array for name, array in ones.items()}


@dataclass(frozen=True)
class _EarlyPeephole(OnnxCell):
    """The output gate sees the cell state before the step."""

    early: Any = None

    def with_peephole(self, peephole: Any) -> "_EarlyPeephole":
        kept, early = peephole.copy(), peephole[len(peephole) // 3 * 2 :].copy()
        kept[len(peephole) // 3 * 2 :] = 0.0
        return replace(self, peephole=kept, early=early)

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        z = z.copy()
        z[..., 3 * c_previous.shape[-1] :] += self.early * c_previous
        return super().step(z, c_previous)

    def step_back(self, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        d_z, d_c_previous = super().step_back(by, d_m, d_c)
        return d_z, d_c_previous + d_z[..., 3 * d_c.shape[-1] :] * self.early

    def peephole_gradient(self, d_z: Any, c_previous: Any, c: Any) -> Any:
        del c
        return super().peephole_gradient(d_z, c_previous, c_previous)


class _UnseenOnTheWayBack(OnnxCell):
    """The gradient does not flow through peepholes into the cell state."""

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        peephole = None if self.peephole is None else self.peephole * 0.0
        return OnnxCell.sensitivity(replace(self, peephole=peephole), step, c_previous)


DEFECTS: list[Defect] = [
    Defect(
        id="peepholes-ignored",
        what="without peepholes",
        stands_for="OpenVINO LSTMSequence from ONNX",
        applies=_sees,
        reads=_of_peepholes(lambda blocks: [np.full_like(block, NOTHING) for block in blocks]),
    ),
    *(_order("".join(order)) for order in permutations(CANONICAL_PEEPHOLES) if "".join(order) != CANONICAL_PEEPHOLES),
    *(_blind(gate) for gate in CANONICAL_PEEPHOLES),
    Defect(id="peepholes-negated", what="whose peepholes have the other sign", applies=_sees, scales=_negated),
    Defect(
        id="peepholes-of-forward-direction-for-both",
        what="whose reverse direction reads the peepholes of the forward one",
        applies=lambda case: case.peepholes and case.direction == "bidirectional",
        reads=from_parameter("peephole", source=forward_of),
    ),
    Defect(
        id="peepholes-of-layer-below",
        what="whose layers read the peepholes of the layer below",
        applies=lambda case: case.peepholes and case.num_layers > 1 and case.model.is_uniform,
        reads=from_parameter("peephole", source=layer_below),
    ),
    of_cells(
        "peephole-of-output-gate-sees-cell-state-before",
        "whose output gate sees the cell state before the step",
        each(made(_EarlyPeephole)),
        _sees,
    ),
    of_cells(
        "grad-not-through-peepholes",
        "whose gradient does not flow through peepholes into the cell state",
        each(made(_UnseenOnTheWayBack)),
        every(_sees, gradients),
        "the truncated gradient of Gers et al. (2002)",
    ),
    Defect(
        id="grad-of-peepholes-zero",
        what="whose gradients by the peepholes are 0",
        applies=every(_sees, gradients),
        gradients=lambda found, _: {n: a * 0.0 if n.startswith("peephole") else a for n, a in found.items()},
    ),
]
