"""Options of the cell that are taken and not heeded, or heeded wrongly."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np

from conformance.case import Case
from conformance.defects.catalogue.activations import clamped
from conformance.defects.catalogue.cells import coupled_to_forget
from conformance.defects.catalogue.needs import gradients
from conformance.defects.catalogue.parts import every, forward_of, from_parameter, layer_below, remembers_cell
from conformance.defects.defect import NOTHING, Arrays, Defect, Rewire
from conformance.layout import CANONICAL_PEEPHOLES
from conformance.problem import cells
from reference import Dialect
from reference.activations import ACTIVATIONS, Activation
from reference.cell import Cell, Sensitivity, Step
from reference.onnx_cell import OnnxCell

Cells = dict[str, Any]
Needs = Callable[[Case], bool]
_GATES = {"i": "input", "f": "forget", "o": "output"}
_IDENTITY = Activation("identity", lambda z: z, np.ones_like)


def _made(kind: type[OnnxCell]) -> Callable[[Any], Any]:
    """Makes a cell another kind of cell with the same options."""
    return lambda cell: kind(**{name: getattr(cell, name) for name in OnnxCell.__dataclass_fields__})


def _each(change: Callable[[Any], Any]) -> Callable[[Cells, Case], Cells]:
    """Changes the cells of all directions alike."""
    return lambda found, _: {suffix: change(cell) for suffix, cell in found.items()}


def _defect(
    id: str,  # noqa: A002
    what: str,
    change: Callable[[Cells, Case], Cells],
    needs: Needs,
    stands_for: str = "",
) -> Defect:
    """A defect of cases with an option, where the change makes other cells."""

    def applies(case: Case) -> bool:
        if case.is_plain or not needs(case):
            return False
        right = dict(cells(case, Dialect()))
        return change(dict(right), case) != right

    return Defect(id=id, what=what, stands_for=stands_for, applies=applies, cells=change)


def _ignoring(option: str, what: str, needs: Needs, value: Any, stands_for: str = "") -> Defect:
    name = option.replace("_", "-")
    return _defect(f"{name}-ignored", what, _each(lambda cell: replace(cell, **{option: value})), needs, stands_for)


# --------------------------------------------------------------------------- peepholes


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
        what=f"whose peepholes are read {', '.join(order)}",
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


_PEEPHOLES = [
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
    _defect(
        "peephole-of-output-gate-sees-cell-state-before",
        "whose output gate sees the cell state before the step",
        _each(_made(_EarlyPeephole)),
        _sees,
    ),
    _defect(
        "grad-not-through-peepholes",
        "whose gradient does not flow through peepholes into the cell state",
        _each(_made(_UnseenOnTheWayBack)),
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

# --------------------------------------------------------------------------- clips


def _clips(case: Case) -> bool:
    return case.clip is not None


def _clips_cell(case: Case) -> bool:
    return case.cell_clip is not None


class _FreeOnTheWayBack(OnnxCell):
    """The gradient passes where a bound held a value back."""

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        return super().sensitivity(step._replace(free=None), c_previous)


def _on_the_way_out(cell: Any, bound: str) -> Any:
    """A bound on the cell state that goes out, and on nothing else."""
    return replace(cell, **{bound: None}, cell_state=clamped(cell.cell_state, getattr(cell, bound)))


_CLIPS = [
    _ignoring("clip", "that does not clip what activations read", _clips, None, "onnx ReferenceEvaluator, OpenCV, MNN"),
    _defect(
        "clip-not-of-cell-state-on-its-way-out",
        "that clips what the gates read, but not the cell state on its way out",
        _each(lambda cell: replace(cell, clips_output=not cell.clips_output)),
        _clips,
        "onnxruntime#27224",
    ),
    _defect(
        "clip-of-cell-state-on-its-way-out-only",
        "that clips the cell state on its way out, but not what the gates read",
        _each(lambda cell: _on_the_way_out(cell, "clip")),
        _clips,
    ),
    _defect(
        "clip-of-cell-state-itself",
        "that clips the cell state itself, not what activations read",
        _each(lambda cell: replace(cell, clip=None, cell_clip=cell.clip)),
        _clips,
        "burn",
    ),
    _defect(
        "clip-at-twice-the-bound",
        "that clips at twice the bound",
        _each(lambda cell: replace(cell, clip=2 * cell.clip)),
        _clips,
    ),
    _ignoring("cell_clip", "that does not clip the cell state", _clips_cell, None),
    _defect(
        "cell-clip-on-the-way-out-only",
        "that clips the cell state on its way out, but carries it on as it is",
        _each(lambda cell: _on_the_way_out(cell, "cell_clip")),
        _clips_cell,
    ),
    _defect(
        "cell-clip-of-what-activations-read",
        "that clips what activations read, not the cell state",
        _each(lambda cell: replace(cell, clip=cell.cell_clip, cell_clip=None)),
        _clips_cell,
    ),
    _defect(
        "grad-through-clip",
        "whose gradient passes where a value was clipped",
        _each(_made(_FreeOnTheWayBack)),
        every(lambda case: _clips(case) or _clips_cell(case), gradients),
    ),
]

# --------------------------------------------------------------------------- coupled gates and the forget bias


def _couples(case: Case) -> bool:
    return case.coupled_gates and remembers_cell(case)


class _UncoupledOnTheWayBack(OnnxCell):
    """The gradient by the input gate does not see that the forget gate follows it."""

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        uncoupled = OnnxCell.sensitivity(replace(self, coupled=False), step, c_previous)
        return super().sensitivity(step, c_previous)._replace(c_by_i=uncoupled.c_by_i)


def _biased(case: Case) -> bool:
    return case.forget_bias != 0


def _elsewhere(gate: int) -> type[OnnxCell]:
    class Biased(OnnxCell):
        """The forget bias is added to another gate's sum."""

        def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
            hidden = c_previous.shape[-1]
            z = z.copy()
            z[..., gate * hidden : (gate + 1) * hidden] += self.forget_bias
            z[..., hidden : 2 * hidden] -= self.forget_bias
            return super().step(z, c_previous)

    return Biased


