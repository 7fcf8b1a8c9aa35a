"""What the adapters of ``keras.layers.LSTM`` share, whatever its backend: layers in, a solution out."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence, Set
from functools import cache
from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import arrays
from conformance.adapters.adapter import HALF, Adapter, Solution
from conformance.adapters.keras import common as _keras
from conformance.adapters.layout import KERAS, Layout
from conformance.cases.case import Case
from conformance.verdict.problem import Problem, make_problem
from conformance.verdict.problem import Tensors as Named
from reference import Dialect

Array = NDArray[np.floating]
Tensors = list[Any]
Nested = Sequence[Sequence[Any]]
Call = Callable[[Any, Tensors, Tensors, Tensors], Sequence[Any]]
"""One layer: sequence, weights, initial states and masks (the last two may be empty) to sequence and final states."""
Stack = Callable[[Any, Nested, Nested, Tensors], Tensors]
"""All layers: sequence, states and weights of each layer, and masks, to sequence and all final states."""
Given = tuple[Any, Nested, Nested, Tensors]
"""What a stack is called with."""
Group = tuple[int, ...]
"""The layers that one Keras layer stands for: one, or all where they are stacked cells."""


class KerasAdapter(Adapter):
    """Drives ``keras.layers.LSTM`` and ``Bidirectional``. A backend says how to make, run and differentiate them."""

    options: ClassVar[Mapping[str, Any]] = {}
    """Further arguments of each layer."""
    around: ClassVar[Mapping[str, str]] = {
        "stacked": "one layer after the other; Bidirectional(merge_mode='concat') around each where both ways",
        "lengths": "mask",
        "time-major": "input, output and their gradients are transposed: Keras has (batch, time, features) only",
    }
    """What the adapter does around the layers, for ``describe``."""

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "bidirectional", "reverse", "lengths", "left mask", "holed mask", "no bias",
         "batch first", "state omitted", "activations", "input dropout", "gradients",
         "float64", "float32", "float16", "bfloat16"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "dropout": "keras.layers.LSTM(dropout=…) drops the layer's own input, not what passes between layers",
        "recurrent dropout": "keras.layers.LSTM(recurrent_dropout=…) draws a mask for each gate, not one for all",
        "activations per direction": "Bidirectional makes both directions from one layer",
    }
    layout: ClassVar[Layout] = KERAS
    activations: ClassVar[Mapping[str, str]] = _keras.ACTIVATIONS
    """What Keras calls those that it has, in the suite's words."""

    def supports(self, case: Case) -> str | None:
        """Layers of any sizes, forward, bidirectional or a single reverse one, with masks."""
        if reason := super().supports(case):
            return reason
        if case.direction == "reverse" and len(self.groups(case)) > 1:
            return "a layer with go_backwards=True hands its output on in processing order"
        if case.activations[1::3] != case.activations[2::3]:
            return "keras.layers.LSTM has one activation for the candidate and for the cell state on its way out"
        if lacking := [name for name in case.activations if name not in self.activations]:
            return f"Keras has no activation {lacking[0]} with the suite's constants"
        return _refusal(type(self), case.dtype) if case.dtype in HALF else None

    def solve(self, problem: Problem) -> Solution:
        """Runs the stack and, where gradients are wanted, differentiates through all of it."""
        case, model = problem.case, problem.case.model
        x = self.tensor(arrays.batch_major(problem.input, case), case.dtype)
        states = [
            [self.tensor(state, case.dtype) for state in arrays.states(problem.initial_state, model, layer)]
            for layer in range(model.num_layers)
        ]
        masks = [] if problem.mask is None else [self.mask(np.array(problem.mask.T, order="C"))]
        stack, weights = self.stack(problem)
        cotangents = None
        if "gradients" in case.check:
            cotangents = [self.tensor(cotangent, case.dtype) for cotangent in _cotangents(problem)]
        targets, gradients = self.run(stack, (x, states, weights, masks), cotangents)

        results = {"output": arrays.batch_major(targets[0], case)}
        width = 2 * model.num_directions
        finals = [targets[1 + width * layer :][:width] for layer in range(model.num_layers)]
        results |= arrays.stacked(model, "h_n", [final[0::2] for final in finals])
        results |= arrays.stacked(model, "c_n", [final[1::2] for final in finals])
        if cotangents is not None:
            results |= _gradients(problem, gradients)
        return {name: results[name] for name in problem.expected_shapes()}

    def dialect(self, case: Case) -> Dialect:
        """A single direction repeats its last valid output over the padding; Bidirectional writes 0 there.

        go_backwards: "process the input sequence backwards and return the reversed sequence".
        """
        return Dialect(
            padding="zero" if case.direction == "bidirectional" else "repeat", reverse_output="processing"
        )  # fmt: skip

    def dropout_masks(self, problem: Problem) -> Named:
        """The cells' own; of all there is one mask only."""
        case = problem.case
        if not case.drops or case.input_dropout in (0, 1):
            return problem.dropout_masks
        masks = {}
        for group in self.groups(case):
            cells = self.cells(self.key(case, group), group[0])
            for (layer, suffix), cell in zip(product(group, case.model.suffixes), cells, strict=True):
                read = (case.rows or 1, case.model.layer_input_size(layer))
                dropped = self.dropped(cell, self.tensor(np.ones(read), case.dtype))
                masks[f"input_l{layer}{suffix}"] = np.where(dropped, 0.0, 1.0 / (1.0 - case.input_dropout))
        return masks

    def stack(self, problem: Problem) -> tuple[Stack, Nested]:
        """All layers as one function, and the weights of each as what it is differentiated for."""
        case = problem.case
        groups = self.groups(case)
        if case.drops:
            _keras.restart([cell for group in groups for cell in self.cells(self.key(case, group), group[0])])
        made = [
            self.layer(
                self.key(case, group), group[0], [array for layer in group for array in layer_weights(problem, layer)]
            )
            for group in groups
        ]

        def call(x: Any, states: Nested, weights: Nested, masks: Tensors) -> Tensors:
            joined = [[state for layer in group for state in states[layer]] for group in groups]
            return self.chain([one for one, _ in made], x, joined, weights, masks)

        return call, [weights for _, weights in made]

    def chain(self, calls: Sequence[Call], x: Any, states: Nested, weights: Nested, masks: Tensors) -> Tensors:
        """One layer after the other."""
        finals: Tensors = []
        for call, initial, own in zip(calls, states, weights, strict=True):
            x, *final = call(x, list(own), list(initial), masks)
            finals += final
        return [x, *finals]

    def groups(self, case: Case) -> list[Group]:
        """The layers of the stack."""
        return [(layer,) for layer in range(case.num_layers)]

    def key(self, case: Case, group: Group) -> _keras.Key:
        """What one Keras layer is made for."""
        own = dict(self.options)
        if case.direction == "reverse":
            own["go_backwards"] = True
        if not case.is_plain:
            names = [self.activations[name] for name in case.activations]
            own |= {"recurrent_activation": names[0], "activation": names[1]}
        if case.input_dropout:
            own |= {"dropout": case.input_dropout, "seed": 1 + group[0]}
        return _keras.Key(
            case.model.layer_input_size(group[0]),
            case.hidden_sizes[group[0]],
            case.direction == "bidirectional",
            case.bias,
            case.dtype,
            training=case.mode == "train",
            masked=case.lengths is not None,
            given_state=case.gives_state,
            options=tuple(own.items()),
        )

    def cells(self, key: _keras.Key, position: int) -> list[Any]:
        """The cells of one Keras layer, for each direction or stacked."""
        layer = self.made(key, position)
        if key.bidirectional:
            return [layer.forward_layer.cell, layer.backward_layer.cell]
        return list(layer.cell.cells) if isinstance(key.units, tuple) else [layer.cell]

    def dropped(self, cell: Any, ones: Any) -> NDArray[np.bool_]:
        """What a cell drops of its input (B, ·) when its seed generator starts anew."""
        _keras.restart([cell])
        mask = self.array(cell.get_dropout_mask(ones))
        _keras.restart([cell])
        return np.equal(mask, 0.0)

    @abstractmethod
    def made(self, key: _keras.Key, position: int) -> Any:
        """The layer, made when first needed. Two layers of a stack may be made alike, yet hold weights of their own."""

    def layer(self, key: _keras.Key, position: int, weights: Sequence[Array]) -> tuple[Call, Tensors]:
        """A call of one layer, and its weights as what the call's results are differentiated for.

        The layer itself with its variables assigned, unless a backend has it otherwise.
        """
        layer = self.made(key, position)
        variables = layer.trainable_variables
        for variable, array in zip(variables, weights, strict=True):
            variable.assign(array)

        def call(x: Any, weights: Tensors, states: Tensors, masks: Tensors) -> Sequence[Any]:
            del weights
            return _keras.results(layer(x, **_keras.arguments(key, states, masks)))

        return call, [self.value(variable) for variable in variables]

    def value(self, variable: Any) -> Any:
        """What a layer's variable is differentiated for."""
        return variable.value

    @abstractmethod
    def tensor(self, array: Array, dtype: str) -> Any:
        """An array as the backend's tensor; bfloat16 comes in float32."""

    @abstractmethod
    def array(self, tensor: Any) -> Array:
        """A fresh NumPy array of a tensor; bfloat16, which NumPy lacks, as float32."""

    @abstractmethod
    def mask(self, valid: NDArray[np.bool_]) -> Any:
        """A mask (B, T) as the backend's tensor."""

    @abstractmethod
    def run(self, stack: Stack, given: Given, cotangents: Tensors | None) -> tuple[list[Array], list[Array]]:
        """The stack's results, and with cotangents its gradients by ``flat(given)``, as fresh arrays."""

    def refuses(self) -> tuple[type[Exception], ...]:
        """What the backend raises for a dtype that it lacks."""
        return (NotImplementedError, RuntimeError, TypeError, ValueError)


