"""LiteRT models converted from keras.layers.LSTM equal the reference with every option."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.adapters.keras.litert import LiteRTKeras
from conformance.cases.case import Case

pytest.importorskip("ai_edge_litert")
FORWARD = {"dtype": "float32", "check": ("output", "h_n", "c_n")}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"direction": "bidirectional", "num_layers": 2, "batch_first": True},
        {"lengths": (2, 0, 4, 1), "bias": False, "initial_state": "omitted"},
    ],
    ids=str,
)
def test_equals_the_reference(deviation: Callable[..., float], options: dict[str, Any]) -> None:
    assert 1e-9 < deviation(LiteRTKeras(), FORWARD | options) < 1e-5


@pytest.mark.parametrize(
    ("options", "words"),
    [({"dtype": "float32"}, "inference only"), ({"check": FORWARD["check"]}, "float32 only")],
    ids=str,
)
def test_reports_unsupported_options(case: Callable[..., Case], options: dict[str, Any], words: str) -> None:
    assert words in (LiteRTKeras().supports(case(**options)) or "")


def test_passes_the_adapter_check() -> None:
    assert check_adapter(LiteRTKeras(), [case for case in EXAMPLES if case.name in ("one layer", "no state")]) == []
