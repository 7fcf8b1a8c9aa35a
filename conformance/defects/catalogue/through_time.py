"""Each step's adjoint is right, the way back from step to step, or what it finds there, is not."""

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue import needs
from conformance.defects.catalogue.adjoint import GATES, with_block
from conformance.defects.catalogue.paced import Moment, Paced
from conformance.defects.catalogue.parts import given, remembers_cell
from conformance.defects.catalogue.precision import BFLOAT16, rounded
from conformance.defects.defect import Defect
from reference.cell import Sensitivity
from reference.layer import Pass

Recalls = Callable[[Pass, Case], Pass]
Where = Callable[[int, int], bool]
"""Whether a step is meant, of so many; counted in the order in which a direction takes them."""


class Cut(Paced):
    """A cell through whose cell state no gradient leaves some steps."""

    def __init__(self, case: Case, cut: Where) -> None:
        super().__init__(case)
        self.cut = cut

    def step_back_at(self, moment: Moment, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """The adjoint of a step."""
        d_z, d_c_previous = super().step_back_at(moment, by, d_m, d_c)
        return d_z, np.zeros_like(d_c_previous) if self.cut(moment.step, self.case.seq_len) else d_c_previous


class CutRecurrence:
    """Recurrent weights through which no gradient leaves some steps."""

    __array_ufunc__ = None  # So that an array leaves the product with this to this.

    def __init__(self, weights: Any, steps: int, cut: Where) -> None:
        self.weights, self.shape, self.steps, self.cut = weights, weights.shape, steps, cut
        self._left = steps

    def __rmatmul__(self, d_z: Any) -> Any:
        """The gradient by the hidden state before a step; the last step asks first."""
        self._left -= 1
        d_h = d_z @ self.weights
        return np.zeros_like(d_h) if self.cut(self._left, self.steps) else d_h


class SkippedStep(Paced):
    """A cell one of whose steps passes no gradient to its gates' sums."""

    def __init__(self, case: Case, skipped: int) -> None:
        super().__init__(case)
        self.skipped = skipped % case.seq_len

    def step_back_at(self, moment: Moment, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """The adjoint of a step."""
        d_z, d_c_previous = super().step_back_at(moment, by, d_m, d_c)
        return d_z * (moment.step != self.skipped), d_c_previous


def _weights(name: str, change: Callable[[Any, Case], Any]) -> Recalls:
    """A way back through other weights than the way forth."""
    return lambda one, case: one._replace(weights={**one.weights, name: change(one.weights[name], case)})


def _cut_recurrence(cut: Where) -> Recalls:
    return _weights("weight_hh", lambda weights, case: CutRecurrence(weights, case.seq_len, cut))


def _middle(step: int, steps: int) -> bool:
    return step == steps // 2


def _all_but_the_last(step: int, steps: int) -> bool:
    return step <= steps - 2


def _each_gate_transposed(weights: Any, case: Case) -> Any:
    del case
    return np.concatenate([gate.T for gate in np.split(weights, 4)])


def _narrow(one: Pass, case: Case) -> Pass:
    del case
    return one._replace(weights={name: rounded(array, BFLOAT16) for name, array in one.weights.items()})


def _recurrence_misses(block: int, name: str) -> Defect:
    return Defect(
        id=f"grad-recurrence-misses-{GATES[name]}",
        what=f"whose gradient does not flow through the {name} gate to the hidden state before",
        applies=lambda case: needs.gradients_into_a_past(case) and (name != "forget" or remembers_cell(case)),
        recalls=_weights("weight_hh", lambda weights, _: with_block(weights.T, block, 0.0).T),
    )


def _only_direction(suffix: str) -> Recalls:
    none = _weights("weight_ih", lambda weights, _: np.zeros_like(weights))
    return lambda one, case: one if one.time.suffix == suffix else none(one, case)


def _without_last_row(one: Pass, case: Case) -> Pass:
    x, h = one.x.reshape(case.seq_len, -1, one.x.shape[-1]).copy(), one.h.copy()
    x[:, -1] = h[:, -1] = 0
    return one._replace(x=x.reshape(one.x.shape), h=h)


def _h_after_each_step(one: Pass, case: Case) -> Pass:
    del case
    h = one.h.copy()
    h[one.time.before] = one.h[one.time.after]
    return one._replace(h=h)


def _h_without_the_first(one: Pass, case: Case) -> Pass:
    del case
    h = one.h.copy()
    h[one.time.start] = 0
    return one._replace(h=h)


DEFECTS = [
    Defect(
        id="grad-h-stops-at-each-step",
        what="whose gradient does not flow through the hidden state to the step before",
        stands_for="AiDotNet#722",
        applies=needs.gradients_into_a_past,
        recalls=_weights("weight_hh", lambda weights, _: np.zeros_like(weights)),
    ),
    Defect(
        id="grad-h-stops-at-one-step",
        what="whose gradient does not flow through the hidden state from the middle step to the one before",
        applies=lambda case: needs.gradients_of_every_step(case) and case.seq_len > 1,
        recalls=_cut_recurrence(_middle),
    ),
    Defect(
        id="grad-c-stops-at-one-step",
        what="whose gradient does not flow through the cell state from the middle step to the one before",
        applies=lambda case: needs.gradients_of_every_step(case) and case.seq_len > 1,
        cell=lambda case: Cut(case, _middle),
    ),
    Defect(
        id="grad-truncated-in-the-middle",
        what="whose gradient stops in the middle of the sequence",
        applies=lambda case: needs.gradients_of_every_step(case) and case.seq_len > 1,
        cell=lambda case: Cut(case, _middle),
        recalls=_cut_recurrence(_middle),
    ),
    Defect(
        id="grad-truncated-to-two-steps",
        what="whose gradient goes from the last step to the one before, and from no other step to any before",
        applies=lambda case: needs.gradients_of_every_step(case) and case.seq_len > 2,
        cell=lambda case: Cut(case, _all_but_the_last),
        recalls=_cut_recurrence(_all_but_the_last),
    ),
    *(_recurrence_misses(block, name) for block, name in enumerate(GATES)),
    Defect(
        id="grad-recurrence-transposed",
        what="whose gradient flows to the hidden state before through each gate's recurrent weights transposed",
        applies=lambda case: needs.gradients_into_a_past(case) and not case.proj_size and max(case.hidden_sizes) > 1,
        recalls=_weights("weight_hh", _each_gate_transposed),
    ),
    Defect(
        id="grad-misses-first-step",
        what="whose gradient leaves out the first step's gates",
        applies=needs.gradients_of_every_step,
        cell=lambda case: SkippedStep(case, 0),
    ),
    Defect(
        id="grad-misses-last-step",
        what="whose gradient leaves out the last step's gates",
        applies=needs.gradients_of_every_step,
        cell=lambda case: SkippedStep(case, -1),
    ),
    Defect(
        id="grad-weight_hh-from-h-after",
        what="whose gradient by the recurrent weights takes h for h'",
        applies=needs.gradients,
        recalls=_h_after_each_step,
    ),
    Defect(
        id="grad-weight_hh-misses-h_0",
        what="whose gradient by the recurrent weights leaves out the first step",
        applies=lambda case: needs.gradients_of_every_step(case) and given("h_0")(case),
        recalls=_h_without_the_first,
    ),
    Defect(
        id="grad-weights-miss-last-row",
        what="whose gradients by weight_ih and weight_hh leave out the last row",
        applies=needs.gradients_of_last_row,
        recalls=_without_last_row,
    ),
    Defect(
        id="grad-input-of-forward-only",
        what="whose gradients by what a layer reads are those of its forward direction alone",
        applies=needs.gradients_of_directions,
        recalls=_only_direction(""),
    ),
    Defect(
        id="grad-input-of-reverse-only",
        what="whose gradients by what a layer reads are those of its reverse direction alone",
        applies=needs.gradients_of_directions,
        recalls=_only_direction("_reverse"),
    ),
    Defect(
        id="grad-through-weights-in-bfloat16",
        what="whose way back goes through weights rounded to bfloat16",
        applies=lambda case: needs.gradients(case) and needs.single(case),
        recalls=_narrow,
    ),
]
