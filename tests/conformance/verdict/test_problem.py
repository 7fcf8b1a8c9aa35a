"""Problems: reproducible bytes, distinct values, padding and masks."""

import hashlib
from dataclasses import replace
from itertools import combinations
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.cases.case import Case
from conformance.verdict.problem import Problem, cells, make_problem, normalize_dialect
from conformance.verdict.random_arrays import round_to
from reference import Dialect
from reference.activations import ACTIVATIONS
from reference.cell import Cell
from reference.onnx_cell import OnnxCell

BASE: dict[str, Any] = {"input_size": 4, "hidden_size": 5, "seq_len": 6, "batch": 4}


def problem_of(draw: int = 0, **options: Any) -> Problem:
    return make_problem(Case(**{**BASE, **options}), draw)


def tensors(problem: Problem) -> dict[str, Any]:
    state = problem.initial_state or {}
    cotangents = {f"cotangent.{name}": array for name, array in problem.cotangents.items()}
    return {**problem.parameters, "input": problem.input, **state, **cotangents, **problem.dropout_masks}


def test_a_seed_keeps_the_values_if_other_options_change() -> None:
    case = make_problem(Case(**BASE, seed=3))
    without = make_problem(Case(**BASE, seed=3, initial_state="omitted", batch_first=True))
    other = make_problem(Case(**BASE, seed=4))
    for name, parameter in case.parameters.items():
        np.testing.assert_array_equal(parameter, without.parameters[name])
        assert (parameter != other.parameters[name]).any()
    np.testing.assert_array_equal(case.input, np.moveaxis(without.input, 0, 1))


def test_a_case_without_gradients_has_the_same_values() -> None:
    case = Case(**BASE)
    whole = case.key
    forward = case.forward_only()
    assert forward is not None
    assert forward.key != whole
    assert "gradients" not in forward.check
    assert (forward.key, forward.drawn_from) == (Case(**BASE, check=forward.check).key, case.drawn_from)
    assert digest(make_problem(forward)) == digest(make_problem(case))


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(("reverse_output", "first"), [("input", [True] * 3), ("processing", [False, True, False])])
def test_specified_steps_follow_the_order_of_the_output(
    reverse_output: str, first: list[bool], *, batch_first: bool
) -> None:
    options: dict[str, Any] = {"direction": "reverse", "batch": 3, "lengths": (2, 6, 5), "batch_first": batch_first}
    problem = problem_of(**options)
    dialect = Dialect(padding="unspecified", reverse_output=reverse_output)  # type: ignore[arg-type]
    assert problem.specified_steps(Dialect()) is None
    specified = problem.specified_steps(dialect)
    assert specified is not None
    assert specified.shape == problem.input.shape[:2]
    assert (specified.T if batch_first else specified)[0].tolist() == first
    unspecified_cotangents = problem.under(dialect).cotangents["output"][~specified]
    assert unspecified_cotangents.size
    assert not unspecified_cotangents.any()


def digest(problem: Problem) -> str:
    found = hashlib.sha256()
    for name, array in tensors(problem).items():
        found.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
    return found.hexdigest()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"num_layers": 2, "bidirectional": True, "lengths": "ragged"},
            "1610b0360a488d48f989ce0c3322daccc20b132bbd3f7f9c1f9ae7d8c16fb927",
        ),
        (
            {"num_layers": 2, "dtype": "bfloat16", "dropout": 0.5, "mode": "train", "values": "scale-2"},
            "1a1d1b74d965e1841489a5097f012e19495a4240edc213bf5b00995c6e85475f",
        ),
        (
            {"dtype": "float64", "values": "uniform", "batch_first": True},
            "d6b4c77bc7d91c65d86d5140e14aa1530d532017ba22057d7f8ebe651df4b9f3",
        ),
    ],
)
def test_the_bytes_of_a_problem_are_pinned(options: dict[str, Any], expected: str) -> None:
    assert digest(problem_of(**options)) == expected


def test_each_draw_is_repeatable_and_has_other_values() -> None:
    first, again, other = problem_of(), problem_of(), problem_of(draw=1)
    assert digest(first) == digest(again)
    for name, array in tensors(first).items():
        assert not np.array_equal(array, tensors(other)[name]), name


