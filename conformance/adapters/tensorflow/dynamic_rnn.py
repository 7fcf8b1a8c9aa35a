"""``tf.compat.v1.nn.dynamic_rnn`` and ``bidirectional_dynamic_rnn``, TensorFlow 1's loops over ``LSTMCell``."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from conformance.adapters.keras.tf_keras import TfKerasLSTM
from conformance.adapters.tensorflow.block_lstm import TFBlockLSTM, tensorflow
from conformance.cases.case import Case
from conformance.verdict.problem import Problem


class TFDynamicRNN(TFBlockLSTM):
    """Drives ``dynamic_rnn``, or ``bidirectional_dynamic_rnn`` around two cells, called eagerly once for each layer.

    The weights are those of ``BlockLSTM``.
    """

    name = "tf.compat.v1.nn.dynamic_rnn"
    requires = ("tensorflow", "tf_keras")  # TensorFlow takes the cell from tf_keras.
    install = TfKerasLSTM.install
    own_process = True
    environment = TfKerasLSTM.environment

    features = TFBlockLSTM.features - {"reverse"} | {"sizes per direction", "lengths", "state omitted", "float64"}
    lacks: ClassVar[Mapping[str, str]] = {
        "reverse": "tf.compat.v1.nn.dynamic_rnn runs forward only",
        "bfloat16": "rnn_cell.LSTMCell is not driven in bfloat16",
    }

    def _run_layer(
        self, problem: Problem, x: Any, states: Sequence[Any], weights: Sequence[Mapping[str, Any]]
    ) -> tuple[Any, list[Any]]:
        """Builds the cells of one layer and runs the function around them."""
        tf = tensorflow()
        nn = tf.compat.v1.nn
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TensorFlow warns that these functions are deprecated.
            cells = [_cell(problem.case, int(x.shape[-1]), own) for own in weights]
            pairs = zip(states[0::2], states[1::2], strict=True)
            initial = [nn.rnn_cell.LSTMStateTuple(c, h) for h, c in pairs] or [None] * len(cells)
            arguments = {"sequence_length": problem.lengths, "dtype": x.dtype, "time_major": True}
            if len(cells) == 2:
                both = dict(zip(("initial_state_fw", "initial_state_bw"), initial, strict=True))
                outputs, ends = nn.bidirectional_dynamic_rnn(*cells, x, **both, **arguments)
            else:
                output, end = nn.dynamic_rnn(cells[0], x, initial_state=initial[0], **arguments)
                outputs, ends = [output], [end]
        return tf.concat(outputs, -1), [state for end in ends for state in (end.h, end.c)]

    def describe(self) -> dict[str, str]:
        """Adds the version of tf_keras, and how cells are stacked."""
        import tf_keras

        return super().describe() | {
            "tf_keras": tf_keras.__version__,
            "path": f"{self.name} and bidirectional_dynamic_rnn, called eagerly",
            "stacked": "one call for each layer",
            "lengths": "sequence_length",
        }


def _cell(case: Case, features: int, weights: Mapping[str, Any]) -> Any:
    """Returns a cell with given weights. A variable would cut the gradient: the cell reads the weights themselves."""
    tf = tensorflow()
    cell = tf.compat.v1.nn.rnn_cell.LSTMCell(
        weights["b"].shape[0] // 4,
        use_peepholes=case.peepholes,
        cell_clip=case.cell_clip,
        forget_bias=case.forget_bias,
        dtype=weights["w"].dtype,
    )
    cell.build((None, features))
    cell._kernel, cell._bias = weights["w"], weights["b"]
    if case.peepholes:
        cell._w_i_diag, cell._w_f_diag, cell._w_o_diag = tf.split(weights["peephole"], 3)
    return cell
