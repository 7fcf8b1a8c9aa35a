"""Adapters for ``flax.linen.LSTMCell`` and ``OptimizedLSTMCell``, in ``flax.linen.RNN`` and ``Bidirectional``."""

from collections.abc import Mapping, Sequence, Set
from functools import partial
from typing import Any, ClassVar

from conformance.adapters.jax.common import ARGUMENTS, LACKS, USES, JaxAdapter, Options
from conformance.adapters.layout import FLAX, Layout
from conformance.cases.case import Case
from reference import Dialect

ACTIVATIONS = {
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "elu": "elu",
    "hard_sigmoid_6": "hard_sigmoid",
    "softsign": "soft_sign",
}
"""Names of activations in ``flax.linen`` and ``flax.nnx``. Their ``leaky_relu`` has another slope and is left out."""


class FlaxLinenLSTMCell(JaxAdapter):
    """Drives ``flax.linen.LSTMCell`` in ``flax.linen.RNN``, and two of these in ``flax.linen.Bidirectional``."""

    name = "flax.linen.LSTMCell"
    requires = ("flax", "jax")
    install = "pip install 'lstm-conformance[jax]'"
    module: str = "flax.linen"
    cell: str = "LSTMCell"

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "bidirectional", "sizes per direction", "reverse", "lengths", "unbatched",
         "batch first", "state omitted", "activations", "activations per direction", "gradients",
         "float64", "float32", "float16", "bfloat16"}
    ) | USES | ARGUMENTS  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        **LACKS,
        "left mask": "flax's seq_lengths allow padding at the end only",
        "holed mask": "flax's seq_lengths allow padding at the end only",
    }
    layout: ClassVar[Layout] = FLAX

    def supports(self, case: Case) -> str | None:
        """Refuses activations that the cell's ``gate_fn`` and ``activation_fn`` cannot express."""
        if reason := super().supports(case):
            return reason
        if foreign := [name for name in case.activations if name not in ACTIVATIONS]:
            return f"{self.module} has no activation {foreign[0]} with these constants"
        if case.activations[1::3] != case.activations[2::3]:
            return "activation_fn applies to both the candidate and the cell state, which differ in this case"
        return None

    def dialect(self, case: Case) -> Dialect:
        """Declares outputs at padded steps unspecified. Flax documents only that they "are NOT zeroed out"."""
        del case
        return Dialect(padding="unspecified")

    def run(self, options: Options, weights: Any, x: Any, initial: Any, lengths: Any) -> tuple[Any, Any]:
        """Applies one layer after another. Flax's carry is (c, h)."""
        import flax.linen as nn

        model, finals = options.model, []
        both, backwards = model.direction == "bidirectional", model.direction == "reverse"
        cell = partial(getattr(nn, self.cell), param_dtype=options.dtype)
        for layer in range(model.num_layers):
            cells = [
                cell(model.hidden_size(layer, k), **activation_arguments(nn, options.activations, k))
                for k in range(model.num_directions)
            ]
            rnns = [nn.RNN(cell, reverse=backwards, keep_order=backwards) for cell in cells]
            params = [{"cell": _nest(own)} for own in weights[layer]]
            carries = [None if initial is None else initial[layer][k][::-1] for k in range(len(rnns))]
            arguments = {"seq_lengths": lengths, "return_carry": True, "time_major": options.time_major}
            if both:
                tree = dict(zip(("forward_rnn", "backward_rnn"), params, strict=True))
                carry = None if initial is None else carries
                ends, x = nn.Bidirectional(*rnns).apply({"params": tree}, x, initial_carry=carry, **arguments)
            else:
                end, x = rnns[0].apply({"params": params[0]}, x, initial_carry=carries[0], **arguments)
                ends = [end]
            finals.append([(h, c) for c, h in ends])
        return x, finals

    def save_and_load(self, weights: Any) -> Any:
        """Serializes the weights to bytes and loads them into arrays of zeros."""
        import jax
        from flax import serialization

        zeros = jax.tree.map(jax.numpy.zeros_like, weights)
        return jax.tree.map(jax.numpy.asarray, serialization.from_bytes(zeros, serialization.to_bytes(weights)))

    def describe(self) -> dict[str, str]:
        """Returns versions, device, threads, and the modules around the cell."""
        import flax

        return super().describe() | {
            "flax": flax.__version__,
            "stacked": f"{self.module}.RNN around each cell, Bidirectional around two of them, one layer after another",
            "lengths": "seq_lengths",
            "reverse": "reverse=True, keep_order=True",
        }


class FlaxLinenOptimizedLSTMCell(FlaxLinenLSTMCell):
    """Drives the cell that computes the products of all gates at once."""

    name = "flax.linen.OptimizedLSTMCell"
    cell = "OptimizedLSTMCell"


def activation_arguments(module: Any, activations: Sequence[str], direction: int) -> dict[str, Any]:
    """Returns the keyword arguments that set the activations of one direction's cell."""
    gate, candidate, _ = activations[3 * direction : 3 * direction + 3] or activations
    return {"gate_fn": getattr(module, ACTIVATIONS[gate]), "activation_fn": getattr(module, ACTIVATIONS[candidate])}


def _nest(weights: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns arrays named ``ii/kernel``, ``hf/bias`` … as Flax's nested parameters."""
    tree: dict[str, dict[str, Any]] = {}
    for path, array in weights.items():
        module, name = path.split("/")
        tree.setdefault(module, {})[name] = array
    return tree
