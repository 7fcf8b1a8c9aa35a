"""Defects that divergences behave like: those of the catalogue, and some that are specific to one implementation.

Unlike those of the catalogue, a specific defect may depend on the problem's numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Arrays, Defect
from conformance.defects.solve import solve
from conformance.known import arguments, exports, layers, padding
from conformance.verdict.problem import Problem
from reference import Dialect
from reference.activations import ACTIVATIONS, Activation, between
from reference.cell import Cell
from reference.layer import Pass, Time
from reference.onnx_cell import OnnxCell

_CATALOGUE = {defect.id: defect for defect in CATALOGUE}
_ACTIVATED = ("input_gate", "forget_gate", "candidate", "output_gate", "cell_state")
"""Fields of a cell that hold an activation."""

_LARGEST = float(np.finfo(np.float32).max)

Mechanisms = Callable[[Problem, Dialect], dict[str, Any]]
"""Function of a problem and a dialect that returns fields of ``Defect``."""


@dataclass(frozen=True)
class SpecificDefect:
    """A defect of one implementation.

    Attributes:
        what: clause that completes "behaves exactly like an LSTM …".
        mechanisms: fields of the ``Defect`` on a problem.
    """

    what: str
    mechanisms: Mechanisms


def make_defect(name: str, problem: Problem, dialect: Dialect) -> Defect:
    """Returns the defect with a name, set up for a problem."""
    if name in _CATALOGUE:
        return _CATALOGUE[name]
    specific = SPECIFIC[name]
    return Defect(id=name, what=specific.what, **specific.mechanisms(problem, dialect))


def descriptions() -> dict[str, str]:
    """Returns the clause that describes each defect, by name."""
    what = {name: defect.what for name, defect in _CATALOGUE.items()}
    return what | {name: defect.what for name, defect in SPECIFIC.items()}


# --------------------------------------------------------------------------- steps


class _EndsAfterFirstStep(Time):
    """Step order in which the final state is that after the first step."""

    def __init__(self, steps: int, suffix: str) -> None:
        super().__init__(steps, suffix)
        self.end = self.order[0] + self.offset


def _reverse_output_of_layers(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    if problem.case.num_layers == 1:
        return {"writes": _CATALOGUE["reverse-output-in-order-of-processing"].writes}
    return layers.layer_by_layer(layers.reverse_output_of_second_direction)(problem, dialect)


# --------------------------------------------------------------------------- gates


def _forget_gate_and_candidate_exchanged_in_gradient(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    del problem, dialect

    def saved(one: Pass, case: Case) -> Pass:
        del case
        return one._replace(weights={name: _exchanged(name, array) for name, array in one.weights.items()})

    def gradients(found: Arrays, case: Case) -> Arrays:
        del case
        return {name: _exchanged(name, array) for name, array in found.items()}

    return {"saved": saved, "gradients": gradients}


def _exchanged(name: str, array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Exchanges the forget gate and the candidate of a parameter. Other tensors stay the same."""
    if not name.startswith(("weight_ih", "weight_hh", "bias")):
        return array
    i, f, g, o = np.split(array, 4)
    return np.concatenate([i, g, f, o])


class _Matrix(NamedTuple):
    """Peephole weights (H,) whose product with the cell states of H rows (H, H) is that of matrices."""

    weights: NDArray[np.float64]

    def __mul__(self, state: Any) -> Any:
        return self.weights @ state


class _PeepholesAsMatrices(OnnxCell):
    def _peepholes(self) -> Any:
        return [_Matrix(weights) for weights in super()._peepholes()]


