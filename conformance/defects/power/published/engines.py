"""Checks of inference engines and libraries in other languages, which publish vectors with few numbers.

- rten: ``pytorch-ref-tests/lstm.py``, whose numbers are torch's, from a seed.
- candle: ``candle-nn/tests/rnn.rs``.
- burn: ``crates/burn-nn/src/modules/rnn/lstm.rs``.
- OpenVINO: ``op_reference/lstm_cell.cpp`` of the template plug-in. Its test of sequences is not restated.
- TensorFlow Lite: the first two tests of ``tensorflow/lite/kernels/lstm_test.cc``. Those with projection, layer
  normalization and quantization are not restated.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conformance.adapters.layout import Layout
from conformance.cases.case import Case
from conformance.defects.power.published.check import Check, Suite, Tolerance, allclose, problem_with_values

Array = NDArray[np.float64]
_STATES = ("h_n", "c_n")
_ALL: tuple[Literal["output", "h_n", "c_n"], ...] = ("output", "h_n", "c_n")


def _numbers(text: str, *shape: int) -> Array:
    """Parses numbers that are separated by spaces."""
    return np.array(text.split(), dtype=np.float64).reshape(shape)


def _check(
    values: Mapping[str, ArrayLike], compared: tuple[str, ...], within: Tolerance | None = None, **options: Any
) -> Check:  # fmt: skip
    """Builds a check from its values. Sizes follow from the weights and the input (T, B, I)."""
    steps, rows, features = np.shape(values["input"])
    case = Case(
        input_size=features,
        hidden_size=np.shape(values["weight_hh_l0"])[1],
        seq_len=steps,
        batch=rows,
        initial_state="random" if "h_0" in values else "omitted",
        check=_ALL,
        **options,
    )
    return Check(problem_with_values(case, values), compared, within=within)


# --------------------------------------------------------------------------- rten


def _rten_checks() -> Sequence[Check]:
    """Builds the checks of rten's three vectors. They compare only the output of seven steps."""
    import torch

    def parameters(module: Any) -> dict[str, Any]:
        return {name: array.detach().numpy() for name, array in module.named_parameters()}

    with torch.random.fork_rng():
        torch.manual_seed(1234)
        forward = torch.nn.LSTM(10, 5)
        x, h_0, c_0 = (torch.rand(shape).numpy() for shape in ((7, 10), (1, 5), (1, 5)))
        both = torch.nn.LSTM(10, 5, bidirectional=True)
    given = {"input": x[:, None]}
    states = {"h_0": h_0[:, None], "c_0": c_0[:, None]}
    return [
        _check(parameters(forward) | given, ("output",)),
        _check(parameters(both) | given, ("output",), direction="bidirectional"),
        _check(parameters(forward) | given | states, ("output",)),
    ]


# --------------------------------------------------------------------------- candle


def _candle_checks() -> Sequence[Check]:
    """Builds the check of candle's test: the final states of seven steps with two features."""
    x = np.array([3.0, 1, 4, 1, 5, 9, 2])
    bias = np.array([-1, 1, -0.5, 2] * 3)
    values = {
        "weight_ih_l0": np.cos(np.arange(24.0)).reshape(12, 2),
        "weight_hh_l0": np.sin(np.arange(36.0)).reshape(12, 3),
        "bias_ih_l0": bias,
        "bias_hh_l0": np.cos(bias),
        "input": np.stack([x, 0.5 * x], axis=-1)[:, None],
    }
    return [_check(values, _STATES)]


# --------------------------------------------------------------------------- burn

