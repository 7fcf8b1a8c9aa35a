"""Gradients that are wrong between steps, or that use wrong saved values. The adjoint of each step is correct."""

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.adjoint import replace_block
from conformance.defects.catalogue.changed_cells import CountingCell, Moment
from conformance.defects.catalogue.conditions import (
    all_of,
    bidirectional,
    checks_gradients,
    checks_gradients_through_states,
    has_full_row,
    has_previous_c,
    initial_state_of,
    last_row_has_steps,
    no_projection,
    several_rows,
    several_steps,
    several_units,
    single_or_double,
)
from conformance.defects.catalogue.precision import BFLOAT16, round_to_bits
from conformance.defects.catalogue.tensors import GATES, transpose_gates
from conformance.defects.defect import Defect
from reference.cell import Sensitivity
from reference.layer import Pass

ChangePass = Callable[[Pass, Case], Pass]
StepFilter = Callable[[int, int], bool]
"""Condition on a step, given its number in the order of processing and the number of steps."""


class CutCellState(CountingCell):
    """A cell that stops the gradient to the previous cell state at some steps."""

    def __init__(self, case: Case, cut: StepFilter) -> None:
        super().__init__(case)
        self.cut = cut

    def step_back_at(self, moment: Moment, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """Computes the adjoint of a step, see ``Cell.step_back``."""
        d_z, d_c_previous = super().step_back_at(moment, by, d_m, d_c)
        return d_z, np.zeros_like(d_c_previous) if self.cut(moment.step, self.case.seq_len) else d_c_previous


class CutRecurrentWeights:
    """Recurrent weights that stop the gradient to the previous hidden state at some steps."""

    __array_ufunc__ = None  # Makes ``array @ self`` call ``__rmatmul__``.

    def __init__(self, weights: Any, steps: int, cut: StepFilter) -> None:
        self.weights, self.shape, self.steps, self.cut = weights, weights.shape, steps, cut
        self._left = steps

    def __rmatmul__(self, d_z: Any) -> Any:
        """Returns δh_{t-1}. Called once for each step, last step first."""
        self._left -= 1
        d_h = d_z @ self.weights
        return np.zeros_like(d_h) if self.cut(self._left, self.steps) else d_h


class SkippedStep(CountingCell):
    """A cell that stops the gradient to the pre-activations of one step.

    Attributes:
        skipped: number of the step in the order of processing.
    """

    def __init__(self, case: Case, skipped: int) -> None:
        super().__init__(case)
        self.skipped = skipped % case.seq_len

    def step_back_at(self, moment: Moment, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """Computes the adjoint of a step, see ``Cell.step_back``."""
        d_z, d_c_previous = super().step_back_at(moment, by, d_m, d_c)
        return d_z * (moment.step != self.skipped), d_c_previous


def _backward_weights(name: str, change: Callable[[Any, Case], Any]) -> ChangePass:
    """Changes the weights with this name in the backward pass only."""
    return lambda layer_pass, case: layer_pass._replace(
        weights={**layer_pass.weights, name: change(layer_pass.weights[name], case)}
    )


def _cut_recurrent_weights(cut: StepFilter) -> ChangePass:
    return _backward_weights("weight_hh", lambda weights, case: CutRecurrentWeights(weights, case.seq_len, cut))


def _middle(step: int, steps: int) -> bool:
    return step == steps // 2


def _all_but_last(step: int, steps: int) -> bool:
    return step <= steps - 2


def _zeros(weights: Any, case: Case) -> Any:
    del case
    return np.zeros_like(weights)


def _without_gate(block: int, name: str) -> Defect:
    matters = checks_gradients_through_states
    return Defect(
        id=f"grad-recurrence-misses-{'ifgo'[block]}",
        what=f"whose gradient does not flow through the {name} gate to the previous hidden state",
        requires=all_of(matters, has_previous_c) if name == "forget" else matters,
        saved=_backward_weights("weight_hh", lambda weights, _: replace_block(weights.T, block, 0.0).T),
    )


def _only_direction(suffix: str) -> ChangePass:
    no_input_gradient = _backward_weights("weight_ih", _zeros)
    return lambda layer_pass, case: (
        layer_pass if layer_pass.time.suffix == suffix else no_input_gradient(layer_pass, case)
    )


def _without_last_row(layer_pass: Pass, case: Case) -> Pass:
    x, h = layer_pass.x.reshape(case.seq_len, -1, layer_pass.x.shape[-1]).copy(), layer_pass.h.copy()
    x[:, -1] = h[:, -1] = 0
    return layer_pass._replace(x=x.reshape(layer_pass.x.shape), h=h)


def _new_h_as_previous(layer_pass: Pass, case: Case) -> Pass:
    del case
    h = layer_pass.h.copy()
    h[layer_pass.time.before] = layer_pass.h[layer_pass.time.after]
    return layer_pass._replace(h=h)


def _without_initial_h(layer_pass: Pass, case: Case) -> Pass:
    del case
    h = layer_pass.h.copy()
    h[layer_pass.time.start] = 0
    return layer_pass._replace(h=h)


def _round_weights(layer_pass: Pass, case: Case) -> Pass:
    del case
    rounded = {name: round_to_bits(array, BFLOAT16) for name, array in layer_pass.weights.items()}
    return layer_pass._replace(weights=rounded)


_checks_full_row = all_of(checks_gradients, has_full_row)

DEFECTS = [
    Defect(
        id="grad-h-stops-at-each-step",
        what="whose gradient does not flow through the hidden state to the previous step",
        represents="AiDotNet#722",
        requires=checks_gradients_through_states,
        saved=_backward_weights("weight_hh", _zeros),
    ),
    Defect(
        id="grad-h-stops-at-one-step",
        what="whose gradient does not flow through the hidden state from the middle step to the one before it",
        requires=all_of(_checks_full_row, several_steps),
        saved=_cut_recurrent_weights(_middle),
    ),
    Defect(
        id="grad-c-stops-at-one-step",
        what="whose gradient does not flow through the cell state from the middle step to the one before it",
        requires=all_of(_checks_full_row, several_steps),
        cell=lambda case: CutCellState(case, _middle),
    ),
    Defect(
        id="grad-truncated-in-the-middle",
        what="whose gradient stops in the middle of the sequence",
        requires=all_of(_checks_full_row, several_steps),
        cell=lambda case: CutCellState(case, _middle),
        saved=_cut_recurrent_weights(_middle),
    ),
    Defect(
        id="grad-truncated-to-two-steps",
        what="whose gradient flows from the last step to the one before it, but between no other steps",
        requires=lambda case: _checks_full_row(case) and case.seq_len > 2,
        cell=lambda case: CutCellState(case, _all_but_last),
        saved=_cut_recurrent_weights(_all_but_last),
    ),
    *(_without_gate(block, name) for block, name in enumerate(GATES)),
    Defect(
        id="grad-recurrence-transposed",
        what="whose gradient flows to the previous step through wrongly transposed recurrent weights of each gate",
        requires=all_of(checks_gradients_through_states, no_projection, several_units),
        saved=_backward_weights("weight_hh", transpose_gates),
    ),
    Defect(
        id="grad-misses-first-step",
        what="whose gradient leaves out the gates of the first step",
        requires=_checks_full_row,
        cell=lambda case: SkippedStep(case, 0),
    ),
    Defect(
        id="grad-misses-last-step",
        what="whose gradient leaves out the gates of the last step",
        requires=_checks_full_row,
        cell=lambda case: SkippedStep(case, -1),
    ),
    Defect(
        id="grad-weight_hh-from-h-after",
        what="whose gradient with respect to the recurrent weights uses h_t instead of h_{t-1}",
        requires=checks_gradients,
        saved=_new_h_as_previous,
    ),
    Defect(
        id="grad-weight_hh-misses-h_0",
        what="whose gradient with respect to the recurrent weights leaves out the first step",
        requires=all_of(_checks_full_row, initial_state_of("h_0")),
        saved=_without_initial_h,
    ),
    Defect(
        id="grad-weights-miss-last-row",
        what="whose gradients with respect to weight_ih and weight_hh leave out the last row",
        requires=all_of(checks_gradients, several_rows, last_row_has_steps),
        saved=_without_last_row,
    ),
    Defect(
        id="grad-input-of-forward-only",
        what="whose gradient with respect to each layer's input comes from the forward direction alone",
        requires=all_of(checks_gradients, bidirectional),
        saved=_only_direction(""),
    ),
    Defect(
        id="grad-input-of-reverse-only",
        what="whose gradient with respect to each layer's input comes from the reverse direction alone",
        requires=all_of(checks_gradients, bidirectional),
        saved=_only_direction("_reverse"),
    ),
    Defect(
        id="grad-through-weights-in-bfloat16",
        what="whose backward pass rounds the weights to bfloat16",
        requires=all_of(checks_gradients, single_or_double),
        saved=_round_weights,
    ),
]