def test_name_file_and_tags_do_not_change_the_values() -> None:
    assert digest(problem_of()) == digest(problem_of(name="n", file="f", tags=("t",)))


def test_all_values_of_all_parameters_are_distinct() -> None:
    problem = problem_of(num_layers=2, bidirectional=True, dtype="float64")
    values = np.concatenate([array.ravel() for array in problem.parameters.values()])
    assert len(np.unique(values)) == len(values)


def test_the_gates_of_a_parameter_have_distinct_values() -> None:
    for name, array in problem_of(bidirectional=True).parameters.items():
        for one, other in combinations(np.split(array, 4), 2):
            assert not np.any(one == other), name


def test_streams_of_tensors_are_independent() -> None:
    problem = problem_of(dtype="float64", hidden_size=40, input_size=40, batch=40)
    arrays = [array.ravel()[:240] for array in tensors(problem).values() if array.size >= 240]
    assert len(arrays) > 4
    correlations = np.corrcoef(arrays) - np.eye(len(arrays))
    assert np.abs(correlations).max() < 0.3


@pytest.mark.parametrize(
    ("values", "name", "deviation"),
    [
        ("scale-1", "weight_ih_l0", 1 / np.sqrt(40)),
        ("scale-1", "bias_hh_l0", np.sqrt(0.5)),
        ("scale-2", "weight_hh_l0", 2 / np.sqrt(60)),
        ("scale-2", "bias_ih_l0", 1.0),
        ("uniform", "weight_hh_l0", 1 / np.sqrt(60 * 3)),
        ("uniform", "bias_ih_l0", 1 / np.sqrt(60 * 3)),
    ],
)
def test_parameters_have_the_documented_standard_deviation(values: str, name: str, deviation: float) -> None:
    array = problem_of(values=values, input_size=40, hidden_size=60, dtype="float64").parameters[name]
    assert array.std() == pytest.approx(deviation, rel=0.15)
    assert abs(array.mean()) < deviation / 3


def test_arrays_are_read_only_contiguous_and_have_the_dtype() -> None:
    for dtype, stored in (("float64", "f8"), ("float32", "f4"), ("float16", "f2"), ("bfloat16", "f4")):
        for name, array in tensors(problem_of(dtype=dtype, lengths="ragged", batch_first=True)).items():
            assert array.dtype == np.dtype(stored), name
            assert array.flags.c_contiguous, name
            assert not array.flags.writeable, name
            if dtype == "bfloat16":
                np.testing.assert_array_equal(array, array.astype(ml_dtypes.bfloat16).astype(np.float32))


def test_masks_and_lengths_are_read_only() -> None:
    problem = problem_of(lengths="ragged", dropout=0.5, mode="train", num_layers=2)
    assert problem.lengths is not None
    assert not problem.lengths.flags.writeable
    assert not problem.dropout_masks["l0"].flags.writeable


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ("right", ["111111", "110000", "000000", "111100"]),
        ("left", ["111111", "000011", "000000", "001111"]),
        ("holed", ["111111", "100100", "000000", "110110"]),
    ],
)
def test_masks_have_the_given_number_of_valid_steps(mask: str, expected: list[str]) -> None:
    problem = problem_of(lengths=[6, 2, 0, 4], mask=mask)
    assert problem.mask is not None
    assert ["".join(str(int(valid)) for valid in row) for row in problem.mask.T] == expected
    assert (problem.lengths is None) == (mask != "right")
    assert problem.arrays()["mask"] is problem.mask


FLOATS = st.floats(width=32, allow_nan=False)


