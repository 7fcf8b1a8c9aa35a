"""Defects of the forward pass do what they describe, in every layout."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import reference
from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE, dropout
from conformance.defects.defect import Defect
from conformance.defects.solve import solve
from conformance.verdict.problem import Problem, make_problem
from reference import Dialect

DEFECTS = {defect.id: defect for defect in CATALOGUE}
WITH_TIME = ("output", "input")


def case(**options: Any) -> Case:
    small = {"input_size": 4, "hidden_size": 5, "seq_len": 6, "batch": 3, "dtype": "float64"}
    return Case(**{**small, **options})


def defective(defect: str | Defect, problem: Problem, dialect: Dialect | None = None) -> dict[str, Any]:
    return solve(DEFECTS[defect] if isinstance(defect, str) else defect, problem, dialect or Dialect())


def run(problem: Problem, **changed: Any) -> Mapping[str, Any]:
    """Returns the reference's outputs for a problem, with some arguments replaced."""
    options = {
        "model": problem.case.model,
        "parameters": problem.parameters,
        "input": problem.input,
        "initial_state": problem.initial_state,
        "lengths": problem.lengths,
        "dropout_masks": problem.dropout_masks,
    }
    return reference.forward(**{**options, **changed}).outputs


def assert_close(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    for name, array in expected.items():
        np.testing.assert_allclose(actual[name], array, rtol=1e-12, atol=1e-13, err_msg=name)


# --------------------------------------------------------------------------- layouts

LAYOUTS = [
    {"num_layers": 3, "bidirectional": True},
    {"lengths": (3, 6, 1), "padding": "random"},
    {"num_layers": 3, "bidirectional": True, "dropout": 0.25, "mode": "train"},
    {"proj_size": 3, "num_layers": 2, "bidirectional": True},
    {"initial_state": "omitted", "direction": "reverse"},
]


def rearrange(problem: Problem, axes: Any, **options: Any) -> Problem:
    """Returns the problem in another layout, given a function that rearranges the axes of a named tensor."""
    return replace(
        problem,
        case=case(**options),
        input=axes("input", problem.input),
        initial_state=problem.initial_state and {n: axes(n, array) for n, array in problem.initial_state.items()},
        cotangents={name: axes(name, array) for name, array in problem.cotangents.items()},
    )


def batch_first(name: str, array: Any) -> Any:
    return array.swapaxes(0, 1) if name.removeprefix("grad.") in WITH_TIME else array


def unbatched(name: str, array: Any) -> Any:
    name = name.removeprefix("grad.")
    return array[:, 0] if name in WITH_TIME or name[1:] in ("_0", "_n") else array


@pytest.mark.parametrize("options", LAYOUTS, ids=lambda options: "-".join(options))
def test_a_defect_is_the_same_in_every_layout(options: dict[str, Any]) -> None:
    layouts: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [(batch_first, {"batch_first": True}, {})]
    if "lengths" not in options:
        layouts.append((unbatched, {"batch": "unbatched"}, {"batch": 1}))
    for axes, layout, plain in layouts:
        problem = make_problem(case(**{**options, **plain}))
        other = rearrange(problem, axes, **{**options, **layout})
        applied = [defect for defect in CATALOGUE if defect.requires(problem.case)]
        assert applied == [defect for defect in CATALOGUE if defect.requires(other.case)]
        assert len(applied) > 100
        for defect in applied:
            actual = defective(defect, other)
            for name, array in defective(defect, problem).items():
                np.testing.assert_allclose(
                    actual[name], axes(name, array), rtol=1e-6, atol=1e-9, err_msg=f"{defect.id} {name}"
                )


# --------------------------------------------------------------------------- computed another way


def test_states_updated_in_the_padding() -> None:
    problem = make_problem(case(lengths=(3, 6, 1), padding="nan", num_layers=2))
    padding = np.arange(6)[:, None] >= np.array([3, 6, 1])
    zeroed = np.where(padding[..., None], 0.0, problem.input)
    expected = run(problem, input=zeroed, lengths=None)
    assert_close(defective("output-runs-on-over-padding", problem), expected)
    shown = {**expected, "output": np.where(padding[..., None], 0.0, expected["output"])}
    assert_close(defective("padding-updates-states", problem), shown)


def test_input_reversed_without_its_mask() -> None:
    problem = make_problem(case(lengths=(3, 6, 1), padding="random", direction="reverse"))
    forward = {name.removesuffix("_reverse"): array for name, array in problem.parameters.items()}
    model = replace(problem.case.model, direction="forward")
    expected = run(problem, model=model, parameters=forward, input=problem.input[::-1])
    assert_close(defective("input-reversed-without-mask", problem), {**expected, "output": expected["output"][::-1]})


def test_features_reversed_instead_of_time() -> None:
    problem = make_problem(case(direction="reverse"))
    forward = {name.removesuffix("_reverse"): array for name, array in problem.parameters.items()}
    model = replace(problem.case.model, direction="forward")
    expected = run(problem, model=model, parameters=forward, input=problem.input[..., ::-1])
    assert_close(defective("features-reversed-not-time", problem), expected)


def test_rows_sorted_by_length_but_not_their_states() -> None:
    problem = make_problem(case(lengths=(3, 6, 1)))
    order = [1, 0, 2]
    assert problem.initial_state is not None
    moved = {name: array[:, order] for name, array in problem.initial_state.items()}
    assert_close(defective("initial-states-not-sorted-with-rows", problem), run(problem, initial_state=moved))
    expected = run(problem)
    assert_close(defective("final-states-left-sorted", problem), {n: expected[n][:, order] for n in ("h_n", "c_n")})
    assert_close(defective("output-left-sorted", problem), {"output": expected["output"][:, order]})


@pytest.mark.parametrize(
    ("defect", "lengths"),
    [
        ("lengths-ignored", (5, 5, 5)),
        ("lengths-longest-for-all", (4, 4, 4)),
        ("lengths-shortest-for-all", (0, 0, 0)),
        ("lengths-of-first-row-for-all", (2, 2, 2)),
        ("lengths-one-less", (1, 3, 0)),
        ("lengths-one-more", (3, 5, 0)),
        ("lengths-sorted", (4, 2, 0)),
        ("lengths-reversed", (0, 4, 2)),
        ("lengths-of-row-before", (0, 2, 4)),
        ("zero-length-read-as-full", (2, 4, 5)),
        ("zero-length-read-as-one", (2, 4, 1)),
    ],
)
def test_wrong_lengths_equal_a_run_with_those_lengths(defect: str, lengths: tuple[int, ...]) -> None:
    problem = make_problem(case(lengths=(2, 4, 0), seq_len=5, padding="random", bidirectional=True))
    assert DEFECTS[defect].requires(problem.case)
    assert_close(defective(defect, problem), run(problem, lengths=lengths))


def test_final_states_from_the_wrong_output() -> None:
    problem = make_problem(case(lengths=(3, 6, 1), padding="random"))
    output = run(problem)["output"]
    assert_close(defective("h_n-from-last-output", problem), {"h_n": output[None, 5]})
    assert_close(defective("h_n-a-step-early", problem), {"h_n": output[None, [1, 4, 0], [0, 1, 2]]})
    repeated = defective("h_n-from-last-output", problem, Dialect("repeat"))
    assert_close(repeated, {"h_n": run(problem)["h_n"]})


def test_initial_states_read_from_the_wrong_place() -> None:
    problem = make_problem(case(num_layers=2, bidirectional=True))
    assert problem.initial_state is not None
    places = {
        "initial-states-without-directions": [0, 1, 1, 2],
        "initial-states-by-direction-then-layer": [0, 2, 1, 3],
        "initial-states-layers-reversed": [2, 3, 0, 1],
        "initial-states-directions-swapped": [1, 0, 3, 2],
        "initial-states-of-first-layer-in-all": [0, 1, 0, 1],
        "initial-states-of-reverse-from-forward": [0, 0, 2, 2],
    }
    for defect, places_read in places.items():
        moved = {name: array[places_read] for name, array in problem.initial_state.items()}
        assert_close(defective(defect, problem), run(problem, initial_state=moved))
    batch_major = {name: array.reshape(3, 4, 5).swapaxes(0, 1) for name, array in problem.initial_state.items()}
    assert_close(defective("initial-states-batch-first", problem), run(problem, initial_state=batch_major))


def test_states_are_read_and_written_in_the_same_wrong_order() -> None:
    problem = make_problem(case(num_layers=3, bidirectional=True))
    expected = run(problem)
    for name in ("h_n", "c_n"):
        by_direction = expected[name][[0, 2, 4, 1, 3, 5]]
        assert_close(defective("final-states-by-direction-then-layer", problem), {name: by_direction})
        batch_major = np.stack([expected[name][:, row] for row in range(3)]).reshape(6, 3, 5)
        assert_close(defective("final-states-batch-first", problem), {name: batch_major})
    assert problem.initial_state is not None
    moved = {name: array[[0, 3, 1, 4, 2, 5]] for name, array in problem.initial_state.items()}
    assert_close(defective("initial-states-by-direction-then-layer", problem), run(problem, initial_state=moved))


def test_units_that_one_direction_of_a_layer_lacks_are_lost() -> None:
    problem = make_problem(case(hidden_size=(3, 5), reverse_hidden_size=4, bidirectional=True))
    expected = {name: np.array(array) for name, array in run(problem).items()}
    expected["output"][..., 4] = 0  # Layer 1 has 5 units forward and 4 in reverse.
    for state in ("h_n", "c_n"):
        expected[f"{state}_l0_reverse"][..., 3:] = 0
        expected[f"{state}_l1"][..., 4:] = 0
    assert_close(defective("units-of-one-direction-lost", problem), expected)


def test_a_projection_that_truncates() -> None:
    problem = make_problem(case(proj_size=3))
    cut = {**problem.parameters, "weight_hr_l0": np.eye(3, 5)}
    assert_close(defective("projection-truncates", problem), run(problem, parameters=cut))


def test_dropout_in_inference_drops_and_scales_like_dropout_in_training() -> None:
    problem = make_problem(case(num_layers=2, dropout=0.25, seq_len=50, hidden_size=16))
    change = DEFECTS["dropout-in-inference"].dropout_masks
    assert change is not None
    mask = change({}, problem.case)["l0"]
    assert mask.shape == (50, 3, 16)
    assert set(np.unique(mask)) == {0.0, 1 / 0.75}
    assert mask.mean() == pytest.approx(1.0, abs=0.02)
    assert_close(defective("dropout-in-inference", problem), run(problem, dropout_masks={"l0": mask}))


def test_defects_of_dropout_between_layers_keep_the_other_dropout_masks() -> None:
    every_kind = {"dropout": 0.5, "input_dropout": 0.25, "recurrent_dropout": 0.25, "mode": "train"}
    problem = make_problem(case(num_layers=3, bidirectional=True, **every_kind))
    masks = dict(problem.dropout_masks)
    others = {name for name in masks if not name.startswith("l")}
    checked = 0
    for defect in dropout.DEFECTS:
        for change in filter(None, (defect.dropout_masks, defect.backward_masks)):
            if defect.applies_to(problem.case):
                changed = change(masks, problem.case)
                assert all(changed[name] is masks[name] for name in others), defect.id
                checked += 1
    assert others
    assert checked > 10
