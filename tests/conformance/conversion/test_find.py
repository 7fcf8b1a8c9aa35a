"""LSTMs are found by names and shapes; what these do not decide is asked for, and mistakes are located."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance import convert
from conformance.conversion.find import find, recognize, select
from conformance.conversion.frameworks import FRAMEWORKS
from conformance.conversion.lstm import Array
from conformance.errors import UserError
from reference import Model
from tests.conformance.conversion.samples import draw

TORCH = {f"encoder.{name}": array for name, array in draw(Model(3, (2, 2), "bidirectional")).parameters.items()}
GENERIC = {"cell.U": (2, 8), "cell.W": (3, 8), "cell.b": (8,)}


def zeros(shapes: dict[str, tuple[int, ...]]) -> dict[str, Array]:
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def test_other_layers_are_not_taken_for_lstms() -> None:
    others = {
        "out.weight": (8, 2), "out.bias": (8,), "norm.weight": (4,), "step": (),
        "gru.weight_ih_l0": (6, 3), "gru.weight_hh_l0": (6, 2), "gru.bias_ih_l0": (6,), "gru.bias_hh_l0": (6,),
        "rnn.weight_ih_l0": (2, 3), "rnn.weight_hh_l0": (2, 2),
    }  # fmt: skip
    framework, [lstm] = recognize(zeros(others) | TORCH)
    assert (framework.name, lstm.name, set(lstm.tensors)) == ("torch", "encoder", set(TORCH))
    keras = {
        "dense/kernel": (8, 2), "dense/bias": (2,), "gru/gru_cell/kernel": (3, 6),
        "gru/gru_cell/recurrent_kernel": (2, 6), "gru/gru_cell/bias": (2, 6), "conv_lstm/kernel": (3, 3, 2, 8),
        "conv_lstm/recurrent_kernel": (3, 3, 2, 8), "conv_lstm/bias": (8,),
    }  # fmt: skip
    with pytest.raises(UserError, match="no LSTM found: the checkpoint contains dense/kernel"):
        recognize(zeros(keras))


@pytest.mark.parametrize(
    ("shapes", "framework"),
    [
        ({"cell.weight_ih": (8, 3), "cell.weight_hh": (8, 2), "cell.bias_ih": (8,), "cell.bias_hh": (8,)}, "torch"),
        ({"cell.weight_ih": (8, 3), "cell.weight_hh": (8, 2), "cell.bias": (8,)}, "equinox"),
        ({"cell.weight_ih": (8, 3), "cell.weight_hh": (8, 2)}, "torch"),
        ({"lstm/W": (1, 8, 3), "lstm/R": (1, 8, 2), "lstm/B": (1, 16)}, "onnx"),
        ({"lstm/W": (1, 8, 3), "lstm/R": (1, 8, 2), "lstm/B": (1, 8)}, "openvino"),
        ({"my_lstm/linear/w": (5, 8), "my_lstm/linear/b": (8,)}, "haiku"),
    ],
)
def test_names_and_shapes_determine_the_framework(shapes: dict[str, tuple[int, ...]], framework: str) -> None:
    found, [lstm] = recognize(zeros(shapes))
    assert (found.name, lstm.model.input_size, lstm.model.hidden_sizes) == (framework, 3, (2,))


def test_names_that_fit_several_frameworks_are_asked_for() -> None:
    block = zeros({"w": (5, 8), "b": (8,)})
    with pytest.raises(UserError, match=r"fit block_lstm, block_lstm_v2, which read them differently.*--from"):
        recognize(block | {"b": np.arange(8, dtype=np.float32)})
    assert set(convert(block, "block_lstm_v2", "mlx")) == {"Wx", "Wh", "bias"}
    cell = zeros({"encoder.0.cell.weight_ih": (8, 3), "encoder.0.cell.weight_hh": (8, 2)})
    with pytest.raises(UserError, match="fit torch, paddle"):  # A cell in a list, or the first layer of an LSTM.
        recognize(cell)
    assert recognize(cell, [FRAMEWORKS["paddle"]])[1][0].name == "encoder"


def test_unknown_names_are_asked_for_and_then_matched_by_shape() -> None:
    tensors = zeros(GENERIC)
    with pytest.raises(UserError, match=r"cell.U, cell.W, cell.b could be an LSTM with H = 2.*--from keras"):
        recognize(tensors)
    tensors["cell.W"] += 1
    assert convert(tensors, "keras", "torch")["cell.weight_ih_l0"].all()
    with pytest.raises(UserError, match="no tensors of an LSTM in the layout of mlx"):
        find(tensors, FRAMEWORKS["mlx"])


def test_shapes_do_not_say_which_weights_are_recurrent_if_both_sizes_are_equal() -> None:
    tensors = zeros(GENERIC | {"cell.W": (2, 8)})
    with pytest.raises(UserError, match="because I = H"):
        recognize(tensors)
    with pytest.raises(UserError, match=r"same shape, because I = H.*name them kernel and recurrent_kernel"):
        convert(tensors, "keras", "torch")


def test_shapes_do_not_say_which_bias_is_recurrent() -> None:
    tensors = zeros({"c.W": (8, 3), "c.U": (8, 2), "c.b": (8,), "c.d": (8,)})
    with pytest.raises(UserError, match=r"which of c\.b, c\.d is the recurrent bias"):
        convert(tensors, "torch", "keras")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder.weight_hh_l0": None}, r"encoder \(torch\): weight_hh is missing"),
        ({"encoder.bias_hh_l1": None}, r"encoder \(torch\): bias_hh is missing"),
        ({"encoder.bias_hh_l1": np.zeros(7, np.float32)}, r"bias_hh has shape \(7,\), expected \(8,\)"),
        ({"encoder.weight_ih_l1": np.zeros((8, 3), np.float32)}, r"weight_ih_l1 has shape \(8, 3\), expected \(8, 4\)"),
        ({"encoder.weight_hh_l0": np.zeros((9, 2), np.float32)}, r"weight_hh has shape \(9, 2\)"),
        ({"encoder.weight_ih_l0": np.full((8, 3), np.nan, np.float32)}, r"NaN or infinity \(24 of 24 elements\)"),
        ({"encoder.weight_ih_l0": np.zeros((8, 3), np.int64)}, "dtype float32, int64, expected one of float64"),
        ({name: None for name in TORCH if "_l0" in name}, "encoder: weight_ih_l0 is missing"),
        ({name: None for name in TORCH if "_l1_reverse" in name}, "weight_ih_l1_reverse is missing"),
    ],
)
def test_incomplete_and_invalid_lstms_are_located(change: dict[str, Array | None], message: str) -> None:
    tensors = {name: array for name, array in {**TORCH, **change}.items() if array is not None}
    with pytest.raises(UserError, match=message):
        convert(tensors, target="keras")


def test_a_missing_gate_of_flax_is_located() -> None:
    tensors = convert(TORCH, target="flax")
    del tensors["encoder_l1/backward_rnn/cell/hg/kernel"]
    with pytest.raises(UserError, match=r"encoder_l1 \(flax\): hg/kernel is missing"):
        convert(tensors, target="torch")


def test_layers_are_selected_and_ordered_by_patterns() -> None:
    names = ("a.first", "a.second", "b.first")
    tensors = zeros({f"{name}.{role}": (8, 2) for name in names for role in ("Wx", "Wh")})
    _, lstms = recognize(tensors)
    assert [lstm.name for lstm in select(lstms, ())] == list(names)
    assert [lstm.name for lstm in select(lstms, ["b*", "*first"])] == ["b.first", "a.first"]
    with pytest.raises(UserError, match=r"--layer 'c\*' matches none of the LSTMs found: a.first, a.second, b.first"):
        select(lstms, ["c*"])


def test_cells_of_a_stack_keep_their_names_apart() -> None:
    shapes = {"kernel": (2, 8), "recurrent_kernel": (2, 8), "bias": (8,)}
    cells = ("rnn/lstm_cell", "rnn/lstm_cell_1", "forward_encoder/lstm_cell")
    _, lstms = recognize(zeros({f"{cell}/{role}:0": shape for cell in cells for role, shape in shapes.items()}))
    assert [lstm.name for lstm in lstms] == ["rnn/lstm_cell", "rnn/lstm_cell_1", "forward_encoder"]


def test_layers_that_do_not_fit_are_not_stacked() -> None:
    tensors = zeros({"a.Wx": (8, 3), "a.Wh": (8, 2), "b.Wx": (8, 3), "b.Wh": (8, 2)})
    with pytest.raises(UserError, match="cannot stack b on the layers before it: it reads 3 features"):
        convert(tensors, target="torch", stack=True)
    with pytest.raises(UserError, match="even number of forward layers, found 1: b"):
        convert(tensors, target="torch", layer="b", bidirectional=True)
    both = convert(tensors, target="torch", bidirectional=True)
    assert [name for name in both if name.startswith("a.weight_ih")] == ["a.weight_ih_l0", "a.weight_ih_l0_reverse"]


ROLES = sorted({role for framework in FRAMEWORKS.values() for role in framework.roles} | {"W", "B", "0.cell.weight_ih"})


@settings(max_examples=150)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["", "a", "lstm", "lstm/forward", "a/linear"]), st.sampled_from(ROLES)).map("/".join),
        st.lists(st.integers(0, 5), max_size=3).map(lambda shape: np.zeros(shape, np.float32)),
        max_size=4,
    )
)
def test_arrays_of_any_shape_are_found_or_rejected(tensors: dict[str, Array]) -> None:
    for framework in FRAMEWORKS.values():
        for given_tensors in (tensors, {name.replace("/", "."): array for name, array in tensors.items()}):
            with suppress(UserError):
                assert all(set(lstm.tensors) <= set(given_tensors) for lstm in find(given_tensors, framework))
