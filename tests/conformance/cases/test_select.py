import pytest

from conformance.cases.case import Case
from conformance.cases.select import Selection, compile_expression
from conformance.errors import UserError

TEXT = "cases/lengths.yaml::Two-Layers\nslow\ntorch.nn.LSTM"


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("", True),
        ("  ", True),
        ("two-layers", True),
        ("lstm", True),
        ("lengths.yaml::two-layers", True),
        ("cases/lengths.yaml::two-layers", True),
        ("lengths.yaml::two", False),
        ("engths.yaml::two-layers", False),
        ("lengths.yaml::", True),
        ("not slow", False),
        ("not not slow", True),
        ("slow and fast", False),
        ("slow or fast", True),
        ("fast and fast or slow", True),
        ("fast and (fast or slow)", False),
        ("NOT fast AND slow", True),
        ("not (fast or other)", True),
        ("'two-layers'", True),
        ('"slow and"', False),
        ("android", False),
    ],
)
def test_an_expression_matches_a_text(expression: str, holds: bool) -> None:
    assert compile_expression(expression)(TEXT) is holds


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("slow and", "expected a word at the end"),
        ("and slow", "expected a word before 'and'"),
        ("slow fast", "expected 'and' or 'or' before 'fast'"),
        ("(slow", r"missing closing '\)'"),
        ("slow)", r"unmatched '\)'"),
        ("()", r"expected a word before '\)'"),
        ("'slow", "missing closing quote"),
        ("not", "expected a word at the end"),
        ("(" * 5000, "more than 50 parentheses"),
        ("not " * 5000 + "(", "expected a word at the end"),
    ],
)
def test_an_invalid_expression_is_explained(expression: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        compile_expression(expression)


def make_case(name: str, dtype: str = "float32", *tags: str) -> Case:
    return Case.model_validate(
        {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3, "dtype": dtype, "tags": tags, "name": name}
    )


CASES = [make_case("one", "float32", "few"), make_case("two", "float64", "few", "slow"), make_case("three", "float64")]


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (Selection(), ["one", "two", "three"]),
        (Selection("few"), ["one", "two"]),
        (Selection("faithful and not one"), ["two", "three"]),
        (Selection(tags=("slow", "other")), ["two"]),
        (Selection(dtypes=("float64",)), ["two", "three"]),
        (Selection("t", ("few",), ("float64",)), ["two"]),
    ],
)
def test_a_case_must_meet_all_conditions(selection: Selection, names: list[str]) -> None:
    assert [case.name for case in selection.cases(CASES, "faithful")] == names
