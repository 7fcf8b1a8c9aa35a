"""Writes the checkpoints of this folder with each framework's own saver, and what the framework computes with them.

``python write.py NAME…`` writes ``NAME.EXT``, and ``NAME.npz`` in ``computed/`` with an input (batch, time, features)
and the output of the model's LSTMs. The frameworks were torch 2.13, Keras 3.15, tf_keras 2.21, Flax 0.12, Equinox 0.13,
Haiku 0.0.17, MLX 0.32 and Paddle 3.3.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)


def torch() -> Any:
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    parts = {"embed": torch.nn.Linear(3, 3), "encoder": torch.nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True)}
    model = torch.nn.ModuleDict({**parts, "gru": torch.nn.GRU(3, 4), "out": torch.nn.Linear(8, 2)})
    torch.save({"epoch": 3, "model": model.state_dict()}, HERE / "torch.pt")
    save_file(model.state_dict(), HERE / "torch.safetensors")
    x = torch.from_numpy(X)
    for name, dynamo in (("onnx_dynamo.onnx", True), ("onnx_legacy.onnx", False)):
        torch.onnx.export(model["encoder"].eval(), (x,), HERE / name, dynamo=dynamo, external_data=False)
    return model["encoder"](x)[0].detach()


def _keras(keras: Any, **options: Any) -> tuple[Any, Any]:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    hidden = [
        layers.Bidirectional(layers.LSTM(4, return_sequences=True, bias_initializer="normal"), name="first"),
        layers.LSTM(4, return_sequences=True, bias_initializer="normal", name="second", **options),
    ]
    model = keras.Sequential([keras.Input((None, 3)), *hidden, layers.Dense(2)])
    return model, hidden[1](hidden[0](X))


def keras() -> Any:
    import keras

    model, output = _keras(keras)
    model.save(HERE / "keras.keras")
    model.save_weights(HERE / "keras.weights.h5")
    return output


def keras2() -> Any:
    import tf_keras

    model, output = _keras(tf_keras, recurrent_activation="hard_sigmoid")
    model.save(HERE / "keras2.h5")
    model.save(HERE / "keras2.keras")
    return output


def cudnn() -> Any:
    """A model of CuDNNLSTM layers. Keras 2 converts the weights to LSTM layers, which need no GPU."""
    import tf_keras
    from tf_keras.src.layers.rnn.cudnn_lstm import CuDNNLSTM

    layers = tf_keras.layers

    def build(kind: Any) -> Any:
        both = layers.Bidirectional(kind(4, return_sequences=True), name="first")
        return tf_keras.Sequential([layers.InputLayer((5, 3)), both, kind(4, return_sequences=True, name="second")])

    model, converted = build(CuDNNLSTM), build(layers.LSTM)
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=array.shape).astype(np.float32) for array in model.get_weights()])
    model.save(HERE / "cudnn.keras")
    model.save(HERE / "cudnn.h5")
    converted.load_weights(HERE / "cudnn.h5")
    return converted(X)


def tf2() -> Any:
    import tf_keras

    model, output = _keras(tf_keras)
    model.save_weights(HERE / "tf2")
    return output


def tf1() -> Any:
    import tensorflow as tf
    from tf_keras.src.layers.rnn.legacy_cells import LSTMCell

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        cells = [LSTMCell(4), LSTMCell(4), LSTMCell(4, use_peepholes=True)]
        both, _ = v1.nn.bidirectional_dynamic_rnn(*cells[:2], tf.constant(X), dtype=tf.float32)
        output, _ = v1.nn.dynamic_rnn(cells[2], tf.concat(both, 2), dtype=tf.float32)
        random = np.random.default_rng(0)
        session.run([each.assign(random.normal(size=each.shape)) for each in v1.global_variables()])
        v1.train.Saver().save(session, str(HERE / "tf1"), write_meta_graph=False)
        return session.run(output)


def flax() -> Any:
    import flax.linen as nn
    import jax
    from flax import serialization

    class Model(nn.Module):  # type: ignore[misc]
        @nn.compact  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            cells = [nn.OptimizedLSTMCell(4, bias_init=nn.initializers.normal()) for _ in range(3)]
            x = nn.Bidirectional(nn.RNN(cells[0]), nn.RNN(cells[1]))(x)
            x = nn.RNN(cells[2])(x)
            return x, nn.Dense(2)(x)

    variables = Model().init(jax.random.key(0), X)
    (HERE / "flax.msgpack").write_bytes(serialization.to_bytes(variables))
    return Model().apply(variables, X)[0]


def nnx() -> Any:
    from flax import nnx, serialization

    rngs = nnx.Rngs(0)
    first, second = (nnx.RNN(nnx.OptimizedLSTMCell(size, 4, rngs=rngs)) for size in (3, 8))
    both = nnx.Bidirectional(first, nnx.RNN(nnx.OptimizedLSTMCell(3, 4, rngs=rngs)))
    model = nnx.Dict(first=both, second=second, out=nnx.Linear(4, 2, rngs=rngs))
    (HERE / "nnx.msgpack").write_bytes(serialization.to_bytes(nnx.to_pure_dict(nnx.state(model, nnx.Param))))
    return second(both(X))


def equinox() -> Any:
    import equinox as eqx
    import jax

    keys = jax.random.split(jax.random.key(0), 3)
    cells = [eqx.nn.LSTMCell(3, 4, key=keys[0]), eqx.nn.LSTMCell(4, 4, key=keys[1])]
    eqx.tree_serialise_leaves(HERE / "equinox.eqx", [eqx.nn.Linear(3, 3, key=keys[2]), *cells])

    def run(x: Any) -> Any:
        for cell in cells:
            step = lambda state, now, cell=cell: (cell(now, state),) * 2  # noqa: E731
            _, (x, _) = jax.lax.scan(step, (np.zeros(4, np.float32),) * 2, x)
        return x

    return jax.vmap(run)(X)


def haiku() -> Any:
    import haiku as hk
    import jax

    def run(x: Any) -> Any:
        core = hk.DeepRNN([hk.LSTM(4), hk.LSTM(4)])
        x, _ = hk.dynamic_unroll(core, x, core.initial_state(2), time_major=False)
        return x, hk.Linear(2)(x)

    model = hk.transform(run)
    params = model.init(jax.random.key(0), X)
    np.savez(
        HERE / "haiku.npz",
        **{f"{module}/{name}": array for module, own in params.items() for name, array in own.items()},
    )
    return model.apply(params, None, X)[0]


def mlx() -> Any:
    import mlx.core as mx
    import mlx.nn as nn

    mx.random.seed(0)
    model = nn.Module()
    model.layers = [nn.LSTM(3, 4), nn.LSTM(4, 4)]
    model.out = nn.Linear(4, 2)
    model.save_weights(str(HERE / "mlx.npz"))
    model.save_weights(str(HERE / "mlx.safetensors"))
    return model.layers[1](model.layers[0](mx.array(X))[0])[0]


def paddle() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import paddle

    paddle.seed(0)
    lstm = paddle.nn.LSTM(3, 4, num_layers=2, direction="bidirect")
    model = paddle.nn.LayerDict({"encoder": lstm, "out": paddle.nn.Linear(8, 2)})
    paddle.save(model.state_dict(), str(HERE / "paddle.pdparams"))
    return lstm(paddle.to_tensor(X))[0]


for name in sys.argv[1:]:
    computed = np.asarray(globals()[name]())
    (HERE / "computed").mkdir(exist_ok=True)
    np.savez(HERE / "computed" / f"{name}.npz", input=X, output=computed)
