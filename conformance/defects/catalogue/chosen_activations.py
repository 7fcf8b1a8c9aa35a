"""Activations that were chosen and are not heeded, exchanged, or with other constants."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.cases.case import Case
from conformance.defects.catalogue.activations import identity
from conformance.defects.catalogue.optional import Cells, each, of_cells
from conformance.defects.catalogue.parts import remembers_cell
from conformance.defects.defect import Defect
from reference.activations import ACTIVATIONS, Activation
from reference.cell import Cell


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
    return each(lambda cell: replace(cell, **{name: getattr(Cell(), name) for name in places}))


DEFECTS: list[Defect] = [
    of_cells(
        "activations-ignored",
        "whose activations are the usual ones",
        each(lambda cell: _nonlinearities(cell, Cell())),
        _any,
        "onnx ReferenceEvaluator",
    ),
    of_cells(
        "activation-of-gates-ignored",
        "whose gates are sigmoids",
        _usual("input_gate", "forget_gate", "output_gate"),
        _any,
        "tfjs-layers, the other way round",
    ),
    *(
        of_cells(f"activation-of-{name}-gate-ignored", f"whose {name} gate is a sigmoid", _usual(f"{name}_gate"), needs)
        for name, needs in (
            ("input", _any),
            ("forget", lambda c: remembers_cell(c) and not c.coupled_gates),
            ("output", _any),
        )
    ),
    of_cells("activation-of-candidate-ignored", "whose candidate is a tanh", _usual("candidate"), _any),
    of_cells(
        "activation-on-the-way-out-ignored", "whose cell state goes out through a tanh", _usual("cell_state"), _any
    ),
    of_cells(
        "activation-of-candidate-on-the-way-out",
        "whose cell state goes out through the candidate's activation",
        each(lambda cell: replace(cell, cell_state=cell.candidate)),
        _any,
        "tvm#19633",
    ),
    of_cells(
        "activation-on-the-way-out-of-candidate",
        "whose candidate goes through the activation of the cell state on its way out",
        each(lambda cell: replace(cell, candidate=cell.cell_state)),
        _any,
    ),
    of_cells(
        "activations-of-forward-direction-for-both",
        "whose reverse direction has the activations of the forward one",
        lambda found, _: {suffix: _nonlinearities(cell, found[""]) for suffix, cell in found.items()},
        _per_direction,
        "OpenVINO LSTMSequence from ONNX",
    ),
    of_cells(
        "activations-of-reverse-direction-for-both",
        "whose forward direction has the activations of the reverse one",
        lambda found, _: {suffix: _nonlinearities(cell, found["_reverse"]) for suffix, cell in found.items()},
        _per_direction,
    ),
    of_cells(
        "activations-of-reverse-direction-ignored",
        "whose reverse direction has the usual activations",
        lambda found, _: {**found, "_reverse": _nonlinearities(found["_reverse"], Cell())},
        _per_direction,
        "tensorflow-onnx#2211",
    ),
    *(
        of_cells(f"{one}-for-{other}".replace("_", "-"), what, each(_exchanging(other, one)), _any, stands_for)
        for one, other, what, stands_for in (
            ("hard_sigmoid", "hard_sigmoid_6", "whose hard sigmoid has the slope 1/5, not 1/6", "keras#19477"),
            ("hard_sigmoid_6", "hard_sigmoid", "whose hard sigmoid has the slope 1/6, not 1/5", "keras#19477"),
            ("relu", "leaky_relu", "whose leaky relu is 0 where it should leak", ""),
            ("relu", "elu", "whose elu is 0 below 0", ""),
            ("tanh", "scaled_tanh", "whose scaled tanh is not scaled", "tensorflow-onnx#2211"),
            ("tanh", "softsign", "whose softsign is a tanh", ""),
        )
    ),
    of_cells(
        "affine-constants-ignored",
        "whose affine activation is the identity",
        each(_exchanging("affine", identity)),
        _any,
    ),
]
