"""Each framework loads the file that ``convert`` wrote for it, and computes what the source computes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.commands.cli import main
from conformance.conversion.convert import convert_one, reassemble
from conformance.conversion.files import formats
from conformance.conversion.find import with_options
from conformance.conversion.frameworks import FRAMEWORKS, framework
from conformance.conversion.lstm import Array, Lstm
from reference import Model
from tests.conformance.conversion.samples import FOLDER, draw

H = 4
"""Hidden size of the LSTMs in the checkpoints, which have two layers."""
BOTH = (FOLDER / "torch.safetensors", "torch")
FORWARD = (FOLDER / "haiku.npz", "haiku")
FORWARD_TOO = (FOLDER / "mlx.npz", "mlx")


def torch(path: Path, x: Array) -> Any:
    import torch

    module = torch.nn.ModuleDict({"encoder": torch.nn.LSTM(3, H, 2, bidirectional=True, batch_first=True)})
    module.load_state_dict(torch.load(path, weights_only=True))
    with torch.no_grad():
        return module["encoder"](torch.from_numpy(x))[0]


def keras_weights(path: Path, x: Array) -> Any:
    import keras

    layers = [keras.layers.Bidirectional(keras.layers.LSTM(H, return_sequences=True)) for _ in range(2)]
    model = keras.Sequential([keras.Input((None, 3)), *layers])
    model.load_weights(path)
    return model(x)


def keras_model(path: Path, x: Array) -> Any:
    import keras

    return keras.saving.load_model(path)(x)


def onnx(path: Path, x: Array) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return session.run(["output"], {"input": np.ascontiguousarray(x.swapaxes(0, 1))})[0].swapaxes(0, 1)


@cache
def _linen() -> Any:
    """Returns a function of the parameters and the input, which is compiled once."""
    import flax.linen as nn
    import jax

    def run(params: Any, x: Any) -> Any:
        for layer in range(2):
            forward, backward = (nn.RNN(nn.OptimizedLSTMCell(H)) for _ in range(2))
            x = nn.Bidirectional(forward, backward).apply({"params": params[f"encoder_l{layer}"]}, x)
        return x

    return jax.jit(run)


def flax(path: Path, x: Array) -> Any:
    from flax import serialization

    return _linen()(serialization.msgpack_restore(path.read_bytes())["params"], x)


def orbax(path: Path, x: Array) -> Any:
    import orbax.checkpoint

    return _linen()(orbax.checkpoint.PyTreeCheckpointer().restore(path)["params"], x)


def nnx(path: Path, x: Array) -> Any:
    import jax
    from flax import nnx, serialization

    def run(params: Any, x: Any) -> Any:
        rngs = nnx.Rngs(0)
        cells = [[nnx.RNN(nnx.OptimizedLSTMCell(size, H, rngs=rngs)) for _ in range(2)] for size in (3, 2 * H)]
        model = nnx.Dict({f"encoder_l{layer}": nnx.Bidirectional(*both) for layer, both in enumerate(cells)})
        state = nnx.state(model, nnx.Param)
        nnx.replace_by_pure_dict(state, params)
        nnx.update(model, state)
        return model.encoder_l1(model.encoder_l0(x))

    return jax.jit(run)(serialization.msgpack_restore(path.read_bytes())["params"], x)


def equinox(path: Path, x: Array) -> Any:
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    def build() -> Any:
        return [eqx.nn.LSTMCell(size, H, key=jax.random.key(0)) for size in (3, 3, 2 * H, 2 * H)]

    def run(cells: Any, x: Any) -> Any:
        def step(cell: Any, reverse: bool) -> Any:
            zeros = (jnp.zeros(H), jnp.zeros(H))
            return jax.lax.scan(lambda state, now: (cell(now, state),) * 2, zeros, x, reverse=reverse)[1][0]

        for forward, backward in (cells[:2], cells[2:]):
            x = jnp.concatenate([step(forward, False), step(backward, True)], 1)
        return x

    cells = eqx.tree_deserialise_leaves(path, eqx.filter_eval_shape(build))
    return eqx.filter_jit(lambda cells, x: jax.vmap(lambda row: run(cells, row))(x))(cells, x)


def haiku(path: Path, x: Array) -> Any:
    import haiku as hk
    import jax

    def unroll(x: Any) -> Any:
        core = hk.LSTM(H)
        return hk.dynamic_unroll(core, x, core.initial_state(len(x)), time_major=False)[0]

    with np.load(path) as arrays:
        for layer in range(2):
            params = {"lstm/linear": {role: arrays[f"layers/0_l{layer}/linear/{role}"] for role in "wb"}}
            x = hk.transform(unroll).apply(params, jax.random.key(0), x)
    return x


def mlx(path: Path, x: Array) -> Any:
    import mlx.core as mx
    import mlx.nn as nn

    model = nn.Module()
    model.lstm = [nn.LSTM(3, H), nn.LSTM(H, H)]
    model.load_weights(str(path))
    return model.lstm[1](model.lstm[0](mx.array(x))[0])[0]


def paddle(path: Path, x: Array) -> Any:
    import paddle

    model = paddle.nn.LayerDict({"encoder": paddle.nn.LSTM(3, H, 2, direction="bidirect")})
    missing, unexpected = model.set_state_dict(paddle.load(str(path)))
    assert not missing
    assert not unexpected
    return model["encoder"](paddle.to_tensor(x))[0]


def tensorflow(path: Path, x: Array) -> Any:
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(path.with_suffix("")))
    for layer in range(2):
        sides = []
        for side, turn in (("fw", False), ("bw", True)):
            w, b = (reader.get_tensor(f"encoder_l{layer}/{side}/lstm_cell/{role}") for role in ("kernel", "bias"))
            sides.append(_block_lstm(tf, w, b, x[:, ::-1] if turn else x)[:, :: -1 if turn else 1])
        x = np.concatenate(sides, 2)
    return x


def _block_lstm(tf: Any, w: Array, b: Array, x: Array) -> Array:
    """Runs BlockLSTM with its default forget bias."""
    zeros, none = np.zeros((len(x), H), np.float32), np.zeros(H, np.float32)
    states = tf.raw_ops.BlockLSTM(
        seq_len_max=x.shape[1], x=x.swapaxes(0, 1), cs_prev=zeros, h_prev=zeros, w=w, wci=none, wcf=none, wco=none, b=b
    )
    return np.asarray(states.h).swapaxes(0, 1)


def openvino(path: Path, x: Array) -> Any:
    import openvino

    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(openvino.Core().read_model(path), "CPU", hint)({"input": x})["output"]


LOADERS: dict[str, tuple[str, Callable[[Path, Array], Any], tuple[Path, str], Sequence[str]]] = {
    "new.pt": ("torch", torch, BOTH, ()),
    "new.weights.h5": ("keras", keras_weights, BOTH, ()),
    "new.keras": ("keras", keras_model, BOTH, ()),
    "new.onnx": ("onnxruntime", onnx, BOTH, ()),
    "new.msgpack": ("flax", flax, BOTH, ("--to", "flax")),
    "nnx.msgpack": ("flax", nnx, BOTH, ("--to", "nnx")),
    "new.orbax": ("orbax.checkpoint", orbax, BOTH, ("--to", "flax")),
    "new.eqx": ("equinox", equinox, BOTH, ()),
    "new.npz": ("haiku", haiku, FORWARD_TOO, ("--to", "haiku", "--stack")),
    "new.safetensors": ("mlx", mlx, FORWARD, ("--to", "mlx", "--stack")),
    "new.pdparams": ("paddle", paddle, BOTH, ()),
    "new.index": ("tensorflow", tensorflow, BOTH, ("--forget-bias", "1")),
    "new.xml": ("openvino", openvino, BOTH, ()),
}
"""Package, loader, source with what it computed, and options of the command, by the name of the file."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", LOADERS)
def test_a_framework_computes_the_same_with_the_file_that_was_written(name: str, tmp_path: Path) -> None:
    package, load, (source, computed), options = LOADERS[name]
    pytest.importorskip(package)
    assert main(["convert", str(source), str(tmp_path / name), *options]) == 0
    with np.load(FOLDER / "computed" / f"{computed}.npz") as expected:
        output = np.asarray(load(tmp_path / name, expected["input"]))
        np.testing.assert_allclose(output, expected["output"], rtol=0, atol=1e-6)


