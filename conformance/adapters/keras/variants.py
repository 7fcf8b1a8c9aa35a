"""``keras.layers.LSTM`` on TensorFlow with other arguments, as stacked cells, and stateful."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, ClassVar

from conformance.adapters import graph
from conformance.adapters.keras.adapter import ARGUMENTS, GRADIENT_USES
from conformance.adapters.keras.functions import Group, LayerFunction, PerLayer, StackFunction, Tensors
from conformance.adapters.keras.layer import LayerConfig
from conformance.adapters.keras.lstm import KerasLSTM
from conformance.adapters.keras.stacked import StackedCells
from conformance.cases.case import Case
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import Array
from reference import Dialect


class KerasLSTMUnrolled(KerasLSTM):
    """Drives layers with ``unroll=True``: a Python loop over time instead of ``tf.while_loop``."""

    name = "keras.layers.LSTM[tensorflow,unroll]"
    options: ClassVar[Mapping[str, Any]] = {"unroll": True}
    path = "unroll=True, called eagerly"


class KerasImplementation1(KerasLSTM):
    """Drives layers with ``implementation=1``: one matrix product per gate. The default (2) has one for all gates."""

    name = "keras.layers.LSTM[tensorflow,implementation-1]"
    options: ClassVar[Mapping[str, Any]] = {"implementation": 1}
    path = "implementation=1 (the default is 2), called eagerly"
    features = KerasLSTM.features - {"bidirectional", "sizes per direction"}
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasLSTM.lacks,
        "bidirectional": "Bidirectional builds its layers from a config that omits `implementation`",
    }

    def dropout_masks(self, problem: Problem) -> Mapping[str, Array]:
        """Returns the problem's masks, which are never used: with dropout, this implementation raises."""
        return problem.dropout_masks


class KerasStackedCells(StackedCells, KerasLSTM):
    """Drives one ``keras.layers.RNN`` with a cell per layer, called eagerly."""

    name = "keras.layers.RNN[tensorflow,StackedRNNCells]"


class KerasLSTMStateful(KerasLSTM):
    """Drives layers with ``stateful=True``: a call for each piece of the case, or two with half of the time steps each.

    The layer carries its state from the first call to the second.
    """

    name = "keras.layers.LSTM[tensorflow,stateful]"
    options: ClassVar[Mapping[str, Any]] = {"stateful": True}
    path = "stateful=True: a call for each piece, or two with half of the time steps; the layer carries its state"
    features = (
        KerasLSTM.features
        - {"bidirectional", "sizes per direction", "reverse"}
        - {"gradients", "input dropout", "after other batches", "rows alone"}
        - GRADIENT_USES
        - ARGUMENTS
        - graph.USES
    )
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasLSTM.lacks,
        "bidirectional": "a sequence split into two calls cannot be read backwards",
        "reverse": "a sequence split into two calls cannot be read backwards",
        "input dropout": "a stateful layer draws another mask in each call",
        "after other batches": "a stateful layer is built for a batch size",
        "rows alone": "a stateful layer is built for a batch size",
        **dict.fromkeys(graph.USES, "a stateful layer that is called twice continues the first sequence"),
        "gradients": "a stateful layer keeps its state in a variable, which gradients do not pass through",
    }

    def supports(self, case: Case) -> str | None:
        """Also refuses sequences of a single time step."""
        return super().supports(case) or (None if case.seq_len > 1 else "a single time step cannot be split")

    def dialect(self, case: Case) -> Dialect:
        """Returns a dialect with unspecified padding: Keras does not document that repetition restarts in each call."""
        del case
        return Dialect(padding="unspecified")

    def layer_config(self, case: Case, group: Group) -> LayerConfig:
        """Returns the configuration of a layer. It includes the batch size, which a stateful layer must know."""
        return replace(super().layer_config(case, group), batch=case.rows)

    def bind_layer(self, config: LayerConfig, position: int, weights: Sequence[Array]) -> tuple[LayerFunction, Tensors]:
        """Resets the state that the layer keeps from an earlier call or problem."""
        run, variables = super().bind_layer(config, position, weights)
        self.get_layer(config, position).reset_state()
        return run, variables

    def use_stack(self, stack: StackFunction, case: Case) -> StackFunction:
        """Returns a function that calls a stack for one piece after the other. Only the first gets initial states."""
        pieces = case.chunks or (case.seq_len // 2, case.seq_len - case.seq_len // 2)

        def run(x: Any, states: PerLayer, weights: PerLayer, masks: Tensors) -> Tensors:
            outputs, finals = [], []
            for end, steps in zip(accumulate(pieces), pieces, strict=True):
                part = slice(end - steps, end)
                output, *finals = stack(x[:, part], states, weights, [mask[:, part] for mask in masks])
                outputs.append(output)
                states = [[] for _ in states]
            return [self.backend.concatenate(outputs, 1), *finals]

        return run
