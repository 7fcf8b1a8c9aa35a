"""Defects that appear only in a use: partial losses, frozen tensors, pieces, graphs, earlier calls, memory."""

from itertools import accumulate
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.cases.uses import RESULTS, EarlierCall, Graph, first_part
from conformance.defects.catalogue.changed_cells import CountingCell, Moment
from conformance.defects.catalogue.conditions import (
    Condition,
    all_of,
    checks_gradients,
    connected_layers,
    has_biases,
    has_steps,
    initial_state_of,
    several_features,
    several_layers,
    several_rows,
    uniform_layers,
)
from conformance.defects.catalogue.tensors import (
    Layers,
    change_tensors,
    in_layer,
    layer_of,
    move_in_parameters,
    move_in_states,
    move_in_steps,
    read_parameters,
)
from conformance.defects.catalogue.through_time import CutCellState, CutRecurrentWeights
from conformance.defects.defect import NOTHING, Arrays, Defect
from conformance.verdict.problem import kind_of
from reference.cell import Sensitivity, Step
from reference.layer import Pass

_PARAMETERS = ("weight", "bias", "peephole")
_left_behind = change_tensors(("h_0", "c_0"), lambda array, _: array + 0.25)


def _after(*words: EarlierCall) -> Condition:
    """Returns the condition that one of these earlier calls is made."""
    return lambda case: not set(words).isdisjoint(case.earlier_calls)


def _omits_state(case: Case) -> bool:
    return not case.gives_state


# --------------------------------------------------------------------------- gradients


def _ones_if_unread(tensors: Arrays, case: Case) -> Arrays:
    return {name: array if kind_of(name) in case.cotangents else np.ones_like(array) for name, array in tensors.items()}


def _frozen_layer(case: Case) -> int | None:
    """Returns the number of the first layer with a frozen parameter; None if there is none."""
    return min((layer_of(name) for name in case.frozen if name.startswith(_PARAMETERS)), default=None)


def _stop_at_frozen_layer(gradients: Arrays, case: Case) -> Arrays:
    """Zeroes the gradients of the input and of the parameters below a layer with a frozen parameter."""
    frozen = _frozen_layer(case) or 0

    def is_below(name: str) -> bool:
        return name == "input" or (name.startswith(_PARAMETERS) and layer_of(name) < frozen)

    return {name: np.zeros_like(array) if is_below(name) else array for name, array in gradients.items()}


def _zero_gradients(gradients: Arrays, case: Case) -> Arrays:
    del case
    return {name: np.zeros_like(array) for name, array in gradients.items()}


# --------------------------------------------------------------------------- pieces


def _boundaries(case: Case) -> list[int]:
    """Returns the first step of each piece but the first, or of the decoder."""
    return [first_part(case)] if case.graph == "encoder-decoder" else list(accumulate(case.chunks[:-1]))


