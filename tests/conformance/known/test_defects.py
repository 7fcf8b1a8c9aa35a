"""What the defects of single implementations compute."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import reference
from conformance.adapters.graph import calls
from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Arrays, Defect
from conformance.defects.solve import solve
from conformance.known.defects import SPECIFIC, make_defect
from conformance.verdict.problem import Problem, make_problem
from reference import Dialect

RESULTS = ("output", "h_n", "c_n")
T, B, H = 4, 2, 5
NONE = Defect("none", "without a defect")


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
    right = dict(solve(NONE, problem, Dialect()))
    np.testing.assert_array_equal(right["grad.bias_ih_l0"], np.concatenate([i, g, f, o]))
    w_i, w_f, w_g, w_o = np.split(problem.parameters["weight_ih_l0"], 4)
    np.testing.assert_allclose(found["grad.input"][0, 0], i @ w_i + f @ w_f + g @ w_g + o @ w_o)


def test_the_last_layer_keeps_its_states() -> None:
    problem = draw(num_layers=2, direction="bidirectional")
    found, right = solved("final-states-of-last-layer-only", problem), solve(NONE, problem, Dialect())
    np.testing.assert_array_equal(found["output"], right["output"])
    np.testing.assert_array_equal(found["h_n"], right["h_n"][2:])


def test_peepholes_as_matrices_add_the_same_to_the_gates_of_all_rows() -> None:
    problem = draw(peepholes=True, seq_len=1, batch=H)
    assert problem.initial_state is not None
    found = solved("peepholes-as-matrices", problem)
    bias = problem.parameters["bias_ih_l0"].copy()
    p_i, p_f, p_o = np.split(problem.parameters["peephole_l0"], 3)
    bias[:H] += p_i @ problem.initial_state["c_0"][0]
    bias[H : 2 * H] += p_f @ problem.initial_state["c_0"][0]
    bias[3 * H :] += p_o @ found["c_n"][0]
    parameters = {**problem.parameters, "bias_ih_l0": bias, "peephole_l0": np.zeros(3 * H)}
    expected = solve(NONE, replace(problem, parameters=parameters), Dialect())
    for name in RESULTS:
        np.testing.assert_allclose(found[name], expected[name])


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
    found, right = solved("initial-state-shown", problem), solve(NONE, problem, Dialect())
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


@pytest.mark.parametrize(
    ("graph", "options", "output", "state"),
    [
        ("twice", {"batch": 3}, (1, T * H), (T, 2)),
        ("parallel", {"direction": "bidirectional"}, (1, 2 * T * H), (2 * T, 1)),
        ("encoder-decoder", {"seq_len": 2}, (2, H), (1, 1)),
    ],
)
def test_a_graph_joins_results_whose_batch_was_read_as_time(
    graph: str, options: dict[str, Any], output: tuple[int, int], state: tuple[int, int]
) -> None:
    problem = draw(batch_first=True, initial_state="omitted", graph=graph, **options)
    found = solved("batch-read-as-time", problem)
    first, _ = calls(problem)
    right = run(first, first.input)["output"]
    assert found["output"].shape == (problem.case.rows, *output)
    np.testing.assert_array_equal(found["output"][0, 0, : right[0].size], right[0].ravel())
    assert found["h_n"].shape == (*state, H)


def test_steps_of_one_row_are_read_as_rows() -> None:
    problem = draw(batch=1, initial_state="omitted")
    found = solved("steps-read-as-rows", problem)
    right = run(problem, problem.input.swapaxes(0, 1))
    for name in RESULTS:
        np.testing.assert_array_equal(found[name], right[name])


def test_a_call_continues_the_sequences_of_earlier_calls() -> None:
    problem = draw(initial_state="omitted", earlier_calls=("same",))
    right = run(problem, np.concatenate([problem.input, problem.input]))
    found = solved("earlier-calls-continued", problem)
    np.testing.assert_allclose(found["output"], right["output"][T:])
    np.testing.assert_allclose(found["c_n"], right["c_n"])


def test_an_output_without_steps_has_one_row_and_one_unit() -> None:
    for batch_first, shape in ((False, (0, 1, 1)), (True, (1, 0, 1))):
        problem = draw(seq_len=0, batch_first=batch_first)
        assert solved("empty-output-without-width", problem)["output"].shape == shape


@pytest.mark.parametrize(("input_size", "wrong"), [(H, [False, False, True]), (3, [True, False, True])])
def test_h_t_replaces_h_before_in_the_last_layers_of_primitives(input_size: int, wrong: list[bool]) -> None:
    problem = draw(input_size=input_size, num_layers=3, initial_state="omitted", check=(*RESULTS, "gradients"))
    found = solved("grad-weight_hh-from-h-after-in-last-layers", problem)
    right = solve(NONE, problem, Dialect())
    names = [name for name in right if not np.array_equal(found[name], right[name])]
    assert names == [f"grad.weight_hh_l{layer}" for layer in range(3) if wrong[layer]]


def test_rows_are_read_in_the_order_of_memory() -> None:
    problem = draw(batch_first=True, initial_state="omitted", memory="strided")
    found = solved("strides-of-rows-ignored", problem)
    memory = problem.input.T.ravel()
    rows = [memory[row : row + T * 3].reshape(T, 3) for row in range(B)]
    np.testing.assert_array_equal(found["output"], run(problem, np.stack(rows, axis=1))["output"].swapaxes(0, 1))


def test_the_input_is_quantized_together_with_its_padding() -> None:
    problem = draw(lengths=(2, 3), padding="large", initial_state="omitted")
    found = solved("input-quantized-with-padding", problem)
    read = problem.input[:3]
    step = (read.max() - read.min()) / 255
    rounded = replace(problem, input=np.concatenate([np.rint(read / step) * step, problem.input[3:]]))
    right = solve(Defect("none", "without a defect"), rounded, Dialect())
    np.testing.assert_allclose(found["output"], right["output"], atol=1e-6)


def test_a_batch_of_empty_rows_has_nothing_to_quantize() -> None:
    problem = draw(lengths=(0, 0), padding="large")
    right = solve(Defect("none", "without a defect"), problem, Dialect())
    np.testing.assert_array_equal(solved("input-quantized-with-padding", problem)["h_n"], right["h_n"])


def test_each_call_of_a_graph_quantizes_its_own_rows() -> None:
    problem = draw(batch=3, lengths=(4, 2, 4), padding="large", initial_state="omitted", graph="twice")
    found = solved("input-quantized-with-padding", problem)
    right = solve(NONE, problem, Dialect())
    assert abs(found["output"][:, 0] - right["output"][:, 0]).max() < 0.01
    assert abs(found["output"][:, 2] - right["output"][:, 2]).max() > 0.1


def test_weights_of_one_feature_or_unit_survive_being_transposed_twice() -> None:
    problem = draw(input_size=1, initial_state="omitted")
    found, right = solved("weights-transposed-twice", problem), run(problem, problem.input)
    np.testing.assert_array_equal(found["output"][0], right["output"][0])
    assert not np.allclose(found["output"][1], right["output"][1])


def test_both_states_get_the_sum_of_their_gradients() -> None:
    problem = draw(check=(*RESULTS, "gradients"), memory="aliased", num_layers=2)
    found, right = solved("gradients-of-states-added", problem), solve(NONE, problem, Dialect())
    for name in ("grad.h_0", "grad.c_0"):
        np.testing.assert_array_equal(found[name], right["grad.h_0"] + right["grad.c_0"])
    np.testing.assert_array_equal(found["grad.input"], right["grad.input"])


def test_no_specific_defect_has_the_name_of_one_in_the_catalogue() -> None:
    assert SPECIFIC.keys().isdisjoint(defect.id for defect in CATALOGUE)


def test_unbatched_results_are_repeated() -> None:
    problem = draw(batch="unbatched", initial_state="omitted")
    found, right = solved("unbatched-results-repeated", problem), run(problem, problem.input)
    np.testing.assert_array_equal(found["output"], np.stack([right["output"]] * 3, axis=1))
    np.testing.assert_array_equal(found["c_n"], np.stack([right["c_n"]] * 3, axis=1))
