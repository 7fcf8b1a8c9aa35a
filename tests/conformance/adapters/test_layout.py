"""Weight layouts equal hand-written arrays, are inverted by unpack, and have the right gradients."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from conformance.adapters.layout import FLAX, KERAS, TORCH, Layout, layer_parameters

Arrays = dict[str, NDArray[np.floating]]

# Units 0 and 1 of gate i are 10 and 11, of f 20 and 21, of g 30 and 31, of o 40 and 41. Features add tenths.
WEIGHT_IH = np.array(
    [[10.1, 10.2, 10.3], [11.1, 11.2, 11.3], [20.1, 20.2, 20.3], [21.1, 21.2, 21.3],
     [30.1, 30.2, 30.3], [31.1, 31.2, 31.3], [40.1, 40.2, 40.3], [41.1, 41.2, 41.3]]
)  # fmt: skip
WEIGHT_HH = np.array(
    [[10.5, 10.6], [11.5, 11.6], [20.5, 20.6], [21.5, 21.6], [30.5, 30.6], [31.5, 31.6], [40.5, 40.6], [41.5, 41.6]]
)  # fmt: skip
BIAS_IH = np.array([1.0, 2, 3, 4, 5, 6, 7, 8])
BIAS_HH = np.array([10.0, 20, 30, 40, 50, 60, 70, 80])
CANONICAL = {"weight_ih": WEIGHT_IH, "weight_hh": WEIGHT_HH, "bias_ih": BIAS_IH, "bias_hh": BIAS_HH}

# One unit, one feature. Input weights of the gates i, f, g, o are 1, 2, 3, 4; recurrent weights are ten times that.
TINY = {
    "weight_ih": np.array([[1.0], [2], [3], [4]]),
    "weight_hh": np.array([[10.0], [20], [30], [40]]),
    "bias_ih": np.array([0.1, 0.2, 0.3, 0.4]),
    "bias_hh": np.array([1.0, 2.0, 3.0, 4.0]),
}

# The peepholes of the gates i, f and o are 1, 2 and 3.
PEEPHOLE = np.array([1.0, 2.0, 3.0])

layouts = st.builds(
    Layout,
    gates=st.sampled_from(["".join(order) for order in permutations("ifgo")]),
    transposed=st.booleans(),
    biases=st.sampled_from(["separate", "summed"]),
    weight_ih=st.sampled_from(["weight_ih", "kernel", "k{gate}"]),
    weight_hh=st.sampled_from(["weight_hh", "kernel", "k{gate}"]),
    bias_ih=st.sampled_from(["b", "b{gate}"]),
    projection_transposed=st.booleans(),
)
FLAX_PARTS = (("i", "kernel"), ("h", "kernel"), ("h", "bias"))


def test_keras_packs_as_written_by_hand() -> None:
    packed = KERAS.pack(CANONICAL)
    assert packed["kernel"].tolist() == [
        [10.1, 11.1, 20.1, 21.1, 30.1, 31.1, 40.1, 41.1],
        [10.2, 11.2, 20.2, 21.2, 30.2, 31.2, 40.2, 41.2],
        [10.3, 11.3, 20.3, 21.3, 30.3, 31.3, 40.3, 41.3],
    ]
    assert packed["recurrent_kernel"].tolist() == [
        [10.5, 11.5, 20.5, 21.5, 30.5, 31.5, 40.5, 41.5],
        [10.6, 11.6, 20.6, 21.6, 30.6, 31.6, 40.6, 41.6],
    ]
    assert packed["bias"].tolist() == [11, 22, 33, 44, 55, 66, 77, 88]
    assert list(packed) == ["kernel", "recurrent_kernel", "bias"]


def test_keras_unpacks_gradients_as_written_by_hand() -> None:
    gradients = {
        "kernel": np.array([[1.0, 2, 3, 4, 5, 6, 7, 8], [11, 12, 13, 14, 15, 16, 17, 18]]),
        "recurrent_kernel": np.array([[21.0, 22, 23, 24, 25, 26, 27, 28], [31, 32, 33, 34, 35, 36, 37, 38]]),
        "bias": np.array([41.0, 42, 43, 44, 45, 46, 47, 48]),
    }
    canonical = KERAS.unpack_gradients(gradients, input_size=2)
    forget = slice(2, 4)
    assert canonical["weight_ih"][forget].tolist() == [[3, 13], [4, 14]]
    assert canonical["weight_hh"][forget].tolist() == [[23, 33], [24, 34]]
    assert canonical["bias_ih"].tolist() == canonical["bias_hh"].tolist() == [41, 42, 43, 44, 45, 46, 47, 48]


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (TORCH, {name: array.tolist() for name, array in TINY.items()}),
        (
            Layout(gates="iofg"),
            {
                "weight_ih": [[1], [4], [2], [3]],
                "weight_hh": [[10], [40], [20], [30]],
                "bias_ih": [0.1, 0.4, 0.2, 0.3],
                "bias_hh": [1, 4, 2, 3],
            },
        ),
        (
            Layout(gates="igfo", transposed=True, biases="summed", weight_ih="w", weight_hh="w", bias_ih="b"),
            {"w": [[1, 3, 2, 4], [10, 30, 20, 40]], "b": [1.1, 3.3, 2.2, 4.4]},
        ),
        (
            Layout(gates="figo", biases="summed", weight_ih="w", weight_hh="w", bias_ih="b"),
            {"w": [[2, 20], [1, 10], [3, 30], [4, 40]], "b": [2.2, 1.1, 3.3, 4.4]},
        ),
    ],
)
def test_other_layouts_pack_as_written_by_hand(layout: Layout, expected: dict[str, list[float]]) -> None:
    assert {name: array.tolist() for name, array in layout.pack(TINY).items()} == expected


def test_flax_packs_as_written_by_hand() -> None:
    packed = FLAX.pack(CANONICAL)
    assert list(packed) == [f"{part}{gate}/{what}" for part, what in FLAX_PARTS for gate in "ifgo"]
    assert packed["if/kernel"].tolist() == [[20.1, 21.1], [20.2, 21.2], [20.3, 21.3]]
    assert packed["ho/kernel"].tolist() == [[40.5, 41.5], [40.6, 41.6]]
    assert packed["hg/bias"].tolist() == [55, 66]


def test_projections_are_packed_as_written_by_hand() -> None:
    projection = np.array([[1.0, 2], [3, 4], [5, 6]])
    assert Layout(projection_transposed=True).pack(CANONICAL | {"weight_hr": projection})["weight_hr"].tolist() == [
        [1, 3, 5],
        [2, 4, 6],
    ]
    assert TORCH.pack(CANONICAL | {"weight_hr": projection})["weight_hr"].tolist() == projection.tolist()


@st.composite
def parameters(draw: st.DrawFn) -> Arrays:
    """Draws a layer of distinct integers, whose sums are exact."""
    features, hidden, width = (draw(st.integers(1, 4)) for _ in range(3))
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (4 * hidden, features), "weight_hh": (4 * hidden, width)}
    if draw(st.booleans()):
        shapes |= {"bias_ih": (4 * hidden,), "bias_hh": (4 * hidden,)}
    if draw(st.booleans()):
        shapes["weight_hr"] = (width, hidden)
    start = 1
    arrays: Arrays = {}
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        arrays[name] = np.arange(start, start + size, dtype=np.float64).reshape(shape)
        start += size
    return arrays


@given(layout=layouts, canonical=parameters())
def test_unpacking_inverts_packing(layout: Layout, canonical: Arrays) -> None:
    packed = layout.pack(canonical)
    back = layout.unpack(packed, input_size=canonical["weight_ih"].shape[1])
    expected = dict(canonical)
    if layout.biases == "summed" and "bias_ih" in canonical:
        expected["bias_ih"] = canonical["bias_ih"] + canonical["bias_hh"]
        expected["bias_hh"] = np.zeros_like(canonical["bias_hh"])
    assert {name: array.tolist() for name, array in back.items()} == {n: a.tolist() for n, a in expected.items()}
    for made, given_ in ((packed, canonical), (back, packed)):
        for array in made.values():
            assert array.flags.c_contiguous
            assert not any(np.shares_memory(array, other) for other in given_.values())


@given(layout=layouts, canonical=parameters(), seed=st.integers(0, 2**32 - 1))
def test_gradients_are_the_adjoint_of_packing(layout: Layout, canonical: Arrays, seed: int) -> None:
    packed = layout.pack(canonical)
    random = np.random.default_rng(seed)
    gradients = {name: random.integers(-50, 50, array.shape).astype(float) for name, array in packed.items()}
    back = layout.unpack_gradients(gradients, input_size=canonical["weight_ih"].shape[1])
    assert back.keys() == canonical.keys()
    assert sum((gradients[name] * packed[name]).sum() for name in packed) == sum(
        (back[name] * canonical[name]).sum() for name in canonical
    )


def test_a_summed_bias_is_rounded_once_in_its_own_dtype() -> None:
    biases = {"bias_ih": np.full(4, 1.0, np.float16), "bias_hh": np.full(4, 2.0**-11 + 2.0**-12, np.float16)}
    weights = {"weight_ih": np.zeros((4, 1), np.float16), "weight_hh": np.zeros((4, 1), np.float16)}
    assert KERAS.pack(weights | biases)["bias"].tolist() == [1 + 2.0**-10] * 4
    assert KERAS.pack(weights | biases)["bias"].dtype == np.float16


@pytest.mark.parametrize("gates", ["ifg", "ifgg", "ifgoo", "ifco"])
def test_gates_must_be_a_permutation_of_ifgo(gates: str) -> None:
    with pytest.raises(ValueError, match=f"once each, got '{gates}'"):
        Layout(gates=gates)


def test_layer_parameters_selects_one_layer_and_direction() -> None:
    names = ["weight_ih_l1", "weight_hh_l1", "weight_ih_l1_reverse", "weight_ih_l11", "peephole_l1", "weight_hr_l1"]
    arrays = {name: np.full(1, position, np.float64) for position, name in enumerate(names)}
    assert layer_parameters(arrays, "l1") == {
        "weight_ih": arrays["weight_ih_l1"],
        "weight_hh": arrays["weight_hh_l1"],
        "peephole": arrays["peephole_l1"],
        "weight_hr": arrays["weight_hr_l1"],
    }
    assert layer_parameters(arrays, "l1_reverse") == {"weight_ih": arrays["weight_ih_l1_reverse"]}


@pytest.mark.parametrize("order", ["".join(order) for order in permutations("ifo")])
def test_unpacking_inverts_packing_of_peepholes(order: str) -> None:
    layout = Layout(peepholes=order, peephole="p")
    packed = layout.pack(TINY | {"peephole": PEEPHOLE})
    assert packed["p"].tolist() == [{"i": 1.0, "f": 2.0, "o": 3.0}[gate] for gate in order]
    assert layout.unpack(packed, 1)["peephole"].tolist() == PEEPHOLE.tolist()
    assert layout.unpack_gradients(packed, 1)["peephole"].tolist() == PEEPHOLE.tolist()


def test_a_forget_bias_is_subtracted_when_packing_and_added_when_unpacking() -> None:
    layout = Layout(gates="igfo", biases="summed", bias_ih="b", forget_bias=1.0)
    packed = layout.pack(TINY)
    assert packed["b"] == pytest.approx([1.1, 3.3, 1.2, 4.4])
    assert layout.unpack(packed, 1)["bias_ih"] == pytest.approx([1.1, 2.2, 3.3, 4.4])
    assert layout.unpack_gradients(packed, 1)["bias_hh"] == pytest.approx([1.1, 1.2, 3.3, 4.4])
    single = {name: array.astype(np.float32) for name, array in TINY.items()}
    exact = float(single["bias_ih"][1]) + float(single["bias_hh"][1]) - 1.0
    assert layout.pack(single)["b"][2] == np.float32(exact)


def test_the_derivative_of_a_forget_bias_is_zero() -> None:
    layout = Layout(gates="igfo", biases="summed", bias_ih="b", forget_bias=1.0)
    assert layout.pack_tangents(TINY)["b"] == pytest.approx([1.1, 3.3, 2.2, 4.4])


def test_a_forget_bias_needs_a_single_bias() -> None:
    with pytest.raises(ValueError, match=r"^a forget bias needs a single bias"):
        Layout(forget_bias=1.0)
    without = {name: TINY[name] for name in ("weight_ih", "weight_hh")}
    with pytest.raises(ValueError, match="a layer without biases"):
        Layout(biases="summed", forget_bias=1.0).pack(without)


def test_peepholes_must_be_a_permutation_of_ifo() -> None:
    with pytest.raises(ValueError, match="'iif'"):
        Layout(peepholes="iif")
