"""What the defects of single implementations compute."""

from typing import Any

import numpy as np
import pytest

import reference
from conformance.cases.case import Case
from conformance.defects.defect import Arrays, Defect
from conformance.defects.solve import solve
from conformance.known.defects import make_defect
from conformance.verdict.problem import Problem, make_problem
from reference import Dialect

RESULTS = ("output", "h_n", "c_n")
T, B, H = 4, 2, 5


def draw(**options: Any) -> Problem:
    sizes = {"input_size": 3, "hidden_size": H, "seq_len": T, "batch": B}
    return make_problem(Case.model_validate({**sizes, "dtype": "float64", "check": RESULTS} | options))


def solved(name: str, problem: Problem) -> Arrays:
    return solve(make_defect(name, problem, Dialect()), problem, Dialect())


def run(problem: Problem, sequence: Any, **model: Any) -> Arrays:
    """Returns the right results of a problem's LSTM on another sequence (T, B, I), from zero states."""
    options = {**problem.case.model.__dict__, "batch_first": False, **model}
    fields = {name: options[name] for name in reference.Model.__dataclass_fields__}
    return dict(reference.forward(reference.Model(**fields), problem.parameters, sequence).outputs)


@pytest.mark.parametrize(
    ("name", "gate", "candidate"), [("nan-as-infinity", 1.0, 1.0), ("nan-as-minus-infinity", 0.0, -1.0)]
)
def test_nan_saturates_the_gates_and_the_candidate(name: str, gate: float, candidate: float) -> None:
    problem = draw(seq_len=1, input_nan=True)
    row = int(np.argwhere(np.isnan(problem.input))[0, 1])
    found = solved(name, problem)
    assert problem.initial_state is not None
    c = gate * problem.initial_state["c_0"][0, row] + gate * candidate
    assert found["c_n"][0, row] == pytest.approx(c)
    assert found["h_n"][0, row] == pytest.approx(gate * np.tanh(c))


def test_nan_stays_in_units_that_do_not_fill_a_group() -> None:
    problem = draw(seq_len=1, input_nan=True)
    row = int(np.argwhere(np.isnan(problem.input))[0, 1])
    found = solved("nan-as-minus-infinity-in-groups-of-four-units", problem)["c_n"][0, row]
    assert np.isnan(found).tolist() == [False, False, False, False, True]


def test_in_the_gradient_the_forget_gate_and_the_candidate_change_places() -> None:
    problem = draw(seq_len=1, batch=1, check=(*RESULTS, "gradients"))
    found = solved("forget-gate-and-candidate-exchanged-in-gradient", problem)
    i, f, g, o = np.split(found["grad.bias_ih_l0"], 4)
    right = dict(solve(Defect("none", "without a defect"), problem, Dialect()))
    np.testing.assert_array_equal(right["grad.bias_ih_l0"], np.concatenate([i, g, f, o]))
    w_i, w_f, w_g, w_o = np.split(problem.parameters["weight_ih_l0"], 4)
    np.testing.assert_allclose(found["grad.input"][0, 0], i @ w_i + f @ w_f + g @ w_g + o @ w_o)


def test_a_model_that_runs_one_step_reads_the_first_step_of_each_direction() -> None:
    problem = draw(direction="bidirectional", initial_state="omitted", batch_first=True)
    found = solved("only-first-step", problem)
    first, last = run(problem, problem.input[:, :1].swapaxes(0, 1)), run(problem, problem.input[:, -1:].swapaxes(0, 1))
    expected = np.concatenate([first["output"][..., :H], last["output"][..., H:]], axis=-1)
    np.testing.assert_array_equal(found["output"], expected.swapaxes(0, 1))
    np.testing.assert_array_equal(found["c_n"], np.stack([first["c_n"][0], last["c_n"][1]]))


