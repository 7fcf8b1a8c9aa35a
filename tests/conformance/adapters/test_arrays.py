"""States and weights of layers and directions get their canonical names, and none is lost."""

from functools import partial

import numpy as np
import pytest

from conformance.adapters import arrays
from conformance.adapters.arrays import stacked
from conformance.adapters.layout import PADDLE
from conformance.cases.case import Case
from conformance.verdict.problem import make_problem
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


def test_gradients_by_name_get_their_canonical_names_and_zeros_where_frozen() -> None:
    sizes = {"input_size": 3, "hidden_size": 2, "num_layers": 2, "seq_len": 1, "batch": 1}
    problem = make_problem(Case.model_validate(sizes | {"direction": "bidirectional", "frozen": ["bias_hh_l0"]}))
    packed = arrays.by_name(problem.case.model, partial(arrays.packed, problem, PADDLE))
    trained = arrays.by_name(problem.case.model, partial(arrays.trained, problem.case, PADDLE))
    assert [name for name, is_trained in trained.items() if not is_trained] == ["bias_hh_l0"]
    found = arrays.gradients_by_name(problem, PADDLE, {name: packed[name] for name in packed if trained[name]})
    assert found.keys() == {f"grad.{name}" for name in problem.parameters}
    for name, array in problem.parameters.items():
        np.testing.assert_array_equal(found[f"grad.{name}"], array * (name != "bias_hh_l0"))
