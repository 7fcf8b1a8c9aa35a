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
