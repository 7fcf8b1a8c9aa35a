"""Weight layouts as data: how frameworks store the parameters that ``reference.model`` names.

The layouts serve the adapters, weight conversion and the documentation. They describe one layer in one direction:

    layout.KERAS.pack({"weight_ih": …, "weight_hh": …, "bias_ih": …, "bias_hh": …})
    -> {"kernel": …, "recurrent_kernel": …, "bias": …}
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Biases = Literal["separate", "summed"]

CANONICAL_GATES = "ifgo"
CANONICAL_PEEPHOLES = "ifo"
_GATED = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_ROLES = (*_GATED, "peephole", "weight_hr")
_GATE = "{gate}"


@dataclass(frozen=True)
class Layout:
    """The layout of a framework's parameters for one layer in one direction. Gates are i, f, g (candidate) and o.

    Attributes:
        gates: order of the gates' blocks of H rows.
        transposed: whether weights are (features, 4H) instead of (4H, features).
        biases: ``separate`` for an input bias and a recurrent bias, ``summed`` for a single bias.
        weight_ih: name of the input weights. If ``weight_hh`` has the same name, both are one array: first the input's
            features, then the hidden state's.
        weight_hh: name of the recurrent weights.
        bias_ih: name of the input bias, or of the single bias.
        bias_hh: name of the recurrent bias; unused if biases are summed.
        weight_hr: name of the projection.
        projection_transposed: whether the projection is (H, P) instead of (P, H).
        peepholes: order of the peepholes' blocks of H elements.
        peephole: name of the peepholes.
        forget_bias: number that the framework adds to the forget gate at run time. ``pack`` subtracts it from the bias.

    A name that contains ``{gate}`` denotes one array per gate: ``{gate}`` is replaced by the gate's letter.
    """

    gates: str = CANONICAL_GATES
    transposed: bool = False
    biases: Biases = "separate"
    weight_ih: str = "weight_ih"
    weight_hh: str = "weight_hh"
    bias_ih: str = "bias_ih"
    bias_hh: str = "bias_hh"
    weight_hr: str = "weight_hr"
    projection_transposed: bool = False
    peepholes: str = CANONICAL_PEEPHOLES
    peephole: str = "peephole"
    forget_bias: float = 0.0

    def __post_init__(self) -> None:
        if sorted(self.gates) != sorted(CANONICAL_GATES):
            raise ValueError(f"gates must contain i, f, g and o once each, got {self.gates!r}")
        if sorted(self.peepholes) != sorted(CANONICAL_PEEPHOLES):
            raise ValueError(f"peepholes must contain i, f and o once each, got {self.peepholes!r}")
        if self.forget_bias and self.biases != "summed":
            raise ValueError("a forget bias needs a single bias: set biases='summed'")

    def pack(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Converts a layer's canonical parameters to the framework's arrays. All arrays are new.

        ``bias_ih + bias_hh`` may not be representable in its dtype. A summed bias is rounded once, even if a forget
        bias is subtracted, as for a user who ports weights. The error budget covers this: it is one rounding of a term
        of the gate's sum.

        Args:
            parameters: ``weight_ih`` (4H, I), ``weight_hh`` (4H, H or P) and, if the layer has them, ``bias_ih`` and
                ``bias_hh`` (4H,), ``peephole`` (3H,), ``weight_hr`` (P, H).

        Raises:
            ValueError: the layout has a forget bias, and the layer has no bias to subtract it from.
        """
        if self.forget_bias and "bias_ih" not in parameters:
            raise ValueError(f"a layer without biases cannot compensate for a forget bias of {self.forget_bias}")
        blocks = {role: self._reorder(array, CANONICAL_GATES, self.gates) for role, array in _gated(parameters)}
        features = 0 if self.transposed else 1
        weights = [blocks[role].T if self.transposed else blocks[role] for role in ("weight_ih", "weight_hh")]
        arrays: dict[str, Array] = {}
        if self._is_joined:
            arrays[self.weight_ih] = np.concatenate(weights, axis=features)
        else:
            arrays[self.weight_ih], arrays[self.weight_hh] = weights
        if "bias_ih" in blocks:
            if self.forget_bias:
                arrays[self.bias_ih] = self._without_forget_bias(blocks["bias_ih"], blocks["bias_hh"])
            elif self.biases == "summed":
                arrays[self.bias_ih] = blocks["bias_ih"] + blocks["bias_hh"]
            else:
                arrays[self.bias_ih], arrays[self.bias_hh] = blocks["bias_ih"], blocks["bias_hh"]
        if "peephole" in parameters:
            arrays[self.peephole] = self._reorder(parameters["peephole"], CANONICAL_PEEPHOLES, self.peepholes)
        if "weight_hr" in parameters:
            projection = parameters["weight_hr"]
            arrays[self.weight_hr] = projection.T if self.projection_transposed else projection
        arrays = {part: own for name, array in arrays.items() for part, own in self._split(name, array)}
        return {name: np.array(array, order="C") for name, array in arrays.items()}

    def pack_tangents(self, tangents: Mapping[str, Array]) -> dict[str, Array]:
        """Converts derivatives of a layer's canonical parameters to those of the framework's arrays.

        As ``pack``, but without the forget bias, which is constant.
        """
        return replace(self, forget_bias=0.0).pack(tangents)

    def unpack(self, arrays: Mapping[str, Array], input_size: int) -> dict[str, Array]:
        """Converts the framework's arrays to a layer's canonical parameters. All arrays are new.

        A single bias becomes ``bias_ih``, and ``bias_hh`` is zero. The framework's forget bias is added to ``bias_ih``.

        Args:
            arrays: the framework's arrays by name.
            input_size: I, used to split a joined array.
        """
        parameters = self.unpack_gradients(arrays, input_size)
        if self.biases == "summed" and "bias_hh" in parameters:
            parameters["bias_hh"] = np.zeros_like(parameters["bias_hh"])
        if self.forget_bias:
            block = len(parameters["bias_ih"]) // 4
            parameters["bias_ih"][block : 2 * block] += self.forget_bias
        return parameters

    def unpack_gradients(self, gradients: Mapping[str, Array], input_size: int) -> dict[str, Array]:
        """Converts the gradients of the framework's arrays to those of the canonical parameters. All arrays are new.

        This is the adjoint of ``pack``: the gradient of a summed bias is that of both ``bias_ih`` and ``bias_hh``.

        Args:
            gradients: gradients of the framework's arrays by name.
            input_size: I, used to split a joined array.
        """
        gradients = self._joined(gradients)
        first = gradients[self.weight_ih].T if self.transposed else gradients[self.weight_ih]
        if self._is_joined:
            blocks = {"weight_ih": first[:, :input_size], "weight_hh": first[:, input_size:]}
        else:
            second = gradients[self.weight_hh]
            blocks = {"weight_ih": first, "weight_hh": second.T if self.transposed else second}
        if self.bias_ih in gradients:
            blocks["bias_ih"] = gradients[self.bias_ih]
            blocks["bias_hh"] = gradients[self.bias_ih if self.biases == "summed" else self.bias_hh]
        parameters = {role: self._reorder(block, self.gates, CANONICAL_GATES) for role, block in blocks.items()}
        if self.peephole in gradients:
            parameters["peephole"] = self._reorder(gradients[self.peephole], self.peepholes, CANONICAL_PEEPHOLES)
        if self.weight_hr in gradients:
            projection = gradients[self.weight_hr]
            parameters["weight_hr"] = np.array(projection.T if self.projection_transposed else projection, order="C")
        return parameters

    @property
    def _is_joined(self) -> bool:
        return self.weight_ih == self.weight_hh

    def _without_forget_bias(self, bias_ih: Array, bias_hh: Array) -> Array:
        """Returns the summed bias minus the framework's forget bias, rounded once."""
        total = bias_ih.astype(np.float64) + bias_hh
        block = len(total) // 4
        forget = self.gates.index("f") * block
        total[forget : forget + block] -= self.forget_bias
        return total.astype(bias_ih.dtype)

    def _split(self, name: str, array: Array) -> list[tuple[str, Array]]:
        """Splits an array of all gates if its name contains ``{gate}``. Returns pairs of name and array."""
        if _GATE not in name:
            return [(name, array)]
        blocks = np.split(array, 4, axis=self._gate_axis(array))
        return [(name.replace(_GATE, gate), block) for gate, block in zip(self.gates, blocks, strict=True)]

    def _joined(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Joins arrays stored per gate into arrays of all gates. The inverse of ``_split``."""
        joined = dict(arrays)
        for name in (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh):
            parts = [arrays[part] for gate in self.gates if (part := name.replace(_GATE, gate)) in arrays]
            if _GATE in name and parts:
                joined[name] = np.concatenate(parts, axis=self._gate_axis(parts[0]))
        return joined

    def _gate_axis(self, array: Array) -> int:
        return array.ndim - 1 if self.transposed else 0

    @staticmethod
    def _reorder(array: Array, stored: str, wanted: str) -> Array:
        """Copies an array with its blocks of gates in another order.

        Args:
            array: array whose first axis consists of one block for each gate.
            stored: order of the gates in the array.
            wanted: order of the gates in the copy.
        """
        block = dict(zip(stored, np.split(array, len(stored)), strict=True))
        # Concatenating blocks of a transposed array returns an array in Fortran order.
        return cast(Array, np.ascontiguousarray(np.concatenate([block[gate] for gate in wanted])))


TORCH = Layout()
"""``torch.nn.LSTM`` and ``torch.nn.LSTMCell``: the canonical layout. https://docs.pytorch.org/docs/stable/nn.html"""

KERAS = Layout(
    transposed=True, biases="summed", weight_ih="kernel", weight_hh="recurrent_kernel", bias_ih="bias"
)  # fmt: skip
"""``keras.layers.LSTM``: gates i, f, c, o along the columns. https://keras.io/api/layers/recurrent_layers/lstm/"""

ONNX = Layout(
    gates="iofg", weight_ih="W", weight_hh="R", bias_ih="Wb", bias_hh="Rb", peepholes="iof", peephole="P"
)  # fmt: skip
"""ONNX's ``LSTM``: Wb and Rb are concatenated in B. https://onnx.ai/onnx/operators/onnx__LSTM.html"""

OPENVINO = Layout(gates="figo", biases="summed", weight_ih="W", weight_hh="R", bias_ih="B")
"""OpenVINO's ``LSTMSequence``.
https://docs.openvino.ai/nightly/documentation/openvino-ir-format/operation-sets/operation-specs/sequence/lstm-sequence-1.html"""

FLAX = Layout(
    transposed=True, biases="summed", weight_ih="i{gate}/kernel", weight_hh="h{gate}/kernel", bias_ih="h{gate}/bias"
)  # fmt: skip
"""Both LSTM cells of ``flax.linen``: one dense layer per gate, with biases in the recurrent layers only.
https://flax.readthedocs.io/en/latest/api_reference/flax.linen/layers.html"""

FLAX_JOINED = Layout(
    transposed=True, biases="summed", weight_ih="dense_i/kernel", weight_hh="dense_h/kernel", bias_ih="dense_h/bias"
)  # fmt: skip
"""``flax.nnx.OptimizedLSTMCell``: one dense layer for all gates.
https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/nn/recurrent.html"""

EQUINOX = Layout(biases="summed", bias_ih="bias")
"""``equinox.nn.LSTMCell``. https://docs.kidger.site/equinox/api/nn/rnn/"""

HAIKU = Layout(
    gates="igfo", transposed=True, biases="summed", weight_ih="w", weight_hh="w", bias_ih="b", forget_bias=1.0
)  # fmt: skip
"""``haiku.LSTM``: gates i, g, f, o along the columns of one array. Haiku adds 1 to f at run time.
https://dm-haiku.readthedocs.io/en/latest/api.html#lstm"""

MXNET = Layout(
    weight_ih="i2h_weight", weight_hh="h2h_weight", bias_ih="i2h_bias", bias_hh="h2h_bias", weight_hr="h2r_weight"
)
"""``mxnet.gluon.rnn.LSTM``. https://mxnet.apache.org/versions/1.9.1/api/python/docs/api/gluon/rnn/index.html"""

MLX = Layout(biases="summed", weight_ih="Wx", weight_hh="Wh", bias_ih="bias")
"""``mlx.nn.LSTM``. https://ml-explore.github.io/mlx/build/html/python/nn/_autosummary/mlx.nn.LSTM.html"""

TF_BLOCK = Layout(
    gates="igfo", transposed=True, biases="summed", weight_ih="w", weight_hh="w", bias_ih="b"
)  # fmt: skip
"""``tf.raw_ops.BlockLSTM``: gates i, c, f, o along the columns. https://www.tensorflow.org/api_docs/python/tf/raw_ops/BlockLSTM"""

TF_BLOCK_V2 = Layout(
    gates="ifgo", transposed=True, biases="summed", weight_ih="w", weight_hh="w", bias_ih="b"
)  # fmt: skip
"""``tf.raw_ops.BlockLSTMV2``: gates i, f, c, o along the columns. https://www.tensorflow.org/api_docs/python/tf/raw_ops/BlockLSTMV2"""

PADDLE = Layout(weight_hr="weight_ho", projection_transposed=True)
"""``paddle.nn.LSTM``. https://www.paddlepaddle.org.cn/documentation/docs/en/api/paddle/nn/LSTM_en.html"""

NCNN = Layout(
    gates="ifog", biases="summed", weight_ih="weight_xc", weight_hh="weight_hc", bias_ih="bias_c", weight_hr="weight_hr"
)
"""ncnn's LSTM: gates i, f, o, g. https://github.com/Tencent/ncnn/blob/master/docs/developer-guide/operators.md"""


def layer_parameters(parameters: Mapping[str, Array], end: str) -> dict[str, Array]:
    """Returns the parameters of one layer in one direction by role: ``weight_ih_l1_reverse`` as ``weight_ih``.

    Args:
        parameters: arrays by canonical name.
        end: ending of the names of the layer and direction: ``l0``, ``l1_reverse``.
    """
    return {role: parameters[f"{role}_{end}"] for role in _ROLES if f"{role}_{end}" in parameters}


def _gated(parameters: Mapping[str, Array]) -> list[tuple[str, Array]]:
    """Returns the role and array of each parameter that consists of blocks of all four gates."""
    return [(role, parameters[role]) for role in _GATED if role in parameters]
