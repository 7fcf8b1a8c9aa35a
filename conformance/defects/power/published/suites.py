"""Checks of published suites.

The ONNX checks are read from the installed ``onnx`` package. The WebNN checks restate
``webnn/conformance_tests/lstm.https.any.js`` of web-platform-tests, and the Keras checks restate
``keras/src/layers/rnn/lstm_test.py`` of Keras 3.15.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from conformance.adapters.layout import ONNX
from conformance.cases.case import Case
from conformance.defects.power.published.check import Check, Suite, allclose, problem_with_values, ulps
from conformance.defects.power.published.engines import ENGINES
from conformance.verdict.problem import make_problem
from reference import Dialect
from reference.activations import ACTIVATIONS
from reference.cell import Cell

_FORWARD: tuple[Literal["output", "h_n", "c_n"], ...] = ("output", "h_n", "c_n")
_DIRECTIONS = {"forward": ("",), "reverse": ("_reverse",), "bidirectional": ("", "_reverse")}


def _onnx_checks() -> Sequence[Check]:
    return [_onnx_check(test) for test in onnx_tests()]


def onnx_tests() -> list[Any]:
    """Returns the LSTM node tests of the installed ``onnx`` package."""
    # `node.collect_testcases` builds the tests of all operators, which takes 5 CPU seconds.
    from onnx.backend.test.case import node
    from onnx.backend.test.case.node import lstm  # noqa: F401

    return [test for test in node._NodeTestCases if test.model.graph.node[0].op_type == "LSTM"]


def _onnx_check(test: Any) -> Check:
    node = test.model.graph.node[0]
    options = {item.name: item.s.decode() if item.s else item.i for item in node.attribute}
    given = dict(zip((name for name in node.input if name), test.data_sets[0][0], strict=True))
    batch_first = options.get("layout", 0) == 1
    x = np.swapaxes(given["X"], 0, 1) if batch_first else given["X"]
    hidden = int(options["hidden_size"])
    direction: Any = options.get("direction", "forward")
    case = Case(
        input_size=x.shape[2],
        hidden_size=hidden,
        seq_len=x.shape[0],
        batch=x.shape[1],
        direction=direction,
        batch_first=batch_first,
        bias="B" in given,
        initial_state="random" if "initial_h" in given else "omitted",
        lengths=tuple(int(length) for length in given["sequence_lens"]) if "sequence_lens" in given else None,
        peepholes="P" in given,
        check=_FORWARD,
    )
    values: dict[str, Any] = {"input": given["X"]}
    for number, suffix in enumerate(_DIRECTIONS[direction]):
        arrays = {name: given[name][number] for name in ("W", "R", "P") if name in given}
        if "B" in given:
            arrays |= dict(zip(("Wb", "Rb"), np.split(given["B"][number], 2), strict=True))
        canonical = ONNX.unpack(arrays, case.input_size)
        values |= {f"{name}_l0{suffix}": array for name, array in canonical.items()}
    if "initial_h" in given:
        values |= {"h_0": given["initial_h"], "c_0": given["initial_c"]}
    names = {"Y": "output", "Y_h": "h_n", "Y_c": "c_n"}
    compared = tuple(names[name] for name in node.output if name)
    return Check(problem_with_values(case, values), compared)


def _webnn_checks() -> Sequence[Check]:
    """Builds the checks of WebNN's fourteen tests.

    The tests are of four kinds: one forward step or two reverse steps, each with and without the output sequence.
    """
    values = {
        "weight_ih_l0": np.reshape([1, -1, 2, -2] * 4, (8, 2)),
        "weight_hh_l0": 0.1,
        "bias_ih_l0": [1, 2] * 4,
        "bias_hh_l0": [1, 2] * 4,
    }
    values |= {f"{name}_reverse": array for name, array in values.items()}
    rows = [[[1, 2], [2, 1]], [[3, 4], [1, 2]]]
    cell = Cell(*[ACTIVATIONS["relu"]] * 5)
    checks = []
    for steps, direction in ((1, "forward"), (2, "reverse")):
        case = Case(
            input_size=2,
            hidden_size=2,
            seq_len=steps,
            batch=2,
            direction=direction,  # type: ignore[arg-type]
            initial_state="zero",
            check=_FORWARD,
        )
        given = values | {"input": rows[:steps]}
        # Each test becomes two checks, to which different defects apply: a plain cell with other activations, and a
        # case with the option ``activations``.
        chosen = case.model_copy(update={"activations": ("relu", "relu", "relu")})
        for compared in (("h_n", "c_n"), _FORWARD):
            checks.append(Check(problem_with_values(case, given), compared, cell=cell))
            checks.append(Check(problem_with_values(chosen, given), compared))
    return checks


def _keras_checks() -> Sequence[Check]:
    """Builds the checks of four Keras tests.

    They are ``test_correctness``, ``test_statefulness``, ``test_pass_initial_state`` and ``test_masking``.
    """
    long = _steps((3, 6, 4))
    stateful = np.tile(_steps((2, 3, 4)), (1, 2, 1))  # The second call starts from the state of the first.
    short = _steps((2, 4, 3))
    state = np.arange(4).reshape(1, 2, 2)
    # The Keras test pads before the valid steps. In a reverse run that equals padding after them.
    late = np.stack([np.roll(row, -start, axis=0) for row, start in zip(short, (1, 2), strict=True)])
    last = ("h_n",)
    return [
        _keras_check(long, 3, last),
        _keras_check(long, 3, last, direction="reverse"),
        _keras_check(long, 3, last, forget_bias=0.03),
        _keras_check(long, 3, last, bias=False),
        _keras_check(stateful, 4, last),
        _keras_check(short, 2, last, states=state),
        _keras_check(short, 2, last, states=state, direction="reverse"),
        _keras_check(short, 2, last, lengths=(3, 2)),
        _keras_check(short, 2, ("output",), lengths=(3, 2), dialect=Dialect(padding="repeat")),
        _keras_check(short, 2, ("output",), lengths=(3, 2)),
        _keras_check(late, 2, last, lengths=(3, 2), direction="reverse"),
    ]


def _keras_check(
    x: Any,
    units: int,
    compared: tuple[str, ...],
    *,
    forget_bias: float = 1.0,
    states: Any = None,
    dialect: Dialect | None = None,
    **options: Any,
) -> Check:
    """Builds a check with kernel 0.01, recurrent kernel 0.02 and bias 0.03, except for the forget gate's bias."""
    case = Case(
        input_size=x.shape[2],
        hidden_size=units,
        seq_len=x.shape[1],
        batch=x.shape[0],
        batch_first=True,
        initial_state="omitted" if states is None else "random",
        check=_FORWARD,
        **options,
    )
    bias = np.full(4 * units, 0.03)
    bias[units : 2 * units] = forget_bias
    values: dict[str, Any] = {"input": x, "h_0": states, "c_0": states}
    for suffix in _DIRECTIONS[case.direction]:
        names = {"weight_ih_l0": 0.01, "weight_hh_l0": 0.02, "bias_ih_l0": bias}
        values |= {name + suffix: value for name, value in names.items()}
    return Check(problem_with_values(case, values), compared, dialect or Dialect())