_BURN_INPUT = "0.949 -0.861 0.892 0.927 -0.173 -0.301 -0.081 0.992"
_BURN_STATES = {"h_0": "0.280 0.360 -1.242 -0.588 0.729 -0.788", "c_0": "0.723 0.397 -0.262 0.471 0.613 1.885"}
_BURN_GATES = {
    "": (
        "0.367 0.091 0.342 0.322 0.533 0.059  -0.196 0.354 0.209  -0.320 0.232 -0.165 0.093 -0.572 -0.315 -0.467 0.325 "
        "0.046  0.181 -0.190 -0.245",
        "-0.342 -0.084 -0.420 -0.432 0.119 0.191  0.315 -0.413 -0.041  0.453 0.063 0.561 0.211 0.149 0.213 -0.499 "
        "-0.158 0.068  -0.431 -0.535 0.125",
        "-0.046 -0.382 0.321 -0.533 0.558 0.004  -0.358 0.282 -0.078  -0.358 0.109 0.139 -0.345 0.091 -0.368 -0.508 "
        "0.221 -0.507  0.502 -0.509 -0.247",
        "-0.577 -0.359 0.216 -0.550 0.268 0.243  -0.227 -0.274 0.039  -0.383 0.449 0.222 -0.357 -0.093 0.449 -0.106 "
        "0.236 0.360  -0.361 -0.209 -0.454",
    ),
    "_reverse": (
        "-0.055 0.506 0.247 -0.369 0.178 -0.258  0.540 -0.164 0.033  0.159 0.180 -0.037 -0.443 0.485 -0.488 0.098 "
        "-0.085 -0.140  -0.510 0.105 0.114",
        "-0.154 -0.432 -0.547 -0.369 -0.310 -0.175  0.141 0.004 0.055  -0.005 -0.277 -0.515 -0.011 -0.101 -0.365 0.426 "
        "0.379 0.337  -0.382 0.331 -0.176",
        "-0.571 0.228 -0.287 -0.331 0.110 0.219  -0.206 -0.546 0.462  0.449 -0.240 0.071 -0.045 0.131 0.124 0.138 "
        "-0.201 0.191  -0.030 0.211 -0.352",
        "0.491 -0.442 0.333 0.313 -0.121 -0.070  -0.387 -0.250 0.066  -0.030 0.268 0.299 -0.019 -0.280 -0.314 0.466 "
        "-0.365 -0.248  -0.398 -0.199 -0.566",
    ),
}
"""For each direction and gate i, f, g, o: input weights (2, 3) and bias, recurrent weights (3, 3) and bias."""


def _burn_checks() -> Sequence[Check]:
    """Builds the checks of burn's two tests with numbers: one step of one unit, and four steps in both directions."""
    gates = np.array([[0.5], [0.7], [0.9], [1.1]])
    single = {"weight_ih_l0": gates, "weight_hh_l0": gates, "input": np.full((1, 1, 1), 0.1)}
    values: dict[str, Any] = {"input": _numbers(_BURN_INPUT, 4, 1, 2)}
    for suffix, texts in _BURN_GATES.items():
        parts = [np.split(_numbers(text, 21), (6, 9, 18)) for text in texts]
        shapes = {"weight_ih": (2, 3), "bias_ih": (3,), "weight_hh": (3, 3), "bias_hh": (3,)}
        for place, (name, shape) in enumerate(shapes.items()):
            values[f"{name}_l0{suffix}"] = np.concatenate([part[place].reshape(shape).T for part in parts])
    states = {name: _numbers(text, 2, 1, 3) for name, text in _BURN_STATES.items()}
    return [
        _check(single, _ALL, within=_burn_tolerance(0.005, 1e-5), bias=False),
        _check(values | states, _ALL, direction="bidirectional"),
        _check(values, _ALL, direction="bidirectional"),
    ]


def _burn_tolerance(relative: float, absolute: float) -> Tolerance:
    return lambda expected: np.maximum(absolute, relative * np.abs(expected))


# --------------------------------------------------------------------------- OpenVINO

_OPENVINO_W = """
    0.33330739 0.00036229487 0.46773660 0.43046016 0.073950343 0.38063636 0.96921772 0.96897459 0.62964785 0.31134409
    0.84709978 0.94928098 0.61676943 0.66020679 0.19072217 0.088032126 0.40472135 0.68342745 0.83432144 0.44928190
    0.79524308 0.53966165 0.85936421 0.83136767 0.055125546 0.47791195 0.35788772 0.67507404 0.21716513 0.27473119
    0.033999152 0.96835363 0.37581277 0.24026000 0.67418844 0.34199652"""
