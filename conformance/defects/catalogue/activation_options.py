"""Activation options that are ignored, swapped or read with wrong constants."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.cases.case import Case
from conformance.defects.catalogue.activations import identity
from conformance.defects.catalogue.conditions import has_previous_c
from conformance.defects.catalogue.option_cells import Cells, change_each, option_defect
from conformance.defects.defect import Defect
from reference.activations import ACTIVATIONS, Activation
from reference.cell import Cell

_ACTIVATIONS = ("input_gate", "forget_gate", "candidate", "output_gate", "cell_state")
_DEFAULT = Cell()


def _any(case: Case) -> bool:
    del case
    return True


def _reads_forget_gate(case: Case) -> bool:
    return has_previous_c(case) and not case.coupled_gates


def _per_direction(case: Case) -> bool:
    return case.activations[:3] != case.activations[-3:]


def _use(activations: Cell, cell: Any, *names: str) -> Any:
    """Returns a cell with some of its activations, by default all, replaced by those of another cell."""
    return replace(cell, **{name: getattr(activations, name) for name in names or _ACTIVATIONS})


def _use_default(*names: str) -> Callable[[Cells, Case], Cells]:
    return change_each(lambda cell: _use(_DEFAULT, cell, *names))


def _substitute(old: str, new: Activation) -> Callable[[Any], Any]:
    """Returns a function that replaces the activations of a cell that have this name."""

    def change(cell: Any) -> Any:
        return replace(cell, **{name: new for name in _ACTIVATIONS if getattr(cell, name).name == old})

    return change


DEFECTS: list[Defect] = [
    option_defect(
        "activations-ignored",
        "whose activations are always sigmoid and tanh",
        _use_default(),
        _any,
        "onnx ReferenceEvaluator",
    ),
    option_defect(
        "activation-of-gates-ignored",
        "whose gates always use sigmoid",
        _use_default("input_gate", "forget_gate", "output_gate"),
        _any,
        "tfjs-layers, whose LSTM uses a hard sigmoid by default",
    ),
    *(
        option_defect(
            f"activation-of-{name}-gate-ignored",
            f"whose {name} gate always uses sigmoid",
            _use_default(f"{name}_gate"),
            _reads_forget_gate if name == "forget" else _any,
        )
        for name in ("input", "forget", "output")
    ),
    option_defect(
        "activation-of-candidate-ignored", "whose candidate always uses tanh", _use_default("candidate"), _any
    ),
    option_defect(
        "activation-of-cell-state-ignored",
        "whose hidden state is always o tanh(c)",
        _use_default("cell_state"),
        _any,
    ),
    option_defect(
        "activation-of-candidate-for-cell-state",
        "that applies the candidate's activation to the cell state too",
        change_each(lambda cell: replace(cell, cell_state=cell.candidate)),
        _any,
        "tvm#19633",
    ),
    option_defect(
        "activation-of-cell-state-for-candidate",
        "that applies the cell state's activation to the candidate too",
        change_each(lambda cell: replace(cell, candidate=cell.cell_state)),
        _any,
    ),
    option_defect(
        "activations-of-forward-direction-for-both",
        "whose reverse direction uses the forward direction's activations",
        lambda correct, _: {suffix: _use(correct[""], cell) for suffix, cell in correct.items()},
        _per_direction,
        "OpenVINO LSTMSequence from ONNX",
    ),
    option_defect(
        "activations-of-reverse-direction-for-both",
        "whose forward direction uses the reverse direction's activations",
        lambda correct, _: {suffix: _use(correct["_reverse"], cell) for suffix, cell in correct.items()},
        _per_direction,
    ),
    option_defect(
        "activations-of-reverse-direction-ignored",
        "whose reverse direction always uses sigmoid and tanh",
        lambda correct, _: {**correct, "_reverse": _use(_DEFAULT, correct["_reverse"])},
        _per_direction,
        "tensorflow-onnx#2211",
    ),
    *(
        option_defect(
            f"{new}-for-{old}".replace("_", "-"),
            what,
            change_each(_substitute(old, ACTIVATIONS[new])),
            _any,
            represents,
        )
        for new, old, what, represents in (
            ("hard_sigmoid", "hard_sigmoid_6", "whose hard sigmoid has slope 1/5, not 1/6", "keras#19477"),
            ("hard_sigmoid_6", "hard_sigmoid", "whose hard sigmoid has slope 1/6, not 1/5", "keras#19477"),
            ("relu", "leaky_relu", "that uses relu instead of leaky relu", ""),
            ("relu", "elu", "that uses relu instead of elu", ""),
            ("tanh", "scaled_tanh", "whose scaled tanh is not scaled", "tensorflow-onnx#2211"),
            ("tanh", "softsign", "that uses tanh instead of softsign", ""),
        )
    ),
    option_defect(
        "affine-constants-ignored",
        "whose affine activation is the identity",
        change_each(_substitute("affine", identity)),
        _any,
    ),
]