def flat(given: Sequence[Any]) -> Tensors:
    """Everything that is differentiated for, in one order: sequence, states and weights."""
    x, states, weights = given[:3]
    return [x, *(state for layer in states for state in layer), *(weight for layer in weights for weight in layer)]


def layer_weights(problem: Problem, layer: int) -> list[Array]:
    """One layer's arrays in Keras' order: kernel, recurrent kernel and bias of each direction."""
    return [one[name] for one in arrays.packed(problem, KERAS, layer) for name in _keras.WEIGHTS if name in one]


def _cotangents(problem: Problem) -> list[Array]:
    """Of the output, then of each layer's final states in Keras' order."""
    model = problem.case.model
    finals = [arrays.states(problem.cotangents, model, layer, ("h_n", "c_n")) for layer in range(model.num_layers)]
    return [arrays.batch_major(problem.cotangents["output"], problem.case), *(state for row in finals for state in row)]


def _gradients(problem: Problem, gradients: list[Array]) -> Mapping[str, Array]:
    """Keras' gradients, in the order of input, states and weights, under their canonical names."""
    case, model = problem.case, problem.case.model
    rest = iter(gradients)
    results = {"grad.input": arrays.batch_major(next(rest), case)}
    if problem.initial_state is not None:
        states = [[next(rest) for _ in range(2 * model.num_directions)] for _ in range(model.num_layers)]
        results |= arrays.stacked(model, "grad.h_0", [layer[0::2] for layer in states])
        results |= arrays.stacked(model, "grad.c_0", [layer[1::2] for layer in states])
    for layer in range(model.num_layers):
        own = [{name: next(rest) for name in _keras.WEIGHTS[: 3 if model.bias else 2]} for _ in model.suffixes]
        results |= arrays.weight_gradients(model, KERAS, layer, own)
    return results


@cache
def _refusal(kind: type[KerasAdapter], dtype: str) -> str | None:
    """The backend's own words if it does not run the layer in a dtype of 16 bits on this machine; else None."""
    adapter = kind()
    small = {"input_size": 3, "hidden_size": 4, "num_layers": 2, "seq_len": 3, "batch": 2}
    check = [name for name in ("output", "gradients") if name == "output" or name in kind.features]
    try:
        adapter.solve(make_problem(Case.model_validate(small | {"dtype": dtype, "check": check})))
    except adapter.refuses() as error:
        return f"{kind.name} on this processor, in {dtype}: {_keras.words(error)}"
    return None
