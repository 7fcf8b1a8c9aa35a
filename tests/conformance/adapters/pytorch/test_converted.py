"""torch.nn.LSTM, converted by OpenVINO. The other converters run in environments of their own."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters import Adapter, installed
from conformance.adapters.pytorch.converted import OpenVinoTorch, OpenVinoTorchExport
from conformance.cases.case import Case

FORWARD = {"dtype": "float32", "check": ("output", "h_n", "c_n")}


@pytest.mark.parametrize(
    ("adapter", "options"),
    [
        (OpenVinoTorch(), {"num_layers": 2, "direction": "bidirectional", "batch_first": True}),
        (OpenVinoTorch(), {"built_seq_len": 1, "built_batch": 1, "initial_state": "omitted"}),
        (OpenVinoTorch(), {"chunks": (1, 3), "earlier_calls": ("more-rows", "longer", "error"), "saved": True}),
        (OpenVinoTorchExport(), {"proj_size": 2, "initial_state": "omitted", "batch": "unbatched"}),
    ],
    ids=str,
)
def test_equals_the_reference(deviation: Callable[..., float], adapter: Adapter, options: dict[str, Any]) -> None:
    if reason := installed.missing(adapter):
        pytest.skip(reason)
    assert deviation(adapter, FORWARD | options) < 1e-6
    assert adapter.describe()["openvino"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"proj_size": 2}, "OpConversionFailure"),
        ({"lengths": "ragged"}, "packed sequences"),
        ({"chunks": (1, 3), "initial_state": "omitted"}, "cannot continue a sequence"),
        ({"num_layers": 2, "dropout": 0.5, "mode": "train"}, "dropout is inactive"),
    ],
)
def test_what_the_converter_does_not_accept_is_refused(
    case: Callable[..., Case], options: dict[str, Any], words: str
) -> None:
    assert words in (OpenVinoTorch().supports(case(**FORWARD | options)) or "")