_OPENVINO_R = """
    0.0987983 0.52032113 0.5848073 0.5356095 0.74497133 0.73260087 0.1700787 0.45684233 0.1495722 0.42734373 0.4433832
    0.25906256 0.03854987 0.47480518 0.37215272 0.99890584 0.74019486 0.3518967 0.6881257 0.8170279 0.54088944
    0.81225616 0.14619833 0.42941234 0.86843914 0.45967972 0.6237719 0.11074839 0.6029616 0.3149305 0.46504205
    0.5843412 0.8733427 0.7687243 0.07074859 0.39188156"""
_OPENVINO_B = """
    1.07393714 1.15248052 1.16671345 0.21450312 1.2380678 1.51688835 0.46718366 0.91810346 1.1274234 0.51022074
    1.11389844 0.74174305"""
_OPENVINO_X = "0.81342685 0.84108883 0.8152282 0.46893653 0.0901856 0.37088776"
_OPENVINO_H = "0.77956 0.5331557 0.04297554 0.7962175 0.7635707 0.11989366"
_OPENVINO_C = "0.8488452 0.18851636 0.5020695 0.29716516 0.06740791 0.45384037"


def _openvino_checks() -> Sequence[Check]:
    """Builds the checks of three tests: one step without bias, with bias, and with a clip.

    The second test reads its weights in the order i, o, f, g, but expects the results of the order f, i, g, o. They
    differ by up to 9.4 %, which its tolerance of 10 % accepts.
    """
    weights = {"weight_ih": _numbers(_OPENVINO_W, 12, 3), "weight_hh": _numbers(_OPENVINO_R, 12, 3)}
    bias = {"bias_ih": _numbers(_OPENVINO_B, 12)}
    given = {
        "input": _numbers(_OPENVINO_X, 1, 2, 3),
        "h_0": _numbers(_OPENVINO_H, 1, 2, 3),
        "c_0": _numbers(_OPENVINO_C, 1, 2, 3),
    }

    def canonical(arrays: Mapping[str, Array], gates: str) -> dict[str, Any]:
        unpacked = Layout(gates=gates, biases="summed").unpack(arrays, 3)
        return {f"{name}_l0": array for name, array in unpacked.items()} | given

    return [
        _check(canonical(weights, "iofg"), _STATES, within=allclose(1e-2, 0)),
        _check(canonical(weights | bias, "iofg"), _STATES),
        _check(canonical(weights | bias, "figo"), _STATES, clip=3.5),
    ]


# --------------------------------------------------------------------------- TensorFlow Lite

