"""Adapter for ``jax.experimental.rnn.lstm_ref``, the reference that JAX compares its cuDNN LSTM with."""

from collections.abc import Mapping, Set
from typing import Any, ClassVar

from conformance.adapters.jax.common import ARGUMENTS, LACKS, USES, JaxAdapter, Options
from conformance.adapters.layout import TORCH, Layout

ROLES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class JaxLSTMRef(JaxAdapter):
    """Drives ``lstm_ref``. ``jax.experimental.rnn.lstm`` itself runs on GPUs only."""

    name = "jax.experimental.rnn.lstm_ref"
    requires = ("jax",)
    install = "pip install 'lstm-conformance[jax]'"

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "bidirectional", "lengths", "batch first", "gradients", "float64", "float32", "float16", "bfloat16"}
    ) | (USES - {"saved"}) | ARGUMENTS  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        **LACKS,
        "dropout": "jax.experimental.rnn.lstm_ref refuses dropout",
        "saved": "jax.experimental.rnn.lstm_ref has no function that saves weights",
    }
    layout: ClassVar[Layout] = TORCH

    def run(self, options: Options, weights: Any, x: Any, initial: Any, lengths: Any) -> tuple[Any, Any]:
        """Calls the function once. It counts each direction of a layer as a layer."""
        import jax
        from jax.experimental import rnn

        model = options.model
        flat = [own for layer in weights for own in layer]
        h_0, c_0 = (jax.numpy.stack([pair[k] for layer in initial for pair in layer]) for k in (0, 1))
        x = x.swapaxes(0, 1) if options.time_major else x
        if lengths is None:
            lengths = jax.numpy.full(x.shape[0], x.shape[1], "int32")
        y, h_n, c_n = rnn.lstm_ref(
            x, h_0, c_0, *({k: own[role] for k, own in enumerate(flat)} for role in ROLES), lengths,
            model.input_size, model.hidden_sizes[0], model.num_layers, 0.0, model.direction == "bidirectional",
        )  # fmt: skip
        pairs = list(zip(h_n, c_n, strict=True))
        finals = [pairs[k : k + model.num_directions] for k in range(0, len(pairs), model.num_directions)]
        return y.swapaxes(0, 1) if options.time_major else y, finals

    def describe(self) -> dict[str, str]:
        """Returns versions, device, threads, and what the adapter does before and after the call."""
        return super().describe() | {
            "lengths": "seq_lengths",
            "time-major": "input and output are transposed: lstm_ref takes (batch, time, features) only",
        }
