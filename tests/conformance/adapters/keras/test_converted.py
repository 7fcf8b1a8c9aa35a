"""Models that converters make of Keras layers equal the reference with every option."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters import installed
from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.adapters.keras.converted import KerasConverted, OpenVinoKeras, Tf2OnnxKeras
from conformance.adapters.keras.litert import LiteRTKeras
from conformance.cases.case import Case

FORWARD = {"dtype": "float32", "check": ("output", "h_n", "c_n")}


@pytest.fixture(params=[LiteRTKeras, OpenVinoKeras, Tf2OnnxKeras], ids=lambda adapter: adapter.name)
def adapter(request: pytest.FixtureRequest) -> KerasConverted:
    found: KerasConverted = request.param()
    if absent := installed.not_installed(found):
        pytest.skip(absent)
    return found


@pytest.mark.parametrize(
    "options",
    [
        {"direction": "bidirectional", "reverse_hidden_size": 2, "num_layers": 2, "batch_first": True},
        {"lengths": (2, 0, 4, 1), "bias": False, "initial_state": "omitted", "batching": "permuted"},
        {"earlier_calls": ("longer", "error"), "saved": True, "chunks": (1, 3)},
    ],
    ids=str,
)
def test_equals_the_reference(
    deviation: Callable[..., float], adapter: KerasConverted, options: dict[str, Any]
) -> None:
    assert 1e-9 < deviation(adapter, FORWARD | options) < 1e-5


@pytest.mark.parametrize(
    ("converted", "options", "words"),
    [
        (OpenVinoKeras, {"dtype": "float32"}, "converted for inference"),
        (Tf2OnnxKeras, FORWARD | {"batch": 0}, "cannot trace a layer without steps or rows"),
        (OpenVinoKeras, FORWARD | {"dtype": "bfloat16"}, "OpConversionFailure in bfloat16"),
        (Tf2OnnxKeras, {"check": FORWARD["check"]}, "LSTM operator does not support double yet"),
    ],
    ids=str,
)
def test_reports_unsupported_options(
    case: Callable[..., Case], converted: type[KerasConverted], options: dict[str, Any], words: str
) -> None:
    assert words in (converted().supports(case(**options)) or "")


def test_passes_the_adapter_check(adapter: KerasConverted) -> None:
    assert check_adapter(adapter, [case for case in EXAMPLES if case.name in ("one layer", "no state")]) == []
