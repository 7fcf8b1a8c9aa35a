"""Keras layers converted to LiteRT. test_converted.py compares those that take their states with the reference."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters import installed
from conformance.adapters.keras.converted import KerasConverted
from conformance.adapters.keras.litert import LiteRTKeras, LiteRTKerasStateful
from conformance.cases.case import Case

FORWARD = {"dtype": "float32", "check": ("output", "h_n", "c_n")}


@pytest.mark.parametrize(
    ("converted", "options", "words"),
    [
        (LiteRTKeras, {"check": FORWARD["check"]}, "fails on tf.Transpose in float64"),
        (LiteRTKeras, FORWARD | {"batching": "alone"}, "requires element_shape to be static"),
        (LiteRTKerasStateful, FORWARD, "has no inputs for them"),
        (LiteRTKerasStateful, FORWARD | {"initial_state": "omitted", "seq_len": 1}, "cannot be split"),
    ],
    ids=str,
)
def test_reports_unsupported_options(
    case: Callable[..., Case], converted: type[KerasConverted], options: dict[str, Any], words: str
) -> None:
    assert words in (converted().supports(case(**options)) or "")


def test_a_stateful_model_carries_its_state_from_one_call_to_the_next(deviation: Callable[..., float]) -> None:
    adapter = LiteRTKerasStateful()
    if absent := installed.not_installed(adapter):
        pytest.skip(absent)
    options = {"initial_state": "omitted", "chunks": (1, 3), "num_layers": 2, "saved": True, "batch_first": True}
    assert deviation(adapter, FORWARD | options) < 1e-5
