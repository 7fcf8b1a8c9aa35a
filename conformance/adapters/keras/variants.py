"""``keras.layers.LSTM`` on TensorFlow by other ways through the same layer: its arguments, and how it is called."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from conformance.adapters.keras import common as _keras
from conformance.adapters.keras.adapter import Array, Call, Group, Nested, Tensors
from conformance.adapters.keras.lstm import KerasLSTM
from conformance.adapters.keras.stacked import StackedCells
from conformance.cases.case import Case
from conformance.verdict.problem import Problem
from conformance.verdict.problem import Tensors as Named
from reference import Dialect


class KerasLSTMUnrolled(KerasLSTM):
    """With ``unroll=True``: a Python loop over time in place of ``tf.while_loop``."""

    name = "keras.layers.LSTM[tensorflow,unroll]"
    options: ClassVar[Mapping[str, Any]] = {"unroll": True}
    path = "unroll=True, called eagerly"


class KerasImplementation1(KerasLSTM):
    """With ``implementation=1``: a product for each gate, where the default (2) has one for all four."""

    name = "keras.layers.LSTM[tensorflow,implementation-1]"
    options: ClassVar[Mapping[str, Any]] = {"implementation": 1}
    path = "implementation=1 (the default is 2), called eagerly"
    features = KerasLSTM.features - {"bidirectional"}
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasLSTM.lacks,
        "bidirectional": "Bidirectional makes its layers anew from a config that leaves out implementation",
    }

    def dropout_masks(self, problem: Problem) -> Named:
        """The problem's: a mask for each gate is what this implementation draws, and it does not run with them."""
        return problem.dropout_masks


class KerasStackedCells(StackedCells, KerasLSTM):
    """Layers as cells of one ``keras.layers.RNN``, called eagerly."""

    name = "keras.layers.RNN[tensorflow,StackedRNNCells]"


class KerasLSTMStateful(KerasLSTM):
    """With ``stateful=True``: half of the steps in one call, the others in a second one that takes up the state."""

    name = "keras.layers.LSTM[tensorflow,stateful]"
    options: ClassVar[Mapping[str, Any]] = {"stateful": True}
    path = "stateful=True: two calls, half of the time steps each; the layer carries its state"
    features = KerasLSTM.features - {"bidirectional", "reverse", "gradients", "input dropout"}
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasLSTM.lacks,
        "bidirectional": "a sequence in two calls cannot be read backwards",
        "reverse": "a sequence in two calls cannot be read backwards",
        "input dropout": "a stateful layer draws a mask in each call",
        "gradients": "a stateful layer keeps its state in a variable, through which nothing is differentiated",
    }

    def supports(self, case: Case) -> str | None:
        """Sequences that can be split."""
        return super().supports(case) or (None if case.seq_len > 1 else "a single time step cannot be split")

    def dialect(self, case: Case) -> Dialect:
        """What is repeated over the padding starts anew in each call, of which Keras' documentation says nothing."""
        del case
        return Dialect(padding="unspecified")

    def key(self, case: Case, group: Group) -> _keras.Key:
        """With the state's rows."""
        return replace(super().key(case, group), batch=case.rows)

    def layer(self, key: _keras.Key, position: int, weights: Sequence[Array]) -> tuple[Call, Tensors]:
        """The layer without what it carries from another problem."""
        call, variables = super().layer(key, position, weights)
        self.made(key, position).reset_state()
        return call, variables

    def chain(self, calls: Sequence[Call], x: Any, states: Nested, weights: Nested, masks: Tensors) -> Tensors:
        """The whole stack twice."""
        half = x.shape[1] // 2
        early, late = ([mask[:, part] for mask in masks] for part in (slice(half), slice(half, None)))
        first, *_ = super().chain(calls, x[:, :half], states, weights, early)
        second, *finals = super().chain(calls, x[:, half:], [[] for _ in states], weights, late)
        return [self.tensorflow().concat([first, second], 1), *finals]
