"""Gradient defects leave outputs unchanged, and change each gradient only in the way they describe."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from conformance.defects.catalogue import adjoint, cotangents, gradients, through_time
from conformance.defects.defect import Defect
from conformance.verdict.problem import make_problem
from conformance.verdict.random_arrays import round_to
from tests.conformance.defects.problems import Tensors, assert_close, correct, defective, problem_of

BACKWARD = [*adjoint.DEFECTS, *through_time.DEFECTS, *cotangents.DEFECTS, *gradients.DEFECTS]
BY_ID = {defect.id: defect for defect in BACKWARD}
DEEP = problem_of(seq_len=5, num_layers=2, direction="bidirectional")
NARROW = problem_of(seq_len=5, num_layers=2, proj_size=2, lengths=(5, 2, 4))


@pytest.mark.parametrize("defect", BACKWARD, ids=lambda defect: defect.id)
def test_gradient_defects_leave_outputs_unchanged(defect: Defect) -> None:
    problem = DEEP if defect.requires(DEEP.case) else NARROW
    assert defect.requires(problem.case)
    actual, expected = defective(defect, problem), correct(problem)
    for name in ("output", "h_n", "c_n"):
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-13)
    assert any(np.abs(actual[name] - expected[name]).max() > 1e-7 for name in expected if name.startswith("grad."))


@pytest.mark.parametrize("defect", BACKWARD, ids=lambda defect: defect.id)
def test_gradient_defects_do_not_apply_without_gradients(defect: Defect) -> None:
    assert not defect.requires(problem_of(seq_len=5, check=("output",)).case)


def halves(array: Any) -> tuple[Any, Any]:
    return array[..., :4], array[..., 4:]


def joined(first: Any, second: Any) -> Any:
    return np.concatenate((first, second), axis=-1)


def only_last(array: Any) -> Any:
    kept = np.zeros_like(array)
    kept[-1] = array[-1]
    return kept


COTANGENTS: dict[str, Callable[[Any, Any, Any], tuple[Any, Any, Any]]] = {
    "grad-ignores-output": lambda y, h, c: (0 * y, h, c),
    "grad-ignores-h_n": lambda y, h, c: (y, 0 * h, c),
    "grad-ignores-c_n": lambda y, h, c: (y, h, 0 * c),
    "grad-of-output-only": lambda y, h, c: (y, 0 * h, 0 * c),
    "grad-h_n-doubled": lambda y, h, c: (y, 2 * h, c),
    "grad-c_n-doubled": lambda y, h, c: (y, h, 2 * c),
    "grad-h_n-of-other-layer": lambda y, h, c: (y, h[[2, 3, 0, 1]], c),
    "grad-c_n-of-other-layer": lambda y, h, c: (y, h, c[[2, 3, 0, 1]]),
    "grad-h_n-of-other-direction": lambda y, h, c: (y, h[[1, 0, 3, 2]], c),
    "grad-c_n-of-other-direction": lambda y, h, c: (y, h, c[[1, 0, 3, 2]]),
    "grad-c_n-added-to-h_n": lambda y, h, c: (y, h + c, 0 * c),
    "grad-h_n-and-c_n-exchanged": lambda y, h, c: (y, c, h),
    "grad-of-forward-output-only": lambda y, h, c: (joined(halves(y)[0], 0 * halves(y)[1]), h, c),
    "grad-of-reverse-output-only": lambda y, h, c: (joined(0 * halves(y)[0], halves(y)[1]), h, c),
    "grad-of-output-of-other-direction": lambda y, h, c: (joined(*halves(y)[::-1]), h, c),
    "grad-of-output-backwards": lambda y, h, c: (y[::-1], h, c),
    "grad-of-last-output-only": lambda y, h, c: (only_last(y), h, c),
    "grad-of-output-averaged": lambda y, h, c: (y / 5, h, c),
}


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", [defect.id for defect in cotangents.DEFECTS])
def test_a_wrong_cotangent_equals_a_run_with_that_cotangent(name: str, batch_first: bool) -> None:
    case = DEEP.case.model_copy(update={"batch_first": batch_first})
    problem = make_problem(case)
    major = np.swapaxes if batch_first else lambda array, *_: array
    y, h, c = COTANGENTS[name](
        major(problem.cotangents["output"], 0, 1), problem.cotangents["h_n"], problem.cotangents["c_n"]
    )
    assert_close(
        defective(BY_ID[name], problem),
        correct(replace(problem, cotangents={"output": major(y, 0, 1), "h_n": h, "c_n": c})),
    )


def test_cotangents_of_layers_with_different_sizes_stay_in_their_layers() -> None:
    problem = problem_of(seq_len=3, hidden_size=(4, 5), direction="bidirectional")
    swapped_directions = {name: a[::-1] if name.startswith("h_n") else a for name, a in problem.cotangents.items()}
    assert_close(
        defective(BY_ID["grad-h_n-of-other-direction"], problem),
        correct(replace(problem, cotangents=swapped_directions)),
    )
    other = {"h": "c", "c": "h", "o": "o"}
    swapped = {name: problem.cotangents[other[name[0]] + name[1:]] for name in problem.cotangents}
    assert_close(defective(BY_ID["grad-h_n-and-c_n-exchanged"], problem), correct(replace(problem, cotangents=swapped)))
    assert not BY_ID["grad-h_n-of-other-layer"].requires(problem.case)


def is_parameter(name: str) -> bool:
    return name.startswith(("weight", "bias"))


def scaled(name: str, kinds: tuple[str, ...], factor: float) -> tuple[str, Callable[[str, Any, Tensors], Any]]:
    """Returns a defect's id, and its change: the gradients of tensors whose names start with one of these, scaled."""
    return name, lambda each, array, _: factor * array if each.startswith(kinds) else array


