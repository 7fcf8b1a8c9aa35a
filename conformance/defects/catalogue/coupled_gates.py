"""Coupled gates and the forget bias that are not heeded, or meet another gate."""

from dataclasses import replace
from typing import Any

from conformance.cases.case import Case
from conformance.defects.catalogue.cells import coupled_to_forget
from conformance.defects.catalogue.needs import gradients
from conformance.defects.catalogue.optional import each, ignoring, made, of_cells
from conformance.defects.catalogue.parts import every, remembers_cell
from conformance.defects.defect import Defect
from reference.cell import Sensitivity, Step
from reference.onnx_cell import OnnxCell


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


DEFECTS: list[Defect] = [
    ignoring(
        "coupled", "whose forget gate is its own, not 1 - i", _couples, False, "onnx ReferenceEvaluator, OpenVINO"
    ),
    of_cells(
        "coupled-the-other-way",
        "whose input gate is 1 - f, where the forget gate should be 1 - i",
        lambda found, _: dict.fromkeys(found, coupled_to_forget()),
        lambda case: case.coupled_gates and case.model_copy(update={"coupled_gates": False}).is_plain,
    ),
    of_cells(
        "grad-not-through-coupled-gate",
        "whose gradient does not flow through the forget gate that follows the input gate",
        each(made(_UncoupledOnTheWayBack)),
        every(_couples, gradients),
    ),
    ignoring("forget_bias", "that adds no forget bias", _biased, 0.0),
    of_cells(
        "forget-bias-twice",
        "that adds its forget bias twice",
        each(lambda cell: replace(cell, forget_bias=2 * cell.forget_bias)),
        _biased,
    ),
    of_cells(
        "forget-bias-subtracted",
        "that subtracts its forget bias",
        each(lambda cell: replace(cell, forget_bias=-cell.forget_bias)),
        _biased,
    ),
    *(
        of_cells(
            f"forget-bias-of-{name}-gate",
            f"that adds its forget bias to the {name} gate",
            each(made(_elsewhere(gate))),
            _biased,
        )
        for gate, name in ((0, "input"), (2, "candidate"), (3, "output"))
    ),
]
