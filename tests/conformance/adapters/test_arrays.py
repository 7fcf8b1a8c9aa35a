"""States of layers and directions are stacked under their canonical names, and none is lost."""

import numpy as np
import pytest

from conformance.adapters.arrays import stacked
from reference.model import Model


@pytest.mark.parametrize(
    ("sizes", "reverse", "shapes"),
    [
        ((4, 4), 0, {"h_n": (4, 2, 4)}),
        ((4, 3), 0, {"h_n_l0": (2, 2, 4), "h_n_l1": (2, 2, 3)}),
        ((4,), 3, {"h_n_l0": (1, 2, 4), "h_n_l0_reverse": (1, 2, 3)}),
    ],
)
def test_states_have_canonical_names_and_shapes(
    sizes: tuple[int, ...], reverse: int, shapes: dict[str, tuple[int, ...]]
) -> None:
    model = Model(3, sizes, "bidirectional", reverse_hidden_size=reverse)
    layers = [[np.zeros((2, model.hidden_size(layer, k))) for k in (0, 1)] for layer in range(len(sizes))]
    assert {name: array.shape for name, array in stacked(model, "h_n", layers).items()} == shapes


def test_a_wrong_number_of_directions_shows_in_the_shape() -> None:
    assert stacked(Model(3, (4,)), "h_n", [[np.zeros((2, 4))] * 2])["h_n"].shape == (2, 2, 4)
