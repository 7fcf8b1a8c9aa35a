"""Layers as cells: ``keras.layers.StackedRNNCells`` on any backend."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from conformance.adapters.keras import common as _keras
from conformance.adapters.keras.adapter import Group, KerasAdapter
from conformance.cases.case import Case


class StackedCells(KerasAdapter):
    """All layers as one ``keras.layers.RNN`` around a ``StackedRNNCells``."""

    features = KerasAdapter.features - {"bidirectional"}
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasAdapter.lacks,
        "bidirectional": "Bidirectional around stacked cells runs all layers of a direction before it joins directions",
        "dropout": "keras.layers.StackedRNNCells has no dropout between its cells",
    }
    around: ClassVar[Mapping[str, str]] = {
        **KerasAdapter.around,
        "stacked": "keras.layers.RNN(StackedRNNCells([LSTMCell, …]))",
    }

    def groups(self, case: Case) -> list[Group]:
        """All layers at once."""
        return [tuple(range(case.num_layers))]

    def key(self, case: Case, group: Group) -> _keras.Key:
        """With a cell for each layer."""
        return replace(super().key(case, group), units=case.hidden_sizes)
