"""Each option and size whose change makes a case pass is a term."""

from collections.abc import Callable

import pytest

from conformance.cases.case import Case
from conformance.defects.experiment.terms import Ask, option_terms, size_terms

CASE = Case.model_validate({"input_size": 3, "hidden_size": 8, "seq_len": 12, "batch": 4, "direction": "bidirectional"})


def asking(fails: Callable[[Case], bool]) -> Ask:
    return lambda case: None if case is None else fails(case)


def test_an_option_is_a_term_only_if_another_value_passes() -> None:
    [term] = option_terms(CASE, "direction", asking(lambda case: case.direction != "forward"))
    assert term.text == "not direction: forward"
    assert not list(option_terms(CASE, "bias", asking(lambda _: True)))


@pytest.mark.parametrize(
    ("fails", "texts"),
    [
        (lambda case: case.seq_len >= 9, ["seq_len ≥ 9"]),
        (lambda case: max(case.hidden_sizes) % 8 == 0, ["hidden_size is a multiple of 8"]),
        (lambda case: case.seq_len * (case.rows or 1) >= 40, ["seq_len · batch ≥ 40"]),
        (lambda _: True, []),
    ],
)
def test_sizes_have_exact_bounds(fails: Callable[[Case], bool], texts: list[str]) -> None:
    assert [term.text for term in size_terms(CASE, asking(fails))] == texts
