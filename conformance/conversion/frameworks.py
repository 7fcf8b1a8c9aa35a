"""The frameworks whose weights can be converted, most used first."""

import re
from dataclasses import replace

from conformance.adapters import layout as layouts
from conformance.conversion.block import BlockLstm
from conformance.conversion.directions import DirectionAxis
from conformance.conversion.framework import Framework, Names
from conformance.conversion.paddle import Paddle
from conformance.errors import UserError

_TORCH = Names(
    separator=".",
    pattern=r"(?:(?P<name>.+)\.)?(?P<role>ROLES)(?:_l(?P<layer>\d+)(?P<direction>_reverse)?)?",
    one="{name}.{role}_l{layer}",
    forward="{name}.{role}_l{layer}",
    backward="{name}.{role}_l{layer}_reverse",
)
_KERAS = Names(
    separator="/",
    pattern=(
        r"(?:(?P<name>.+?)/)??(?:(?P<direction>(?:forward|backward)[^/]*)/)?(?:(?P<cell>[^/]*cell[^/]*)/)?"
        r"(?P<role>ROLES)(?::0)?"
    ),
    one="{name}/lstm_cell/{role}",
    forward="{name}/forward_lstm/lstm_cell/{role}",
    backward="{name}/backward_lstm/lstm_cell/{role}",
    base="lstm",
)
_FLAX = Names(
    separator="/",
    pattern=(
        r"(?:params/)?(?:(?P<name>.+?)/)??(?:(?P<direction>(?:forward|backward)_rnn)/)?(?:(?P<cell>cell)/)?"
        r"(?P<role>ROLES)"
    ),
    one="{name}/cell/{role}",
    forward="{name}/forward_rnn/cell/{role}",
    backward="{name}/backward_rnn/cell/{role}",
    aliases={"if_/kernel": "if/kernel"},  # flax.nnx, because `if` is a keyword.
)


def _names(separator: str, inside: str = "", base: str = "", numbered: str = "{name}_l{layer}") -> Names:
    """Returns names for a framework without bidirectional layers: its directions are parts named so.

    Args:
        separator: separator of the parts of a name.
        inside: part of each name before the role, with its separator.
        base: name of an LSTM without a name.
        numbered: template of the name of one layer of several.
    """
    dot = re.escape(separator)
    start = rf"(?:(?P<name>.+?){dot})??(?:(?P<direction>forward|backward){dot})?"
    one, forward, backward = (
        f"{{name}}{separator}{way}{inside}{{role}}" for way in ("", f"forward{separator}", f"backward{separator}")
    )
    return Names(separator, f"{start}{re.escape(inside)}(?P<role>ROLES)", one, forward, backward, numbered, base)


_BLOCK = replace(_names("/"), pattern=rf"(?!.*linear/){_names('/').pattern}")  # Haiku's names end with linear/w.

MAX_FORGET_BIAS = 1e3
"""Largest forget bias of a case."""

FRAMEWORKS = {
    framework.name: framework
    for framework in (
        Framework("torch", "torch.nn.LSTM", ("torch.nn.LSTM",), layouts.TORCH, _TORCH, stacks=True, foreign=("bias",)),
        Framework(
            "keras",
            "keras.layers.LSTM",
            (
                "keras.layers.LSTM[tensorflow]",
                "keras.layers.LSTM[jax]",
                "keras.layers.LSTM[torch]",
                "tf_keras.layers.LSTM",
            ),
            layouts.KERAS,
            _KERAS,
        ),
        DirectionAxis("onnx", "ONNX LSTM", ("onnxruntime", "onnx.reference"), layouts.ONNX, _names("/", base="lstm")),
        Framework("flax", "flax.linen.LSTMCell", ("flax.linen.OptimizedLSTMCell",), layouts.FLAX, _FLAX),
        Framework("nnx", "flax.nnx.OptimizedLSTMCell", ("flax.nnx.OptimizedLSTMCell",), layouts.FLAX_JOINED, _FLAX),
        Framework("mlx", "mlx.nn.LSTM", ("mlx.nn.LSTM",), layouts.MLX, _names(".", numbered="{name}.{layer}")),
        Framework(
            "equinox",
            "equinox.nn.LSTMCell",
            ("equinox.nn.LSTMCell",),
            layouts.EQUINOX,
            _names("."),
            foreign=("bias_ih", "bias_hh"),
        ),
        Framework(
            "haiku",
            "haiku.LSTM",
            ("haiku.LSTM",),
            replace(layouts.HAIKU, forget_bias=0.0),
            _names("/", "linear/", base="lstm"),
            distinctive=False,
            forget_bias=layouts.HAIKU.forget_bias,
        ),
        Paddle("paddle", "paddle.nn.LSTM", ("paddle.nn.LSTM",), layouts.PADDLE, _TORCH, stacks=True, foreign=("bias",)),
        DirectionAxis(
            "openvino", "OpenVINO LSTMSequence", ("openvino[LSTMSequence]",), layouts.OPENVINO, _names("/", base="lstm")
        ),
        BlockLstm(
            "block_lstm",
            "tf.raw_ops.BlockLSTM",
            ("tf.raw_ops.BlockLSTM",),
            layouts.TF_BLOCK,
            _BLOCK,
            distinctive=False,
            forget_bias=None,
        ),
        BlockLstm(
            "block_lstm_v2",
            "tf.raw_ops.BlockLSTMV2",
            ("tf.raw_ops.BlockLSTMV2",),
            layouts.TF_BLOCK_V2,
            _BLOCK,
            distinctive=False,
        ),
    )
}
"""Frameworks by their names on the command line."""


def check_forget_bias(forget_bias: float | None, *frameworks: Framework) -> None:
    """Checks that a forget bias is given only for a framework that has it as an argument.

    Raises:
        UserError: none of the frameworks has.
    """
    if forget_bias is not None and all(FRAMEWORKS[own.name].forget_bias is not None for own in frameworks):
        names = " and ".join(own.name for own in frameworks)
        raise UserError(f"--forget-bias applies to block_lstm only, not to {names}")


def framework(name: str, forget_bias: float | None = None) -> Framework:
    """Returns a framework by name.

    Args:
        name: name on the command line.
        forget_bias: number that it adds to the forget gate at run time, if the user chooses it.

    Raises:
        UserError: no framework has that name, or its forget bias is not given.
    """
    if name not in FRAMEWORKS:
        raise UserError(f"no framework is named {name!r}; known are {', '.join(FRAMEWORKS)}")
    found = FRAMEWORKS[name]
    if forget_bias is not None and not abs(forget_bias) <= MAX_FORGET_BIAS:
        raise UserError(f"--forget-bias must be a number up to {MAX_FORGET_BIAS:g}, not {forget_bias}")
    if found.forget_bias is not None:
        return found
    if forget_bias is None:
        raise UserError(
            f"{found.layer} adds its argument forget_bias to the forget gate, which no checkpoint contains. "
            "Give the number; TensorFlow's default is `--forget-bias 1`"
        )
    return replace(found, forget_bias=forget_bias)
