"""The example of the page on writing an adapter works on a library with the interface that it assumes."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reference import Model, backward, forward
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "writing-an-adapter.md"
Array = NDArray[np.floating]


class LSTM:
    """The reference as an LSTM with one batch-major layer, the gate order i, o, f, g and a single bias."""

    def __init__(self, input_size: int, hidden_size: int, weights: dict[str, Array]) -> None:
        self.model = Model(input_size, (hidden_size,), batch_first=True)
        blocks = {name: dict(zip("iofg", np.split(array, 4), strict=True)) for name, array in weights.items()}
        ifgo = {name: np.concatenate([block[gate] for gate in "ifgo"]) for name, block in blocks.items()}
        self.parameters = {
            "weight_ih_l0": ifgo["w"],
            "weight_hh_l0": ifgo["r"],
            "bias_ih_l0": ifgo["b"],
            "bias_hh_l0": np.zeros_like(ifgo["b"]),
        }

    def forward(self, x: Array, *states: Array) -> tuple[Array, Array, Array]:
        given = {name: state[None] for name, state in zip(("h_0", "c_0"), states, strict=True)} if states else None
        self.trace = forward(self.model, self.parameters, x, given)
        outputs = self.trace.outputs
        return outputs["output"], outputs["h_n"][0], outputs["c_n"][0]

    def backward(self, dy: Array, dh: Array, dc: Array) -> tuple[Array, Array, Array, dict[str, Array]]:
        gradients = backward(self.trace, {"output": dy, "h_n": dh[None], "c_n": dc[None]})
        stored = {}
        for name, parameter in {"w": "weight_ih_l0", "r": "weight_hh_l0", "b": "bias_ih_l0"}.items():
            block = dict(zip("ifgo", np.split(gradients[f"grad.{parameter}"], 4), strict=True))
            stored[name] = np.concatenate([block[gate] for gate in "iofg"])
        return gradients["grad.input"], gradients["grad.h_0"][0], gradients["grad.c_0"][0], stored


def test_the_example_works(monkeypatch: pytest.MonkeyPatch, deviation: Callable[..., float]) -> None:
    library: Any = ModuleType("mylib")
    library.LSTM, library.__version__ = LSTM, "1.0"
    monkeypatch.setitem(sys.modules, "mylib", library)
    page = PAGE.read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in page.split("```python\n")[1:]]
    assert len(blocks) == 2
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    adapter = names["MyLSTM"]()
    assert adapter.describe()["mylib"] == "1.0"
    for options in ({}, {"batch_first": True}, {"initial_state": "omitted"}):
        assert deviation(adapter, options) < 1e-12