_TFLITE_PLAIN = (
    """-0.45018822 -0.02338299 -0.0870589 -0.34550029 0.04266912 -0.15680569 -0.34856534 0.43890524
    -0.0063535 -0.2042388 0.31454784 -0.35746509 0.28902304 0.08183324 -0.16555229 0.02286911
    -0.13566875 0.03034258 0.48091322 -0.12528998 0.24077177 -0.51332325 -0.33502164 0.10629296""",
    """0.09701663 0.20334584 -0.50592935 -0.31343272 -0.40032279 0.44781327 0.01387155 -0.35593212
    -0.48684245 -0.06655136 0.42224967 0.2112639 0.27654213 0.20864892 -0.07646349 0.45877004
    0.00141793 -0.14609534 0.36447752 0.09196436 0.28053468 0.01560611 -0.20127171 -0.01140004""",
    """-0.50013041 0.1370284 0.11810488 0.2013163 -0.20583314 0.44344562 0.22077113 -0.29909778
    -0.3407414 0.24443203 -0.2078532 0.26320225 0.05695659 -0.00123841 -0.4744786 -0.35869038
    -0.06418842 -0.13502428 -0.501764 0.22830659 -0.46367589 0.26016325 -0.03894562 -0.16368064""",
    """-0.25065863 -0.28290087 0.04613829 0.40525138 0.44272184 0.03897077 -0.1556896 0.19487578
    0.43385774 -0.17194885 0.2718237 0.09215671 0.24107647 -0.39835793 0.18212086 0.01301402
    0.48572797 -0.50656658 0.20047462 -0.20607421 -0.51818722 -0.15390486 0.0468148 0.39922136""",
)
"""For each gate i, f, g, o: input weights (4, 2) and recurrent weights (4, 4)."""
_TFLITE_COUPLED = (
    """-0.55291498 -0.42866567 0.13056988 -0.3633365 -0.22755712 0.28253698 0.24407166 0.33826375
    -0.13832897 -0.0515101 -0.2359007 -0.16661474 -0.14340827 0.36986142 0.23414481 0.55899
    0.10798943 -0.41174671 0.17751795 -0.34484994 -0.35874045 -0.11352962 0.27268326 0.54058349""",
    """-0.49770179 -0.27711356 -0.09624726 0.05100781 0.04717243 0.48944736 -0.38535351 -0.17212132
    0.54066205 -0.32668582 -0.43562764 -0.56094903 0.42957711 0.01841056 -0.32764608 -0.33027974
    -0.10826075 0.20675004 0.19069612 -0.03026325 -0.54532051 0.33003211 0.44901288 0.21193194""",
    """0.10725588 -0.02335852 -0.55932593 -0.09426838 -0.44257352 0.54939759 0.01533556 0.42751634
    0.41613156 0.42610586 -0.16495961 -0.5663873 0.30579174 -0.05115908 -0.33941799 0.23364776
    0.11178309 0.09481031 -0.26424935 0.46261835 0.50248802 0.26114327 -0.43736315 0.33149987""",
)
"""The same for the gates f, g and o."""
_TFLITE_PEEPHOLES = (
    "0.47485286 -0.51955009 -0.24458408 0.31544167",
    "-0.17135078 0.82760304 0.85573703 -0.77109635",
)
"""Peepholes of the gates f and o."""


def _tflite_checks() -> Sequence[Check]:
    """Builds the checks of two tests, which compare the output of three steps with one row.

    The second one couples the gates as i = 1 - f. That is f = 1 - i with the negative parameters of f as those of i.
    """
    plain = [_numbers(text, 24) for text in _TFLITE_PLAIN]
    forget, *others = (_numbers(text, 24) for text in _TFLITE_COUPLED)
    p_f, p_o = (_numbers(text, 4) for text in _TFLITE_PEEPHOLES)

    def values(gates: Sequence[Array], input_bias: float) -> dict[str, Any]:
        return {
            "weight_ih_l0": np.concatenate([gate[:8].reshape(4, 2) for gate in gates]),
            "weight_hh_l0": np.concatenate([gate[8:].reshape(4, 4) for gate in gates]),
            "bias_ih_l0": np.repeat([input_bias, 1.0, 0.0, 0.0], 4),
            "input": _numbers("2 3 3 4 1 1", 3, 1, 2),
        }

    coupled = values([-forget, forget, *others], -1.0) | {"peephole_l0": np.concatenate([-p_f, p_f, p_o])}
    return [
        _check(values(plain, 0.0), ("output",)),
        _check(coupled, ("output",), coupled_gates=True, peepholes=True),
    ]


ENGINES = (
    Suite("rten lstm", "rtol 1e-5, atol 1e-8", allclose(1e-5, 1e-8), _rten_checks),
    Suite("candle lstm", "4 decimals", allclose(0, 5e-5), _candle_checks),
    Suite("burn lstm", "rtol 1e-2 or atol 1e-2", _burn_tolerance(1e-2, 1e-2), _burn_checks),
    Suite("OpenVINO lstm_cell", "rtol 1e-1", allclose(1e-1, 0), _openvino_checks),
    Suite("TensorFlow Lite lstm_test", "atol 1e-5", allclose(0, 1e-5), _tflite_checks),
)
"""Suites of this module. The tolerances are those of most of their checks."""
