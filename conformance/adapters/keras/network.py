"""The Keras layers of a case: how they are configured, built, given weights and connected."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from conformance.adapters import graph
from conformance.adapters.keras import functions
from conformance.adapters.keras import layer as _layer
from conformance.adapters.keras import loss as _loss
from conformance.adapters.keras.backend import Backend
from conformance.adapters.keras.calls import call_layer
from conformance.adapters.keras.functions import Group, LayerFunction, PerLayer, StackFunction, Tensors
from conformance.adapters.keras.layer import LayerConfig
from conformance.cases.case import Case
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import Array


class NetworkBuilder:
    """Builds a function that runs all Keras layers of a case. Each variant of the adapters overrides one step."""

    backend: ClassVar[Backend]
    """The back end that runs the layers."""
    options: ClassVar[Mapping[str, Any]] = {}
    """Additional arguments of each layer."""
    activations: ClassVar[Mapping[str, str]] = {
        "sigmoid": "sigmoid", "tanh": "tanh", "relu": "relu", "elu": "elu", "softsign": "softsign",
        "hard_sigmoid_6": "hard_sigmoid",
    }  # fmt: skip
    """Keras' names of the suite's activations. Only activations with the same constants are listed."""
    saves_weights_only: ClassVar[bool] = False
    """Whether a saved layer is a ``.weights.h5`` file instead of ``.keras``."""

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
        used = functions.in_graph(stacks[0], stacks[-1], case, self.backend.concatenate, self.backend.reverse)
        return used, [layer for own in weights for layer in own]

    def build_layers(self, problem: Problem, position: int) -> tuple[StackFunction, PerLayer]:
        """Returns a function that runs the layers of one LSTM, and their weights.

        Args:
            problem: the problem, whose graph is ignored.
            position: number of layers of other LSTMs, before those of this one.
        """
        case = problem.case
        groups = self.layer_groups(case)
        calls: list[LayerFunction] = []
        tensors: list[Tensors] = []
        for group in groups:
            config = self.layer_config(case, group)
            if case.drops:
                _layer.restart_dropout(self.cells(config, group[0]))
            weights = [array for layer in group for array in _loss.layer_weights(problem, layer)]
            call, own = self.bind_layer(config, position + group[0], weights)
            calls.append(call)
            tensors.append(own)

        def run(x: Any, states: PerLayer, weights: PerLayer, masks: Tensors) -> Tensors:
            finals: Tensors = []
            for group, call, own in zip(groups, calls, weights, strict=True):
                x, *final = call(x, list(own), [state for layer in group for state in states[layer]], masks)
                finals += final
            return [x, *finals]

        return run, tensors

    def use_stack(self, stack: StackFunction, case: Case) -> StackFunction:
        """Returns a function that calls a stack as often as a case says, for pieces of the sequence or of the batch."""
        return functions.in_pieces(stack, case, self.backend.concatenate)

    def layer_groups(self, case: Case) -> list[Group]:
        """Groups the indices of the layers by Keras layer."""
        return [(layer,) for layer in range(case.num_layers)]

    def layer_config(self, case: Case, group: Group) -> LayerConfig:
        """Returns the configuration of one Keras layer of the stack."""
        own = dict(self.options)
        if case.direction == "reverse":
            own["go_backwards"] = True
        if not case.is_plain:
            names = [self.activations[name] for name in case.activations]
            own |= {"recurrent_activation": names[0], "activation": names[1]}
        if case.input_dropout:
            own |= {"dropout": case.input_dropout, "seed": 1 + group[0]}
        return LayerConfig(
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

    def get_layer(self, config: LayerConfig, position: int) -> Any:
        """Returns the layer for a configuration and a position in the stack. Builds it on first use.

        Layers of equal configuration at different positions have weights of their own.
        """
        return _layer.get_layer(self.backend.keras(), config.of_layer, position)

    def cells(self, config: LayerConfig, position: int) -> list[Any]:
        """Returns the cells of one Keras layer: one for each direction or, if they are stacked, one for each layer."""
        return _layer.cells_of(self.get_layer(config, position), config)

    def bind_layer(self, config: LayerConfig, position: int, weights: Sequence[Array]) -> tuple[LayerFunction, Tensors]:
        """Returns a function that runs one layer, and the layer's weights to differentiate with respect to.

        By default assigns the weights to the layer's variables. A subclass may pass them as arguments instead.
        """
        layer = self.load_layer(config, position, weights)

        def run(x: Any, weights: Tensors, states: Tensors, masks: Tensors) -> Sequence[Any]:
            del weights
            return call_layer(layer, config, x, states, masks)

        return run, [self.backend.of_variable(variable) for variable in _layer.weights_of(layer)]

    def load_layer(self, config: LayerConfig, position: int, weights: Sequence[Array]) -> Any:
        """Assigns weights to a layer's variables. Returns the layer or, if the case says so, a saved and loaded one."""
        layer = self.get_layer(config, position)
        for variable, array in zip(_layer.weights_of(layer), weights, strict=True):
            variable.assign(array)
        if not config.saved:
            return layer
        return _layer.save_and_load(self.backend.keras(), layer, config.of_layer, self.saves_weights_only)
