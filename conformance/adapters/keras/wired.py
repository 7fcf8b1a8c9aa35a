"""Keras' Python code around cuDNN, run without a GPU: an equivalent replaces the kernel.

Before and after a single call of the kernel, Keras packs weights and reverses sequences. That code runs here as it does
on a GPU. cuDNN itself does not run, so these adapters say nothing about it.
"""

import importlib
import inspect
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from conformance.adapters.adapter import ONLY_IF_NAMED, Solution
from conformance.adapters.keras.adapter import ARGUMENTS, DERIVATIVES, KerasAdapter
from conformance.adapters.keras.lstm import KerasLSTM
from conformance.adapters.keras.lstm_jax import KerasLSTMJax
from conformance.adapters.keras.lstm_torch import KerasLSTMTorch
from conformance.cases.case import Case
from conformance.verdict.problem import Problem
from conformance.verdict.values import step_mask

_NO_MASK = "this back end of Keras does not use cuDNN for a layer with a mask"
_TEXTBOOK = "Keras uses cuDNN only for tanh and sigmoid with biases"
_LACKS = {"activations": _TEXTBOOK, "no bias": _TEXTBOOK}
_LACKS_MASKS = _LACKS | dict.fromkeys(("lengths", "left mask", "holed mask"), _NO_MASK)


class Wired(KerasAdapter):
    """Base of the wired adapters. Cases for which Keras does not call cuDNN are unsupported."""

    own_process = True
    default_tag = ONLY_IF_NAMED
    kernel: ClassVar[str]
    """Name of the function that replaces the kernel."""

    def solve(self, problem: Problem) -> Solution:
        """Replaces the kernel for the rest of the process, then solves the problem."""
        self.backend.keras()
        rnn: Any = importlib.import_module(f"keras.src.backend.{self.backend.name}.rnn")
        if not hasattr(rnn, "wired"):
            self.wire(rnn)
            rnn.wired = True
        return super().solve(problem)

    @abstractmethod
    def wire(self, rnn: Any) -> None:
        """Replaces the test for a GPU and the kernel.

        Args:
            rnn: Keras' module with the code around the kernel.
        """

    def describe(self) -> dict[str, str]:
        """Adds the name of the function that replaces the kernel."""
        return super().describe() | {"kernel": f"{self.kernel} on the CPU instead of cuDNN"}


class KerasWiredJax(Wired, KerasLSTMJax):
    """Drives Keras on JAX, with ``lstm_ref`` instead of ``jax.experimental.rnn.lstm``."""

    name = "keras.layers.LSTM[jax,wired-cudnn]"
    kernel = "jax.experimental.rnn.lstm_ref"
    features = KerasLSTMJax.features - set(_LACKS_MASKS) - ARGUMENTS
    lacks: ClassVar[Mapping[str, str]] = {**KerasLSTMJax.lacks, **_LACKS_MASKS}

    def wire(self, rnn: Any) -> None:
        """Unpacks the weights for ``lstm_ref``, as JAX's own test of the kernel does."""
        from jax.experimental import rnn as kernels

        def lstm(x: Any, h_0: Any, c_0: Any, weights: Any, seq_lengths: Any, **options: Any) -> Any:
            sizes = {name: value for name, value in options.items() if name != "dropout"}
            unpacked = kernels.unpack_lstm_weights(weights, **sizes)
            return kernels.lstm_ref(x, h_0, c_0, *unpacked, seq_lengths, **options)

        rnn._is_gpu_available = lambda: True
        kernels.lstm = lstm


