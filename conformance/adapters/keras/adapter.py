"""Base of the adapters of ``keras.layers.LSTM`` on every back end."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence, Set
from functools import cache
from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import arrays, graph, uses
from conformance.adapters.adapter import HALF, Adapter, Solution
from conformance.adapters.keras import common as _keras
from conformance.adapters.keras import functions
from conformance.adapters.keras import loss as _loss
from conformance.adapters.keras.functions import (
    Array,
    Group,
    LayerFunction,
    PerLayer,
    StackFunction,
    StackInputs,
    Tensors,
)
from conformance.adapters.layout import KERAS, Layout
from conformance.cases.case import Case
from conformance.verdict.problem import Problem, make_problem
from conformance.verdict.problem import Tensors as NamedArrays
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


class KerasAdapter(Adapter):
    """Base of the adapters of ``keras.layers.LSTM`` and ``Bidirectional``.

    A subclass for a back end builds, runs and differentiates layers.
    """

    options: ClassVar[Mapping[str, Any]] = {}
    """Additional arguments of each layer."""
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
    saves_weights_only: ClassVar[bool] = False
    """Whether a saved layer is a ``.weights.h5`` file instead of ``.keras``."""
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
        if reason := arrays.refuse_frozen(case, self.layout or KERAS):
            return reason
        return _refusal(type(self), case.dtype) if case.dtype in HALF else None

    def solve(self, problem: Problem) -> Solution:
        """Makes the earlier calls, then runs all layers and, if the case compares gradients, differentiates them."""
        differentiates = "gradients" in problem.case.check
        uses.make_earlier_calls(
            problem,
            lambda word, earlier: self.run_problem(
                uses.in_mode_of(word, uses.with_cotangents(earlier)),
                differentiates and word not in ("no-grad", "error"),
            ),
        )
        results = self.run_problem(problem, differentiates)
        if problem.case.has_direction:
            results |= self.differentiate_along_direction(problem)
        return {name: results[name] for name in problem.expected_shapes()}

    def run_problem(self, problem: Problem, differentiates: bool) -> dict[str, Array]:
        """Runs all layers, and differentiates through all of them if asked to. Returns the results by name."""
        loss = self._make_loss(problem) if differentiates else None
        targets, gradients = self.run_stack(*self._stack_and_inputs(problem), loss)
        results = _loss.results(problem.case, targets)
        return results if loss is None else {**results, **_loss.gradients(problem, gradients, loss.trained)}

    def differentiate_along_direction(self, problem: Problem) -> dict[str, Array]:
        """Returns the derivatives ``jvp`` and ``hvp`` that a case compares, by name."""
        case = problem.case
        direction = [self.to_tensor(tangent, case.dtype) for tangent in _loss.tangents(problem)]
        found: dict[str, Array] = {}
        if "jvp" in case.check:
            targets = self.forward_derivatives(*self._stack_and_inputs(problem), direction)
            found |= {f"jvp.{name}": array for name, array in _loss.results(case, targets).items()}
        if "hvp" in case.check:
            loss = self._make_loss(problem)
            products = self.second_derivatives(*self._stack_and_inputs(problem), loss, direction)
            named = _loss.gradients(problem, products, loss.trained)
            found |= {f"hvp.{name.removeprefix('grad.')}": array for name, array in named.items()}
        return found

    def _stack_and_inputs(self, problem: Problem) -> tuple[StackFunction, StackInputs]:
        """Returns the function that runs all layers as a case says, and its arguments."""
        x, states = self.to_arguments(problem)
        masks = [] if problem.mask is None else [self.to_mask(np.array(problem.mask.T, order="C"))]
        stack, weights = self.build_stack(problem)
        return self.use_stack(stack, problem.case), (x, states, weights, masks)

    def _make_loss(self, problem: Problem) -> _loss.Loss:
        read = _loss.cotangents(problem)
        cotangents = [None if each is None else self.to_tensor(each, problem.case.dtype) for each in read]
        return _loss.Loss(cotangents, _loss.trained_sources(problem))

    def to_arguments(self, problem: Problem) -> tuple[Any, PerLayer]:
        """Converts the sequence, and the initial states of each layer, to the back end's tensors."""
        case, model, given = problem.case, problem.case.model, uses.arguments(problem)
        x = self.to_tensor(arrays.batch_major(given["input"], case), case.dtype)
        return x, [
            [
                self.to_tensor(state, case.dtype)
                for state in arrays.states(given if case.gives_state else None, model, layer)
            ]
            for layer in range(model.num_layers)
        ]

    def use_stack(self, stack: StackFunction, case: Case) -> StackFunction:
        """Returns a function that calls a stack as often as a case says, for pieces of the sequence or of the batch."""
        return functions.in_pieces(stack, case, self.concatenate)

    def concatenate(self, tensors: Sequence[Any], axis: int) -> Any:
        """Concatenates tensors along an axis."""
        import keras

        return keras.ops.concatenate(list(tensors), axis)

    def reverse(self, tensor: Any, axis: int) -> Any:
        """Reverses a tensor along an axis."""
        import keras

        return keras.ops.flip(tensor, axis)

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
                shape = (case.num_rows, case.model.layer_input_size(layer))
                dropped = self.dropped_elements(cell, self.to_tensor(np.ones(shape), case.dtype))
                masks[f"input_l{layer}{suffix}"] = np.where(dropped, 0.0, 1.0 / (1.0 - case.input_dropout))
        return masks

    def build_stack(self, problem: Problem) -> tuple[StackFunction, PerLayer]:
        """Returns a function that runs all layers, and the weights of each layer to differentiate with respect to.

        If the case has a graph of two LSTMs, the weights of the second follow those of the first.
        """
        case = problem.case
        if case.graph == "single":
            return self.build_layers(problem, 0)
        parts = graph.calls(problem)
        built = [
            self.build_layers(part, number * case.num_layers)
            for number, part in enumerate(parts[:1] if case.graph == "twice" else parts)
        ]
        stacks, weights = zip(*built, strict=True)
        used = functions.in_graph(stacks[0], stacks[-1], case, self.concatenate, self.reverse)
        return used, [layer for own in weights for layer in own]

    def build_layers(self, problem: Problem, position: int) -> tuple[StackFunction, PerLayer]:
        """Returns a function that runs the layers of one LSTM, and their weights.

        Args:
            problem: the problem, whose graph is ignored.
            position: number of layers of other LSTMs, before those of this one.
        """
        case = problem.case
        groups = self.layer_groups(case)
        configs = [self.layer_config(case, group) for group in groups]
        if case.drops:
            _keras.restart_dropout(
                [cell for config, group in zip(configs, groups, strict=True) for cell in self.cells(config, group[0])]
            )
        bound = [
            self.bind_layer(
                config, position + group[0], [array for layer in group for array in _loss.layer_weights(problem, layer)]
            )
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
            built=(case.built_batch, case.built_seq_len),
            trained=_loss.trained_weights(case, group) if case.frozen else (),
            saved=case.saved,
            backward_units=case.reverse_hidden_size or 0,
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
        layer = self.load_layer(config, position, weights)
        variables = _keras.weights_of(layer)

        def run(x: Any, weights: Tensors, states: Tensors, masks: Tensors) -> Sequence[Any]:
            del weights
            results = _keras.flatten_results(layer(x, **_keras.call_arguments(config, states, masks)))
            _keras.record_shapes(layer, x, results)
            return results

        return run, [self.variable_tensor(variable) for variable in variables]

    def load_layer(self, config: _keras.LayerConfig, position: int, weights: Sequence[Array]) -> Any:
        """Assigns weights to a layer's variables. Returns the layer or, if the case says so, a saved and loaded one."""
        layer = self.get_layer(config, position)
        for variable, array in zip(_keras.weights_of(layer), weights, strict=True):
            variable.assign(array)
        if not config.saved:
            return layer
        import keras

        return _keras.save_and_load(keras, layer, config.of_layer, self.saves_weights_only)

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
        self, stack: StackFunction, inputs: StackInputs, loss: _loss.Loss | None
    ) -> tuple[list[Array], list[Array]]:
        """Runs the stack forward and, if there is a loss, backward.

        Returns:
            Copies of the results, and of the gradients of those of ``flatten_sources(inputs)`` that need one.
        """

    def forward_derivatives(self, stack: StackFunction, inputs: StackInputs, direction: Tensors) -> list[Array]:
        """Returns copies of the derivatives of the results along a direction, in forward mode.

        Args:
            stack: function that runs all layers.
            inputs: its arguments.
            direction: tangents of ``flatten_sources(inputs)``.
        """
        raise NotImplementedError(f"{self.name} does not list the feature 'forward derivatives'")

    def second_derivatives(
        self, stack: StackFunction, inputs: StackInputs, loss: _loss.Loss, direction: Tensors
    ) -> list[Array]:
        """Returns copies of the gradients of ⟨gradient, direction⟩, see ``forward_derivatives``."""
        raise NotImplementedError(f"{self.name} does not list the feature 'second derivatives'")

    def unsupported_dtype_errors(self) -> tuple[type[Exception], ...]:
        """Returns the exceptions that the back end raises for an unsupported dtype."""
        return (NotImplementedError, RuntimeError, TypeError, ValueError)


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
