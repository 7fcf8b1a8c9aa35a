"""The grammar draws different broken LSTMs, the same for each seed. Its linear maps have adjoints."""

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

from benchmarks.explanations import judge_experiments
from benchmarks.grammar import draw as drawing
from benchmarks.grammar.broken import Broken
from benchmarks.grammar.draw import KINDS, Drawn, draw
from benchmarks.grammar.elements import LinearMap
from benchmarks.grammar.mistake import Change, Mistake, Place, Term
from benchmarks.grammar.wording import read
from conformance.cases.case import Case
from conformance.defects.power.detection import DETECTED_ABOVE
from conformance.results.explanation import Explanation
from conformance.verdict.judge import judge
from conformance.verdict.oracle import Oracle
from conformance.verdict.oracle import solve as solve_correctly
from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES, Dialect


def problem_of(**options: Any) -> Problem:
    sizes: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3, "dtype": "float64"}
    return make_problem(Case.model_validate(sizes | options))


def drawn_mistakes(count: int) -> list[tuple[str, Mistake]]:
    """Draws mistakes of each kind in turn, without checking that they change anything."""
    return [(kind, drawing._DRAWS[kind](random.Random(f"{kind} {i}"))) for i in range(count) for kind in KINDS]


@pytest.mark.parametrize(
    "options",
    [
        {"num_layers": 2, "direction": "bidirectional", "lengths": "ragged"},
        {"batch_first": True, "initial_state": "omitted", "bias": False},
        {"batch_first": True, "batch": 5, "seq_len": 5},
        {"batch": "unbatched", "direction": "reverse", "num_layers": 3},
    ],
)
def test_without_mistakes_the_solution_is_that_of_the_reference(options: dict[str, Any]) -> None:
    problem = problem_of(**options)
    expected, actual = solve_correctly(problem, Dialect()), Broken(()).solve(problem)
    assert {name: array.shape for name, array in actual.items()} == problem.expected_shapes()
    for name, array in actual.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-12, atol=1e-14)


def test_a_seed_always_draws_the_same_mistakes() -> None:
    one, other = draw(29), draw(29)
    assert one.mistakes == other.mistakes
    assert [case.key for case in one.cases] == [case.key for case in other.cases]


def test_the_grammar_has_thousands_of_mistakes() -> None:
    texts = Counter(str(mistake) for _, mistake in drawn_mistakes(1500))
    assert len(texts) > 2500


def test_seeds_go_through_all_kinds_and_draw_pairs() -> None:
    drawn = [draw(seed) for seed in range(1, 1 + 2 * len(KINDS), 2)]
    assert [each.kind for each in drawn] == list(KINDS)
    assert all(len(each.mistakes) == 1 for each in drawn)
    assert len(draw(4 * len(KINDS) + 1).mistakes) == 2


def test_drawn_mistakes_are_visible_in_their_cases() -> None:
    for drawn in (draw(seed) for seed in (0, 2, 12)):
        for case in drawn.cases:
            problem = make_problem(case)
            expectation = Oracle(None).expect(problem, PROFILES[case.dtype], Dialect())
            assert judge(problem, Broken(drawn.mistakes).solve(problem), expectation).error_ratio > DETECTED_ABOVE


def test_backward_is_the_adjoint_of_forward() -> None:
    problem = problem_of(num_layers=2, direction="bidirectional", input_size=4)
    generator = np.random.default_rng(0)
    shapes = {name: array.shape for name, array in problem.parameters.items()}
    shapes |= {"input": problem.input.shape, "h_0": (4, 3, 4), "c_0": (4, 3, 4)}
    x, y = ({name: generator.normal(size=shape) for name, shape in shapes.items()} for _ in range(2))
    tried = 0
    for _, mistake in drawn_mistakes(60):
        if mistake.role != "reads":
            continue
        change = LinearMap(mistake, x, problem.case)
        forward, backward = change.forward(x), change.backward(y)
        one = sum(float((forward[name] * y[name]).sum()) for name in shapes)
        other = sum(float((x[name] * backward[name]).sum()) for name in shapes)
        assert one == pytest.approx(other, rel=1e-12), mistake
        tried += not change.is_identity
    assert tried > 20


def test_a_condition_limits_a_mistake_to_some_cases() -> None:
    mistake = Mistake("returns", ("h_n",), Change("zero"), when=(Term("batch", "from", 4),))
    below, above = problem_of(batch=3), problem_of(batch=4)
    assert Broken([mistake]).solve(below)["h_n"].any()
    assert not Broken([mistake]).solve(above)["h_n"].any()


def test_a_place_limits_a_mistake_to_some_elements() -> None:
    problem = problem_of(num_layers=2, direction="bidirectional")
    places = (Place("layer", "is", 1), Place("direction", "is", 0), Place("unit", "from", 2))
    wrong = Broken([Mistake("returns", ("c_n",), Change("zero"), places)]).solve(problem)["c_n"]
    assert (wrong == 0).sum() == 3 * 2
    assert not wrong[2, :, 2:].any()