def _peepholes_as_matrices(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Changes the forward pass, and no network whose numbers of rows and units differ, where the product fails."""
    del dialect
    if set(problem.case.hidden_sizes) != {problem.case.rows}:
        return {}

    def cells(found: Mapping[str, Any], case: Case) -> dict[str, Cell]:
        del case
        return {suffix: _PeepholesAsMatrices(**vars(cell)) for suffix, cell in found.items()}

    return {"cells": cells}


def _weight_hh_from_h_after_in_last_layers(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Changes the last layer, and the first one if its input has another size: a primitive has inputs of one size."""
    model = problem.case.model
    numbers = {model.num_layers - 1} | ({0} if model.input_size != model.output_size(0) else set())
    wrong = [f"weight_hh_l{number}" for number in numbers]

    def gradients(found: Arrays, case: Case) -> Arrays:
        del case
        of_all = solve(_CATALOGUE["grad-weight_hh-from-h-after"], problem, dialect)
        return found | {name: of_all[f"grad.{name}"] for name in wrong}

    return {"gradients": gradients}


# --------------------------------------------------------------------------- NaN


def _nan_as(number: float, group: int = 1) -> Mechanisms:
    """Returns mechanisms that replace NaN in the arguments of the gates and the candidate.

    Args:
        number: what replaces NaN.
        group: number of units that are computed together. NaN stays in the units that do not fill a group.
    """

    def mechanisms(problem: Problem, dialect: Dialect) -> dict[str, Any]:
        del dialect
        units = problem.case.hidden_sizes[0]
        replaced = np.arange(units) < units - units % group

        def change(activation: Activation) -> Activation:
            def value(z: Any) -> Any:
                every = np.resize(replaced, z.shape[-1])  # z holds one gate or all of them.
                return activation.value(np.where(np.isnan(z) & every, number, z))

            return replace(activation, value=value)

        return _with_activations(change, _ACTIVATED[:-1])

    return mechanisms


# --------------------------------------------------------------------------- precision


def _hard_sigmoid_slope_in_float32(activation: Activation) -> Activation:
    slope = float(np.float32(1 / 6))
    return replace(activation, slope=lambda y: between(y, 0.0, 1.0) * slope)


def _in_float32(activation: Activation) -> Activation:
    return replace(activation, value=lambda z: np.float64(np.float32(activation.value(z))))


def _with_activation(name: str, change: Callable[[Activation], Activation]) -> Mechanisms:
    """Returns mechanisms that change one activation in every place where a cell uses it."""

    def mechanisms(problem: Problem, dialect: Dialect) -> dict[str, Any]:
        del problem, dialect
        return _with_activations(lambda found: change(found) if found.name == name else found)

    return mechanisms


def _with_activations(change: Callable[[Activation], Activation], places: Sequence[str] = _ACTIVATED) -> dict[str, Any]:
    """Returns mechanisms that change the activations in some places of all cells."""

    def cells(found: Mapping[str, Cell], case: Case) -> dict[str, Cell]:
        del case
        return {
            suffix: replace(cell, **{place: change(getattr(cell, place)) for place in places})
            for suffix, cell in found.items()
        }

    return {"cells": cells}


def _all_others_as_relu(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    del problem, dialect
    return _with_activations(lambda found: found if found.name in ("sigmoid", "tanh") else ACTIVATIONS["relu"])


def _all_in_float32(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    del problem, dialect
    return {"lift": lambda array: np.asarray(array, np.float32)}


SPECIFIC: Mapping[str, SpecificDefect] = {
    "initial-state-shown": SpecificDefect(
        "whose output is h_0 at masked steps before the first valid one", padding.show_initial_state
    ),
    "output-masked-back-to-front": SpecificDefect(
        "whose output repeats at masked steps, and is then set to 0 by the mask, which the reverse direction reads "
        "last step first",
        padding.mask_output_back_to_front,
    ),
    "padding-repeated": SpecificDefect("whose output repeats in the padding", padding.repeat_in_padding),
    "empty-rows-run-on": SpecificDefect(
        "whose rows of length 0 run over all of their padding, in every layer", padding.run_empty_rows
    ),
    "empty-rows-run-on-with-zero-output": SpecificDefect(
        "whose rows of length 0 run over all of their padding, while every layer's output is 0 there",
        padding.run_empty_rows_with_zero_output,
    ),
    "h_0-missing-in-gradient-of-padded-rows": SpecificDefect(
        "whose gradient of the reverse recurrent weights lacks the contribution of h_0 in padded rows",
        padding.omit_h_0_in_gradient,
    ),
    "forget-gate-and-candidate-exchanged-in-gradient": SpecificDefect(
        "whose gradient exchanges the forget gate and the candidate: it reads the weights of the one for those of the "
        "other, and returns their gradients in each other's place",
        _forget_gate_and_candidate_exchanged_in_gradient,
    ),
    "steps-and-rows-joined": SpecificDefect(
        "whose output joins steps and rows in one axis", exports.join_steps_and_rows
    ),
    "final-states-of-last-layer-only": SpecificDefect(
        "that returns the final states of its last layer only", exports.keep_last_layer
    ),
    "peepholes-as-matrices": SpecificDefect(
        "whose peepholes are multiplied by the cell states of all rows as matrices", _peepholes_as_matrices
    ),
    "unbatched-results-repeated": SpecificDefect(
        "that returns the results of an unbatched input once for each feature", exports.repeat_unbatched
    ),
    "grad-weight_hh-from-h-after-in-last-layers": SpecificDefect(
        "whose gradient with respect to the recurrent weights uses h_t instead of h_{t-1} in the last layer, and in "
        "the first one if its input has another size",
        _weight_hh_from_h_after_in_last_layers,
    ),
    "strides-of-rows-ignored": SpecificDefect(
        "that reads each row of its input and initial states in the order of memory, whatever its strides",
        arguments.ignore_strides_of_rows,
    ),
    "gradients-of-states-added": SpecificDefect(
        "whose gradients of h_0 and c_0 are both the sum of the two", arguments.add_gradients_of_states
    ),
    "steps-read-as-rows": SpecificDefect(
        "that takes the steps of a single row for rows of one step each, which start from its initial state",
        exports.read_steps_as_rows,
    ),
    "empty-output-without-width": SpecificDefect(
        "whose output has one row and one unit if there are no steps", exports.empty_output_without_width
    ),
    "earlier-calls-continued": SpecificDefect(
        "that starts from the final states of the call before, and the first call from zeros",
        arguments.continue_earlier_calls,
    ),
    "only-first-step": SpecificDefect(
        "that runs one step: each direction reads the first one in its order", exports.run_first_step
    ),
    "final-states-after-first-step": SpecificDefect(
        "whose final states are those after the first step of each direction",
        lambda *_: {"clock": _EndsAfterFirstStep},
    ),
    "reverse-output-of-layers-in-order-of-processing": SpecificDefect(
        "whose reverse direction returns its output in the order of processing, last time step first, in every layer",
        _reverse_output_of_layers,
    ),
    "padded-steps-shown": SpecificDefect(
        "whose layers return, at padded steps, what the cell computes there from the state that the row keeps",
        layers.layer_by_layer(layers.show_padded_steps),
    ),
    "batch-read-as-time": SpecificDefect(
        "that takes the axes of batch-first tensors for those of time-major ones", exports.read_batch_as_time
    ),
    "nan-as-infinity": SpecificDefect("whose gates and candidate take NaN for infinity", _nan_as(_LARGEST)),
    "nan-as-minus-infinity": SpecificDefect("whose gates and candidate take NaN for -infinity", _nan_as(-_LARGEST)),
    "nan-as-minus-infinity-in-groups-of-four-units": SpecificDefect(
        "whose gates and candidate take NaN for -infinity in each group of four units, but not in the units after them",
        _nan_as(-_LARGEST, group=4),
    ),
    "hard-sigmoid-slope-in-float32": SpecificDefect(
        "whose gradient of hard_sigmoid has the slope 1/6 rounded to float32",
        _with_activation("hard_sigmoid_6", _hard_sigmoid_slope_in_float32),
    ),
    "tanh-in-float32": SpecificDefect("whose tanh is rounded to float32", _with_activation("tanh", _in_float32)),
    "sigmoid-in-float32": SpecificDefect(
        "whose sigmoid is rounded to float32", _with_activation("sigmoid", _in_float32)
    ),
    "activations-as-relu": SpecificDefect(
        "whose activations other than sigmoid and tanh are replaced by relu", _all_others_as_relu
    ),
    "input-quantized-with-padding": SpecificDefect(
        "that rounds its input to 256 values between the smallest and the largest element, of which some are padding",
        arguments.quantize_input_with_padding,
    ),
    "weights-transposed-twice": SpecificDefect(
        "whose weight matrices are transposed, and the result transposed again as if it still had the original shape",
        arguments.transpose_weights_twice,
    ),
    "all-in-float32": SpecificDefect("that computes in float32", _all_in_float32),
}
"""Specific defects by name."""
