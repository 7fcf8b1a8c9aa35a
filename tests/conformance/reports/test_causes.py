from dataclasses import replace

from conformance.reports.causes import count_cases, group_by_cause
from conformance.results.explanation import Explanation
from conformance.results.record import Result


def failed(case: str, *causes: str, implementation: str = "mine") -> Result:
    words = {cause: f"with {cause}" for cause in causes}
    return Result(case, case, implementation, "fail", diagnosis="something", causes=words)


def test_a_group_lists_only_the_causes_that_all_its_failures_share() -> None:
    groups = group_by_cause([failed("one", "a", "b", "c"), failed("two", "b", "c"), failed("three", "c", "b")])
    assert [(group.defects, len(group.results)) for group in groups] == [(("b", "c"), 3)]
    assert groups[0].what == "behaves exactly like an LSTM with b, or like one with c"


def test_a_group_is_not_exact_if_one_of_its_failures_is_not() -> None:
    wide = replace(failed("one", "a"), diagnosis="behaves within its declared rounding like an LSTM with a")
    [group] = group_by_cause([wide, failed("two", "a")])
    assert group.what == "behaves within its declared rounding like an LSTM with a"


def test_each_failure_is_in_one_group_by_its_most_frequent_cause() -> None:
    groups = group_by_cause([failed("one", "a", "b"), failed("two", "b"), failed("three", "a"), failed("four", "b")])
    assert [(group.defects, [result.case for result in group.results]) for group in groups] == [
        (("b",), ["one", "two", "four"]),
        (("a",), ["three"]),
    ]


def test_implementations_and_unexplained_failures_have_their_own_groups() -> None:
    undiagnosed = Result("five", "five", "mine", "error")
    groups = group_by_cause(
        [failed("one", "a"), failed("two", "a", implementation="other"), failed("three"), undiagnosed]
    )
    assert [(group.implementation, group.defects, count_cases(group.results)) for group in groups] == [
        ("mine", ("a",), "1 case"),
        ("mine", (), "1 case"),
        ("other", ("a",), "1 case"),
    ]
    assert groups[1].what == "unexplained"


def test_each_group_has_the_condition_that_separates_its_failures_from_the_passing_cases() -> None:
    passing = [Result(f"pass {number}", f"pass {number}", "mine", "pass") for number in range(4)]
    biases = [replace(failed(f"bias {number}", "a"), options={"bias": False}) for number in range(3)]
    reverse = [replace(failed(f"reverse {number}", "b"), options={"direction": "reverse"}) for number in range(4)]
    unexplained = [replace(failed(f"clip {number}"), features=("clip",)) for number in range(3)]
    groups = group_by_cause([*passing, *biases, *reverse, *unexplained])
    assert [group.when for group in groups] == [
        "direction: reverse (4 of 4 such cases fail, 0 of 4 others)",
        "bias: false (3 of 3 such cases fail, 0 of 4 others)",
        "clip (3 of 3 such cases fail, 0 of 4 others)",
    ]


def test_only_passing_cases_of_the_same_implementation_count_as_passing() -> None:
    failures = [replace(failed(f"fail {number}", "a"), options={"bias": False}) for number in range(3)]
    passing = [Result(f"pass {number}", f"pass {number}", "mine", "pass") for number in range(3)]
    assert group_by_cause([*failures, *passing])[0].when
    others = [
        [*passing[:2], replace(passing[2], status=status)] for status in ("known", "unsupported", "not-run", "error")
    ]
    for results in (*others, [replace(result, implementation="other") for result in passing]):
        assert not group_by_cause([*failures, *results])[0].when


def test_known_divergences_are_not_failures() -> None:
    assert group_by_cause([replace(failed("one", "a"), status="known")]) == []


def test_a_confirmed_condition_takes_the_place_of_one_from_results() -> None:
    explanation = Explanation("mine", "reads no bias", ("one", "two", "three"), when="bias: true")
    passing = [Result(name, name, "mine", "pass", features=("layers",)) for name in "abc"]
    [group] = group_by_cause([*map(failed, explanation.keys), *passing], [explanation])
    assert group.facts["when"] == "bias: true"
    [group] = group_by_cause([*map(failed, explanation.keys), *passing], [replace(explanation, when="")])
    assert group.facts["when"].startswith("not layers (3 of 3")
