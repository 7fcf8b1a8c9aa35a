"""Conversions between all pairs of frameworks: exact where both keep two biases, else rounded once."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance import convert
from conformance.adapters import registry
from conformance.conversion.convert import convert_one, reassemble
from conformance.conversion.frameworks import FRAMEWORKS, framework
from conformance.conversion.lstm import Array, Lstm
from conformance.errors import UserError
from reference import Model
from tests.conformance.conversion.samples import draw

FORGET_BIAS = 1.0
TWO_BIASES = {name for name, own in FRAMEWORKS.items() if own.layout.biases == "separate"}
FORGET_BIASES = {"haiku", "block_lstm"}


def pack(lstm: Lstm, name: str) -> dict[str, Array]:
    return dict(convert_one(lstm, framework(name, FORGET_BIAS)).tensors)


def canonical(tensors: Mapping[str, Array], name: str, like: Lstm) -> Mapping[str, Array]:
    """Returns the canonical parameters of an LSTM in a framework's arrays."""
    return reassemble(framework(name, FORGET_BIAS).find(tensors, sure=True), like).parameters


def totals(parameters: Mapping[str, Array]) -> dict[str, Array]:
    """Returns the sum of both biases of each layer and direction, exact for float32 and float16."""
    return {
        name: array.astype(np.longdouble) + parameters[name.replace("_ih", "_hh")]
        for name, array in parameters.items()
        if name.startswith("bias_ih")
    }


models = st.builds(
    Model,
    input_size=st.integers(1, 4),
    hidden_sizes=st.sampled_from([(1,), (2,), (3,), (2, 2), (1, 1, 1)]),
    direction=st.sampled_from(["forward", "bidirectional"]),
    bias=st.booleans(),
)


@pytest.mark.parametrize("source", FRAMEWORKS)
@settings(max_examples=3)
@given(model=models, dtype=st.sampled_from(["float32", "float64", "float16"]), name=st.sampled_from(["", "a.lstm"]))
def test_any_to_any_and_back_is_the_identity_up_to_one_rounding(
    source: str, model: Model, dtype: str, name: str
) -> None:
    for target in FRAMEWORKS:
        forward = replace(model, direction="forward") if "mlx" in (source, target) else model
        lstm = draw(forward, dtype, name)
        forget_bias = FORGET_BIAS if "block_lstm" in (source, target) else None
        first = pack(lstm, source)
        there = convert(first, source, target, stack=True, forget_bias=forget_bias)
        back = convert(there, target, source, stack=True, forget_bias=forget_bias)
        before, after = canonical(first, source, lstm), canonical(back, source, lstm)
        exact = {source, target} <= TWO_BIASES or source == target
        for parameter, array in before.items():
            assert after[parameter].dtype == dtype
            if parameter.startswith("weight") or exact:
                np.testing.assert_array_equal(after[parameter], array)
        if not exact and not {source, target} & FORGET_BIASES:
            for bias, total in totals(before).items():
                np.testing.assert_array_equal(totals(after)[bias], total.astype(dtype))