class KerasWiredTensorFlow(Wired, KerasLSTM):
    """Drives Keras on TensorFlow, with ``BlockLSTM`` instead of ``CudnnRNNV3``, which has no float64."""

    name = "keras.layers.LSTM[tensorflow,wired-cudnn]"
    kernel = "tf.raw_ops.BlockLSTM"
    features = (
        KerasLSTM.features - {*_LACKS, "left mask", "holed mask", "float64", "bfloat16"} - ARGUMENTS - DERIVATIVES
    )
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasLSTM.lacks,
        **_LACKS,
        **dict.fromkeys(("left mask", "holed mask"), "Keras uses cuDNN only if the padding is at the end"),
        **dict.fromkeys(("float64", "bfloat16"), "tf.raw_ops.BlockLSTM, which replaces cuDNN here, has no such kernel"),
    }

    def supports(self, case: Case) -> str | None:
        """Also refuses NaN in the padding, and rows of length 0."""
        if reason := super().supports(case):
            return reason
        mask = step_mask(case)
        if mask is not None and not mask.any(axis=0).all():
            return "Keras does not use cuDNN if a row has no valid step"
        if mask is not None and not mask.all() and case.padding == "nan":
            return "only cuDNN itself shows what it does with NaN in the padding"
        return None

    def wire(self, rnn: Any) -> None:
        """Calls ``BlockLSTM`` on unpacked weights. It reads them in the order i, c, f, o."""
        tf = self.backend.tensorflow()

        def cudnn(**given: Any) -> tuple[Any, Any, Any, None, None]:
            x, lengths = tf.transpose(given["input"], (1, 0, 2)), given["sequence_lengths"]
            h_0, c_0 = given["input_h"][:, 0], given["input_c"][:, 0]
            features, units = x.shape[-1], h_0.shape[-1]
            sizes = [features * units] * 4 + [units * units] * 4 + [units] * 8
            parts = tf.split(given["params"], sizes)
            order = (0, 2, 1, 3)
            w = [tf.transpose(tf.reshape(parts[k], (units, features))) for k in order]
            r = [tf.transpose(tf.reshape(parts[4 + k], (units, units))) for k in order]
            b = [parts[8 + k] + parts[12 + k] for k in order]
            zeros = tf.zeros(units, x.dtype)
            ran = tf.raw_ops.BlockLSTM(
                seq_len_max=tf.shape(x, tf.int64)[0], x=x, cs_prev=c_0, h_prev=h_0, b=tf.concat(b, 0),
                w=tf.concat([tf.concat(w, 1), tf.concat(r, 1)], 0), wci=zeros, wcf=zeros, wco=zeros,
                forget_bias=0.0, cell_clip=-1.0,
            )  # fmt: skip
            h, c = (tf.transpose(steps, (1, 0, 2)) for steps in (ran.h, ran.cs))
            final = [tf.gather(steps, lengths - 1, axis=1, batch_dims=1)[:, None] for steps in (h, c)]
            valid = tf.sequence_mask(lengths, tf.shape(h)[1])[..., None]
            return tf.where(valid, h, tf.zeros_like(h)), *final, None, None

        rnn._is_gpu_available = lambda: True
        tf.raw_ops.CudnnRNNV3 = cudnn


class KerasWiredTorch(Wired, KerasLSTMTorch):
    """Drives Keras on PyTorch, whose cuDNN branch calls ``torch._VF.lstm``. That function also runs on the CPU."""

    name = "keras.layers.LSTM[torch,wired-cudnn]"
    kernel = "torch._VF.lstm"
    features = KerasLSTMTorch.features - set(_LACKS_MASKS) - ARGUMENTS
    lacks: ClassVar[Mapping[str, str]] = {**KerasLSTMTorch.lacks, **_LACKS_MASKS}

    def wire(self, rnn: Any) -> None:
        """Defines both functions of the branch again, with ``"cpu"`` as the device that they ask for."""
        backend = importlib.import_module("keras.src.backend")
        rnn._is_cuda_cudnn_available = lambda: True
        for name in ("lstm", "bidirectional_lstm"):
            source = inspect.getsource(getattr(rnn, name))
            exec(source.replace('"cuda"', '"cpu"'), vars(rnn))
            setattr(backend, name, getattr(rnn, name))