class _ForgetfulCell(CountingCell):
    """A cell that starts each piece of the sequence, or the decoder, from a cell state of zero."""

    def step_at(self, moment: Moment, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """Computes a step, at the start of a piece from a cell state of zero."""
        starts = moment.step in _boundaries(self.case)
        return super().step_at(moment, z, np.zeros_like(c_previous) if starts else c_previous)

    def step_back_at(self, moment: Moment, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """Computes the adjoint of ``step_at``."""
        if moment.step in _boundaries(self.case):
            by = by._replace(c_by_f=np.zeros_like(by.c_by_f), c_by_previous=np.zeros_like(by.c_by_previous))
        return super().step_back_at(moment, by, d_m, d_c)


def _without_gradient_between_pieces(layer_pass: Pass, case: Case) -> Pass:
    boundaries = _boundaries(case)
    weights = CutRecurrentWeights(
        layer_pass.weights["weight_hh"], case.seq_len, lambda step, _: step in boundaries
    )  # fmt: skip
    return layer_pass._replace(weights={**layer_pass.weights, "weight_hh": weights})


# --------------------------------------------------------------------------- graphs


def _graph(word: Graph) -> Condition:
    """Returns the condition that the graph of a case is of one kind."""
    return lambda case: case.graph == word


def _second_call_without_state(layers: Layers, case: Case) -> Layers:
    """Reads zeros in the rows of the second call."""
    read = [layer.copy() for layer in layers]
    for layer in read:
        layer[:, first_part(case) :] = NOTHING
    return read


def _other_direction(name: str, case: Case) -> str:
    """Returns the parameter of the first LSTM in place of that of the second."""
    del case
    return name.removesuffix("_reverse")


# --------------------------------------------------------------------------- sizes


def _only_first_steps(array: Any, steps: int) -> Any:
    read = np.full_like(array, NOTHING)
    read[:steps] = array[:steps]
    return read


def _rows_modulo(array: Any, rows: int) -> Any:
    return array[:, np.arange(array.shape[1]) % rows]


def _few_rows(case: Case) -> int:
    return max(1, (case.rows or 1) // 2)


def _few_steps(case: Case) -> int:
    return max(1, case.seq_len // 2)


# --------------------------------------------------------------------------- memory


def _in_memory_order(array: Any) -> Any:
    """Reads a transposed array in the order of its memory, as if it were contiguous."""
    return array.T.ravel().reshape(array.shape)


def _strides_ignored(numbers: Arrays, case: Case) -> Arrays:
    del case
    return {"input": _in_memory_order(numbers["input"])}


def _only_first_row(layers: Layers, case: Case) -> Layers:
    del case
    read = [np.full_like(layer, NOTHING) for layer in layers]
    for target, layer in zip(read, layers, strict=True):
        target[:, :1] = layer[:, :1]
    return read


def _rolled(layers: Layers, case: Case) -> Layers:
    del case
    return [np.roll(layer, -1, axis=1) for layer in layers]


def _left_behind_by_rows_before(array: Any, case: Case) -> Any:
    del case
    return array + 0.25 * (np.arange(array.shape[-2]) > 0)[:, None]


DEFECTS = [
    Defect(
        id="unread-results-have-cotangents",
        what="that uses ones as the cotangent of a result that the loss does not read",
        requires=all_of(checks_gradients, lambda case: len(case.cotangents) < len(RESULTS)),
        cotangents=_ones_if_unread,
    ),
    Defect(
        id="gradient-stops-at-frozen-layer",
        what="whose gradient does not flow through a layer with a frozen parameter",
        requires=all_of(checks_gradients, lambda case: _frozen_layer(case) is not None),
        gradients=_stop_at_frozen_layer,
    ),
    Defect(
        id="one-given-state-ignored",
        what="that ignores an initial state if the other one is not given",
        requires=all_of(has_steps, lambda case: len(case.given_states) == 1),
        reads=move_in_states("h_0", "c_0", move=lambda layers, _: [np.full_like(layer, NOTHING) for layer in layers]),
    ),
    Defect(
        id="built-length-baked-in",
        what="that reads only as many steps as it was built for, and zeros after them",
        requires=lambda case: has_steps(case) and 0 < (case.built_seq_len or 0) < case.seq_len,
        reads=move_in_steps("input", lambda array, case: _only_first_steps(array, case.built_seq_len or case.seq_len)),
    ),
    Defect(
        id="built-batch-baked-in",
        what="that reads only as many rows as it was built for, and these again in place of the others",
        requires=lambda case: has_steps(case) and 0 < (case.built_batch or 0) < (case.rows or 1),
        reads=move_in_steps("input", lambda array, case: _rows_modulo(array, case.built_batch or 1)),
    ),
    Defect(
        id="chunks-drop-c",
        what="that starts each piece of the sequence from a cell state of zero",
        requires=lambda case: len(case.chunks) > 1,
        cell=_ForgetfulCell,
    ),
    Defect(
        id="second-call-rereads-first-rows",
        what="whose second call in a graph reads the rows of the first again",
        requires=all_of(has_steps, _graph("twice")),
        reads=move_in_steps("input", lambda array, case: _rows_modulo(array, first_part(case))),
    ),
    Defect(
        id="second-call-starts-from-zero",
        what="whose second call in a graph starts from zeros instead of the initial states",
        requires=all_of(_graph("twice"), initial_state_of("h_0", "c_0")),
        reads=move_in_states("h_0", "c_0", move=_second_call_without_state),
    ),
    Defect(
        id="decoder-without-c",
        what="whose decoder starts from a cell state of zero",
        requires=_graph("encoder-decoder"),
        cell=_ForgetfulCell,
    ),
    Defect(
        id="grad-stops-at-decoder",
        what="whose gradient does not flow from the decoder to the encoder",
        requires=all_of(_graph("encoder-decoder"), checks_gradients),
        cell=lambda case: CutCellState(case, lambda step, _: step in _boundaries(case)),
        saved=_without_gradient_between_pieces,
    ),
    Defect(
        id="constants-of-first-lstm",
        what="whose second LSTM in a graph has the weights and biases of the first",
        requires=all_of(has_steps, _graph("parallel")),
        reads=read_parameters(*_PARAMETERS, source=_other_direction),
    ),
    Defect(
        id="grad-stops-between-chunks",
        what="whose gradient does not flow from one piece of the sequence to the previous one",
        requires=lambda case: len(case.chunks) > 1 and checks_gradients(case),
        cell=lambda case: CutCellState(case, lambda step, _: step in _boundaries(case)),
        saved=_without_gradient_between_pieces,
    ),
    Defect(
        id="state-kept-between-calls",
        what="that starts from the states that an earlier call left behind",
        represents="tensorflow#47813",
        requires=all_of(_omits_state, lambda case: bool(case.earlier_calls)),
        shifts=_left_behind,
    ),
    Defect(
        id="cache-keyed-without-length",
        what="that reads only as many steps as an earlier, shorter call had, and zeros after them",
        requires=all_of(has_steps, _after("shorter"), lambda case: case.seq_len > 1),
        reads=move_in_steps("input", lambda array, case: _only_first_steps(array, _few_steps(case))),
    ),
    Defect(
        id="cache-keyed-without-batch",
        what="that reads only as many rows as an earlier, smaller batch had, and these again in place of the others",
        requires=all_of(has_steps, _after("fewer-rows"), several_rows),
        reads=move_in_steps("input", lambda array, case: _rows_modulo(array, _few_rows(case))),
    ),
    Defect(
        id="dropout-of-earlier-mode",
        what="that still drops nothing in training, after a call in inference",
        requires=all_of(_after("other-mode"), connected_layers, lambda case: case.drops and case.dropout > 0),
        dropout_masks=lambda masks, _: {name: mask for name, mask in masks.items() if not name.startswith("l")},
    ),
    Defect(
        id="no-gradients-after-no-grad",
        what="whose gradients are zero after a call without gradients",
        requires=all_of(_after("no-grad"), checks_gradients),
        gradients=_zero_gradients,
    ),
    Defect(
        id="weights-of-earlier-call",
        what="that computes with the weights that it had in an earlier call",
        requires=all_of(has_steps, _after("other-weights")),
        shifts=change_tensors(_PARAMETERS, lambda array, _: -array),
    ),
    Defect(
        id="saved-layers-in-reverse",
        what="that loads its layers from a file in reverse order",
        requires=all_of(has_steps, several_layers, uniform_layers, lambda case: case.saved),
        reads=read_parameters(
            *_PARAMETERS, source=lambda name, case: in_layer(name, case.num_layers - 1 - layer_of(name))
        ),
    ),
    Defect(
        id="saved-without-biases",
        what="that loads no biases from a file",
        requires=all_of(has_steps, has_biases, lambda case: case.saved),
        reads=move_in_parameters("bias", move=lambda array, _: np.full_like(array, NOTHING)),
    ),
    Defect(
        id="strides-ignored",
        what="that reads a transposed input in the order of its memory",
        requires=all_of(has_steps, several_features, lambda case: case.memory == "strided"),
        reads=_strides_ignored,
    ),
    Defect(
        id="broadcast-state-read-as-contiguous",
        what="that reads a broadcast state as an array of one row, and zeros after it",
        requires=all_of(several_rows, initial_state_of("h_0", "c_0"), lambda case: case.memory == "expanded"),
        reads=move_in_states("h_0", "c_0", move=_only_first_row),
    ),
    Defect(
        id="aliased-states-overwritten",
        what="that updates h and c in place in one array if h_0 and c_0 share their memory",
        requires=lambda case: case.memory == "aliased",
        writes=lambda numbers, _: {f"c_n{name[3:]}": numbers[name] for name in numbers if name.startswith("h_n")},
    ),
    Defect(
        id="state-kept-between-rows",
        what="that starts each row, passed alone, from the states that the row before left behind",
        requires=all_of(_omits_state, several_rows, lambda case: case.batching == "alone"),
        shifts=change_tensors(("h_0", "c_0"), _left_behind_by_rows_before),
    ),
    Defect(
        id="states-of-rows-in-first-order",
        what="that keeps the initial states in the first order of the rows if their order changes",
        requires=all_of(
            has_steps, several_rows, initial_state_of("h_0", "c_0"), lambda case: case.batching == "permuted"
        ),
        reads=move_in_states("h_0", "c_0", move=_rolled),
    ),
]
