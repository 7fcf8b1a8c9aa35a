"""Checkpoints that frameworks wrote: the LSTMs found in them compute what the framework computed.

``checkpoints/write.py`` wrote them.
"""

from pathlib import Path

import pytest

from conformance.conversion.files import formats
from conformance.conversion.lstm import join_directions
from conformance.errors import UserError
from tests.conformance.conversion.samples import FOLDER, assert_computes, load

FOUND = {
    "torch.pt": ("torch", ["model.encoder"]),
    "torch.safetensors": ("torch", ["encoder"]),
    "onnx_legacy.onnx": ("onnx", ["/LSTM", "/LSTM_1"]),
    "onnx_dynamo.onnx": ("onnx", ["node_LSTM_112", "node_LSTM_220"]),
    "keras.keras": ("keras", ["first", "second"]),
    "keras.weights.h5": ("keras", ["first", "second"]),
    "keras2.h5": ("keras", ["first", "second"]),
    "keras2.keras": ("keras", ["first", "second"]),
    "cudnn.h5": ("keras", ["first", "second"]),
    "cudnn.keras": ("keras", ["first", "second"]),
    "tf2.index": ("keras", ["layer_with_weights-0", "layer_with_weights-1"]),
    "tf1.index": ("block_lstm", ["bidirectional_rnn", "rnn"]),
    "nnx.msgpack": ("nnx", ["first", "second"]),
    "equinox.eqx": ("equinox", ["2", "5"]),
    "haiku.npz": ("haiku", ["lstm", "lstm_1"]),
    "mlx.npz": ("mlx", ["layers.0", "layers.1"]),
    "mlx.safetensors": ("mlx", ["layers.0", "layers.1"]),
    "paddle.pdparams": ("paddle", ["encoder"]),
}
"""The framework and the LSTMs in each file. Each LSTM reads the output of the one before it."""


NEEDED = {"pt": "torch", "index": "tensorflow"}
"""Packages that read files, by the endings of names."""


@pytest.mark.parametrize("name", FOUND)
def test_lstms_in_a_checkpoint_compute_what_the_framework_computed(name: str) -> None:
    pytest.importorskip(NEEDED.get(name.partition(".")[2], "numpy"))
    framework, lstms = load(name)
    assert (framework.name, [lstm.name for lstm in lstms]) == FOUND[name]
    assert_computes(lstms, "torch" if name.startswith("onnx") else name.split(".")[0])


def test_cells_of_one_layer_are_joined_to_its_directions() -> None:
    _, cells = load("flax.msgpack")
    assert [cell.name for cell in cells] == [f"OptimizedLSTMCell_{number}" for number in range(3)]
    assert_computes([*join_directions(cells[:2]), cells[2]], "flax")


def test_the_hard_sigmoid_of_keras_2_is_found_in_the_configuration() -> None:
    for name in ("keras2.h5", "keras2.keras"):
        _, (first, second) = load(name)
        assert (first.options, second.options) == ({}, {"activations": ("hard_sigmoid", "tanh", "tanh")})


@pytest.mark.parametrize("name", [*FOUND, "flax.msgpack"])
def test_a_truncated_checkpoint_is_rejected_in_one_line(name: str, tmp_path: Path) -> None:
    pytest.importorskip(NEEDED.get(name.partition(".")[2], "numpy"))
    data = (FOLDER / name).read_bytes()
    part = tmp_path / name
    for size in (0, 1, len(data) // 3, len(data) - 40):
        part.write_bytes(data[:size])
        with pytest.raises(UserError) as raised:
            formats.read(part)
        assert str(raised.value).startswith(str(part))
        assert "\n" not in str(raised.value)
