"""``flax.linen.LSTMCell`` and ``OptimizedLSTMCell``, under ``flax.linen.RNN`` and ``Bidirectional``."""

from collections.abc import Mapping, Set
from typing import Any, ClassVar

from conformance.adapters._jax import JaxAdapter, Options
from conformance.layout import FLAX, Layout


class FlaxLinenLSTMCell(JaxAdapter):
    """Drives ``flax.linen.RNN`` around the cell, ``flax.linen.Bidirectional`` around two of them."""

    name = "flax.linen.LSTMCell"
    requires = ("jax", "flax")
    install = "pip install 'lstm-conformance[jax]'"
    module: str = "flax.linen"
    cell: str = "LSTMCell"

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "bidirectional", "reverse", "lengths", "unbatched", "batch first",
         "state omitted", "gradients", "float64", "float32", "float16", "bfloat16"}
    )  # fmt: skip
    layout: ClassVar[Layout] = FLAX

    def run(self, options: Options, weights: Any, x: Any, initial: Any, lengths: Any) -> tuple[Any, Any]:
        """Applies a layer after the other; a carry is (c, h)."""
        import flax.linen as nn

        model, finals = options.model, []
        both, backwards = model.direction == "bidirectional", model.direction == "reverse"
        for layer, size in enumerate(model.hidden_sizes):
            rnns = [
                nn.RNN(getattr(nn, self.cell)(size, param_dtype=options.dtype), reverse=backwards, keep_order=backwards)
                for _ in model.suffixes
            ]
            params = [{"cell": _nested(own)} for own in weights[layer]]
            carries = [None if initial is None else initial[layer][k][::-1] for k in range(len(rnns))]
            how = {"seq_lengths": lengths, "return_carry": True, "time_major": options.time_major}
            if both:
                tree = dict(zip(("forward_rnn", "backward_rnn"), params, strict=True))
                carry = None if initial is None else carries
                ends, x = nn.Bidirectional(*rnns).apply({"params": tree}, x, initial_carry=carry, **how)
            else:
                end, x = rnns[0].apply({"params": params[0]}, x, initial_carry=carries[0], **how)
                ends = [end]
            finals.append([(h, c) for c, h in ends])
        return x, finals

    def describe(self) -> dict[str, str]:
        """Versions, device and threads, and what runs the cell."""
        import flax

        return super().describe() | {
            "flax": flax.__version__,
            "stacked": f"{self.module}.RNN around each cell, Bidirectional where both ways, one layer after the other",
            "lengths": "seq_lengths",
            "reverse": "reverse=True, keep_order=True",
        }


class FlaxLinenOptimizedLSTMCell(FlaxLinenLSTMCell):
    """The same with the cell that joins its products."""

    name = "flax.linen.OptimizedLSTMCell"
    cell = "OptimizedLSTMCell"


def _nested(weights: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """``ii/kernel`` and so on as Flax nests them."""
    tree: dict[str, dict[str, Any]] = {}
    for path, array in weights.items():
        module, name = path.split("/")
        tree.setdefault(module, {})[name] = array
    return tree
