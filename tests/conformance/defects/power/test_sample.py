"""The sample tries each defect on a few cases, and does not depend on the order of the cases."""

from collections import Counter
from typing import Any

import pytest

from conformance.cases.case import Case
from conformance.defects.power import sample
from conformance.defects.power.kill_matrix import REQUIRED

SMALL: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "batch": 3, "seq_len": 3}
ALIKE = [Case.model_validate(SMALL | {"seq_len": steps}) for steps in range(3, 13)]
PEEPHOLES = Case.model_validate(SMALL | {"peepholes": True})
LAYERS = Case.model_validate(SMALL | {"num_layers": 2})
DOUBLE = Case.model_validate(SMALL | {"dtype": "float64"})
CASES = [*ALIKE, PEEPHOLES, LAYERS, DOUBLE]


def choose(cases: list[Case]) -> frozenset[str]:
    return sample.choose(cases, lambda _: True)


def test_every_defect_is_tried_twice_or_on_all_cases_to_which_it_applies() -> None:
    chosen = choose(CASES)
    assert 2 <= len(chosen) < len(CASES)
    for defect in REQUIRED:
        tried, applies = (
            Counter(case.dtype for case in cases if defect.applies_to(case))
            for cases in ([case for case in CASES if case.key in chosen], CASES)
        )
        for dtype in applies:
            assert tried[dtype] >= min(sample.TRIES, applies[dtype])


def test_the_order_of_the_cases_does_not_matter() -> None:
    assert choose(CASES) == choose(CASES[::-1]) == choose([*CASES, *CASES])


def test_a_case_that_is_not_supported_is_not_chosen() -> None:
    chosen = sample.choose(CASES, lambda case: case.num_layers == 1)
    assert LAYERS.key not in chosen
    assert PEEPHOLES.key in chosen


def test_an_exhausted_budget_ends_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "FREE_COST", 0)
    monkeypatch.setattr(sample, "MAX_SHARE", 0)
    assert len(choose(CASES)) == 1
    assert choose([]) == frozenset()
