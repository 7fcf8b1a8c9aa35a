"""Adapter for ``brainstate.nn.LSTMCell``, with ``brainstate.transform.for_loop`` over time."""

from collections.abc import Mapping, Set
from typing import Any, ClassVar

from conformance.adapters.adapter import ELSEWHERE
from conformance.adapters.jax.common import JaxAdapter, Options
from conformance.adapters.layout import HAIKU, Layout


class BrainstateLSTMCell(JaxAdapter):
    """Drives ``brainstate.nn.LSTMCell``. Its gates and its constant forget bias are those of ``haiku.LSTM``."""

    name = "brainstate.nn.LSTMCell"
    requires = ("brainstate", "jax")
    install = ELSEWHERE

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "bidirectional", "reverse", "batch first", "state omitted", "gradients",
         "float64", "float32", "float16", "bfloat16"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "lengths": "brainstate.nn.LSTMCell has no lengths",
        "forget bias": "brainstate.nn.LSTMCell always adds 1 to the forget gate",
    }
    layout: ClassVar[Layout] = HAIKU

    def run(self, options: Options, weights: Any, x: Any, initial: Any, lengths: Any) -> tuple[Any, Any]:
        """Loops one cell for each layer and direction, and joins the directions."""
        import brainstate
        import jax

        del lengths
        model, finals = options.model, []
        x = x if options.time_major else x.swapaxes(0, 1)
        for layer, size in enumerate(model.hidden_sizes):
            outputs, ends = [], []
            for direction, (suffix, own) in enumerate(zip(model.suffixes, weights[layer], strict=True)):
                cell = brainstate.nn.LSTMCell(model.layer_input_size(layer), size, own["w"], own["b"])
                cell.init_state(x.shape[1])
                # The states that init_state creates are float32.
                zeros = jax.numpy.zeros((x.shape[1], size), options.dtype)
                cell.h.value, cell.c.value = (zeros, zeros) if initial is None else initial[layer][direction]
                outputs.append(brainstate.transform.for_loop(cell.update, x, reverse=bool(suffix)))
                ends.append((cell.h.value, cell.c.value))
            x = jax.numpy.concatenate(outputs, axis=-1)
            finals.append(ends)
        return x if options.time_major else x.swapaxes(0, 1), finals

    def describe(self) -> dict[str, str]:
        """Returns versions, device, threads, and how the cell is looped."""
        import brainstate

        return super().describe() | {
            "brainstate": brainstate.__version__,
            "loop": "brainstate.transform.for_loop, with reverse=True for the reverse direction",
        }
