"""``keras.layers.StackedRNNCells`` on any back end."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from conformance.adapters.keras.adapter import KerasAdapter
from conformance.adapters.keras.functions import Group
from conformance.adapters.keras.layer import LayerConfig
from conformance.cases.case import Case


class StackedCells(KerasAdapter):
    """Base of the adapters that run all layers as the cells of one ``keras.layers.RNN``."""

    features = KerasAdapter.features - {"bidirectional", "sizes per direction"}
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasAdapter.lacks,
        "bidirectional": "Bidirectional around stacked cells joins the directions only after the last layer",
        "dropout": "keras.layers.StackedRNNCells has no dropout between its cells",
    }
    handling: ClassVar[Mapping[str, str]] = {
        **KerasAdapter.handling,
        "stacked": "keras.layers.RNN(StackedRNNCells([LSTMCell, …]))",
    }

    def layer_groups(self, case: Case) -> list[Group]:
        """Returns a single group with all layers."""
        return [tuple(range(case.num_layers))]

    def layer_config(self, case: Case, group: Group) -> LayerConfig:
        """Returns the configuration of the ``keras.layers.RNN``, with a cell for each layer."""
        return replace(super().layer_config(case, group), units=case.hidden_sizes)