_COUPLED = [
    _ignoring(
        "coupled", "whose forget gate is its own, not 1 - i", _couples, False, "onnx ReferenceEvaluator, OpenVINO"
    ),
    _defect(
        "coupled-the-other-way",
        "whose input gate is 1 - f, where the forget gate should be 1 - i",
        lambda found, _: dict.fromkeys(found, coupled_to_forget()),
        lambda case: case.coupled_gates and case.model_copy(update={"coupled_gates": False}).is_plain,
    ),
    _defect(
        "grad-not-through-coupled-gate",
        "whose gradient does not flow through the forget gate that follows the input gate",
        _each(_made(_UncoupledOnTheWayBack)),
        every(_couples, gradients),
    ),
]

_FORGET_BIAS = [
    _ignoring("forget_bias", "that adds no forget bias", _biased, 0.0),
    _defect(
        "forget-bias-twice",
        "that adds its forget bias twice",
        _each(lambda cell: replace(cell, forget_bias=2 * cell.forget_bias)),
        _biased,
    ),
    _defect(
        "forget-bias-subtracted",
        "that subtracts its forget bias",
        _each(lambda cell: replace(cell, forget_bias=-cell.forget_bias)),
        _biased,
    ),
    *(
        _defect(
            f"forget-bias-of-{name}-gate",
            f"that adds its forget bias to the {name} gate",
            _each(_made(_elsewhere(gate))),
            _biased,
        )
        for gate, name in ((0, "input"), (2, "candidate"), (3, "output"))
    ),
]

# --------------------------------------------------------------------------- activations


def _any(case: Case) -> bool:
    del case
    return True


def _per_direction(case: Case) -> bool:
    return case.activations[:3] != case.activations[-3:]


def _nonlinearities(cell: Cell, of: Cell) -> Any:
    """A cell with the activations of another."""
    names = ("input_gate", "forget_gate", "candidate", "output_gate", "cell_state")
    return replace(cell, **{name: getattr(of, name) for name in names})


