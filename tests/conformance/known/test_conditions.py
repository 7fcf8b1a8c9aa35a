"""Conditions on a problem agree with their definitions, on 2,000 random cases."""

from collections.abc import Callable
from itertools import islice

import pytest

from conformance.cases.case import Case
from conformance.known.conditions import CONDITIONS, describe
from conformance.verdict.values import valid_steps
from tests.conformance.known.random_cases import random_cases

CASES = list(islice(random_cases(0), 2000))


def lengths(case: Case) -> list[int]:
    """Returns the valid steps of each row."""
    found = valid_steps(case)
    return [case.seq_len] * (case.rows or 1) if found is None else [int(length) for length in found]


def first_step_is_padding(case: Case, length: int, reverse: bool) -> bool:
    """Returns whether the first step that a direction processes is padding, in a row of some length."""
    # Padding is at the end, at the start, or starts in the second step (holes).
    meets_padding = reverse if case.mask in ("right", "holed") else not reverse
    return length < case.seq_len if meets_padding else length == 0


def has_other_lengths(case: Case) -> bool:
    """Returns whether some call has another number of steps than the case."""
    return any((case.built_seq_len, case.chunks, *(word in ("longer", "shorter") for word in case.earlier_calls)))


def has_other_batches(case: Case) -> bool:
    """Returns whether some call has another number of rows than the case."""
    words = ("more-rows", "fewer-rows")
    return any((case.built_batch, case.batching == "alone", *(word in words for word in case.earlier_calls)))


def has_other_activations(case: Case) -> bool:
    """Returns whether some direction needs a clip or another activation than sigmoid and tanh."""
    names = case.activations * (6 // len(case.activations))
    return case.clip is not None or names != ("sigmoid", "tanh", "tanh") * 2


DEFINITIONS: dict[str, Callable[[Case], bool]] = {
    "padding": lambda case: min(lengths(case)) < case.seq_len,
    "padded row": lambda case: any(0 < length < case.seq_len for length in lengths(case)),
    "empty row": lambda case: 0 in lengths(case),
    "masked first step": lambda case: any(
        first_step_is_padding(case, length, reverse=suffix == "_reverse")
        for length in lengths(case)
        for suffix in case.model.suffixes
    ),
    "call of one step": lambda case: 1 in (case.seq_len, *case.chunks),
    "several steps": lambda case: case.seq_len >= 2,
    "several steps, rows or directions": lambda case: case.seq_len * len(lengths(case)) * len(case.model.suffixes) > 1,
    "as many steps as rows": lambda case: case.rows is not None and case.seq_len == len(lengths(case)),
    "frozen input": lambda case: bool({"input"}.intersection(case.frozen)),
    "frozen parameter": lambda case: any("_l" in name and name[0] in "wbp" for name in case.frozen),
    "dynamic axis": lambda case: has_other_lengths(case) or has_other_batches(case),
    "dynamic time axis": has_other_lengths,
    "dynamic batch axis": has_other_batches,
    "static axes": lambda case: not (has_other_lengths(case) or has_other_batches(case)),
    "static batch axis": lambda case: not has_other_batches(case),
    "plain activations": lambda case: not has_other_activations(case),
    "other activations": lambda case: has_other_activations(case),
    "four units": lambda case: any(size >= 4 for size in case.hidden_sizes),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_holds_by_its_definition(name: str) -> None:
    found = [CONDITIONS[name](case) for case in CASES]
    assert found == [DEFINITIONS[name](case) for case in CASES]
    assert any(found)
    assert not all(found)


def test_a_condition_is_described_as_a_clause() -> None:
    assert describe("empty row") == "some row has no valid step"
    assert all(describe(name) for name in CONDITIONS)