def test_gradients_follow_a_wrong_read_or_stay_where_they_were_read() -> None:
    problem = problem_of(num_layers=2)
    change = Change("only", "layer", 0)
    followed, left = (
        Broken([Mistake("reads", ("weight_hh",), change, follows=follows)]).solve(problem) for follows in (True, False)
    )
    assert not followed["grad.weight_hh_l1"].any()
    np.testing.assert_allclose(
        followed["grad.weight_hh_l0"], left["grad.weight_hh_l0"] + left["grad.weight_hh_l1"], rtol=1e-12
    )


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (
            "ignores bias_hh of layer 1, the reverse direction",
            Mistake("reads", ("bias_hh",), Change("zero"), (Place("layer", "is", 1), Place("direction", "is", 1))),
        ),
        (
            "reads h_0 and c_0 with the rows in reverse order; the gradients do not follow",
            Mistake("reads", ("h_0", "c_0"), Change("reverse", "row"), follows=False),
        ),
        ("returns grad.weight_hh multiplied by 1/B", Mistake("gradients", ("weight_hh",), Change("times", "", "1/B"))),
        ("ignores the cotangents of c_n", Mistake("cotangents", ("c_n",), Change("zero"))),
        ("reads lengths one too large", Mistake("lengths", (), Change("too-large"))),
        (
            "reads weight_ih as if the gates were in the order i, o, f, g",
            Mistake("reads", ("weight_ih",), Change("order", "gate", (0, 2, 3, 1))),
        ),
        (
            "returns c_n in units 1, 2 multiplied by 1.01",
            Mistake("returns", ("c_n",), Change("times", "", "1.01"), (Place("unit", "among", (1, 2)),)),
        ),
        (
            "returns output of the padding, odd rows in units from 2 on as zeros",
            Mistake(
                "returns",
                ("output",),
                Change("zero"),
                (Place("step", "padding"), Place("row", "odd"), Place("unit", "from", 2)),
            ),
        ),
        ("ignores c_0 of rows 0, 2", Mistake("reads", ("c_0",), Change("zero"), (Place("row", "among", (0, 2)),))),
        (
            "computes the forget gate in layer 1 as sigmoid(z - 0.5)",
            Mistake("activation", (), Change("added", "forget_gate", -0.5), (Place("layer", "is", 1),)),
        ),
        (
            "computes the candidate as tanh(1.1 z); the gradients use the derivative of the right function",
            Mistake("activation", (), Change("slope", "candidate", 1.1), follows=False),
        ),
        ("rounds the cell state to bfloat16", Mistake("rounding", (), Change("c", "", 8))),
    ],
)
def test_findings_are_read_back(text: str, mistake: Mistake) -> None:
    assert read(text) == [mistake]


def test_rounded_weights_are_read_back_as_two_mistakes() -> None:
    assert read("rounds all weights to bfloat16") == [
        Mistake("rounding", (kind,), Change(kind, "", 8)) for kind in ("weight_ih", "weight_hh")
    ]
    assert read("rounds the sums of matrix products to bfloat16") is None


KEPT = Explanation("broken", "reads bias_hh of an earlier call", ("one",), "correct when run alone")
FIRST_CALL = Mistake("history", ("bias_hh",), Change("first-call"))
ZERO_H_0 = Mistake("reads", ("h_0",), Change("zero"), follows=False)


@pytest.mark.parametrize(
    ("mistakes", "what", "verdict"),
    [
        ((FIRST_CALL, ZERO_H_0), "ignores h_0, but returns gradients as if it read them", "correct"),
        ((FIRST_CALL, ZERO_H_0), "ignores c_0", "false"),
        ((ZERO_H_0,), "ignores h_0, but returns gradients as if it read them", "false"),
        ((Mistake("history", ("h_n",), Change("stale")), ZERO_H_0), "ignores h_0", "narrow"),
    ],
)
def test_explanations_besides_earlier_calls_are_judged(mistakes: tuple[Mistake, ...], what: str, verdict: str) -> None:
    case = problem_of().case
    found = [KEPT, Explanation("broken", what, ("two",), verified=True)]
    assert judge_experiments(Drawn("history", mistakes, (case,)), found, {"one": case, "two": case}) == verdict


def test_a_block_in_the_wrong_place_is_read_back() -> None:
    text = (
        "returns c_n in the wrong places (c_n, layer 0, forward, row 0 is c_n, layer 0, forward, row 0 plus h_n, layer "
        "0, forward, row 0); the gradients are correct"
    )
    problem = problem_of()
    right, wrong = Broken(()).solve(problem), Broken(read(text) or ()).solve(problem)
    np.testing.assert_allclose(wrong["c_n"][0, 0], right["c_n"][0, 0] + right["h_n"][0, 0])
    np.testing.assert_array_equal(wrong["c_n"][0, 1:], right["c_n"][0, 1:])


def test_what_is_no_finding_is_not_read() -> None:
    assert read("c_n deviates; output, h_n, gradients conform") is None
