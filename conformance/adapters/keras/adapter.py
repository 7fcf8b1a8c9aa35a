"""Base of the adapters of ``keras.layers.LSTM`` on every back end."""

from collections.abc import Mapping, Set
from functools import cache
from typing import ClassVar

import numpy as np

from conformance.adapters import arrays, graph, uses
from conformance.adapters.adapter import HALF, Adapter, Solution
from conformance.adapters.earlier_calls import make_earlier_calls
from conformance.adapters.keras import common as _keras
from conformance.adapters.keras import dropout
from conformance.adapters.keras import loss as _loss
from conformance.adapters.keras.functions import StackFunction, StackInputs
from conformance.adapters.keras.network import NetworkBuilder
from conformance.adapters.layout import KERAS, Layout
from conformance.cases.case import Case
from conformance.verdict.problem import Problem, Tensors, make_problem
from conformance.verdict.random_arrays import Array
from reference import Dialect

USES = frozenset(
    {"partial loss", "frozen", "built for another length", "built for another batch", "chunks", "repeated call",
     "after other lengths", "after other batches", "after the other mode", "after no-grad", "after an error",
     "after other weights", "saved", "rows alone", "rows permuted", "other threads"}
) | graph.USES  # fmt: skip
"""Uses of a layer on any back end."""
ARGUMENTS = frozenset({"empty sequence", "empty batch", "wrong input", "wrong state"})
"""Empty and wrong arguments, of which the back ends for training are given some."""
DERIVATIVES = frozenset({"forward derivatives", "second derivatives"})
"""Uses of a back end that differentiates in forward mode, and twice."""
GRADIENT_USES = frozenset({"partial loss", "frozen", "after no-grad"}) | DERIVATIVES
"""Uses that a back end without gradients lacks."""


