from dataclasses import replace

import pytest

from conformance.reports.explain import explain, headline, wrapped
from conformance.results.record import Result
from tests.conformance.reports.test_markdown import ERROR, FAILED

DETAIL = {
    "reason": "h_n is off by 0.25 at layer 0, forward, row 1, unit 3: got 0.75, expected 0.5, error ratio 250",
    "where": "layer 0, forward, row 1, unit 3",
    "index": [0, 1, 3],
    "expected": 0.5,
    "expected_hex": "0x1.0000000000000p-1",
    "got": 0.75,
    "got_hex": "0x1.8000000000000p-1",
    "budget": 0.001,
    "wrong": 2,
    "of": 8,
    "rtol_to_pass": 0.5,
    "atol_to_pass": 0.25,
}
WRONG = Result(
    "cases/a.yaml::two",
    "k",
    "mine",
    "fail",
    str(DETAIL["reason"]),
    error_ratio=250.0,
    tensors={"output": 0.5, "h_n": 250.0, "c_n": 40.0, "grad.input": float("inf")},
    details={
        "c_n": DETAIL,
        "h_n": DETAIL,
        "grad.input": {"reason": "grad.input is not finite in 3 of 9 elements, first nan at step 0", "where": "step 0"},
    },
    diagnosis="behaves exactly like an LSTM whose gates are read i, o, f, g, with gradients left as they were read",
    notes=("UserWarning: slow",),
)


def test_a_failure_is_explained_with_its_commands() -> None:
    finite = {name: detail for name, detail in WRONG.details.items() if name != "grad.input"}
    assert explain(replace(WRONG, details=finite), "mine.py:LSTM").splitlines() == [
        "fail cases/a.yaml::two[mine]",
        "  what      h_n, 2 of 8 elements",
        "  where     layer 0, forward, row 1, unit 3",
        "  got       0.75 (0x1.8000000000000p-1)",
        "  expected  0.5 (0x1.0000000000000p-1)",
        "  off by    0.25, budget 0.001, error ratio 250 (up to 1 conforms)",
        "  to pass   rtol 0.5, or atol 0.25",
        "  also      c_n (error ratio 40)",
        "  within    output, grad.input",
        "  cause     behaves exactly like an LSTM whose gates are read i, o, f, g, with",
        "            gradients left as they were read",
        "  note      UserWarning: slow",
        "  again     conformance run cases/a.yaml -i mine.py:LSTM -k cases/a.yaml::two",
        "            pytest 'cases/a.yaml::two[mine]' --conformance-implementation mine.py:LSTM",
    ]


def test_a_tensor_that_is_not_finite_comes_first() -> None:
    lines = explain(WRONG).splitlines()
    assert lines[1] == "  what      grad.input is not finite in 3 of 9 elements, first nan at step 0"
    assert lines[2] == "  also      h_n (error ratio 250); c_n (error ratio 40)"


def test_a_headline_is_one_line() -> None:
    assert headline(replace(WRONG, details={"h_n": DETAIL})) == "fail: h_n is off by 0.25, error ratio 250"
    assert headline(ERROR) == "error: no"
    assert headline(FAILED) == "fail: h_n is off"


def test_the_number_of_listed_tensors_is_limited() -> None:
    many = {f"grad.weight_ih_l{layer}": DETAIL for layer in range(20)}
    text = " ".join(explain(replace(WRONG, details=many)).split())
    assert "and 11 more" in text


def test_a_traceback_is_not_wrapped() -> None:
    lines = explain(ERROR).splitlines()
    assert lines[:5] == ["error a.yaml::three[fake]", "  what      no", "  Traceback", "  ```", "  no"]
    assert lines[-2] == "  again     conformance run a.yaml -i fake -k a.yaml::three"


def test_a_result_that_does_not_deviate_has_no_commands() -> None:
    assert explain(Result("a::b", "k", "mine", "unsupported", "no lengths")).splitlines() == [
        "unsupported a::b[mine]",
        "  what      no lengths",
    ]


@pytest.mark.parametrize("result", [WRONG, FAILED, replace(WRONG, diagnosis="a " * 300)])
def test_lines_have_at_most_80_columns(result: Result) -> None:
    commands = ("conformance run", "pytest ")
    assert all(len(line) <= 80 for line in explain(result).splitlines() if not line.lstrip().startswith(commands))


def test_a_long_word_is_not_broken() -> None:
    word = "x" * 100
    assert wrapped(f"a {word} b", "  ").splitlines() == ["  a", f"  {word}", "  b"]