def norm(tensors: Tensors) -> float:
    return float(np.sqrt(sum((a**2).sum() for each, a in tensors.items() if is_parameter(each))))


def gates_reordered(each: str, array: Any, _: Tensors) -> Any:
    return array.reshape(4, 4, -1)[[0, 3, 1, 2]].reshape(array.shape) if is_parameter(each) else array


def gates_transposed(each: str, array: Any, _: Tensors) -> Any:
    if not each.startswith("weight_hh"):
        return array
    return array.reshape(4, 4, 4).swapaxes(1, 2).reshape(16, 4)


def other_direction(each: str, array: Any, tensors: Tensors) -> Any:
    if not is_parameter(each):
        return array
    return tensors[each.replace("_reverse", "") if "_reverse" in each else each + "_reverse"]


def without_first_row(each: str, array: Any, _: Tensors) -> Any:
    return np.stack([0 * array[:, 0], array[:, 1], array[:, 2]], axis=1) if each == "input" else array


BIASES, PARAMETERS = ("bias",), ("weight", "bias")
GRADIENTS: dict[str, Callable[[str, Any, Tensors], Any]] = {
    **dict(
        scaled(f"grad-{name}-zero", (name,), 0.0)
        for name in ("h_0", "c_0", "input", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    ),
    **dict(scaled(f"grad-{name}-doubled", (name,), 2.0) for name in ("bias_ih", "bias_hh")),
    **dict(
        [
            scaled("grad-biases-halved", BIASES, 0.5),
            scaled("grad-biases-averaged-over-rows", BIASES, 1 / 3),
            scaled("grad-parameters-averaged-over-rows", PARAMETERS, 1 / 3),
            scaled("grad-parameters-averaged-over-steps", PARAMETERS, 1 / 5),
            scaled("grad-parameters-doubled", PARAMETERS, 2.0),
            scaled("grad-all-quadrupled", ("",), 4.0),
            scaled("grad-parameters-off-by-1e-05", PARAMETERS, 1.00001),
            scaled("grad-biases-of-upper-layers-zero", ("bias_ih_l1", "bias_hh_l1"), 0.0),
        ]
    ),
    "grad-parameters-clipped-by-norm": lambda each, a, every: a / norm(every) if is_parameter(each) else a,
    "grad-all-clipped": lambda _each, a, _every: np.minimum(np.maximum(a, -1), 1),
    "grad-weight_hh-transposed": gates_transposed,
    "grad-gates-iofg": gates_reordered,
    "grad-h_0-and-c_0-exchanged": lambda each, _, every: every[{"h_0": "c_0", "c_0": "h_0"}.get(each, each)],
    "grad-directions-exchanged": other_direction,
    "grad-input-backwards": lambda each, a, _: a[::-1] if each == "input" else a,
    "grad-input-misses-first-row": without_first_row,
    "grad-parameters-in-tf32": lambda each, a, _: tf32(a) if is_parameter(each) else a,
    "grad-parameters-in-bfloat16": lambda each, a, _: round_to("bfloat16", a) if is_parameter(each) else a,
}


def tf32(array: Any) -> Any:
    """Rounds to float32 without its last 13 bits. Ties are not handled: no gradient here is one."""
    bits = np.asarray(array, np.float32).view(np.uint32)
    return ((bits + 0x1000) & np.uint32(0xFFFFE000)).view(np.float32).astype(np.float64)


@pytest.mark.parametrize("name", [defect.id for defect in gradients.DEFECTS])
def test_gradients_change_only_as_described(name: str) -> None:
    problem = DEEP if BY_ID[name].requires(DEEP.case) else NARROW
    expected = correct(problem)
    by = {each.removeprefix("grad."): array for each, array in expected.items() if each.startswith("grad.")}
    changed = {f"grad.{each}": GRADIENTS[name](each, array, by) for each, array in by.items()}
    assert_close(defective(BY_ID[name], problem), expected | changed)


def test_gradients_of_a_batch_first_input_change_along_the_right_axis() -> None:
    problem = make_problem(DEEP.case.model_copy(update={"batch_first": True}))
    whole = correct(problem)["grad.input"]
    np.testing.assert_allclose(defective(BY_ID["grad-input-backwards"], problem)["grad.input"], whole[:, ::-1])
    cleared = defective(BY_ID["grad-input-misses-first-row"], problem)["grad.input"]
    np.testing.assert_allclose(cleared[1:], whole[1:])
    assert not cleared[0].any()
