"""Verifies the reference by complex step, 50-digit scalar loops, long double and torch.

Deviations are relative to the largest element of a tensor.
"""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from reference import Dialect, Model, backward, forward
from tests.reference import oracles
from tests.reference.problems import CASES, loss, relative_deviation, run, small_problem

TOLERANCE = 1e-14


@pytest.mark.parametrize("name", CASES)
def test_every_gradient_equals_the_complex_step_derivative(name: str) -> None:
    problem = small_problem(name)
    gradients = run(problem)
    sources = {"input": problem.input, **(problem.initial_state or {}), **problem.parameters}

    def derivative(tensor: str, index: tuple[int, ...]) -> float:
        stepped = {key: array.astype(complex) for key, array in sources.items()}
        stepped[tensor][index] += 1e-200j
        states = {key: stepped[key] for key in problem.initial_state} if problem.initial_state else None
        moved = replace(
            problem,
            input=stepped["input"],
            initial_state=states,
            parameters={key: stepped[key] for key in problem.parameters},
        )
        return float(loss(problem, run(moved, lift=lambda part: np.asarray(part, complex))).imag) / 1e-200

    for tensor, array in sources.items():
        expected = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            expected[index] = derivative(tensor, index)
        assert relative_deviation(gradients[f"grad.{tensor}"], expected) <= TOLERANCE, tensor


UNSUPPORTED_BY_SCALAR_LOOPS = (
    "no-bias",
    "omitted-state",
    "batch-first",
    "unbatched",
    "sizes-per-layer",
    "sizes-per-direction",
    "projection",
    "all-options",
)
SCALAR_CASES = [
    name for name in CASES if name not in UNSUPPORTED_BY_SCALAR_LOOPS and not name.endswith(("dropout", "eval"))
]


@pytest.mark.parametrize("name", SCALAR_CASES)
def test_forward_equals_scalar_loops_in_50_digits(name: str) -> None:
    problem = small_problem(name)
    got = run(problem)
    for tensor, expected in oracles.scalar_forward(problem).items():
        assert relative_deviation(got[tensor], expected) <= TOLERANCE, tensor


@pytest.mark.parametrize("name", CASES)
@pytest.mark.skipif(bool(np.finfo(np.longdouble).eps > 1e-18), reason="long double is no wider than float64 here")
def test_equals_a_run_in_long_double(name: str) -> None:
    problem = small_problem(name)
    got = run(problem)
    for tensor, expected in run(problem, lift=lambda array: np.asarray(array, np.longdouble)).items():
        assert expected.dtype == np.longdouble
        assert relative_deviation(got[tensor], expected) <= TOLERANCE, tensor


def is_supported_by_torch(name: str) -> bool:
    case = small_problem(name).case
    plain = case.is_plain and not case.drops and case.mask == "right"
    return plain and name not in ("reverse", "zero-length", "nan-padding") and not name.startswith("sizes-per")


TORCH_CASES = [name for name in CASES if is_supported_by_torch(name)]


@pytest.mark.parametrize("name", TORCH_CASES)
def test_equals_torch_autograd_in_float64(name: str) -> None:
    problem = small_problem(name)
    got = run(problem)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="LSTM with projections is not supported with oneDNN")
        expected = oracles.torch_solution(problem)
    assert got.keys() == expected.keys()
    for tensor, array in expected.items():
        assert relative_deviation(got[tensor], array) <= TOLERANCE, tensor


def test_padding_is_not_read() -> None:
    problem = small_problem("ragged")
    assert problem.lengths is not None
    beyond = np.arange(problem.case.seq_len)[:, None] >= problem.lengths
    ones, nan = (
        run(replace(problem, input=np.where(beyond[..., None], fill, problem.input))) for fill in (1.0, np.nan)
    )
    for name, array in ones.items():
        np.testing.assert_array_equal(nan[name], array, err_msg=name)


def test_directions_of_different_sizes_equal_one_lstm_for_each_direction() -> None:
    problem = small_problem("sizes-per-direction", num_layers=1)
    got = run(problem)
    assert problem.initial_state is not None
    outputs, d_input = [], np.zeros_like(problem.input)
    for direction, suffix, units in (("forward", "", 3), ("reverse", "_reverse", 2)):
        own = {name: array for name, array in problem.parameters.items() if name.endswith(f"_l0{suffix}")}
        states = {name: problem.initial_state[f"{name}_l0{suffix}"] for name in ("h_0", "c_0")}
        trace = forward(Model(3, (units,), direction), own, problem.input, states)  # type: ignore[arg-type]
        part = slice(3) if direction == "forward" else slice(3, None)
        cotangents = {name: problem.cotangents[f"{name}_l0{suffix}"] for name in ("h_n", "c_n")}
        gradients = backward(trace, {"output": problem.cotangents["output"][..., part], **cotangents})
        outputs.append(trace.outputs.pop("output"))
        d_input += gradients.pop("grad.input")
        for name, array in (trace.outputs | gradients).items():
            whole = name if name in got else f"{name}_l0{suffix}"
            assert relative_deviation(got[whole], array) <= TOLERANCE, whole
    assert relative_deviation(got["output"], np.concatenate(outputs, axis=-1)) <= TOLERANCE
    assert relative_deviation(got["grad.input"], d_input) <= TOLERANCE


