from conformance.reports.causes import cases, explained
from conformance.results.record import Result


def failed(case: str, *causes: str, implementation: str = "mine") -> Result:
    words = {cause: f"with {cause}" for cause in causes}
    return Result(case, case, implementation, "fail", diagnosis="something", causes=words)


def test_what_cases_have_in_common_narrows_the_cause_down() -> None:
    groups = explained([failed("one", "a", "b", "c"), failed("two", "b", "c"), failed("three", "c", "b")])
    assert [(group.defects, len(group.results)) for group in groups] == [(("b", "c"), 3)]
    assert groups[0].what == "behaves exactly like an LSTM with b, or like one with c"


def test_each_failure_is_explained_once_by_the_commonest_cause() -> None:
    groups = explained([failed("one", "a", "b"), failed("two", "b"), failed("three", "a"), failed("four", "b")])
    assert [(group.defects, [result.case for result in group.results]) for group in groups] == [
        (("b",), ["one", "two", "four"]),
        (("a",), ["three"]),
    ]


def test_implementations_and_what_nothing_explains_are_kept_apart() -> None:
    undiagnosed = Result("five", "five", "mine", "error")
    groups = explained([failed("one", "a"), failed("two", "a", implementation="other"), failed("three"), undiagnosed])
    assert [(group.implementation, group.defects, cases(group.results)) for group in groups] == [
        ("mine", ("a",), "1 case"),
        ("mine", (), "1 case"),
        ("other", ("a",), "1 case"),
    ]
    assert groups[1].what == "unexplained"