FILES = {
    "torch": "a.pt",
    "keras": "a.weights.h5",
    "onnx": "a.onnx",
    "flax": "a.msgpack",
    "nnx": "a.orbax",
    "mlx": "a.safetensors",
    "equinox": "a.eqx",
    "haiku": "a.npz",
    "paddle": "a.pdparams",
    "openvino": "a.xml",
    "block_lstm": "a.index",
    "block_lstm_v2": "a.npz",
}
NEEDED = {"a.pt": "torch", "a.orbax": "orbax", "a.xml": "openvino", "a.index": "tensorflow"}
"""Packages without which files are neither read nor written."""


def through_a_file(lstm: Lstm, target: str) -> Lstm:
    """Returns an LSTM as it reads in the file of another framework."""
    wanted, path = framework(target, 1.0), Path(FILES[target])
    result = convert_one(lstm, wanted)
    contents = formats.format_of(path).decode(path.name, formats.encode(path, dict(result.tensors), [result.after]))
    return reassemble(with_options(wanted.find(contents.tensors, sure=True), contents.options), result.after)


@pytest.mark.parametrize("source", FRAMEWORKS)
def test_weights_survive_the_files_of_any_two_frameworks(source: str) -> None:
    installed = [name for name in FILES if find_spec(NEEDED.get(FILES[name], "numpy"))]
    if source not in installed:
        pytest.skip(f"{NEEDED[FILES[source]]} is not installed")
    for target in installed[installed.index(source) :]:  # The way back is the other conversion of a pair.
        model = Model(3, (2, 2), "forward" if "mlx" in (source, target) else "bidirectional")
        lstm = draw(model)
        # Without recurrent biases, nothing is rounded. The numbers are such that forget biases are added exactly.
        exact = {
            name: np.round(array * 8) * np.float32(not name.startswith("bias_hh"))
            for name, array in lstm.parameters.items()
        }
        first = through_a_file(replace(lstm, parameters=exact), source)
        back = through_a_file(through_a_file(first, target), source)
        assert back.equals(first)
        assert first.parameters.keys() == exact.keys()