@given(st.lists(FLOATS, min_size=1, max_size=20))
def test_bfloat16_rounds_to_nearest_ties_to_even(values: list[float]) -> None:
    array = np.array(values, dtype=np.float32)
    with np.errstate(over="ignore"):
        expected = array.astype(ml_dtypes.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(round_to("bfloat16", array), expected)


@given(st.lists(st.floats(-65000, 65000), min_size=1, max_size=20))
def test_float16_rounds_within_half_a_unit_and_rounding_is_idempotent(values: list[float]) -> None:
    array = np.array(values)
    rounded = round_to("float16", array)
    assert rounded.dtype == np.float16
    assert np.all(np.abs(rounded.astype(np.float64) - array) <= np.maximum(np.abs(array) * 2.0**-11, 2.0**-25))
    np.testing.assert_array_equal(round_to("float16", rounded), rounded)


def test_bfloat16_keeps_nan_and_infinity() -> None:
    special = np.array([np.nan, np.inf, -np.inf, -0.0])
    rounded = round_to("bfloat16", special)
    np.testing.assert_array_equal(rounded, special.astype(np.float32))
    assert np.signbit(rounded[3])


@pytest.mark.parametrize("steps", range(3, 20))
@pytest.mark.parametrize("rows", [3, 4, 7])
def test_ragged_lengths_are_unsorted_and_include_1_and_all_steps(steps: int, rows: int) -> None:
    lengths = problem_of(lengths="ragged", seq_len=steps, batch=rows).lengths
    assert lengths is not None
    assert len(lengths) == rows
    assert {1, steps} <= set(lengths)
    assert lengths.min() == 1
    assert lengths.max() == steps
    assert list(lengths) != sorted(lengths)
    assert list(lengths) != sorted(lengths, reverse=True)


def test_a_list_of_lengths_is_used_unchanged() -> None:
    lengths = problem_of(lengths=[3, 0, 6, 1]).lengths
    assert lengths is not None
    assert lengths.tolist() == [3, 0, 6, 1]
    assert lengths.dtype == np.int64
    assert problem_of().lengths is None


@pytest.mark.parametrize(
    ("padding", "dtype", "garbage"),
    [("nan", "float32", np.nan), ("large", "float64", 1e6), ("large", "float16", 1e4), ("nan", "bfloat16", np.nan)],
)
@pytest.mark.parametrize("batch_first", [False, True])
def test_garbage_fills_exactly_the_padding(padding: str, dtype: str, garbage: float, *, batch_first: bool) -> None:
    lengths = [3, 0, 6, 1]
    problem = problem_of(lengths=lengths, padding=padding, dtype=dtype, batch_first=batch_first)
    values = problem.input if batch_first else np.moveaxis(problem.input, 0, 1)
    for row, length in enumerate(lengths):
        np.testing.assert_array_equal(values[row, length:], np.full((6 - length, 4), garbage, values.dtype))
        assert np.all(np.abs(values[row, :length]) < 7)


def test_random_padding_has_ordinary_values() -> None:
    assert np.abs(problem_of(lengths=[1, 1, 1, 1], padding="random").input).max() < 7


@pytest.mark.parametrize(
    ("batch", "batch_first", "shape"),
    [(4, False, (6, 4, 4)), (3, False, (6, 3, 4)), (3, True, (3, 6, 4)), ("unbatched", True, (6, 4))],
)
def test_input_and_output_have_the_documented_shapes(
    batch: int | str, shape: tuple[int, ...], *, batch_first: bool
) -> None:
    problem = problem_of(batch=batch, batch_first=batch_first, bidirectional=True)
    assert problem.input.shape == shape
    assert problem.output_shape == (*shape[:-1], 10)
    assert problem.cotangents["output"].shape == problem.output_shape


@pytest.mark.parametrize(
    ("initial_state", "zeros"),
    [("zero", {"h_0", "c_0"}), ("h_0-only", {"c_0"}), ("c_0-only", {"h_0"}), ("random", set())],
)
def test_initial_state_selects_zero_states(initial_state: str, zeros: set[str]) -> None:
    state = problem_of(initial_state=initial_state, num_layers=2).initial_state
    assert state is not None
    assert {name for name, array in state.items() if not array.any()} == zeros
    assert problem_of(initial_state="omitted").initial_state is None


def test_every_other_row_of_c_0_has_three_times_the_standard_deviation() -> None:
    state = problem_of(batch=200, dtype="float64").initial_state
    assert state is not None
    assert state["c_0"][:, ::2].std() == pytest.approx(1, rel=0.1)
    assert state["c_0"][:, 1::2].std() == pytest.approx(3, rel=0.1)
    assert np.abs(state["h_0"]).max() < 1


@pytest.mark.parametrize(("drop", "allowed"), [(0.5, {0.0, 2.0}), (0.25, {0.0, 1 / 0.75}), (1.0, {0.0})])
def test_dropout_masks_zero_or_scale(drop: float, allowed: set[float]) -> None:
    problem = problem_of(dropout=drop, mode="train", num_layers=3, batch=50, bidirectional=True)
    assert list(problem.dropout_masks) == ["l0", "l1"]
    for mask in problem.dropout_masks.values():
        assert mask.shape == (6, 50, 10)
        assert set(np.unique(mask)) == allowed
        assert np.mean(mask == 0) == pytest.approx(drop, abs=0.05)


def test_dropout_within_a_layer_has_one_mask_for_each_row_and_direction() -> None:
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "proj_size": 3, "mode": "train"}
    masks = problem_of(**options, input_dropout=0.5, recurrent_dropout=0.25).dropout_masks
    expected: dict[str, tuple[int, int]] = {}
    for layer, width in enumerate((4, 6)):
        for suffix in ("", "_reverse"):
            expected |= {f"input_l{layer}{suffix}": (4, width), f"recurrent_l{layer}{suffix}": (4, 3)}
    assert {name: mask.shape for name, mask in masks.items()} == expected
    assert all(set(np.unique(mask)) <= {0.0, 2.0 if "input" in name else 1 / 0.75} for name, mask in masks.items())


