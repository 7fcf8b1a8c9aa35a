"""Adapter for ``haiku.LSTM``, with ``haiku.dynamic_unroll`` over time."""

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any, ClassVar

from conformance.adapters.jax.common import ARGUMENTS, LACKS, USES, JaxAdapter, Options
from conformance.adapters.layout import HAIKU, Layout
from conformance.cases.case import Case


class HaikuLSTM(JaxAdapter):
    """Drives ``haiku.LSTM`` in ``haiku.DeepRNN``, with ``haiku.dynamic_unroll`` over time."""

    name = "haiku.LSTM"
    requires = ("haiku", "jax")
    install = "pip install 'lstm-conformance[jax]'"

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "bidirectional", "reverse", "unbatched", "batch first", "state omitted",
         "forget bias", "gradients", "float64", "float32", "float16", "bfloat16"}
    ) | (USES - {"saved"}) | ARGUMENTS  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        **LACKS,
        "lengths": "haiku.LSTM and haiku.dynamic_unroll have no lengths",
        "saved": "Haiku has no function that saves parameters",
    }
    layout: ClassVar[Layout] = HAIKU

    def supports(self, case: Case) -> str | None:
        """Refuses forget biases other than 1, which Haiku always adds, and 0, for which ``layout_of`` subtracts it."""
        other = f"haiku.LSTM adds 1 to the forget gate, not {case.forget_bias:g}"
        return super().supports(case) or (None if case.forget_bias in (0.0, 1.0) else other)

    def layout_of(self, case: Case) -> Layout:
        """Returns Haiku's layout. Without a forget bias, the stored bias is smaller by the 1 that Haiku adds."""
        return replace(HAIKU, forget_bias=1.0 - case.forget_bias)

    def run(self, options: Options, weights: Any, x: Any, initial: Any, lengths: Any) -> tuple[Any, Any]:
        """Unrolls the whole stack at once, or layer by layer if it is bidirectional."""
        import haiku as hk
        import jax

        del lengths
        model = options.model
        layers = range(model.num_layers)
        groups = [[layer] for layer in layers] if model.num_directions == 2 else [list(layers)]
        rows = x.shape[1 if options.time_major else 0] if options.batched else None

        def unroll(x: Any) -> Any:
            finals: dict[int, list[Any]] = {layer: [] for layer in layers}
            for group in groups:
                outputs = []
                for direction, suffix in enumerate(model.suffixes):
                    core = hk.DeepRNN([hk.LSTM(model.hidden_sizes[layer], name=f"l{layer}{suffix}") for layer in group])
                    state = core.initial_state(rows)
                    if initial is not None:
                        state = tuple(hk.LSTMState(*initial[layer][direction]) for layer in group)
                    output, ends = hk.dynamic_unroll(
                        core, x, state, time_major=options.time_major, reverse=bool(suffix)
                    )
                    outputs.append(output)
                    for layer, end in zip(group, ends, strict=True):
                        finals[layer].append((end.hidden, end.cell))
                x = jax.numpy.concatenate(outputs, axis=-1)
            return x, list(finals.values())

        params = {
            f"l{layer}{suffix}/linear": own
            for layer in layers
            for suffix, own in zip(model.suffixes, weights[layer], strict=True)
        }
        return hk.transform(unroll).apply(params, None, x)  # type: ignore[no-any-return]

    def describe(self) -> dict[str, str]:
        """Returns versions, device, threads, and how the core is unrolled."""
        import haiku

        return super().describe() | {
            "haiku": haiku.__version__,
            "stacked": "haiku.DeepRNN of the whole stack, or of one layer at a time if it is bidirectional",
            "reverse": "haiku.dynamic_unroll(reverse=True)",
        }
