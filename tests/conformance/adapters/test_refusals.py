"""Adapters pass a mistake on unchanged, so that the framework refuses or accepts it. They run empty problems."""

from typing import Any

import pytest

from conformance.adapters import Adapter, installed, registry
from conformance.cases.case import Case
from conformance.results.record import Result
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle

SIZES: dict[str, Any] = {"input_size": 4, "hidden_size": 5, "seq_len": 6, "batch": 3}


def check(name: str, **options: Any) -> Result:
    adapter: Adapter = registry.load(name)
    if reason := installed.missing(adapter):
        pytest.skip(reason)
    return Runner(Oracle(None), diagnoses=False).check(Case.model_validate(SIZES | options), adapter)


@pytest.mark.parametrize(
    ("name", "mistake", "message"),
    [
        ("torch.nn.LSTM", "input-features", "input.size(-1) must be equal to input_size. Expected 4, got 5"),
        ("torch.nn.LSTM", "input-dtype", "RNN input dtype (torch.float64) does not match weight dtype (torch.float32)"),
        ("torch.nn.LSTM", "c_0-layers", "Expected hidden[1] size (2, 3, 5), got [1, 3, 5]"),
        ("torch.nn.LSTM", "lengths-negative", "Length of all samples has to be greater than 0"),
        ("torch.nn.LSTM", "weight-transposed", "size mismatch for weight_hh_l0"),
        ("torch.nn.LSTMCell", "input-axes", "LSTMCell: Expected input to be 1D or 2D, got 3D instead"),
        ("torch.nn.LSTMCell", "input-dtype", "mat1 and mat2 must have the same dtype"),
        ("onnxruntime", "c_0-rows", "Got invalid dimensions for input: c_0_l0"),
        ("onnxruntime", "lengths-above", "Invalid value/s in sequence_lens"),
        ("onnx.reference", "input-features", "not aligned"),
        ("equinox.nn.LSTMCell", "c_0-rows", "vmap got inconsistent sizes for array axes to be mapped"),
    ],
)
def test_a_framework_refuses_in_its_own_words(name: str, mistake: str, message: str) -> None:
    layers = {"num_layers": 2} if mistake.endswith("layers") else {}
    lengths = {"lengths": "ragged"} if mistake.startswith("lengths") else {}
    result = check(name, refuses=mistake, check=["output"], **layers, **lengths)
    assert result.status == "pass", result
    assert message in result.notes[0]


def test_an_accepted_mistake_is_a_failure() -> None:
    result = check("onnx.reference", refuses="c_0-units", check=["output"])
    assert (result.status, result.reason) == ("fail", "accepted c_0 with a single unit, expected an error")


@pytest.mark.parametrize("options", [{"batch": 0}, {"batch": 0, "num_layers": 2, "batch_first": True}], ids=str)
@pytest.mark.parametrize("name", ["torch.nn.LSTM", "torch.nn.LSTMCell", "onnx.reference"])
def test_a_batch_without_rows_passes(name: str, options: dict[str, Any]) -> None:
    result = check(name, **options)
    assert (result.status, result.error_ratio, result.detects) == ("pass", 0.0, None), result


def test_a_sequence_without_steps_returns_the_initial_states() -> None:
    assert check("equinox.nn.LSTMCell", seq_len=0).status == "pass"


def test_a_documented_refusal_of_an_empty_sequence_is_unsupported() -> None:
    result = check("torch.nn.LSTM", seq_len=0)
    assert (result.status, result.reason) == (
        "unsupported",
        'torch: "Expected sequence length to be larger than 0 in RNN"',
    )
