"""Defects of the forward pass do what they say, whatever the layout."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import reference
from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect, solve
from conformance.verdict.problem import Problem, make_problem
from reference import Dialect

DEFECTS = {defect.id: defect for defect in CATALOGUE}
WITH_TIME = ("output", "input")


def case(**options: Any) -> Case:
    small = {"input_size": 4, "hidden_size": 5, "seq_len": 6, "batch": 3, "dtype": "float64"}
    return Case(**{**small, **options})


def answers(defect: str | Defect, problem: Problem, dialect: Dialect | None = None) -> dict[str, Any]:
    return solve(DEFECTS[defect] if isinstance(defect, str) else defect, problem, dialect or Dialect())


def run(problem: Problem, **changed: Any) -> Mapping[str, Any]:
    """The reference's results, with other arguments in the place of some of a problem's."""
    options = {
        "model": problem.case.model,
        "parameters": problem.parameters,
        "input": problem.input,
        "initial_state": problem.initial_state,
        "lengths": problem.lengths,
        "dropout_masks": problem.dropout_masks,
    }
    return reference.forward(**{**options, **changed}).outputs


def same(got: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    for name, array in expected.items():
        np.testing.assert_allclose(got[name], array, rtol=1e-12, atol=1e-13, err_msg=name)


# --------------------------------------------------------------------------- layouts

LAYOUTS = [
    {"num_layers": 3, "bidirectional": True},
    {"lengths": (3, 6, 1), "padding": "random"},
    {"num_layers": 3, "bidirectional": True, "dropout": 0.25, "mode": "train"},
    {"proj_size": 3, "num_layers": 2, "bidirectional": True},
    {"initial_state": "omitted", "direction": "reverse"},
]


def laid_out(problem: Problem, axes: Any, **options: Any) -> Problem:
    """The same values in another layout: ``axes`` moves those of input, output and states."""
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
        other = laid_out(problem, axes, **{**options, **layout})
        applied = [defect for defect in CATALOGUE if defect.applies(problem.case)]
        assert applied == [defect for defect in CATALOGUE if defect.applies(other.case)]
        assert len(applied) > 100
        for defect in applied:
            got = answers(defect, other)
            for name, array in answers(defect, problem).items():
                np.testing.assert_allclose(
                    got[name], axes(name, array), rtol=1e-6, atol=1e-9, err_msg=f"{defect.id} {name}"
                )


# --------------------------------------------------------------------------- said another way


def test_states_that_run_on_over_padding() -> None:
    problem = make_problem(case(lengths=(3, 6, 1), padding="nan", num_layers=2))
    beyond = np.arange(6)[:, None] >= np.array([3, 6, 1])
    zeroed = np.where(beyond[..., None], 0.0, problem.input)
    expected = run(problem, input=zeroed, lengths=None)
    same(answers("output-runs-on-over-padding", problem), expected)
    shown = {**expected, "output": np.where(beyond[..., None], 0.0, expected["output"])}
    same(answers("padding-updates-states", problem), shown)


def test_input_reversed_without_its_mask() -> None:
    problem = make_problem(case(lengths=(3, 6, 1), padding="random", direction="reverse"))
    forward = {name.removesuffix("_reverse"): array for name, array in problem.parameters.items()}
    model = replace(problem.case.model, direction="forward")
    expected = run(problem, model=model, parameters=forward, input=problem.input[::-1])
    same(answers("input-reversed-without-mask", problem), {**expected, "output": expected["output"][::-1]})


def test_features_reversed_in_place_of_time() -> None:
    problem = make_problem(case(direction="reverse"))
    forward = {name.removesuffix("_reverse"): array for name, array in problem.parameters.items()}
    model = replace(problem.case.model, direction="forward")
    expected = run(problem, model=model, parameters=forward, input=problem.input[..., ::-1])
    same(answers("features-reversed-not-time", problem), expected)


def test_rows_sorted_by_length_but_not_their_states() -> None:
    problem = make_problem(case(lengths=(3, 6, 1)))
    order = [1, 0, 2]
    assert problem.initial_state is not None
    moved = {name: array[:, order] for name, array in problem.initial_state.items()}
    same(answers("initial-states-not-sorted-with-rows", problem), run(problem, initial_state=moved))
    right = run(problem)
    same(answers("final-states-left-sorted", problem), {n: right[n][:, order] for n in ("h_n", "c_n")})
    same(answers("output-left-sorted", problem), {"output": right["output"][:, order]})


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
        ("zero-length-is-all", (2, 4, 5)),
        ("zero-length-is-one", (2, 4, 1)),
    ],
)
def test_wrong_lengths(defect: str, lengths: tuple[int, ...]) -> None:
    problem = make_problem(case(lengths=(2, 4, 0), seq_len=5, padding="random", bidirectional=True))
    assert DEFECTS[defect].applies(problem.case)
    same(answers(defect, problem), run(problem, lengths=lengths))


def test_final_states_from_the_wrong_output() -> None:
    problem = make_problem(case(lengths=(3, 6, 1), padding="random"))
    output = run(problem)["output"]
    same(answers("h_n-from-last-output", problem), {"h_n": output[None, 5]})
    same(answers("h_n-a-step-early", problem), {"h_n": output[None, [1, 4, 0], [0, 1, 2]]})
    repeated = answers("h_n-from-last-output", problem, Dialect("repeat"))
    same(repeated, {"h_n": run(problem)["h_n"]})


def test_initial_states_read_at_the_wrong_place() -> None:
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
        same(answers(defect, problem), run(problem, initial_state=moved))
    batch_major = {name: array.reshape(3, 4, 5).swapaxes(0, 1) for name, array in problem.initial_state.items()}
    same(answers("initial-states-batch-first", problem), run(problem, initial_state=batch_major))


def test_states_stacked_in_another_order_are_read_and_written_alike() -> None:
    problem = make_problem(case(num_layers=3, bidirectional=True))
    right = run(problem)
    for name in ("h_n", "c_n"):
        by_direction = right[name][[0, 2, 4, 1, 3, 5]]
        same(answers("final-states-by-direction-then-layer", problem), {name: by_direction})
        batch_major = np.stack([right[name][:, row] for row in range(3)]).reshape(6, 3, 5)
        same(answers("final-states-batch-first", problem), {name: batch_major})
    assert problem.initial_state is not None
    moved = {name: array[[0, 3, 1, 4, 2, 5]] for name, array in problem.initial_state.items()}
    same(answers("initial-states-by-direction-then-layer", problem), run(problem, initial_state=moved))


def test_a_projection_that_only_cuts() -> None:
    problem = make_problem(case(proj_size=3))
    cut = {**problem.parameters, "weight_hr_l0": np.eye(3, 5)}
    same(answers("projection-cuts", problem), run(problem, parameters=cut))


def test_dropout_in_inference_is_like_dropout() -> None:
    problem = make_problem(case(num_layers=2, dropout=0.25, seq_len=50, hidden_size=16))
    change = DEFECTS["dropout-in-inference"].masks
    assert change is not None
    mask = change({}, problem.case)["l0"]
    assert mask.shape == (50, 3, 16)
    assert set(np.unique(mask)) == {0.0, 1 / 0.75}
    assert mask.mean() == pytest.approx(1.0, abs=0.02)
    same(answers("dropout-in-inference", problem), run(problem, dropout_masks={"l0": mask}))
