"""The condition that separates failing from passing cases, on synthetic results."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.results import when
from conformance.results.record import Result
from conformance.run.runner import blank

SIZES = {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3}


def result(**options: Any) -> Result:
    """Returns a result of a case with these options."""
    return blank(Case.model_validate(SIZES | options), "mine", "pass")


def found(failing: list[dict[str, Any]], passing: list[dict[str, Any]]) -> str:
    condition = when.find([result(**each) for each in failing], [result(**each) for each in passing])
    return str(condition or "")


PLAIN: list[dict[str, Any]] = [{}, {"batch_first": True}, {"values": "uniform"}, {"dtype": "float64"}]


def varied(**options: Any) -> list[dict[str, Any]]:
    """Returns four sets of options that differ in nothing but what ``PLAIN`` varies, too."""
    return [each | options for each in PLAIN]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"direction": "bidirectional"}, "direction: bidirectional"),
        ({"initial_state": "omitted"}, "initial_state: omitted"),
        ({"bias": False}, "bias: false"),
        ({"seq_len": 1}, "seq_len is 1"),
        ({"lengths": "ragged"}, "lengths"),
        ({"lengths": "ragged", "mask": "left"}, "lengths with mask: left"),
        ({"proj_size": 2}, "projection"),
        ({"num_layers": 2}, "layers"),
        ({"batch": "unbatched"}, "unbatched"),
    ],
)
def test_an_option_of_all_failing_and_no_passing_cases_is_the_condition(options: dict[str, Any], words: str) -> None:
    assert found(varied(**options), PLAIN).removeprefix(words) == " (4 of 4 such cases fail, 0 of 4 others)"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bias": False}, "bias: true"),
        ({"lengths": "ragged"}, "not lengths"),
        ({"check": ["output"]}, "gradients"),
        ({"direction": "reverse"}, "direction: forward"),
    ],
)
def test_a_default_that_only_failing_cases_have_is_the_condition(options: dict[str, Any], words: str) -> None:
    assert found(PLAIN, varied(**options)).startswith(f"{words} (4 of 4")


def test_the_dtype_is_an_option_although_results_store_it_apart() -> None:
    several = [{"seq_len": steps} for steps in (3, 4, 5)]
    others = [each | {"dtype": "float64"} for each in several]
    assert found(several, others).startswith("dtype: float32 (3 of 3")


def test_several_values_of_an_option_are_listed_or_the_only_other_value_is() -> None:
    assert found(
        [*varied(initial_state="zero"), *varied(initial_state="omitted")], [*PLAIN, *varied(initial_state="h_0-only")]
    ).startswith("initial_state: omitted or zero (8 of 8")
    assert found([*varied(direction="reverse"), *varied(direction="bidirectional")], PLAIN).startswith(
        "not direction: forward (8 of 8"
    )


def test_a_threshold_comes_with_the_passing_size_next_to_it() -> None:
    large = [{"hidden_size": size} for size in (33, 64, 40)]
    small = [{"hidden_size": size} for size in (1, 32, 7)]
    assert found(large, small) == "hidden_size ≥ 33 (3 of 3 such cases fail, 0 of 3 others; hidden_size 32 passes)"
    assert found(small, large) == "hidden_size ≤ 32 (3 of 3 such cases fail, 0 of 3 others; hidden_size 33 passes)"


def test_the_hidden_size_of_a_case_is_that_of_its_largest_layer() -> None:
    large = [{"hidden_size": size} for size in ([2, 33], 64, 40)]
    small = [{"hidden_size": size} for size in ([8, 9], 32, 7)]
    assert found(large, small).startswith("hidden_size ≥ 33 (")


def test_a_threshold_of_the_batch_excludes_cases_without_a_batch() -> None:
    passing = [{"batch": size} for size in ("unbatched", 16, 4)]
    text = found([{"batch": size} for size in (17, 20, 30)], passing)
    assert text == "batch ≥ 17 (3 of 3 such cases fail, 0 of 3 others; batch 16 passes)"


def test_two_options_together_are_a_condition() -> None:
    passing = [*PLAIN, *varied(direction="bidirectional", bias=False)]
    text = found(varied(direction="bidirectional"), passing)
    assert text == "direction: bidirectional, bias: true (4 of 4 such cases fail, 0 of 8 others)"


def test_the_boundary_of_a_threshold_is_among_the_cases_that_meet_the_other_term() -> None:
    failing = [{"lengths": "ragged", "batch": size} for size in (17, 20, 30)]
    passing = [{"lengths": "ragged", "batch": size} for size in (4, 5, 8)]
    passing += [{"batch": size} for size in (16, 18, 40, 41)]
    assert found(failing, passing) == "lengths, batch ≥ 17 (3 of 3 such cases fail, 0 of 7 others; batch 8 passes)"


def test_each_of_two_terms_excludes_at_least_two_passing_cases() -> None:
    failing = [*varied(direction="bidirectional"), *varied(direction="bidirectional", seq_len=4)]
    both = varied(direction="bidirectional", bias=False)
    assert found(failing, [*PLAIN, *both[:2]]).startswith("direction: bidirectional, bias: true (8 of 8")
    assert found(failing, [*PLAIN, both[0]]) == "direction: bidirectional (8 of 9 such cases fail, 0 of 4 others)"


def test_an_imperfect_condition_is_given_only_if_it_is_strong() -> None:
    failing, met = varied(direction="bidirectional"), {"direction": "bidirectional"}
    assert found(failing, [*PLAIN, met]) == "direction: bidirectional (4 of 5 such cases fail, 0 of 4 others)"
    assert not found(failing, [*PLAIN, met, met]), "4 of 6 such cases fail"
    assert found(failing * 3, [*PLAIN[:3], met, met]), "3 of 5 passing cases do not meet it"
    assert not found(failing * 3, [*PLAIN[:3], met, met, met]), "3 of 6 passing cases do not meet it"


def test_options_come_before_thresholds() -> None:
    failing = [each | {"seq_len": 9} for each in varied(lengths="ragged")]
    assert found([*failing, {"lengths": "ragged", "seq_len": 10}], PLAIN).startswith("lengths (5 of 5")


@pytest.mark.parametrize(("failing", "passing"), [(2, 4), (4, 2), (0, 4), (4, 0)])
def test_few_cases_have_no_condition(failing: int, passing: int) -> None:
    assert not found(varied(bias=False)[:failing], PLAIN[:passing])


def test_cases_that_differ_in_nothing_have_no_condition() -> None:
    assert not found(PLAIN, PLAIN)


def test_gradients_that_were_not_checked_are_no_feature() -> None:
    passing = [
        Result(f"a.yaml::{name}", name, "mine", "pass", features=("gradients",), unchecked={"gradients": "has none"})
        for name in "abc"
    ]
    failing = [Result(f"a.yaml::{name}", name, "mine", "fail", features=("gradients",)) for name in "def"]
    assert str(when.find(failing, passing)).startswith("gradients (3 of 3")


def test_a_condition_holds_for_cases_that_it_was_not_found_in() -> None:
    condition = when.find([result(hidden_size=size) for size in (33, 64, 40)], [result(bias=False) for _ in range(3)])
    assert condition is not None
    assert condition.holds(when.facts_of(result()))
    assert not condition.holds(when.facts_of(result(bias=False)))


def draws(count: int, failing: int) -> Iterator[tuple[list[Result], list[Result]]]:
    """Yields random sets of failing cases among 100 shipped cases, and the other cases."""
    cases = [blank(case, "mine", "pass") for case in load_all([shipped_cases()])[::4][:100]]
    draw = random.Random(0)
    for _ in range(count):
        shuffled = draw.sample(cases, len(cases))
        yield shuffled[:failing], shuffled[failing:]


@pytest.mark.parametrize("failing", [3, 10, 50, 90])
def test_random_failures_have_no_condition(failing: int) -> None:
    conditions = [when.find(*drawn) for drawn in draws(100, failing)]
    assert sum(condition is not None for condition in conditions) <= 5


Rule = Callable[[Case], bool]


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        (lambda case: case.direction == "bidirectional" and case.bias, "direction: bidirectional, bias: true ("),
        (lambda case: case.seq_len == 1, "seq_len is 1 ("),
        (lambda case: case.hidden_sizes[0] >= 16, "hidden_size ≥ 16 ("),
        (lambda case: case.lengths is not None and case.direction != "forward", "lengths, not direction: forward ("),
    ],
)
def test_the_condition_of_failing_shipped_cases_is_found(fails: Rule, words: str) -> None:
    cases = load_all([shipped_cases()])
    failing = [blank(case, "mine", "fail") for case in cases if fails(case)]
    passing = [blank(case, "mine", "pass") for case in cases if not fails(case)]
    assert str(when.find(failing, passing)).startswith(words)
