from conformance.reports.causes import count_cases, group_by_cause
from conformance.results.record import Result


def failed(case: str, *causes: str, implementation: str = "mine") -> Result:
    words = {cause: f"with {cause}" for cause in causes}
    return Result(case, case, implementation, "fail", diagnosis="something", causes=words)


def test_a_group_lists_only_the_causes_that_all_its_failures_share() -> None:
    groups = group_by_cause([failed("one", "a", "b", "c"), failed("two", "b", "c"), failed("three", "c", "b")])
    assert [(group.defects, len(group.results)) for group in groups] == [(("b", "c"), 3)]
    assert groups[0].what == "behaves exactly like an LSTM with b, or like one with c"


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
