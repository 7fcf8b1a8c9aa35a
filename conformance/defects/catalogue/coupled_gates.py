"""Coupled gates and forget biases that are ignored or applied to the wrong gate."""

from dataclasses import replace
from typing import Any

from conformance.cases.case import Case
from conformance.defects.catalogue.cells import input_gate_from_forget_gate
from conformance.defects.catalogue.conditions import all_of, checks_gradients, has_previous_c
from conformance.defects.catalogue.option_cells import change_each, ignored_option, option_defect, with_class
from conformance.defects.catalogue.tensors import GATES
from conformance.defects.defect import Defect
from reference.cell import Sensitivity, Step
from reference.onnx_cell import OnnxCell


def _couples(case: Case) -> bool:
    return case.coupled_gates and has_previous_c(case)


def _only_couples(case: Case) -> bool:
    return case.coupled_gates and case.model_copy(update={"coupled_gates": False}).is_plain


def _has_forget_bias(case: Case) -> bool:
    return case.forget_bias != 0


class _GradientOfUncoupledGates(OnnxCell):
    """A cell whose gradient with respect to the input gate ignores that f = 1 - i."""

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        uncoupled = OnnxCell.sensitivity(replace(self, coupled=False), step, c_previous)
        return super().sensitivity(step, c_previous)._replace(c_by_i=uncoupled.c_by_i)


def _forget_bias_in(gate: int) -> type[OnnxCell]:
    class Biased(OnnxCell):
        """A cell that adds the forget bias to the pre-activation of another gate."""

        def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
            hidden = c_previous.shape[-1]
            z = z.copy()
            z[..., gate * hidden : (gate + 1) * hidden] += self.forget_bias
            z[..., hidden : 2 * hidden] -= self.forget_bias
            return super().step(z, c_previous)

    return Biased


DEFECTS: list[Defect] = [
    ignored_option(
        "coupled",
        "whose forget gate is computed separately, not as 1 - i",
        _couples,
        False,
        "onnx ReferenceEvaluator, OpenVINO",
    ),
    option_defect(
        "coupled-the-other-way",
        "whose input gate is 1 - f, where the forget gate should be 1 - i",
        lambda correct, _: dict.fromkeys(correct, input_gate_from_forget_gate()),
        _only_couples,
    ),
    option_defect(
        "grad-not-through-coupled-gate",
        "whose gradient does not flow through the forget gate, 1 - i, to the input gate",
        change_each(with_class(_GradientOfUncoupledGates)),
        all_of(_couples, checks_gradients),
    ),
    ignored_option("forget_bias", "that adds no forget bias", _has_forget_bias, 0.0),
    option_defect(
        "forget-bias-twice",
        "that adds its forget bias twice",
        change_each(lambda cell: replace(cell, forget_bias=2 * cell.forget_bias)),
        _has_forget_bias,
    ),
    option_defect(
        "forget-bias-subtracted",
        "that subtracts its forget bias",
        change_each(lambda cell: replace(cell, forget_bias=-cell.forget_bias)),
        _has_forget_bias,
    ),
    *(
        option_defect(
            f"forget-bias-of-{name}-gate",
            f"that adds its forget bias to the {name} gate",
            change_each(with_class(_forget_bias_in(gate))),
            _has_forget_bias,
        )
        for gate, name in enumerate(GATES)
        if name != "forget"
    ),
]
