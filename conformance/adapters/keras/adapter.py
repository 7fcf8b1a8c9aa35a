"""Base of the adapters of ``keras.layers.LSTM`` on every back end."""

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
from conformance.verdict.problem import Tensors as NamedArrays
from reference import Dialect

Array = NDArray[np.floating]
Tensors = list[Any]
PerLayer = Sequence[Sequence[Any]]
"""Tensors of each layer."""
LayerFunction = Callable[[Any, Tensors, Tensors, Tensors], Sequence[Any]]
"""A function of sequence, weights, initial states and masks that runs one layer.

It returns the sequence and the final states. The states and masks may be empty.
"""
StackFunction = Callable[[Any, PerLayer, PerLayer, Tensors], Tensors]
"""A function of sequence, states, weights and masks that runs all layers.

It returns the sequence and all final states.
"""
StackInputs = tuple[Any, PerLayer, PerLayer, Tensors]
"""The arguments of a ``StackFunction``."""
Group = tuple[int, ...]
"""Indices of the layers in one Keras layer: one layer, or all layers if they are stacked cells."""


class KerasAdapter(Adapter):
    """Base of the adapters of ``keras.layers.LSTM`` and ``Bidirectional``.

    A subclass for a back end builds, runs and differentiates layers.
    """

    options: ClassVar[Mapping[str, Any]] = {}
    """Additional arguments of each layer."""
    handling: ClassVar[Mapping[str, str]] = {
        "stacked": "one layer after the other; for two directions, each in Bidirectional(merge_mode='concat')",
        "lengths": "mask",
        "time-major": "input, output and their gradients are transposed: Keras has (batch, time, features) only",
    }
    """Entries of ``describe`` on how the adapter handles layers, lengths and the time axis."""

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "bidirectional", "reverse", "lengths", "left mask", "holed mask", "no bias",
         "batch first", "state omitted", "activations", "input dropout", "gradients",
         "float64", "float32", "float16", "bfloat16"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "dropout": "keras.layers.LSTM(dropout=…) drops elements of the layer's input, not between layers",
        "recurrent dropout": "keras.layers.LSTM(recurrent_dropout=…) draws a mask for each gate, not one for all gates",
        "activations per direction": "Bidirectional builds both directions from one layer",
    }
    layout: ClassVar[Layout] = KERAS
    activations: ClassVar[Mapping[str, str]] = _keras.ACTIVATIONS
    """Keras' names of the suite's activations."""

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
        return _refusal(type(self), case.dtype) if case.dtype in HALF else None

    def solve(self, problem: Problem) -> Solution:
        """Runs all layers and, if the case compares gradients, differentiates through all of them."""
        case, model = problem.case, problem.case.model
        x = self.to_tensor(arrays.batch_major(problem.input, case), case.dtype)
        states = [
            [self.to_tensor(state, case.dtype) for state in arrays.states(problem.initial_state, model, layer)]
            for layer in range(model.num_layers)
        ]
        masks = [] if problem.mask is None else [self.to_mask(np.array(problem.mask.T, order="C"))]
        stack, weights = self.build_stack(problem)
        cotangents = None
        if "gradients" in case.check:
            cotangents = [self.to_tensor(cotangent, case.dtype) for cotangent in _cotangents(problem)]
        targets, gradients = self.run_stack(stack, (x, states, weights, masks), cotangents)

        results = {"output": arrays.batch_major(targets[0], case)}
        width = 2 * model.num_directions
        finals = [targets[1 + width * layer :][:width] for layer in range(model.num_layers)]
        results |= arrays.stacked(model, "h_n", [final[0::2] for final in finals])
        results |= arrays.stacked(model, "c_n", [final[1::2] for final in finals])
        if cotangents is not None:
            results |= _gradients(problem, gradients)
        return {name: results[name] for name in problem.expected_shapes()}

    def dialect(self, case: Case) -> Dialect:
        """Returns Keras' dialect. A single direction repeats its last valid output over the padding.

        Bidirectional writes 0 there. On go_backwards, Keras documents: "process the input sequence backwards and
        return the reversed sequence".
        """
        return Dialect(
            padding="zero" if case.direction == "bidirectional" else "repeat", reverse_output="processing"
        )  # fmt: skip

    def dropout_masks(self, problem: Problem) -> NamedArrays:
        """Returns the masks that the cells draw. If everything or nothing is dropped, returns the problem's masks."""
        case = problem.case
        if not case.drops or case.input_dropout in (0, 1):
            return problem.dropout_masks
        masks = {}
        for group in self.layer_groups(case):
            cells = self.cells(self.layer_config(case, group), group[0])
            for (layer, suffix), cell in zip(product(group, case.model.suffixes), cells, strict=True):
                shape = (case.rows or 1, case.model.layer_input_size(layer))
                dropped = self.dropped_elements(cell, self.to_tensor(np.ones(shape), case.dtype))
                masks[f"input_l{layer}{suffix}"] = np.where(dropped, 0.0, 1.0 / (1.0 - case.input_dropout))
        return masks

    def build_stack(self, problem: Problem) -> tuple[StackFunction, PerLayer]:
        """Returns a function that runs all layers, and the weights of each layer to differentiate with respect to."""
        case = problem.case
        groups = self.layer_groups(case)
        configs = [self.layer_config(case, group) for group in groups]
        if case.drops:
            _keras.restart_dropout(
                [cell for config, group in zip(configs, groups, strict=True) for cell in self.cells(config, group[0])]
            )
        bound = [
            self.bind_layer(config, group[0], [array for layer in group for array in layer_weights(problem, layer)])
            for config, group in zip(configs, groups, strict=True)
        ]

        def run(x: Any, states: PerLayer, weights: PerLayer, masks: Tensors) -> Tensors:
            of_groups = [[state for layer in group for state in states[layer]] for group in groups]
            return self.run_layers([function for function, _ in bound], x, of_groups, weights, masks)

        return run, [weights for _, weights in bound]

    def run_layers(
        self, layers: Sequence[LayerFunction], x: Any, states: PerLayer, weights: PerLayer, masks: Tensors
    ) -> Tensors:
        """Runs one layer after the other and returns the sequence and all final states."""
        finals: Tensors = []
        for layer, initial, own in zip(layers, states, weights, strict=True):
            x, *final = layer(x, list(own), list(initial), masks)
            finals += final
        return [x, *finals]

    def layer_groups(self, case: Case) -> list[Group]:
        """Groups the indices of the layers by Keras layer."""
        return [(layer,) for layer in range(case.num_layers)]

    def layer_config(self, case: Case, group: Group) -> _keras.LayerConfig:
        """Returns the configuration of one Keras layer of the stack."""
        own = dict(self.options)
        if case.direction == "reverse":
            own["go_backwards"] = True
        if not case.is_plain:
            names = [self.activations[name] for name in case.activations]
            own |= {"recurrent_activation": names[0], "activation": names[1]}
        if case.input_dropout:
            own |= {"dropout": case.input_dropout, "seed": 1 + group[0]}
        return _keras.LayerConfig(
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

    def cells(self, config: _keras.LayerConfig, position: int) -> list[Any]:
        """Returns the cells of one Keras layer: one for each direction or, if they are stacked, one for each layer."""
        layer = self.get_layer(config, position)
        if config.bidirectional:
            return [layer.forward_layer.cell, layer.backward_layer.cell]
        return list(layer.cell.cells) if isinstance(config.units, tuple) else [layer.cell]

    def dropped_elements(self, cell: Any, ones: Any) -> NDArray[np.bool_]:
        """Returns which elements of its input (B, ·) a cell drops first after its seed generator was reset."""
        _keras.restart_dropout([cell])
        mask = self.to_array(cell.get_dropout_mask(ones))
        _keras.restart_dropout([cell])
        return np.equal(mask, 0.0)

    @abstractmethod
    def get_layer(self, config: _keras.LayerConfig, position: int) -> Any:
        """Returns the layer for a configuration and a position in the stack. Builds it on first use.

        Layers of equal configuration at different positions have weights of their own.
        """

    def bind_layer(
        self, config: _keras.LayerConfig, position: int, weights: Sequence[Array]
    ) -> tuple[LayerFunction, Tensors]:
        """Returns a function that runs one layer, and the layer's weights to differentiate with respect to.

        By default assigns the weights to the layer's variables. A subclass may pass them as arguments instead.
        """
        layer = self.get_layer(config, position)
        variables = layer.trainable_variables
        for variable, array in zip(variables, weights, strict=True):
            variable.assign(array)

        def run(x: Any, weights: Tensors, states: Tensors, masks: Tensors) -> Sequence[Any]:
            del weights
            return _keras.flatten_results(layer(x, **_keras.call_arguments(config, states, masks)))

        return run, [self.variable_tensor(variable) for variable in variables]

    def variable_tensor(self, variable: Any) -> Any:
        """Returns the back end's tensor of a layer's variable."""
        return variable.value

    @abstractmethod
    def to_tensor(self, array: Array, dtype: str) -> Any:
        """Converts an array to the back end's tensor. bfloat16 arrays are float32."""

    @abstractmethod
    def to_array(self, tensor: Any) -> Array:
        """Copies a tensor to a NumPy array. bfloat16 becomes float32."""

    @abstractmethod
    def to_mask(self, valid: NDArray[np.bool_]) -> Any:
        """Converts a mask (B, T) to the back end's tensor."""

    @abstractmethod
    def run_stack(
        self, stack: StackFunction, inputs: StackInputs, cotangents: Tensors | None
    ) -> tuple[list[Array], list[Array]]:
        """Runs the stack forward and, if cotangents are given, backward.

        Returns:
            Copies of the results, and of the gradients with respect to ``flatten_sources(inputs)``.
        """

    def unsupported_dtype_errors(self) -> tuple[type[Exception], ...]:
        """Returns the exceptions that the back end raises for an unsupported dtype."""
        return (NotImplementedError, RuntimeError, TypeError, ValueError)


def flatten_sources(inputs: Sequence[Any]) -> Tensors:
    """Returns the tensors to differentiate with respect to, in one order: sequence, states and weights."""
    x, states, weights = inputs[:3]
    return [x, *(state for layer in states for state in layer), *(weight for layer in weights for weight in layer)]


def layer_weights(problem: Problem, layer: int) -> list[Array]:
    """Returns one layer's weights in Keras' order: kernel, recurrent kernel and bias of each direction."""
    return [one[name] for one in arrays.packed(problem, KERAS, layer) for name in _keras.WEIGHTS if name in one]


def _cotangents(problem: Problem) -> list[Array]:
    """Returns the cotangents of the output, then of each layer's final states in Keras' order."""
    model = problem.case.model
    finals = [arrays.states(problem.cotangents, model, layer, ("h_n", "c_n")) for layer in range(model.num_layers)]
    return [arrays.batch_major(problem.cotangents["output"], problem.case), *(state for row in finals for state in row)]


def _gradients(problem: Problem, gradients: list[Array]) -> Mapping[str, Array]:
    """Returns Keras' gradients, given in the order of ``flatten_sources``, by their canonical names."""
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
    """Returns the back end's error if it does not run the layer in a 16-bit dtype on this machine, or None."""
    adapter = kind()
    small = {"input_size": 3, "hidden_size": 4, "num_layers": 2, "seq_len": 3, "batch": 2}
    check = [name for name in ("output", "gradients") if name == "output" or name in kind.features]
    try:
        adapter.solve(make_problem(Case.model_validate(small | {"dtype": dtype, "check": check})))
    except adapter.unsupported_dtype_errors() as error:
        return f"{kind.name} on this processor, in {dtype}: {_keras.error_line(error)}"
    return None
