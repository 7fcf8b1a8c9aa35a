"""``sonnet.LSTM`` with ``sonnet.dynamic_unroll``, and ``sonnet.UnrolledLSTM``."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from conformance.adapters.adapter import ELSEWHERE
from conformance.adapters.layout import Layout
from conformance.adapters.tensorflow.block_lstm import TFBlockLSTM, tensorflow
from conformance.cases.case import Case


class SonnetLSTM(TFBlockLSTM):
    """Drives ``sonnet.LSTM``, one core for each layer and direction."""

    name = "sonnet.LSTM"
    requires = ("sonnet", "tensorflow")
    install = ELSEWHERE

    features = TFBlockLSTM.features - {"peepholes", "cell clip", "float16"} | {"float64", "state omitted"}
    lacks: ClassVar[Mapping[str, str]] = {
        "float16": "sonnet.LSTM initializes its weights in float32 and float64 only",
        "lengths": "sonnet.dynamic_unroll has sequence_length, but no reverse direction",
    }
    layout: ClassVar[Layout] = Layout(transposed=True, biases="summed", weight_ih="w_i", weight_hh="w_h", bias_ih="b")

    def _run(
        self, case: Case, x: Any, initial: Sequence[Any], weights: Mapping[str, Any], reverse: bool
    ) -> tuple[Any, Any, Any]:
        """Unrolls a core over time and returns the output (T, B, H) and the final states (B, H)."""
        tf = tensorflow()
        import sonnet

        core = getattr(sonnet, self.name.rpartition(".")[2])(
            weights["w_h"].shape[0],
            **{f"{name}_init": _Given(weight) for name, weight in weights.items()},
            forget_bias=case.forget_bias,
            dtype=x.dtype,
        )
        state = sonnet.LSTMState(*initial) if initial else core.initial_state(x.shape[1])
        # A variable would cut the gradient: the core reads the weights themselves.
        with tf.variable_creator_scope(lambda _, **given: given["initial_value"]):
            output, end = self.unroll(core, tf.reverse(x, [0]) if reverse else x, state)
        return tf.reverse(output, [0]) if reverse else output, end.hidden, end.cell

    def unroll(self, core: Any, x: Any, state: Any) -> Any:
        """Runs a core on a time-major sequence. Returns the output and the final state."""
        import sonnet

        return sonnet.dynamic_unroll(core, x, state)

    def describe(self) -> dict[str, str]:
        """Returns versions and device, and how cores are stacked."""
        import sonnet

        return super().describe() | {
            "sonnet": sonnet.__version__,
            "path": f"{self.name}, called eagerly",
            "stacked": "one core for each layer and direction; tf.reverse before and after reverse cores",
        }


class SonnetUnrolledLSTM(SonnetLSTM):
    """Drives ``sonnet.UnrolledLSTM``, which runs the whole sequence in one function chosen for the device."""

    name = "sonnet.UnrolledLSTM"
    features = SonnetLSTM.features - {"float64"}
    lacks: ClassVar[Mapping[str, str]] = {
        **SonnetLSTM.lacks,
        "float64": "sonnet.UnrolledLSTM calls tf.raw_ops.BlockLSTMV2, which is registered for float32 and float16 only",
        "lengths": "sonnet.UnrolledLSTM has no lengths",
    }

    def unroll(self, core: Any, x: Any, state: Any) -> Any:
        """Calls the core once."""
        return core(x, state)


class _Given:
    """Initializer that returns a given array."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __call__(self, shape: Any, dtype: Any) -> Any:
        del shape, dtype
        return self.array
