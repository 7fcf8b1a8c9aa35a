import pickle

import pytest
import torch

from reference import Model


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("proj_size", [0, 2])
def test_parameter_names_and_shapes_equal_those_of_torch(
    num_layers: int, bidirectional: bool, bias: bool, proj_size: int
) -> None:
    model = Model(3, (5,) * num_layers, "bidirectional" if bidirectional else "forward", bias, proj_size)
    lstm = torch.nn.LSTM(3, 5, num_layers, bias=bias, bidirectional=bidirectional, proj_size=proj_size)
    assert list(model.parameter_shapes().items()) == [(name, tuple(p.shape)) for name, p in lstm.named_parameters()]
    assert model.parameter_count() == sum(p.numel() for p in lstm.parameters())


def test_reverse_layer_has_the_suffix_of_the_second_direction() -> None:
    assert list(Model(3, (5,), "reverse", bias=False).parameter_shapes()) == [
        "weight_ih_l0_reverse",
        "weight_hh_l0_reverse",
    ]


def test_hidden_size_determines_the_input_size_of_the_next_layer() -> None:
    shapes = Model(3, (5, 7), "bidirectional").parameter_shapes()
    assert shapes["weight_ih_l1"] == (28, 10)
    assert shapes["weight_hh_l1_reverse"] == (28, 7)


def test_a_size_per_direction_determines_shapes_and_the_parts_of_an_output() -> None:
    model = Model(3, (5, 7), "bidirectional", reverse_hidden_size=4)
    shapes = model.parameter_shapes()
    assert (shapes["weight_ih_l1"], shapes["weight_ih_l1_reverse"], shapes["weight_hh_l1_reverse"]) == (
        (28, 9), (16, 9), (16, 4)
    )  # fmt: skip
    assert (model.output_size(), model.output_parts()) == (11, [slice(0, 7), slice(7, 11)])
    assert [model.hidden_size_of(name) for name in ("bias_ih_l1", "weight_hh_l1_reverse")] == [7, 4]
    assert model.state_shapes("h_n", 2) == {
        "h_n_l0": (1, 2, 5), "h_n_l0_reverse": (1, 2, 4), "h_n_l1": (1, 2, 7), "h_n_l1_reverse": (1, 2, 4)
    }  # fmt: skip
    states = {name: [name] for name in model.state_shapes("c_0", None)}
    assert model.state(states, "c_0", 1, 1) == "c_0_l1_reverse"


@pytest.mark.parametrize(
    ("sizes", "proj_size", "name", "batch", "expected"),
    [
        ((5, 5), 0, "h_n", 4, {"h_n": (4, 4, 5)}),
        ((5, 5), 2, "h_n", 4, {"h_n": (4, 4, 2)}),
        ((5, 5), 2, "c_n", 4, {"c_n": (4, 4, 5)}),
        ((5, 5), 0, "c_0", None, {"c_0": (4, 5)}),
        ((5, 7), 0, "h_0", 4, {"h_0_l0": (2, 4, 5), "h_0_l1": (2, 4, 7)}),
    ],
)
def test_state_shapes(sizes, proj_size, name, batch, expected) -> None:  # type: ignore[no-untyped-def]
    assert Model(3, sizes, "bidirectional", proj_size=proj_size).state_shapes(name, batch) == expected


def test_a_model_can_be_pickled_after_its_shapes_were_computed() -> None:
    model = Model(input_size=3, hidden_sizes=(4, 5))
    shapes = model.parameter_shapes()
    copied = pickle.loads(pickle.dumps(model))
    assert copied == model
    assert copied.parameter_shapes() == shapes