@pytest.mark.parametrize("options", [{"mode": "eval"}, {"dropout": 0.0}, {"num_layers": 1}])
def test_without_dropout_there_are_no_masks(options: dict[str, Any]) -> None:
    assert not problem_of(**{"dropout": 0.5, "mode": "train", "num_layers": 2, **options}).dropout_masks


def test_expected_shapes_contain_the_checked_tensors_in_order() -> None:
    assert problem_of(bias=False).expected_shapes() == {
        "output": (6, 4, 5),
        "h_n": (1, 4, 5),
        "c_n": (1, 4, 5),
        "grad.input": (6, 4, 4),
        "grad.h_0": (1, 4, 5),
        "grad.c_0": (1, 4, 5),
        "grad.weight_ih_l0": (20, 4),
        "grad.weight_hh_l0": (20, 5),
    }
    assert list(problem_of(check=("c_n",)).expected_shapes()) == ["c_n"]
    assert "grad.h_0" not in problem_of(initial_state="omitted").expected_shapes()
    assert list(problem_of(hidden_size=[5, 3], check=("h_n",)).expected_shapes().values()) == [(1, 4, 5), (1, 4, 3)]


def test_a_direction_has_an_array_for_each_given_tensor() -> None:
    problem = problem_of(check=("jvp", "hvp"), initial_state="c_0-given")
    names = {"input", "c_0", *problem.parameters}
    assert problem.tangents.keys() == names
    assert all(problem.tangents[name].shape == array.shape for name, array in problem.parameters.items())
    assert problem.tangents["input"].shape == problem.input.shape
    assert not problem.complete_tangents()["h_0"].any()
    assert list(problem.expected_shapes()) == [
        "jvp.output", "jvp.h_n", "jvp.c_n", *(f"hvp.{name}" for name in ("input", "c_0", *problem.parameters))
    ]  # fmt: skip
    assert problem_of().tangents == {}


def test_clip_bounds_are_rounded_to_the_dtype() -> None:
    small = {"input_size": 1, "hidden_size": 1, "seq_len": 1, "batch": 1, "cell_clip": 0.7}
    for dtype, bound in (("float64", 0.7), ("float32", float(np.float32(0.7))), ("bfloat16", 0.69921875)):
        [cell] = cells(Case.model_validate(small | {"dtype": dtype}), Dialect()).values()
        assert getattr(cell, "cell_clip") == bound  # noqa: B009 - only some cells have one


def test_uniform_weights_are_bounded_by_the_width_of_their_layer() -> None:
    parameters = problem_of(values="uniform", hidden_size=[4, 25], bidirectional=True, dtype="float64").parameters
    for name, array in parameters.items():
        bound = 0.5 if "_l0" in name else 0.2
        assert 0.9 * bound < np.abs(array).max() <= bound, name


