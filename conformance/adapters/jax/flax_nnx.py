"""Adapters for ``flax.nnx.LSTMCell`` and ``OptimizedLSTMCell``, in ``flax.nnx.RNN`` and ``Bidirectional``."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from conformance.adapters.jax.common import Options
from conformance.adapters.jax.flax_linen import FlaxLinenLSTMCell, activation_arguments
from conformance.adapters.layout import FLAX, FLAX_JOINED, Layout


class FlaxNnxLSTMCell(FlaxLinenLSTMCell):
    """Drives ``flax.nnx.LSTMCell`` in ``flax.nnx.RNN``, and two of these in ``flax.nnx.Bidirectional``."""

    name = "flax.nnx.LSTMCell"
    module = "flax.nnx"
    layout: ClassVar[Layout] = FLAX

    def run(self, options: Options, weights: Any, x: Any, initial: Any, lengths: Any) -> tuple[Any, Any]:
        """Creates the modules, sets their weights and applies one layer after another. Flax's carry is (c, h)."""
        from flax import nnx

        model, finals = options.model, []
        backwards = model.direction == "reverse"
        cell = partial(getattr(nnx, self.cell), param_dtype=options.dtype, rngs=nnx.Rngs(0), **_ZERO_INITIALIZERS)
        for layer in range(model.num_layers):
            rnns = []
            for direction, own in enumerate(weights[layer]):
                sizes = model.layer_input_size(layer), model.hidden_size(layer, direction)
                loaded = cell(*sizes, **activation_arguments(nnx, options.activations, direction))
                _load(loaded, own)
                rnns.append(nnx.RNN(loaded, reverse=backwards, keep_order=backwards))
            carries = [None] * len(rnns) if initial is None else [pair[::-1] for pair in initial[layer]]
            arguments = {"seq_lengths": lengths, "return_carry": True, "time_major": options.time_major}
            if model.direction == "bidirectional":
                carry = None if initial is None else tuple(carries)
                ends, x = nnx.Bidirectional(*rnns)(x, initial_carry=carry, **arguments)
            else:
                end, x = rnns[0](x, initial_carry=carries[0], **arguments)
                ends = [end]
            finals.append([(h, c) for c, h in ends])
        return x, finals


class FlaxNnxOptimizedLSTMCell(FlaxNnxLSTMCell):
    """Drives the cell that stores the weights of all gates in one array and computes their products at once."""

    name = "flax.nnx.OptimizedLSTMCell"
    cell = "OptimizedLSTMCell"
    layout: ClassVar[Layout] = FLAX_JOINED


def _zeros(key: Any, shape: Any, dtype: Any, out_sharding: Any = None) -> Any:
    import jax

    del key, out_sharding
    return jax.numpy.zeros(shape, dtype)


# The default initializers fail for 16-bit dtypes and are slow for others.
_ZERO_INITIALIZERS = {"kernel_init": _zeros, "recurrent_kernel_init": _zeros}


def _load(cell: Any, weights: Mapping[str, Any]) -> None:
    """Sets the parameters of a cell. The layout's ``if/kernel`` is ``cell.if_.kernel``."""
    for path, array in weights.items():
        module, name = path.split("/")
        getattr(getattr(cell, "if_" if module == "if" else module), name)[...] = array