def test_a_model_that_runs_one_step_starts_each_direction_from_its_own_states() -> None:
    problem = draw(direction="bidirectional", reverse_hidden_size=3)
    found = solved("only-first-step", problem)
    first, last = (
        reference.forward(problem.case.model, problem.parameters, steps, problem.initial_state).outputs
        for steps in (problem.input[:1], problem.input[-1:])
    )
    expected = np.concatenate([first["output"][..., :H], last["output"][..., H:]], axis=-1)
    np.testing.assert_array_equal(found["output"], expected)
    np.testing.assert_array_equal(found["c_n_l0"], first["c_n_l0"])
    np.testing.assert_array_equal(found["c_n_l0_reverse"], last["c_n_l0_reverse"])


def test_an_initial_state_shown_before_the_first_valid_step_is_that_of_the_direction() -> None:
    problem = draw(
        direction="bidirectional", reverse_hidden_size=3, lengths=(2, 4), mask="left", check=[*RESULTS, "gradients"]
    )
    found, right = solved("initial-state-shown", problem), solve(Defect("none", "without a defect"), problem, Dialect())
    assert problem.initial_state is not None
    np.testing.assert_array_equal(found["output"][:2, 0, :H], np.tile(problem.initial_state["h_0_l0"][0, 0], (2, 1)))
    np.testing.assert_array_equal(found["output"][..., H:], right["output"][..., H:])
    np.testing.assert_array_equal(found["grad.h_0_l0_reverse"], right["grad.h_0_l0_reverse"])
    shown = problem.cotangents["output"][:2, 0, :H].sum(axis=0)
    np.testing.assert_allclose(found["grad.h_0_l0"][0, 0], right["grad.h_0_l0"][0, 0] + shown)


def test_final_states_after_the_first_step() -> None:
    problem = draw(direction="reverse", initial_state="omitted")
    found = solved("final-states-after-first-step", problem)
    last = run(problem, problem.input[-1:])
    np.testing.assert_array_equal(found["h_n"], last["h_n"])
    np.testing.assert_array_equal(found["c_n"], last["c_n"])
    np.testing.assert_array_equal(found["output"], run(problem, problem.input)["output"])


def test_batch_read_as_time() -> None:
    problem = draw(batch_first=True, initial_state="omitted", direction="bidirectional")
    found = solved("batch-read-as-time", problem)
    expected = run(problem, problem.input)
    by_direction = expected["output"].reshape(B, T, 2, H)
    np.testing.assert_array_equal(found["output"][:, 1], by_direction[:, :, 1].reshape(B, T * H))
    np.testing.assert_array_equal(found["h_n"], expected["h_n"].swapaxes(0, 1))


def test_a_layer_with_too_wide_an_input_reads_the_first_numbers() -> None:
    problem = draw(batch_first=True, initial_state="omitted", direction="bidirectional", num_layers=2)
    found = solved("batch-read-as-time", problem)
    lower, upper = (
        {name.replace(layer, "_l0"): array for name, array in problem.parameters.items() if layer in name}
        for layer in ("_l0", "_l1")
    )
    one = reference.Model(3, (H,), "bidirectional")
    memory = reference.forward(one, lower, problem.input).outputs["output"].reshape(B, T, 2, H).swapaxes(1, 2).ravel()
    read = memory[: B * 2 * 2 * H].reshape(B, 2, 2 * H)
    expected = reference.forward(reference.Model(2 * H, (H,), "bidirectional"), upper, read).outputs
    np.testing.assert_array_equal(found["h_n"][T:], expected["h_n"].swapaxes(0, 1))


def test_unbatched_results_are_repeated() -> None:
    problem = draw(batch="unbatched", initial_state="omitted")
    found, right = solved("unbatched-results-repeated", problem), run(problem, problem.input)
    np.testing.assert_array_equal(found["output"], np.stack([right["output"]] * 3, axis=1))
    np.testing.assert_array_equal(found["c_n"], np.stack([right["c_n"]] * 3, axis=1))
