"""Small deviations are explained by rounding in one place."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from conformance.adapters import Adapter, Solution
from conformance.defects.catalogue import CATALOGUE, precision
from conformance.defects.defect import Defect
from conformance.defects.experiment.dissection import dissect
from conformance.defects.experiment.explain import computed
from conformance.defects.experiment.probes import DRIVEN, probe
from conformance.defects.experiment.rounding import rounding_rules
from conformance.defects.experiment.trial import Subject, Trial
from conformance.defects.solve import solve
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import round_to
from reference import Dialect
from reference.activations import ACTIVATIONS
from reference.cell import Cell
from tests.conformance.defects.experiment.broken import Altered, Arrays, parameters
from tests.conformance.defects.experiment.test_activations import WithCells


def to_bfloat16(array: Any) -> Any:
    """Rounds the bits of float32 to nearest, ties to even."""
    bits = np.asarray(array, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32).astype(np.float64)


def truncate_to_bfloat16(array: Any) -> Any:
    return (np.asarray(array, np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32).astype(np.float64)


class WithDefect(Altered):
    """The reference with a defect of the catalogue."""

    def __init__(self, defect: Defect) -> None:
        super().__init__(defect.id)
        self.defect = defect

    def solve(self, problem: Problem) -> Solution:
        with np.errstate(all="ignore"):
            found = solve(self.defect, problem, Dialect())
        return {name: round_to(problem.case.dtype, found[name]) for name in problem.expected_shapes()}


class NarrowState(Cell):
    """Stores the cell state in float16."""

    def step(self, z: Any, c_previous: Any) -> Any:
        m, c, step = super().step(z, c_previous)
        return m, np.float16(c).astype(np.float64), step


class NarrowGates(Cell):
    """Computes the gates in float16."""

    def step(self, z: Any, c_previous: Any) -> Any:
        _, _, step = super().step(z, c_previous)
        gates = np.float16(step.gates).astype(np.float64)
        i, f, g, o = np.split(gates, 4, axis=-1)
        c = f * c_previous + i * g
        return o * np.tanh(c), c, step._replace(gates=gates, squashed=np.tanh(c))


def round_weight_hh(problem: Problem) -> Problem:
    return parameters(
        problem, lambda name, arrays: to_bfloat16(arrays[name]) if name.startswith("weight_hh") else arrays[name]
    )


def truncate_input(problem: Problem) -> Problem:
    return replace(problem, input=truncate_to_bfloat16(problem.input))


def round_gradients(found: Arrays, problem: Problem) -> Arrays:
    del problem
    return {name: np.float16(array) if name.startswith("grad.") else array for name, array in found.items()}


def trial(adapter: Adapter, name: str = "both directions", dtype: str = "float32") -> Trial:
    subject = Subject(adapter)
    return subject.try_problem(subject.problem(probe(name, dtype)))


@pytest.mark.parametrize(
    ("adapter", "what"),
    [
        (WithCells(NarrowState(), NarrowState()), "rounds the stored cell state to float16 or TF32 (11 bits)"),
        (WithCells(NarrowGates(), NarrowGates()), "rounds the gates to float16"),
        (Altered("weight_hh", round_weight_hh), "rounds weight_hh to bfloat16"),
        (Altered("input", truncate_input), "rounds the input to bfloat16 by truncation"),
        (Altered("gradients", after=round_gradients), "rounds the returned gradients to float16"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_rounding_in_one_place_is_verified(adapter: Adapter, what: str) -> None:
    result = dissect(Subject(adapter), ("one layer", "both directions"))
    found = {(finding.what, finding.verified) for finding in result.findings}
    # Without subnormal numbers, float16 and TF32 are the same.
    assert found in ({(what, True)}, {(what.replace("float16", "float16 or TF32 (11 bits)"), True)})
    assert result.unexplained == []


def test_a_curve_and_rounding_are_verified_together() -> None:
    class Both(Cell):
        def step(self, z: Any, c_previous: Any) -> Any:
            _, _, step = super().step(z, c_previous)
            step.gates[...] = to_bfloat16(step.gates)
            i, f, g, o = np.split(step.gates, 4, axis=-1)
            c = f * c_previous + i * g
            return o * np.tanh(c), c, step._replace(squashed=np.tanh(c))

    cell = Both(forget_gate=ACTIVATIONS["hard_sigmoid_6"])
    result = dissect(Subject(WithCells(cell, cell)), (DRIVEN, "one layer"))
    assert {(finding.what, finding.verified) for finding in result.findings} == {
        ("computes the forget gate as a hard sigmoid, 1/6 z + 0.5 between 0 and 1", True),
        ("rounds the gates to bfloat16", True),
    }
    assert result.unexplained == []


def test_float64_that_is_rounded_to_float32_in_one_place_is_verified() -> None:
    adapter = Altered("returns", after=lambda found, _: found | {"output": np.float32(found["output"])})
    result = dissect(Subject(adapter), ("one layer",))
    assert [(finding.what, finding.verified) for finding in result.findings] == [
        ("rounds the returned output to float32", True)
    ]
    assert result.imprecise == ["one layer"]


def test_float64_that_becomes_float32_at_some_step_is_located() -> None:
    def change(found: Arrays, problem: Problem) -> Arrays:
        del problem
        random = np.random.default_rng(0)
        output = np.array(found["output"])
        output[3:] *= 1 + 2e-8 * random.choice([-1, 1], output[3:].shape)
        return found | {"output": output}

    result = dissect(Subject(Altered("late", after=change)), ("one layer",))
    assert result.findings == []
    assert result.imprecise_place == "output in steps from 3 on"


def test_large_deviations_are_not_rounding() -> None:
    adapter = Altered("double", after=lambda found, _: found | {"h_n": 2 * found["h_n"]})
    assert list(rounding_rules(trial(adapter))) == []


def test_a_conforming_or_unrelated_solution_has_no_explanation() -> None:
    noise = Altered(
        "noise", after=lambda found, _: found | {"h_n": found["h_n"] * (1 + 1e-4 * np.sin(9 * found["h_n"]))}
    )
    assert computed(trial(noise)) is None
    assert computed(trial(Altered("right"))) is None


def test_rounding_of_float64_does_not_apply_to_float32() -> None:
    adapter = Altered("returns", after=lambda found, _: found | {"output": np.float32(found["output"])})
    rules = computed(trial(adapter, "one layer", "float64"))
    assert rules
    assert [rules[0].applies_to(probe("one layer", dtype)) for dtype in ("float64", "float32")] == [True, False]


def test_no_other_defect_of_the_catalogue_is_explained_by_rounding() -> None:
    case = probe("both directions", "float32")
    explained: dict[str, str] = {}
    for defect in CATALOGUE[::5]:
        if defect.applies_to(case):
            found = trial(WithDefect(defect))
            rules = None if found.verdict.conforms else computed(found)
            explained |= {defect.id: str(rules[0])} if rules else {}
    narrow = {defect.id for defect in precision.DEFECTS} | {"grad-through-weights-in-bfloat16"}
    assert explained
    assert explained.keys() <= narrow
    formats = {
        name: what.removesuffix(" in the backward pass").rpartition(" to ")[2] for name, what in explained.items()
    }
    assert all(what in ("bfloat16", "float16 or TF32 (11 bits)") for what in formats.values())