def test_uniform_weights_are_bounded_by_the_width_of_their_direction() -> None:
    options: dict[str, Any] = {"hidden_size": 4, "reverse_hidden_size": 25, "bidirectional": True, "dtype": "float64"}
    for name, array in problem_of(values="uniform", **options).parameters.items():
        bound = 0.2 if name.endswith("_reverse") else 0.5
        assert 0.8 * bound < np.abs(array).max() <= bound, name


@pytest.mark.parametrize(("clip", "clips_output"), [("activations", True), ("gates", False)])
def test_cells_have_the_options_of_their_direction(clip: Any, clips_output: bool) -> None:
    names: Any = ("sigmoid", "tanh", "relu", "hard_sigmoid", "softsign", "elu")
    options: dict[str, Any] = {"clip": 2.0, "cell_clip": 3.0, "forget_bias": 1.0, "coupled_gates": True}
    case = Case(**BASE, **options, direction="bidirectional", activations=names)
    found = cells(case, Dialect(clip=clip))
    for suffix, (gate, candidate, cell_state) in {"": names[:3], "_reverse": names[3:]}.items():
        assert found[suffix] == OnnxCell(
            input_gate=ACTIVATIONS[gate],
            forget_gate=ACTIVATIONS[gate],
            candidate=ACTIVATIONS[candidate],
            output_gate=ACTIVATIONS[gate],
            cell_state=ACTIVATIONS[cell_state],
            coupled=True,
            clip=2.0,
            clips_output=clips_output,
            cell_clip=3.0,
            forget_bias=1.0,
        )
    assert cells(Case(**BASE, direction="bidirectional"), Dialect()) == {"": Cell(), "_reverse": Cell()}


@pytest.mark.parametrize(
    ("options", "relevant"),
    [
        ({}, set()),
        ({"lengths": [6, 1, 2, 3]}, {"padding"}),
        ({"lengths": [6, 0, 2, 3]}, {"padding", "zero_length"}),
        ({"clip": 1.0}, {"clip"}),
        ({"direction": "reverse"}, {"reverse_output"}),
        ({"bidirectional": True}, set()),
    ],
)
def test_conventions_that_do_not_affect_a_case_are_normalized(options: dict[str, Any], relevant: set[str]) -> None:
    other: dict[str, Any] = {"padding": "repeat", "zero_length": "zero", "clip": "gates"}
    other["reverse_output"] = "processing"
    found = normalize_dialect(Case(**BASE, **options), Dialect(**other))
    assert found == replace(Dialect(), **{name: value for name, value in other.items() if name in relevant})


def test_the_loss_reads_only_results_with_a_cotangent() -> None:
    problem, whole = problem_of(cotangents=["h_n"], hidden_size=[5, 3]), problem_of(hidden_size=[5, 3])
    assert list(problem.cotangents) == ["h_n_l0", "h_n_l1"]
    complete = problem.complete_cotangents()
    assert complete.keys() == whole.cotangents.keys()
    np.testing.assert_array_equal(complete["h_n_l1"], whole.cotangents["h_n_l1"])
    assert not complete["output"].any()
    assert problem.expected_shapes() == whole.expected_shapes()


def test_frozen_tensors_have_no_gradient() -> None:
    expected = problem_of().expected_shapes().keys()
    assert expected - problem_of(frozen=["weight_hh_l0", "h_0"]).expected_shapes().keys() == {
        "grad.weight_hh_l0",
        "grad.h_0",
    }


def test_a_state_that_is_not_given_is_absent() -> None:
    problem = problem_of(initial_state="c_0-given")
    assert list(problem.initial_state or {}) == ["c_0"]
    assert "grad.h_0" not in problem.expected_shapes()
    assert problem.complete_state()["h_0"].shape == (1, 4, 5)
    assert not problem.complete_state()["h_0"].any()
    assert problem.complete_state()["c_0"].any()


def test_states_that_share_memory_share_values() -> None:
    expanded, aliased = problem_of(memory="expanded").complete_state(), problem_of(memory="aliased").complete_state()
    for state in expanded.values():
        assert state.shape == (1, 4, 5)
        assert np.array_equal(state, np.broadcast_to(state[:, :1], state.shape))
    assert np.array_equal(aliased["h_0"], aliased["c_0"])
    assert not np.array_equal(expanded["h_0"], expanded["c_0"])
