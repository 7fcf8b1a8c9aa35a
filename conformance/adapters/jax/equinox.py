"""Adapter for ``equinox.nn.LSTMCell``, with ``jax.lax.scan`` over time and ``jax.vmap`` over rows."""

import io
from collections.abc import Mapping, Set
from typing import Any, ClassVar

from conformance.adapters.jax.common import ARGUMENTS, LACKS, USES, JaxAdapter, Options
from conformance.adapters.layout import EQUINOX, Layout


class EquinoxLSTMCell(JaxAdapter):
    """Drives ``equinox.nn.LSTMCell`` as its documentation does: ``jax.lax.scan`` under ``jax.vmap``."""

    name = "equinox.nn.LSTMCell"
    requires = ("equinox", "jax")
    install = "pip install 'lstm-conformance[jax]'"

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "bidirectional", "reverse", "no bias", "unbatched", "batch first",
         "gradients", "float64", "float32", "float16", "bfloat16"}
    ) | USES | ARGUMENTS  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        **LACKS,
        "lengths": "equinox.nn.LSTMCell processes one time step of one row and has no lengths",
        "state omitted": "equinox.nn.LSTMCell requires an initial state",
    }
    layout: ClassVar[Layout] = EQUINOX

    def run(self, options: Options, weights: Any, x: Any, initial: Any, lengths: Any) -> tuple[Any, Any]:
        """Scans one cell over time for each layer and direction."""
        import jax

        del lengths
        model, finals, time = options.model, [], 0 if options.time_major else 1
        for layer, size in enumerate(model.hidden_sizes):
            outputs, ends = [], []
            for own, state, suffix in zip(weights[layer], initial[layer], model.suffixes, strict=True):
                scan = _make_scan(_make_cell(model.layer_input_size(layer), size, own), reverse=bool(suffix))
                if options.batched:
                    scan = jax.vmap(scan, in_axes=(0, 1 - time), out_axes=(0, 1 - time))
                end, output = scan(state, x)
                outputs.append(output)
                ends.append(end)
            x = jax.numpy.concatenate(outputs, axis=-1)
            finals.append(ends)
        return x, finals

    def save_and_load(self, weights: Any) -> Any:
        """Serialises the leaves to a file and loads them into arrays of zeros."""
        import equinox
        import jax

        file = io.BytesIO()
        equinox.tree_serialise_leaves(file, weights)
        file.seek(0)
        return equinox.tree_deserialise_leaves(file, jax.tree.map(jax.numpy.zeros_like, weights))

    def describe(self) -> dict[str, str]:
        """Returns versions, device, threads, and how the cell is applied to a sequence."""
        import equinox

        return super().describe() | {
            "equinox": equinox.__version__,
            "stacked": "one cell per layer and direction, under jax.lax.scan over time and jax.vmap over rows",
            "reverse": "jax.lax.scan(reverse=True)",
        }


def _make_cell(input_size: int, hidden_size: int, weights: Mapping[str, Any]) -> Any:
    """Returns a cell with the given weights."""
    import equinox
    import jax

    biased = "bias" in weights
    cell = equinox.filter_eval_shape(
        equinox.nn.LSTMCell, input_size, hidden_size, biased, weights["weight_ih"].dtype, key=jax.random.key(0)
    )
    names = list(weights)
    return equinox.tree_at(
        lambda module: [getattr(module, name) for name in names], cell, [weights[name] for name in names]
    )


def _make_scan(cell: Any, reverse: bool) -> Any:
    """Returns a function of (h, c) and one row's steps (T, I) that returns the last (h, c) and h (T, H)."""
    import jax

    def step(state: Any, x: Any) -> Any:
        state = cell(x, state)
        return state, state[0]

    return lambda state, steps: jax.lax.scan(step, state, steps, reverse=reverse)