def test_reverse_equals_forward_on_the_reversed_sequence() -> None:
    problem = small_problem("one-layer")
    backwards = replace(
        problem,
        case=problem.case.model_copy(update={"direction": "reverse"}),
        parameters={f"{name}_reverse": array for name, array in problem.parameters.items()},
        input=problem.input[::-1],
        cotangents={**problem.cotangents, "output": problem.cotangents["output"][::-1]},
    )
    expected, got = run(problem), run(backwards)
    np.testing.assert_array_equal(got["output"][::-1], expected["output"])
    np.testing.assert_array_equal(got["h_n"], expected["h_n"])
    np.testing.assert_array_equal(got["grad.input"][::-1], expected["grad.input"])


def test_omitted_state_equals_zero_state() -> None:
    omitted, zero = run(small_problem("omitted-state")), run(small_problem("one-layer", initial_state="zero"))
    assert "grad.h_0" not in small_problem("omitted-state").expected_shapes()
    assert omitted["output"].shape == zero["output"].shape
    problem = small_problem("one-layer")
    zeros = {name: np.zeros_like(array) for name, array in (problem.initial_state or {}).items()}
    np.testing.assert_array_equal(
        run(replace(problem, initial_state=zeros))["output"], run(replace(problem, initial_state=None))["output"]
    )


def test_zero_length_row_keeps_or_clears_its_state() -> None:
    problem = small_problem("zero-length")
    assert problem.initial_state is not None
    kept, cleared = (run(problem, dialect=Dialect(zero_length=rule)) for rule in ("initial", "zero"))
    np.testing.assert_array_equal(kept["c_n"][:, 0], problem.initial_state["c_0"][:, 0])
    np.testing.assert_array_equal(kept["grad.c_0"][:, 0], problem.cotangents["c_n"][:, 0])
    assert not cleared["h_n"][:, 0].any()
    assert not cleared["c_n"][:, 0].any()
    assert not cleared["grad.h_0"][:, 0].any()
    np.testing.assert_array_equal(kept["h_n"][:, 1:], cleared["h_n"][:, 1:])


def test_padding_dialect_sets_the_output_at_padded_steps() -> None:
    problem = small_problem("ragged", direction="forward", num_layers=1)
    assert problem.lengths is not None
    zero, repeat = (run(problem, dialect=Dialect(padding=rule)) for rule in ("zero", "repeat"))
    for row, length in enumerate(problem.lengths):
        assert not zero["output"][length:, row].any()
        assert (repeat["output"][length:, row] == repeat["output"][length - 1, row]).all()
    np.testing.assert_array_equal(zero["h_n"], repeat["h_n"])
    # The cotangent of a repeated output flows to the repeated state.
    assert relative_deviation(repeat["grad.h_0"], zero["grad.h_0"]) > 1e-3


def test_repeat_padding_is_zero_without_a_valid_step() -> None:
    problem = small_problem("zero-length", direction="forward")
    assert not run(problem, dialect=Dialect(padding="repeat"))["output"][:, 0].any()


def test_dropout_masks_the_input_of_the_next_layer() -> None:
    problem = small_problem("dropout")
    everything = {name: np.zeros_like(mask) for name, mask in problem.dropout_masks.items()}
    dropped = run(replace(problem, dropout_masks=everything))
    assert not dropped["grad.weight_ih_l1"].any()
    assert dropped["output"].any()
    assert relative_deviation(run(replace(problem, dropout_masks={}))["output"], run(problem)["output"]) > 1e-2


def test_saturated_gates_have_full_relative_accuracy() -> None:
    problem = small_problem("one-layer")
    closed = dict(problem.parameters) | {
        "bias_ih_l0": np.where(np.arange(8) < 6, problem.parameters["bias_ih_l0"], -40.0)
    }
    problem = replace(problem, parameters=closed)
    assert relative_deviation(run(problem)["output"], oracles.scalar_forward(problem)["output"]) <= TOLERANCE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight_ih_l0": None}, r"weight_ih_l0 is missing, expected shape \(8, 3\)"),
        ({"weight_hh_l0": np.zeros((8, 3))}, r"weight_hh_l0 has shape \(8, 3\), expected \(8, 2\)"),
        ({"weight_hh_l1": np.zeros((8, 2))}, "weight_hh_l1 is not a parameter or state of this model"),
    ],
)
def test_error_names_the_wrong_tensor(change: dict[str, np.ndarray | None], message: str) -> None:
    problem = small_problem("one-layer")
    parameters = {name: array for name, array in (dict(problem.parameters) | change).items() if array is not None}
    with pytest.raises(ValueError, match=message):
        forward(problem.case.model, parameters, problem.input)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 1, 4), "input has 4 features, expected 3"),
        ((3,), r"input must have 3 axes, or 2 if unbatched, got shape \(3,\)"),
    ],
)
def test_error_states_the_wrong_input_shape(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        forward(Model(3, (2,)), {}, np.zeros(shape))


@pytest.mark.parametrize("lengths", [[1, 2], [5, 1, 2], [-1, 1, 2]])
def test_error_lists_the_invalid_lengths(lengths: list[int]) -> None:
    problem = small_problem("one-layer")
    with pytest.raises(ValueError, match=r"lengths must be 3 integers from 0 to 4, got \["):
        forward(problem.case.model, problem.parameters, problem.input, lengths=lengths)