class KerasAdapter(NetworkBuilder, Adapter):
    """Base of the adapters of ``keras.layers.LSTM`` and ``Bidirectional``. A subclass chooses the back end."""

    path: ClassVar[str]
    """Entry of ``describe`` on how the adapter calls the layers."""
    handling: ClassVar[Mapping[str, str]] = {
        "stacked": "one layer after the other; for two directions, each in Bidirectional(merge_mode='concat'), with a "
        "backward_layer if the directions differ in their number of units",
        "lengths": "mask",
        "time-major": "input, output and their gradients are transposed: Keras has (batch, time, features) only",
    }
    """Entries of ``describe`` on how the adapter handles layers, lengths and the time axis."""

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "bidirectional", "sizes per direction", "reverse", "lengths", "left mask",
         "holed mask", "no bias", "batch first", "state omitted", "activations", "input dropout", "gradients",
         "float64", "float32", "float16", "bfloat16"}
    ) | USES  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "dropout": "keras.layers.LSTM(dropout=…) drops elements of the layer's input, not between layers",
        "recurrent dropout": "keras.layers.LSTM(recurrent_dropout=…) draws a mask for each gate, not one for all gates",
        "activations per direction": "both directions of Bidirectional are driven with the same activations",
        "one state given": "keras.layers.LSTM takes h_0 and c_0 together",
        **dict.fromkeys(
            ("strided memory", "expanded states", "aliased states", "read-only memory"),
            "the layer's arguments are tensors of the back end, which the adapter copies",
        ),
        "wrong dtype": "Keras casts an input to the layer's dtype, see autocast",
        "wrong lengths": "Keras has masks",
    }
    layout: ClassVar[Layout] = KERAS

    def supports(self, case: Case) -> str | None:
        """Also refuses stacks of reverse layers, activations that Keras lacks and 16-bit dtypes that do not run."""
        if reason := super().supports(case):
            return reason
        if case.direction == "reverse" and len(self.layer_groups(case)) > 1:
            return "a layer with go_backwards=True passes its output to the next layer in processing order"
        if case.activations[1::3] != case.activations[2::3]:
            return "keras.layers.LSTM has a single activation for the candidate and for the cell state in the output"
        if lacking := [name for name in case.activations if name not in self.activations]:
            return f"Keras has no activation {lacking[0]} with the suite's constants"
        if reason := arrays.refuse_frozen(case, self.layout or KERAS):
            return reason
        return _refusal(type(self), case.dtype) if case.dtype in HALF else None

    def describe(self) -> dict[str, str]:
        """Returns versions, device and threads, and how the adapter handles layers, lengths and the time axis."""
        keras = self.backend.keras()
        return {keras.__name__: keras.__version__, **self.backend.describe(), "path": self.path, **self.handling}

    def solve(self, problem: Problem) -> Solution:
        """Makes the earlier calls, then runs all layers and, if the case compares gradients, differentiates them."""
        make_earlier_calls(problem, self._run)
        results = self._run(problem, "gradients" in problem.case.check)
        if problem.case.has_direction:
            results |= self._differentiate_along_direction(problem)
        return {name: results[name] for name in problem.expected_shapes()}

    def _run(self, problem: Problem, differentiates: bool) -> dict[str, Array]:
        """Runs all layers, and differentiates through all of them if asked to. Returns the results by name."""
        loss = self._make_loss(problem) if differentiates else None
        targets, gradients = self.backend.run(*self._stack_and_inputs(problem), loss)
        results = _loss.results(problem.case, targets)
        return results if loss is None else {**results, **_loss.gradients(problem, gradients, loss.trained)}

    def _differentiate_along_direction(self, problem: Problem) -> dict[str, Array]:
        """Returns the derivatives ``jvp`` and ``hvp`` that a case compares, by name."""
        case = problem.case
        direction = [self.backend.to_tensor(tangent, case.dtype) for tangent in _loss.tangents(problem)]
        found: dict[str, Array] = {}
        if "jvp" in case.check:
            targets = self.backend.forward_derivatives(*self._stack_and_inputs(problem), direction)
            found |= {f"jvp.{name}": array for name, array in _loss.results(case, targets).items()}
        if "hvp" in case.check:
            loss = self._make_loss(problem)
            products = self.backend.second_derivatives(*self._stack_and_inputs(problem), loss, direction)
            named = _loss.gradients(problem, products, loss.trained)
            found |= {f"hvp.{name.removeprefix('grad.')}": array for name, array in named.items()}
        return found

    def _stack_and_inputs(self, problem: Problem) -> tuple[StackFunction, StackInputs]:
        """Returns the function that runs all layers as a case says, and its arguments."""
        case, model, given = problem.case, problem.case.model, uses.arguments(problem)
        x = self.backend.to_tensor(arrays.batch_major(given["input"], case), case.dtype)
        initial = given if case.gives_state else None
        states = [
            [self.backend.to_tensor(state, case.dtype) for state in arrays.states(initial, model, layer)]
            for layer in range(model.num_layers)
        ]
        masks = [] if problem.mask is None else [self.backend.to_mask(np.array(problem.mask.T, order="C"))]
        stack, weights = self.build_stack(problem)
        return self.use_stack(stack, case), (x, states, weights, masks)

    def _make_loss(self, problem: Problem) -> _loss.Loss:
        read = _loss.cotangents(problem)
        cotangents = [None if each is None else self.backend.to_tensor(each, problem.case.dtype) for each in read]
        return _loss.Loss(cotangents, _loss.trained_sources(problem))

    def dialect(self, case: Case) -> Dialect:
        """Returns Keras' dialect. A single direction repeats its last valid output over the padding.

        Bidirectional writes 0 there. On go_backwards, Keras documents: "process the input sequence backwards and
        return the reversed sequence".
        """
        return Dialect(
            padding="zero" if case.direction == "bidirectional" else "repeat", reverse_output="processing"
        )  # fmt: skip

    def dropout_masks(self, problem: Problem) -> Tensors:
        """Returns the masks that the cells draw. If everything or nothing is dropped, returns the problem's masks."""
        is_drawn = problem.case.drops and problem.case.input_dropout not in (0, 1)
        return dropout.draw_masks(self, problem) if is_drawn else problem.dropout_masks

    def unsupported_dtype_errors(self) -> tuple[type[Exception], ...]:
        """Returns the exceptions that the back end raises for an unsupported dtype."""
        return self.backend.unsupported_dtype_errors()


@cache
def _refusal(kind: type[KerasAdapter], dtype: str) -> str | None:
    """Returns the back end's error if it does not run the layer in a 16-bit dtype on this machine, or None."""
    adapter = kind()
    small = {"input_size": 3, "hidden_size": 4, "num_layers": 2, "seq_len": 3, "batch": 2}
    check = [name for name in ("output", "gradients") if name == "output" or name in kind.features]
    try:
        adapter.solve(make_problem(Case.model_validate(small | {"dtype": dtype, "check": check})))
    except adapter.unsupported_dtype_errors() as error:
        return f"{kind.name} on this processor, in {dtype}: {_keras.error_line(error)}"
    return None
