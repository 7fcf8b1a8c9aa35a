"""What has no exact counterpart is reported or refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conformance.conversion.convert import convert_one, reassemble
from conformance.conversion.files import formats
from conformance.conversion.frameworks import FRAMEWORKS, framework
from conformance.conversion.lstm import Lstm, join_layers, reverse
from conformance.errors import UserError
from reference import Model
from tests.conformance.conversion.samples import draw

PLAIN = draw(Model(3, (2,)), name="encoder")
HARD = replace(PLAIN, options={"activations": ("hard_sigmoid", "tanh", "tanh")})


def notes(lstm: Lstm, target: str) -> str:
    return "\n".join(convert_one(lstm, framework(target, 1.0)).notes)


@pytest.mark.parametrize(
    ("lstm", "target", "reason"),
    [
        (draw(Model(3, (4,), proj_size=2)), "keras", "keras.layers.LSTM.* has no projection"),
        (draw(Model(3, (4,), peepholes=True)), "torch", "torch.nn.LSTM has no peepholes"),
        (draw(Model(3, (4, 2))), "torch", "torch.nn.LSTM has one hidden size for all layers"),
        (
            draw(Model(3, (4,), "bidirectional", reverse_hidden_size=2)),
            "torch",
            "torch.nn.LSTM is driven with one hidden size for both directions",
        ),
        (draw(Model(3, (4,), "bidirectional")), "mlx", "mlx.nn.LSTM runs forward only"),
        (reverse(PLAIN), "torch", "torch.nn.LSTM has no reverse-only direction"),
        (HARD, "torch", "fixed activations"),
        (
            replace(PLAIN, options={"activations": ("hard_sigmoid", "tanh", "tanh")}),
            "keras",
            "no activation hard_sigmoid",
        ),
        (replace(PLAIN, options={"coupled_gates": True}), "torch", "no coupled input and forget gates"),
        (replace(PLAIN, options={"clip": 3.0}), "flax", "does not clip the inputs of activations"),
    ],
)
def test_without_an_exact_counterpart_nothing_is_converted(lstm: Lstm, target: str, reason: str) -> None:
    with pytest.raises(
        UserError, match=rf"{lstm.name}: has no exact counterpart in {FRAMEWORKS[target].layer}: .*{reason}"
    ):
        convert_one(lstm, FRAMEWORKS[target])


def test_options_that_the_weights_do_not_record_are_named() -> None:
    named = "which only .onnx, .keras and .xml files record: activations hard_sigmoid, tanh, tanh"
    assert named in notes(HARD, "onnx")


def test_a_single_bias_becomes_the_input_bias() -> None:
    single = replace(PLAIN, parameters={**PLAIN.parameters, "bias_hh_l0": np.zeros(8, np.float32)})
    assert "bias_ih holds the bias, and bias_hh is zero" in notes(single, "torch")
    assert "bias_hh" not in notes(PLAIN, "torch")


def test_rounding_is_reported_with_its_size() -> None:
    result = convert_one(PLAIN, FRAMEWORKS["keras"])
    exact = PLAIN.parameters["bias_ih_l0"].astype(float) + PLAIN.parameters["bias_hh_l0"]
    moved = np.abs(result.tensors["encoder/lstm_cell/bias"] - exact).max()
    assert f"the sum of the biases is rounded once, which changes it by at most {moved:.2g}" in "\n".join(result.notes)
    assert notes(PLAIN, "torch") == ""


@pytest.mark.parametrize("target", ["flax", "haiku", "openvino", "block_lstm", "block_lstm_v2"])
def test_missing_biases_become_zeros_where_a_framework_always_has_them(target: str) -> None:
    result = convert_one(draw(Model(3, (2,), bias=False)), framework(target, 1.0))
    assert "always has biases, the LSTM has none: they are zero" in result.notes[0]
    adds = result.after.options.get("forget_bias", 0.0)
    np.testing.assert_array_equal(result.after.parameters["bias_ih_l0"], [0, 0, -adds, -adds, 0, 0, 0, 0])


def test_a_forget_bias_at_run_time_moves_into_the_bias() -> None:
    lstm = replace(PLAIN, options={"forget_bias": 1.0})
    moved = convert_one(lstm, FRAMEWORKS["torch"])
    assert "forget bias 1 that is added at run time is now part of the bias" in moved.notes[0]
    expected = PLAIN.parameters["bias_ih_l0"] + np.array([0, 0, 1, 1, 0, 0, 0, 0], np.float32)
    np.testing.assert_array_equal(moved.tensors["encoder.bias_ih_l0"], expected)
    kept = convert_one(lstm, FRAMEWORKS["haiku"])
    assert kept.after.options == {"forget_bias": 1.0}
    unchanged = PLAIN.parameters["bias_ih_l0"] + PLAIN.parameters["bias_hh_l0"]
    np.testing.assert_array_equal(kept.after.parameters["bias_ih_l0"], unchanged)


def test_layers_of_a_stack_get_names_of_their_own() -> None:
    deep = draw(Model(3, (2, 2)), name="encoder")
    assert "keras.layers.LSTM is a single layer: each layer has a name of its own" in notes(deep, "keras")
    assert "single layer" not in notes(deep, "torch")


def test_sizes_per_direction_are_kept_in_the_files_of_wrappers_of_two_layers() -> None:
    lstm = draw(Model(3, (4, 3), "bidirectional", reverse_hidden_size=2), name="e")
    assert lstm.describe() == "2 layers, bidirectional, I = 3, H = 3, 4, H = 2 in reverse, float32"
    for target, file in (("keras", "e.keras"), ("keras", "e.weights.h5"), ("flax", "e.msgpack")):
        result = convert_one(lstm, FRAMEWORKS[target])
        contents = formats.format_of(Path(file)).decode(
            file, formats.encode(Path(file), dict(result.tensors), [result.after])
        )
        found = reassemble(FRAMEWORKS[target].find(contents.tensors, sure=True), result.after)
        assert found.check().equals(result.after)


def test_sizes_of_reverse_directions_that_differ_by_layer_are_refused() -> None:
    below = draw(Model(3, (4,), "bidirectional", reverse_hidden_size=2))
    above = draw(Model(6, (4,), "bidirectional", reverse_hidden_size=1))
    with pytest.raises(UserError, match=r"the reverse directions of its layers have 2, 1 units\. .* in every layer"):
        join_layers([below, above])


def test_sizes_per_layer_are_kept_by_frameworks_without_stacks() -> None:
    result = convert_one(draw(Model(3, (4, 2)), name="e"), FRAMEWORKS["keras"])
    assert result.tensors["e_l1/lstm_cell/kernel"].shape == (4, 8)
