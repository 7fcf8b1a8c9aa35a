"""Mistakes in derivatives along a direction are explained, and other mistakes in cases that compare them."""

from dataclasses import replace
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.experiment.dissection import investigate
from conformance.defects.experiment.findings import Finding
from conformance.defects.experiment.trial import Subject
from conformance.verdict.problem import Problem
from tests.conformance.defects.experiment.broken import Altered, Arrays

RESULTS = ("output", "h_n", "c_n")
EVERY = (*RESULTS, "gradients", "jvp", "hvp")


def findings(adapter: Altered, *check: str, **options: Any) -> list[Finding]:
    sizes = {"input_size": 2, "hidden_size": 3, "seq_len": 4, "batch": 2, "dtype": "float64", "name": "case"}
    case = Case.model_validate({**sizes, "check": check, **options})
    return investigate(Subject(adapter), (), [case])[0].findings


def verified(adapter: Altered, *check: str) -> list[str]:
    found = findings(adapter, *check)
    assert all(finding.verified for finding in found)
    return [finding.what for finding in found]


def test_a_wrong_second_derivative_with_a_right_first_one() -> None:
    def after(found: Arrays, _: Problem) -> Arrays:
        return {name: array * 0.5 if name.startswith("hvp.weight_hh") else array for name, array in found.items()}

    assert verified(Altered("half", after=after), "gradients", "hvp") == ["returns hvp.weight_hh multiplied by 1/2"]
    assert verified(Altered("half", after=after), "hvp") == ["returns hvp.weight_hh multiplied by 1/2"]


def test_derivatives_follow_a_wrong_read() -> None:
    def reverse(arrays: Any, name: str) -> Arrays:
        return {**arrays, name: arrays[name][:, ::-1]} if name in arrays else dict(arrays)

    def before(problem: Problem) -> Problem:
        assert problem.initial_state
        return replace(
            problem, initial_state=reverse(problem.initial_state, "h_0"), tangents=reverse(problem.tangents, "h_0")
        )

    def after(found: Arrays, _: Problem) -> Arrays:
        return reverse(reverse(found, "grad.h_0"), "hvp.h_0")

    adapter = Altered("rows", before, after)
    assert verified(adapter, *EVERY) == ["reads h_0 with the rows in reverse order"]


def test_derivatives_follow_a_wrong_result() -> None:
    def after(found: Arrays, _: Problem) -> Arrays:
        return {name: -array if name.endswith("h_n") else array for name, array in found.items()}

    assert verified(Altered("negative", after=after), *RESULTS, "jvp") == ["returns h_n multiplied by -1"]


def test_a_second_derivative_that_is_not_explained_is_located() -> None:
    def after(found: Arrays, _: Problem) -> Arrays:
        wrong = np.array(found["hvp.weight_hh_l0"])
        wrong[3:6] = np.sin(wrong[3:6])
        return found | {"hvp.weight_hh_l0": wrong}

    [finding] = findings(Altered("sine", after=after), *EVERY)
    assert finding.what.endswith("hvp.weight_hh in the forget gate")
    assert not finding.verified