def _steps(shape: tuple[int, int, int]) -> Any:
    return np.arange(np.prod(shape)).reshape(shape)


def _port_checks() -> Sequence[Check]:
    """Builds the checks that ports between frameworks usually run.

    They use freshly initialized weights, zero states, and the gradients of ``output.sum()``.
    """
    checks = []
    for layers, direction in ((1, "forward"), (2, "bidirectional")):
        case = Case(
            input_size=8,
            hidden_size=16,
            num_layers=layers,
            direction=direction,  # type: ignore[arg-type]
            seq_len=10,
            batch=4,
            batch_first=True,
            values="uniform",
            initial_state="omitted",
        )
        drawn = make_problem(case)
        problem = problem_with_values(case, {**drawn.parameters, "input": drawn.input, "cotangent.output": 1.0})
        checks.append(Check(problem, ("output", "grad.weight", "grad.bias")))
    return checks


SUITES = (
    Suite("ONNX node tests", "rtol 1e-3, atol 1e-7", allclose(1e-3, 1e-7), _onnx_checks),
    Suite("WebNN lstm", "1 ULP", ulps(1), _webnn_checks),
    Suite("Keras lstm_test", "rtol 1e-5, atol 1e-5", allclose(1e-5, 1e-5), _keras_checks),
    *ENGINES,
    Suite("torch against Keras, sum(output)", "rtol 1e-5, atol 1e-5", allclose(1e-5, 1e-5), _port_checks),
)
"""Published suites in the order in which ``conformance power --published`` prints them."""
