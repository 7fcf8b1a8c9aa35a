"""The oracle is verified in four ways that share nothing with it; every figure is relative to a tensor's largest."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from reference import Dialect, Model, forward
from tests.reference import oracles
from tests.reference.problems import CASES, loss, problem, relative, run

AGREEMENT = 1e-14


@pytest.mark.parametrize("name", CASES)
def test_every_gradient_equals_its_complex_step(name: str) -> None:
    of = problem(name)
    gradients = run(of)
    sources = {"input": of.input, **(of.initial_state or {}), **of.parameters}

    def derivative(tensor: str, index: tuple[int, ...]) -> float:
        stepped = {key: array.astype(complex) for key, array in sources.items()}
        stepped[tensor][index] += 1e-200j
        states = {key: stepped[key] for key in of.initial_state} if of.initial_state else None
        moved = replace(
            of,
            input=stepped["input"],
            initial_state=states,
            parameters={key: stepped[key] for key in of.parameters},
        )
        return float(loss(of, run(moved, lift=lambda part: np.asarray(part, complex))).imag) / 1e-200

    for tensor, array in sources.items():
        expected = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            expected[index] = derivative(tensor, index)
        assert relative(gradients[f"grad.{tensor}"], expected) <= AGREEMENT, tensor


WITHOUT_SCALARS = ("no-bias", "omitted-state", "batch-first", "unbatched", "sizes-per-layer", "projection", "all-of-it")
SCALAR_RUNS = [name for name in CASES if name not in WITHOUT_SCALARS and not name.endswith(("dropout", "eval"))]


@pytest.mark.parametrize("name", SCALAR_RUNS)
def test_forward_equals_scalar_loops_in_50_digits(name: str) -> None:
    of = problem(name)
    got = run(of)
    for tensor, expected in oracles.scalar_forward(of).items():
        assert relative(got[tensor], expected) <= AGREEMENT, tensor


@pytest.mark.parametrize("name", CASES)
@pytest.mark.skipif(bool(np.finfo(np.longdouble).eps > 1e-18), reason="long double is no wider than float64 here")
def test_equals_itself_in_long_double(name: str) -> None:
    of = problem(name)
    got = run(of)
    for tensor, expected in run(of, lift=lambda array: np.asarray(array, np.longdouble)).items():
        assert expected.dtype == np.longdouble
        assert relative(got[tensor], expected) <= AGREEMENT, tensor


def torch_has_it(name: str) -> bool:
    case = problem(name).case
    plain = case.is_plain and not case.drops and case.mask == "right"
    return plain and name not in ("reverse", "sizes-per-layer", "zero-length", "nan-padding")


TORCH_RUNS = [name for name in CASES if torch_has_it(name)]


@pytest.mark.parametrize("name", TORCH_RUNS)
def test_equals_torch_autograd_in_float64(name: str) -> None:
    of = problem(name)
    got = run(of)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="LSTM with projections is not supported with oneDNN")
        expected = oracles.torch_solution(of)
    assert got.keys() == expected.keys()
    for tensor, array in expected.items():
        assert relative(got[tensor], array) <= AGREEMENT, tensor


def test_padding_is_not_read() -> None:
    of = problem("ragged")
    assert of.lengths is not None
    beyond = np.arange(of.case.seq_len)[:, None] >= of.lengths
    ones, nan = (run(replace(of, input=np.where(beyond[..., None], fill, of.input))) for fill in (1.0, np.nan))
    for name, array in ones.items():
        np.testing.assert_array_equal(nan[name], array, err_msg=name)


def test_reverse_runs_on_the_reversed_sequence() -> None:
    of = problem("one-layer")
    backwards = replace(
        of,
        case=of.case.model_copy(update={"direction": "reverse"}),
        parameters={f"{name}_reverse": array for name, array in of.parameters.items()},
        input=of.input[::-1],
        cotangents={**of.cotangents, "output": of.cotangents["output"][::-1]},
    )
    expected, got = run(of), run(backwards)
    np.testing.assert_array_equal(got["output"][::-1], expected["output"])
    np.testing.assert_array_equal(got["h_n"], expected["h_n"])
    np.testing.assert_array_equal(got["grad.input"][::-1], expected["grad.input"])


def test_omitted_state_is_zero() -> None:
    omitted, zero = run(problem("omitted-state")), run(problem("one-layer", initial_state="zero"))
    assert "grad.h_0" not in problem("omitted-state").expected_shapes()
    assert omitted["output"].shape == zero["output"].shape
    of = problem("one-layer")
    zeros = {name: np.zeros_like(array) for name, array in (of.initial_state or {}).items()}
    np.testing.assert_array_equal(
        run(replace(of, initial_state=zeros))["output"], run(replace(of, initial_state=None))["output"]
    )


def test_a_row_of_length_0_keeps_or_clears_its_state() -> None:
    of = problem("zero-length")
    assert of.initial_state is not None
    kept, cleared = (run(of, dialect=Dialect(zero_length=rule)) for rule in ("initial", "zero"))
    np.testing.assert_array_equal(kept["c_n"][:, 0], of.initial_state["c_0"][:, 0])
    np.testing.assert_array_equal(kept["grad.c_0"][:, 0], of.cotangents["c_n"][:, 0])
    assert not cleared["h_n"][:, 0].any()
    assert not cleared["c_n"][:, 0].any()
    assert not cleared["grad.h_0"][:, 0].any()
    np.testing.assert_array_equal(kept["h_n"][:, 1:], cleared["h_n"][:, 1:])


def test_padding_dialects() -> None:
    of = problem("ragged", direction="forward", num_layers=1)
    assert of.lengths is not None
    zero, repeat = (run(of, dialect=Dialect(padding=rule)) for rule in ("zero", "repeat"))
    for row, length in enumerate(of.lengths):
        assert not zero["output"][length:, row].any()
        assert (repeat["output"][length:, row] == repeat["output"][length - 1, row]).all()
    np.testing.assert_array_equal(zero["h_n"], repeat["h_n"])
    # What is shown again passes its cotangent on to the state that it shows.
    assert relative(repeat["grad.h_0"], zero["grad.h_0"]) > 1e-3


def test_repeating_before_anything_was_computed_gives_0() -> None:
    of = problem("zero-length", direction="forward")
    assert not run(of, dialect=Dialect(padding="repeat"))["output"][:, 0].any()


def test_dropout_masks_what_the_next_layer_reads() -> None:
    of = problem("dropout")
    everything = {name: np.zeros_like(mask) for name, mask in of.dropout_masks.items()}
    dropped = run(replace(of, dropout_masks=everything))
    assert not dropped["grad.weight_ih_l1"].any()
    assert dropped["output"].any()
    assert relative(run(replace(of, dropout_masks={}))["output"], run(of)["output"]) > 1e-2


def test_saturated_gates_keep_their_relative_accuracy() -> None:
    of = problem("one-layer")
    closed = dict(of.parameters) | {"bias_ih_l0": np.where(np.arange(8) < 6, of.parameters["bias_ih_l0"], -40.0)}
    of = replace(of, parameters=closed)
    assert relative(run(of)["output"], oracles.scalar_forward(of)["output"]) <= AGREEMENT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight_ih_l0": None}, "weight_ih_l0 is missing, expected with shape"),
        ({"weight_hh_l0": np.zeros((8, 3))}, r"weight_hh_l0 has shape \(8, 3\), expected \(8, 2\)"),
        ({"weight_hh_l1": np.zeros((8, 2))}, "weight_hh_l1 is not a tensor of this model"),
    ],
)
def test_wrong_tensors_are_named(change: dict[str, np.ndarray | None], message: str) -> None:
    of = problem("one-layer")
    parameters = {name: array for name, array in (dict(of.parameters) | change).items() if array is not None}
    with pytest.raises(ValueError, match=message):
        forward(of.case.model, parameters, of.input)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 1, 4), "input has 4 features, the model reads 3"), ((3,), "input must have 3 axes, or 2 unbatched, not 1")],
)
def test_a_wrong_input_is_named(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        forward(Model(3, (2,)), {}, np.zeros(shape))


@pytest.mark.parametrize("lengths", [[1, 2], [5, 1, 2], [-1, 1, 2]])
def test_wrong_lengths_are_named(lengths: list[int]) -> None:
    of = problem("one-layer")
    with pytest.raises(ValueError, match=r"lengths must be 3 numbers from 0 to 4, not \["):
        forward(of.case.model, of.parameters, of.input, lengths=lengths)
