"""Weight layouts as data: how frameworks store what ``reference.model`` names, and how to get there and back.

One table serves the adapters, the conversion of weights and the documentation. It treats one layer in one direction:

    layout.KERAS.pack({"weight_ih": …, "weight_hh": …, "bias_ih": …, "bias_hh": …})
    -> {"kernel": …, "recurrent_kernel": …, "bias": …}
"""

from collections.abc import Mapping
from dataclasses import dataclass
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
    """How a framework stores the parameters of one layer in one direction. Gates are i, f, g (candidate) and o.

    Attributes:
        gates: the order in which the gates' blocks of H are stacked.
        transposed: whether weights are (features, 4H) instead of (4H, features).
        biases: ``separate``: one for the input and one for the recurrent product; ``summed``: one for both.
        weight_ih: name of the input weights. Where ``weight_hh`` has the same name they are one array: the input's
            features first, then the hidden state's.
        weight_hh: name of the recurrent weights.
        bias_ih: name of the input bias, or of the only one.
        bias_hh: name of the recurrent bias; where biases are summed it is not used.
        weight_hr: name of the projection.
        projection_transposed: whether the projection is (H, P) instead of (P, H).
        peepholes: the order in which the peepholes' blocks of H are stacked.
        peephole: name of the peepholes.
        forget_bias: what the framework adds to the forget gate's sum by itself, so that its bias holds that much less.

    A name with ``{gate}`` in it is an array for each gate, ``{gate}`` being its letter.
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
            raise ValueError(f"gates must name i, f, g and o once each, not {self.gates!r}")
        if sorted(self.peepholes) != sorted(CANONICAL_PEEPHOLES):
            raise ValueError(f"peepholes must name i, f and o once each, not {self.peepholes!r}")
        if self.forget_bias and self.biases != "summed":
            raise ValueError("a forget bias of the framework's own is taken off a single bias")

    def pack(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        """The framework's arrays, all of them new, for a layer's canonical ones.

        ``bias_ih + bias_hh`` is not always a number of its dtype: a summed bias is rounded once, which is what a
        user who ports weights gets. The error budget covers it: it is one rounding of a term of the gate's sum.
        So it is with a forget bias that is taken off.

        Args:
            parameters: ``weight_ih`` (4H, I), ``weight_hh`` (4H, H or P) and, where the layer has them, ``bias_ih``
                and ``bias_hh`` (4H,), ``peephole`` (3H,), ``weight_hr`` (P, H).

        Raises:
            ValueError: the layer has no bias for the framework's forget bias to be taken off.
        """
        if self.forget_bias and "bias_ih" not in parameters:
            raise ValueError(f"a layer without biases cannot make up for a forget bias of {self.forget_bias}")
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

    def unpack(self, arrays: Mapping[str, Array], input_size: int) -> dict[str, Array]:
        """The canonical parameters, all of them new, that a framework's arrays stand for.

        A single bias becomes ``bias_ih``, and ``bias_hh`` zero; a forget bias of the framework's own is put into it.

        Args:
            arrays: the framework's arrays by name.
            input_size: I, where a joined array is to be split.
        """
        parameters = self.unpack_gradients(arrays, input_size)
        if self.biases == "summed" and "bias_hh" in parameters:
            parameters["bias_hh"] = np.zeros_like(parameters["bias_hh"])
        if self.forget_bias:
            block = len(parameters["bias_ih"]) // 4
            parameters["bias_ih"][block : 2 * block] += self.forget_bias
        return parameters

    def unpack_gradients(self, gradients: Mapping[str, Array], input_size: int) -> dict[str, Array]:
        """The gradients of the canonical parameters, all of them new, from those of the framework's arrays.

        The adjoint of ``pack``: the gradient of a summed bias is that of ``bias_ih`` and of ``bias_hh``.

        Args:
            gradients: gradients of the framework's arrays by name.
            input_size: I, where a joined array is to be split.
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
        """The only bias, less what the framework adds to the forget gate by itself; rounded once."""
        total = bias_ih.astype(np.float64) + bias_hh
        block = len(total) // 4
        forget = self.gates.index("f") * block
        total[forget : forget + block] -= self.forget_bias
        return total.astype(bias_ih.dtype)

    def _split(self, name: str, array: Array) -> list[tuple[str, Array]]:
        """What is stored for an array of all gates: itself, or one for each gate."""
        if _GATE not in name:
            return [(name, array)]
        blocks = np.split(array, 4, axis=self._gate_axis(array))
        return [(name.replace(_GATE, gate), block) for gate, block in zip(self.gates, blocks, strict=True)]

    def _joined(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """The inverse of ``_split``: arrays of all gates, whatever was stored for them."""
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
        """Blocks of H rows, stacked in one order of gates, stacked in another; a new array."""
        block = dict(zip(stored, np.split(array, len(stored)), strict=True))
        # Blocks of a transposed array would be concatenated column by column.
        return cast(Array, np.ascontiguousarray(np.concatenate([block[gate] for gate in wanted])))


TORCH = Layout()
"""``torch.nn.LSTM`` and ``torch.nn.LSTMCell``; the canonical layout. https://docs.pytorch.org/docs/stable/nn.html"""

KERAS = Layout(
    transposed=True, biases="summed", weight_ih="kernel", weight_hh="recurrent_kernel", bias_ih="bias"
)  # fmt: skip
"""``keras.layers.LSTM``: i, f, c, o along the columns. https://keras.io/api/layers/recurrent_layers/lstm/"""

ONNX = Layout(
    gates="iofg", weight_ih="W", weight_hh="R", bias_ih="Wb", bias_hh="Rb", peepholes="iof", peephole="P"
)  # fmt: skip
"""ONNX's ``LSTM``, whose B is Wb and Rb in one. https://onnx.ai/onnx/operators/onnx__LSTM.html"""

OPENVINO = Layout(gates="figo", biases="summed", weight_ih="W", weight_hh="R", bias_ih="B")
"""OpenVINO's ``LSTMSequence``.
https://docs.openvino.ai/nightly/documentation/openvino-ir-format/operation-sets/operation-specs/sequence/lstm-sequence-1.html"""

FLAX = Layout(
    transposed=True, biases="summed", weight_ih="i{gate}/kernel", weight_hh="h{gate}/kernel", bias_ih="h{gate}/bias"
)  # fmt: skip
"""``flax.linen``'s two LSTM cells: a dense layer for each gate, biases on the hidden state's only.
https://flax.readthedocs.io/en/latest/api_reference/flax.linen/layers.html"""

FLAX_JOINED = Layout(
    transposed=True, biases="summed", weight_ih="dense_i/kernel", weight_hh="dense_h/kernel", bias_ih="dense_h/bias"
)  # fmt: skip
"""``flax.nnx.OptimizedLSTMCell``: a dense layer for all gates.
https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/nn/recurrent.html"""

EQUINOX = Layout(biases="summed", bias_ih="bias")
"""``equinox.nn.LSTMCell``. https://docs.kidger.site/equinox/api/nn/rnn/"""

HAIKU = Layout(
    gates="igfo", transposed=True, biases="summed", weight_ih="w", weight_hh="w", bias_ih="b", forget_bias=1.0
)  # fmt: skip
"""``haiku.LSTM``: i, g, f, o along the columns of one array, and 1 added to f at run time.
https://dm-haiku.readthedocs.io/en/latest/api.html#lstm"""

MLX = Layout(biases="summed", weight_ih="Wx", weight_hh="Wh", bias_ih="bias")
"""``mlx.nn.LSTM``. https://ml-explore.github.io/mlx/build/html/python/nn/_autosummary/mlx.nn.LSTM.html"""

TF_BLOCK = Layout(
    gates="igfo", transposed=True, biases="summed", weight_ih="w", weight_hh="w", bias_ih="b"
)  # fmt: skip
"""``tf.raw_ops.BlockLSTM``: i, c, f, o along the columns. https://www.tensorflow.org/api_docs/python/tf/raw_ops/BlockLSTM"""

TF_BLOCK_V2 = Layout(
    gates="ifgo", transposed=True, biases="summed", weight_ih="w", weight_hh="w", bias_ih="b"
)  # fmt: skip
"""``tf.raw_ops.BlockLSTMV2``: i, f, c, o. https://www.tensorflow.org/api_docs/python/tf/raw_ops/BlockLSTMV2"""

PADDLE = Layout(weight_hr="weight_ho", projection_transposed=True)
"""``paddle.nn.LSTM``. https://www.paddlepaddle.org.cn/documentation/docs/en/api/paddle/nn/LSTM_en.html"""

NCNN = Layout(
    gates="ifog", biases="summed", weight_ih="weight_xc", weight_hh="weight_hc", bias_ih="bias_c", weight_hr="weight_hr"
)
"""ncnn's LSTM: i, f, o, g. https://github.com/Tencent/ncnn/blob/master/docs/developer-guide/operators.md"""


def layer_parameters(parameters: Mapping[str, Array], end: str) -> dict[str, Array]:
    """One layer's and direction's parameters by role: ``weight_ih_l1_reverse`` as ``weight_ih``.

    Args:
        parameters: canonical name to array.
        end: which layer and direction, as their names end: ``l0``, ``l1_reverse``.
    """
    return {role: parameters[f"{role}_{end}"] for role in _ROLES if f"{role}_{end}" in parameters}


def _gated(parameters: Mapping[str, Array]) -> list[tuple[str, Array]]:
    """What is stacked by all four gates."""
    return [(role, parameters[role]) for role in _GATED if role in parameters]