def _exchanging(one: str, other: str | Activation) -> Callable[[Any], Any]:
    """Puts an activation in another one's place."""
    new = ACTIVATIONS[other] if isinstance(other, str) else other

    def change(cell: Any) -> Any:
        names = [f.name for f in cell.__dataclass_fields__.values() if isinstance(getattr(cell, f.name), Activation)]
        return replace(cell, **{name: new for name in names if getattr(cell, name).name == one})

    return change


def _usual(*places: str) -> Callable[[Cells, Case], Cells]:
    return _each(lambda cell: replace(cell, **{name: getattr(Cell(), name) for name in places}))


_ACTIVATIONS = [
    _defect(
        "activations-ignored",
        "whose activations are the usual ones",
        _each(lambda cell: _nonlinearities(cell, Cell())),
        _any,
        "onnx ReferenceEvaluator",
    ),
    _defect(
        "activation-of-gates-ignored",
        "whose gates are sigmoids",
        _usual("input_gate", "forget_gate", "output_gate"),
        _any,
        "tfjs-layers, the other way round",
    ),
    *(
        _defect(f"activation-of-{name}-gate-ignored", f"whose {name} gate is a sigmoid", _usual(f"{name}_gate"), needs)
        for name, needs in (
            ("input", _any),
            ("forget", lambda c: remembers_cell(c) and not c.coupled_gates),
            ("output", _any),
        )
    ),
    _defect("activation-of-candidate-ignored", "whose candidate is a tanh", _usual("candidate"), _any),
    _defect(
        "activation-on-the-way-out-ignored", "whose cell state goes out through a tanh", _usual("cell_state"), _any
    ),
    _defect(
        "activation-of-candidate-on-the-way-out",
        "whose cell state goes out through the candidate's activation",
        _each(lambda cell: replace(cell, cell_state=cell.candidate)),
        _any,
        "tvm#19633",
    ),
    _defect(
        "activation-on-the-way-out-of-candidate",
        "whose candidate goes through the activation of the cell state on its way out",
        _each(lambda cell: replace(cell, candidate=cell.cell_state)),
        _any,
    ),
    _defect(
        "activations-of-forward-direction-for-both",
        "whose reverse direction has the activations of the forward one",
        lambda found, _: {suffix: _nonlinearities(cell, found[""]) for suffix, cell in found.items()},
        _per_direction,
        "OpenVINO LSTMSequence from ONNX",
    ),
    _defect(
        "activations-of-reverse-direction-for-both",
        "whose forward direction has the activations of the reverse one",
        lambda found, _: {suffix: _nonlinearities(cell, found["_reverse"]) for suffix, cell in found.items()},
        _per_direction,
    ),
    _defect(
        "activations-of-reverse-direction-ignored",
        "whose reverse direction has the usual activations",
        lambda found, _: {**found, "_reverse": _nonlinearities(found["_reverse"], Cell())},
        _per_direction,
        "tensorflow-onnx#2211",
    ),
    *(
        _defect(f"{one}-for-{other}".replace("_", "-"), what, _each(_exchanging(other, one)), _any, stands_for)
        for one, other, what, stands_for in (
            ("hard_sigmoid", "hard_sigmoid_6", "whose hard sigmoid has the slope 1/5, not 1/6", "keras#19477"),
            ("hard_sigmoid_6", "hard_sigmoid", "whose hard sigmoid has the slope 1/6, not 1/5", "keras#19477"),
            ("relu", "leaky_relu", "whose leaky relu is 0 where it should leak", ""),
            ("relu", "elu", "whose elu is 0 below 0", ""),
            ("tanh", "scaled_tanh", "whose scaled tanh is not scaled", "tensorflow-onnx#2211"),
            ("tanh", "softsign", "whose softsign is a tanh", ""),
        )
    ),
    _defect(
        "affine-constants-ignored",
        "whose affine activation is the identity",
        _each(_exchanging("affine", _IDENTITY)),
        _any,
    ),
]

DEFECTS: list[Defect] = [*_PEEPHOLES, *_CLIPS, *_COUPLED, *_FORGET_BIAS, *_ACTIVATIONS]
