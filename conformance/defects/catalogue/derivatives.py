"""Derivatives along a direction that are wrong although results and gradients are right.

A hand-written double backward pass or forward mode has such defects: it treats something as a constant that is not one.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import (
    Condition,
    all_of,
    checks_gradients_through_states,
    has_previous_c,
    has_previous_h,
    has_steps,
    initial_state_of,
)
from conformance.defects.defect import Arrays, Defect
from reference.cell import Step
from reference.dual import Dual
from reference.layer import Pass

_STATES = ("h_0", "c_0")
_PARAMETERS = ("weight", "bias", "peephole")


def _checks(name: str) -> Condition:
    """Returns the condition that the case compares ``jvp`` or ``hvp``."""
    return lambda case: name in case.check and has_steps(case)


def _either(case: Case) -> bool:
    return case.has_direction and has_steps(case)


def _plain(case: Case) -> bool:
    """Returns whether the cell is the standard one, whose second derivatives are not 0."""
    return case.is_plain


def _backpropagates(case: Case) -> bool:
    """Returns whether gradients flow from a step to its previous hidden state."""
    return checks_gradients_through_states(case.model_copy(update={"check": (*case.check, "gradients")}))


def _zero(*names: str) -> Callable[[Arrays, Case], Arrays]:
    """Returns a change that zeroes the arrays whose names start with one of these."""
    return lambda arrays, _: {
        name: np.zeros_like(array) if name.startswith(names) else array for name, array in arrays.items()
    }


def _constant(array: Any) -> Any:
    """Returns an array of a recorded forward pass as a constant."""
    return None if array is None else Dual(array.value)


def _constant_activations(layer_pass: Pass, case: Case) -> Pass:
    del case
    return layer_pass._replace(steps=Step(*map(_constant, layer_pass.steps)))


def _constant_part(name: str) -> Callable[[Pass, Case], Pass]:
    return lambda layer_pass, _: layer_pass._replace(**{name: _constant(getattr(layer_pass, name))})


def _constant_recurrent_weights(layer_pass: Pass, case: Case) -> Pass:
    del case
    weights = {**layer_pass.weights, "weight_hh": _constant(layer_pass.weights["weight_hh"])}
    return layer_pass._replace(weights=weights)


DEFECTS = [
    Defect(
        id="derivatives-ignore-initial-states",
        what="whose derivatives along a direction leave out the direction of the initial states",
        requires=all_of(_either, initial_state_of(*_STATES)),
        tangents=_zero(*_STATES),
    ),
    Defect(
        id="derivatives-ignore-parameters",
        what="whose derivatives along a direction leave out the direction of the parameters",
        requires=_either,
        tangents=_zero(*_PARAMETERS),
    ),
    Defect(
        id="jvp-of-final-states-is-zero",
        what="whose forward-mode derivatives of h_n and c_n are zero",
        requires=_checks("jvp"),
        derivatives=_zero("jvp.h_n", "jvp.c_n"),
    ),
    Defect(
        id="hvp-is-zero",
        what="whose gradients are constants if they are differentiated again",
        requires=_checks("hvp"),
        derivatives=_zero("hvp."),
    ),
    Defect(
        id="hvp-treats-activations-as-constants",
        what="whose second derivatives treat the saved activations of the gates as constants",
        requires=all_of(_checks("hvp"), _plain),
        saved_tangents=_constant_activations,
    ),
    Defect(
        id="hvp-treats-c-as-constant",
        what="whose second derivatives treat the saved cell states as constants",
        requires=all_of(_checks("hvp"), _plain, has_previous_c),
        saved_tangents=_constant_part("c"),
    ),
    Defect(
        id="hvp-treats-h-as-constant",
        what="whose second derivatives treat the saved hidden states as constants",
        requires=all_of(_checks("hvp"), has_previous_h),
        saved_tangents=_constant_part("h"),
    ),
    Defect(
        id="hvp-treats-weight_hh-as-constant",
        what="whose second derivatives treat the recurrent weights as constants in the backward pass",
        requires=all_of(_checks("hvp"), _backpropagates),
        saved_tangents=_constant_recurrent_weights,
    ),
]
