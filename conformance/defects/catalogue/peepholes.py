"""Peepholes that are ignored, swapped or read the wrong cell state."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np

from conformance.adapters.layout import CANONICAL_PEEPHOLES
from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import (
    alike_directions,
    all_of,
    checks_gradients,
    has_previous_c,
)
from conformance.defects.catalogue.option_cells import change_each, option_defect, with_class
from conformance.defects.catalogue.tensors import forward_of, layer_below, read_parameters, scale_tensors
from conformance.defects.defect import NOTHING, Arrays, Defect, Rewire
from reference.cell import Sensitivity, Step
from reference.onnx_cell import OnnxCell

_NAMES = {"i": "input", "f": "forget", "o": "output"}


def _has_peepholes(case: Case) -> bool:
    return case.peepholes


def _move_gates(move: Callable[[list[Any]], list[Any]]) -> Rewire:
    """Moves the blocks of the gates i, f and o in each peephole vector."""

    def rewire(numbers: Arrays, case: Case) -> Arrays:
        del case
        peepholes = {name: array for name, array in numbers.items() if name.startswith("peephole")}
        return {name: np.concatenate(move(np.split(array, 3))) for name, array in peepholes.items()}

    return rewire


def _read_in_order(order: str) -> Defect:
    sources = [order.index(gate) for gate in CANONICAL_PEEPHOLES]
    return Defect(
        id=f"peepholes-read-{order}",
        what=f"whose peepholes are read {', '.join(order)}",
        represents="OpenCV dnn, which reads i, f, o where ONNX has i, o, f" if order == "iof" else "",
        requires=_has_peepholes,
        reads=_move_gates(lambda gates: [gates[source] for source in sources]),
    )


def _ignore_gate(gate: str) -> Defect:
    ignored = CANONICAL_PEEPHOLES.index(gate)
    return Defect(
        id=f"peephole-of-{_NAMES[gate]}-gate-ignored",
        what=f"whose {_NAMES[gate]} gate has no peephole",
        requires=_has_peepholes if gate == "o" else all_of(_has_peepholes, has_previous_c),
        reads=_move_gates(
            lambda gates: [np.full_like(part, NOTHING) if k == ignored else part for k, part in enumerate(gates)]
        ),
    )


@dataclass(frozen=True)
class _EarlyPeephole(OnnxCell):
    """A cell whose output gate's peephole reads c_{t-1}, not c_t."""

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


class _NoGradientThroughPeepholes(OnnxCell):
    """A cell whose gradient does not flow through the peepholes into the cell state."""

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        peephole = None if self.peephole is None else self.peephole * 0.0
        return OnnxCell.sensitivity(replace(self, peephole=peephole), step, c_previous)


DEFECTS: list[Defect] = [
    Defect(
        id="peepholes-ignored",
        what="without peepholes",
        represents="OpenVINO LSTMSequence from ONNX",
        requires=_has_peepholes,
        reads=_move_gates(lambda gates: [np.full_like(part, NOTHING) for part in gates]),
    ),
    *(
        _read_in_order("".join(order))
        for order in permutations(CANONICAL_PEEPHOLES)
        if "".join(order) != CANONICAL_PEEPHOLES
    ),
    *(_ignore_gate(gate) for gate in CANONICAL_PEEPHOLES),
    Defect(
        id="peepholes-negated",
        what="whose peepholes have the opposite sign",
        requires=_has_peepholes,
        scales=scale_tensors("peephole", -1.0),
    ),
    Defect(
        id="peepholes-of-forward-direction-for-both",
        what="whose reverse direction reads the forward direction's peepholes",
        requires=all_of(_has_peepholes, alike_directions),
        reads=read_parameters("peephole", source=forward_of),
    ),
    Defect(
        id="peepholes-of-layer-below",
        what="whose upper layers read the peepholes of the layer below",
        requires=lambda case: case.peepholes and case.num_layers > 1 and case.model.is_uniform,
        reads=read_parameters("peephole", source=layer_below),
    ),
    option_defect(
        "peephole-of-output-gate-reads-previous-cell-state",
        "whose output gate's peephole reads the previous cell state",
        change_each(with_class(_EarlyPeephole)),
        _has_peepholes,
    ),
    option_defect(
        "grad-not-through-peepholes",
        "whose gradient does not flow through the peepholes into the cell state",
        change_each(with_class(_NoGradientThroughPeepholes)),
        all_of(_has_peepholes, checks_gradients),
        "the truncated gradient of Gers et al. (2002)",
    ),
    Defect(
        id="grad-of-peepholes-zero",
        what="whose gradients with respect to the peepholes are 0",
        requires=all_of(_has_peepholes, checks_gradients),
        gradients=scale_tensors("peephole", 0.0),
    ),
]
