"""``flax.linen.LSTMCell`` and ``OptimizedLSTMCell``, under ``flax.linen.RNN`` and ``Bidirectional``."""

from collections.abc import Mapping, Sequence, Set
from typing import Any, ClassVar

from conformance.adapters.jax.common import JaxAdapter, Options
from conformance.adapters.layout import FLAX, Layout
from conformance.cases.case import Case
from reference import Dialect

FUNCTIONS = {
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "elu": "elu",
    "hard_sigmoid_6": "hard_sigmoid",
    "softsign": "soft_sign",
}
"""What ``flax.linen`` and ``flax.nnx`` call activations; ``leaky_relu`` has another slope there."""


class FlaxLinenLSTMCell(JaxAdapter):
    """Drives ``flax.linen.RNN`` around the cell, ``flax.linen.Bidirectional`` around two of them."""

    name = "flax.linen.LSTMCell"
    requires = ("jax", "flax")
    install = "pip install 'lstm-conformance[jax]'"
    module: str = "flax.linen"
    cell: str = "LSTMCell"

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "bidirectional", "reverse", "lengths", "unbatched", "batch first",
         "state omitted", "activations", "activations per direction", "gradients",
         "float64", "float32", "float16", "bfloat16"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "left mask": "flax's seq_lengths are for padding at the end",
        "holed mask": "flax's seq_lengths are for padding at the end",
    }
    layout: ClassVar[Layout] = FLAX

    def supports(self, case: Case) -> str | None:
        """Cells take a ``gate_fn``, and an ``activation_fn`` for both the candidate and the cell state."""
        if reason := super().supports(case):
            return reason
        if foreign := [name for name in case.activations if name not in FUNCTIONS]:
            return f"{self.module} has no activation {foreign[0]} with such constants"
        if case.activations[1::3] != case.activations[2::3]:
            return "activation_fn is the same for the candidate and the cell state"
        return None

    def dialect(self, case: Case) -> Dialect:
        """Padding "will be ignored", and its outputs "are NOT zeroed out": what is written there is left open."""
        del case
        return Dialect(padding="unspecified")

    def run(self, options: Options, weights: Any, x: Any, initial: Any, lengths: Any) -> tuple[Any, Any]:
        """Applies a layer after the other; a carry is (c, h)."""
        import flax.linen as nn

        model, finals = options.model, []
        both, backwards = model.direction == "bidirectional", model.direction == "reverse"
        for layer, size in enumerate(model.hidden_sizes):
            cells = [
                getattr(nn, self.cell)(size, param_dtype=options.dtype, **functions(nn, options.activations, k))
                for k in range(model.num_directions)
            ]
            rnns = [nn.RNN(cell, reverse=backwards, keep_order=backwards) for cell in cells]
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


def functions(module: Any, activations: Sequence[str], direction: int) -> dict[str, Any]:
    """The activations of one direction's cell, as its arguments."""
    gate, candidate, _ = activations[3 * direction : 3 * direction + 3] or activations
    return {"gate_fn": getattr(module, FUNCTIONS[gate]), "activation_fn": getattr(module, FUNCTIONS[candidate])}


def _nested(weights: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """``ii/kernel`` and so on as Flax nests them."""
    tree: dict[str, dict[str, Any]] = {}
    for path, array in weights.items():
        module, name = path.split("/")
        tree.setdefault(module, {})[name] = array
    return tree