@pytest.mark.parametrize("target", [name for name, own in FRAMEWORKS.items() if own.layout.biases == "summed"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_single_bias_is_the_exact_sum_rounded_once(target: str, dtype: str) -> None:
    lstm = draw(Model(3, (2,)), dtype)
    adds = framework(target, FORGET_BIAS).forget_bias
    result = convert_one(lstm, framework(target, FORGET_BIAS))
    stored, exact = totals(result.after.parameters)["bias_ih_l0"], totals(lstm.parameters)["bias_ih_l0"]
    exact[2:4] -= adds
    np.testing.assert_array_equal(stored, exact.astype(dtype))
    moved = np.abs(stored - exact).max()
    assert moved > 0
    assert [f"at most {moved:.2g}" in note for note in result.notes].count(True) == 1


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_layout_is_the_one_that_the_adapter_uses(name: str) -> None:
    for implementation in FRAMEWORKS[name].implementations:
        layout = registry.load(implementation).layout
        assert layout is not None
        assert replace(layout, forget_bias=0.0) == replace(FRAMEWORKS[name].layout, forget_bias=0.0)


def test_keras_arrays_are_as_written_by_hand() -> None:
    # Units 0 and 1 of gate i are 10 and 11, of f 20 and 21, of g 30 and 31, of o 40 and 41. The feature adds a tenth.
    gates = np.array([10.0, 11, 20, 21, 30, 31, 40, 41])
    state = {
        "weight_ih_l0": gates[:, None] + 0.1,
        "weight_hh_l0": gates[:, None] + [0.5, 0.6],
        "bias_ih_l0": gates,
        "bias_hh_l0": gates * 100,
    }
    assert {name: array.tolist() for name, array in convert(state, target="keras").items()} == {
        "lstm/lstm_cell/kernel": [[10.1, 11.1, 20.1, 21.1, 30.1, 31.1, 40.1, 41.1]],
        "lstm/lstm_cell/recurrent_kernel": [
            [10.5, 11.5, 20.5, 21.5, 30.5, 31.5, 40.5, 41.5],
            [10.6, 11.6, 20.6, 21.6, 30.6, 31.6, 40.6, 41.6],
        ],
        "lstm/lstm_cell/bias": [1010, 1111, 2020, 2121, 3030, 3131, 4040, 4141],
    }
    onnx = convert(state, target="onnx")
    assert onnx["lstm/W"][0, :, 0].tolist() == [10.1, 11.1, 40.1, 41.1, 20.1, 21.1, 30.1, 31.1]
    assert onnx["lstm/B"].tolist() == [[10, 11, 40, 41, 20, 21, 30, 31, 1000, 1100, 4000, 4100, 2000, 2100, 3000, 3100]]
    haiku = convert(state, target="haiku")
    assert haiku["lstm/linear/w"][0].tolist() == [10.1, 11.1, 30.1, 31.1, 20.1, 21.1, 40.1, 41.1]
    assert haiku["lstm/linear/b"].tolist() == [1010, 1111, 3030, 3131, 2019, 2120, 4040, 4141]


@pytest.mark.parametrize("target", FRAMEWORKS)
def test_every_element_is_stored_exactly_once(target: str) -> None:
    model = Model(3, (2, 2), "forward" if target == "mlx" else "bidirectional", bias=False)
    lstm = draw(model)
    # Paddle's second names and biases that are always there are left out.
    stored = [array for name, array in pack(lstm, target).items() if ".cell" not in name and array.ndim > 1]
    elements = [number for array in stored for number in array.ravel().tolist() if array.shape[-1] != 8 or array.any()]
    assert sorted(elements) == sorted(number for array in lstm.parameters.values() for number in array.ravel().tolist())


def test_the_results_are_new_arrays() -> None:
    state = dict(draw(Model(3, (2,)), name="").parameters)
    converted = convert(state, target="torch")
    for name, array in converted.items():
        assert not np.shares_memory(array, state[name])


def test_names_follow_the_target() -> None:
    layers = draw(Model(3, (2, 2), "bidirectional"), name="model.encoder").parameters
    state = {f"model.encoder.{name}": array for name, array in layers.items()}
    first = {target: next(iter(convert(state, "torch", target))) for target in FRAMEWORKS if target[:1] not in "mb"}
    assert first == {
        "torch": "model.encoder.weight_ih_l0",
        "keras": "model/encoder_l0/forward_lstm/lstm_cell/kernel",
        "onnx": "model/encoder_l0/W",
        "flax": "model/encoder_l0/forward_rnn/cell/ii/kernel",
        "nnx": "model/encoder_l0/forward_rnn/cell/dense_i/kernel",
        "equinox": "model.encoder_l0.forward.weight_ih",
        "haiku": "model/encoder_l0/forward/linear/w",
        "paddle": "model.encoder.weight_ih_l0",
        "openvino": "model/encoder_l0/W",
    }


def test_other_tensors_are_left_out_or_copied() -> None:
    state = {**draw(Model(3, (2,)), name="").parameters, "out.weight": np.ones((2, 2)), "step": np.array(3)}
    assert set(convert(state, target="mlx")) == {"Wx", "Wh", "bias"}
    copied = convert(state, target="mlx", keep_others=True)
    assert set(copied) == {"Wx", "Wh", "bias", "out.weight", "step"}


def test_nested_mappings_are_accepted() -> None:
    flat = convert(draw(Model(3, (2,)), name="").parameters, target="flax")
    assert set(flat) >= {"cell/ii/kernel", "cell/hi/bias"}
    nested: dict[str, dict[str, dict[str, Array]]] = {"cell": {}}
    for path, array in flat.items():
        _, dense, role = path.split("/")
        nested["cell"].setdefault(dense, {})[role] = array
    back = convert({"params": nested}, target="torch")
    np.testing.assert_array_equal(back["weight_hh_l0"], draw(Model(3, (2,)), name="").parameters["weight_hh_l0"])


def test_the_forget_bias_of_block_lstm_must_be_given() -> None:
    state = draw(Model(3, (2,)), name="").parameters
    with pytest.raises(UserError, match="no checkpoint contains"):
        convert(state, target="block_lstm")


def test_a_forget_bias_that_nothing_uses_is_rejected() -> None:
    state = draw(Model(3, (2,)), name="").parameters
    with pytest.raises(UserError, match="applies to block_lstm only, not to torch and keras"):
        convert(state, target="keras", forget_bias=1.0)
    with pytest.raises(UserError, match="must be a number up to 1000, not nan"):
        convert(state, target="block_lstm", forget_bias=float("nan"))


@pytest.mark.parametrize("target", ["block_lstm", "block_lstm_v2"])
def test_peepholes_survive(target: str) -> None:
    lstm = draw(Model(3, (2,), peepholes=True), name="lstm")
    forget_bias = 1.0 if target == "block_lstm" else None
    first = pack(lstm, "onnx")
    there = convert(first, "onnx", target, forget_bias=forget_bias)
    np.testing.assert_array_equal(there["lstm/wcf"], lstm.parameters["peephole_l0"][2:4])
    assert set(there) == {"lstm/w", "lstm/b", "lstm/wci", "lstm/wcf", "lstm/wco"}
    back = convert(there, target, "onnx", forget_bias=forget_bias)
    for name in ("W", "R", "P"):
        np.testing.assert_array_equal(back[f"lstm/{name}"], first[f"lstm/{name}"])


def test_sizes_beyond_those_of_a_case_are_converted() -> None:
    state = {"weight_ih_l0": np.zeros((4, 70_000), np.float32), "weight_hh_l0": np.zeros((4, 1), np.float32)}
    assert convert(state, target="keras")["lstm/lstm_cell/kernel"].shape == (70_000, 4)


def test_an_unknown_framework_is_rejected() -> None:
    with pytest.raises(UserError, match="no framework is named 'theano'; known are torch, keras"):
        convert({}, target="theano")
