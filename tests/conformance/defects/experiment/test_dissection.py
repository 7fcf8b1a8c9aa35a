"""Experiments find what broken implementations read and return wrongly, and nothing in correct ones."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from conformance.adapters import Adapter, Solution
from conformance.cases.case import Case
from conformance.defects.experiment import dissection
from conformance.defects.experiment.dissection import dissect
from conformance.defects.experiment.explain import explain
from conformance.defects.experiment.inputs import read_rules
from conformance.defects.experiment.moves import moves
from conformance.defects.experiment.probes import DRIVEN, probe
from conformance.defects.experiment.rule import Rule
from conformance.defects.experiment.trial import Subject
from conformance.verdict.problem import Problem
from reference import PROFILES, Profile
from tests.conformance.defects.experiment import broken
from tests.conformance.defects.experiment.broken import Altered, no_gradients
from tests.conformance.defects.experiment.test_activations import BIASED, WithCells

STACK, BOTH, LENGTHS = "two layers, both directions", "both directions", "two layers, both directions, lengths"
MANY = ("one layer", "two layers", BOTH, LENGTHS, "no biases", "one row", "one step")


@pytest.fixture(autouse=True)
def _generous_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes findings independent of the machine's speed."""
    monkeypatch.setattr(dissection, "MAX_CPU_SECONDS", 60.0)
    monkeypatch.setattr(dissection, "MAX_TOTAL_CPU_SECONDS", 600.0)


def verified(adapter: Adapter, probes: Sequence[str] = MANY) -> dict[str, tuple[str, ...]]:
    """Returns the probes of each verified finding, and requires that there are no observations."""
    result = dissect(Subject(adapter), probes)
    assert all(finding.verified for finding in result.findings), result.findings
    assert result.unexplained == []
    return {finding.what: finding.probes for finding in result.findings}


FOLLOW = "; the gradients do not follow"
CORRECT = "; the gradients are correct"


@pytest.mark.parametrize(
    ("adapter", "what", "probes"),
    [
        (
            Altered("bias", broken.forward_bias_in_reverse, broken.sum_bias_gradients),
            "reads bias_ih and bias_hh of both directions from the forward direction",
            (BOTH, LENGTHS),
        ),
        (
            Altered("bias-loader", broken.forward_bias_in_reverse),
            "reads bias_ih and bias_hh of both directions from the forward direction" + FOLLOW,
            (BOTH, LENGTHS),
        ),
        (
            Altered("h_0-rows", broken.reverse_h_0_rows, broken.reverse_h_0_gradient_rows),
            "reads h_0 with the rows in reverse order",
            ("one layer", "two layers", BOTH, LENGTHS, "no biases", "one step"),
        ),
        (
            Altered("c_0-layer", broken.c_0_of_layer_0, refuses=no_gradients),
            "reads c_0 of every layer from layer 0",
            ("two layers", LENGTHS),
        ),
        (
            Altered("last-step", after=broken.repeat_last_output, refuses=no_gradients),
            "returns output of every step from the last step",
            ("one layer", "two layers", BOTH, LENGTHS, "no biases", "one row"),
        ),
        (
            Altered("average", after=broken.average_weight_hh_gradient),
            "returns grad.weight_hh multiplied by 1/B",
            ("one layer", "two layers", BOTH, LENGTHS, "no biases", "one step"),
        ),
        (
            Altered("bias_hh", broken.ignore_bias_hh_of_layer_1, broken.no_bias_hh_gradient_of_layer_1),
            "ignores bias_hh of layer 1",
            ("two layers", LENGTHS),
        ),
        (Altered("lengths", broken.ignore_lengths), "reads lengths as T in every row", (LENGTHS,)),
        (
            Altered("gates", broken.read_gates_as_iofg),
            "reads weight_ih, weight_hh, bias_ih and bias_hh as if the gates were in the order i, o, f, g" + FOLLOW,
            MANY,
        ),
        (
            Altered("stored-gates", after=broken.store_gates_as_iofg),
            "returns grad.weight_hh with the gates in the order i, o, f, g",
            MANY,
        ),
        (
            Altered("reshape", after=broken.reshape_output),
            "returns output reshaped from (batch, time) order instead of transposed" + CORRECT,
            ("one layer", "two layers", BOTH, LENGTHS, "no biases"),
        ),
        (Altered("cotangent", broken.ignore_c_n_cotangent), "ignores the cotangents of c_n", MANY),
        (
            Altered("sum", after=broken.add_h_n_and_c_n),
            "returns c_n in the wrong places (c_n, layer 0, forward, row 0 is h_n, layer 0, forward, row 0 plus c_n, "
            "layer 0, forward, row 0)" + CORRECT,
            MANY,
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Adapter) else "",
)
def test_a_single_mistake_is_found_and_verified(adapter: Adapter, what: str, probes: tuple[str, ...]) -> None:
    assert verified(adapter) == {what: probes}


@pytest.mark.parametrize(
    ("adapter", "what"),
    [
        (
            Altered("units", after=broken.reverse_units_of_output),
            "returns output with the units in reverse order" + CORRECT,
        ),
        (
            Altered("rows", after=broken.roll_rows_of_h_n),
            "returns h_n from the row before, around the ends" + CORRECT,
        ),
        (
            Altered("some-units", after=broken.scale_units_of_c_n),
            "returns c_n in odd units multiplied by 1.25" + CORRECT,
        ),
        (Altered("factor", broken.scale_c_0), "reads c_0 multiplied by 0.7" + FOLLOW),
        (Altered("unit", broken.one_unit_of_h_n_cotangent), "reads the cotangents of h_n from unit 0"),
    ],
    ids=lambda value: value.name if isinstance(value, Adapter) else "",
)
def test_units_shifts_and_factors_are_found(adapter: Adapter, what: str) -> None:
    assert verified(adapter, ("one layer",)) == {what: ("one layer",)}


def test_the_same_mistake_in_two_tensors_is_one_finding() -> None:
    assert verified(Altered("double", after=broken.double_bias_gradients), ("one layer", BOTH)) == {
        "returns grad.bias_ih and grad.bias_hh multiplied by 2": ("one layer", BOTH)
    }


def test_two_mistakes_are_found_together() -> None:
    found = verified(Altered("two", broken.two_reads, refuses=no_gradients), ("one layer", BOTH))
    assert found == {
        "reads c_0 with the rows in reverse order": ("one layer", BOTH),
        "ignores bias_hh of the reverse direction": (BOTH,),
    }


def test_a_wrong_read_and_a_wrong_return_are_found_together() -> None:
    adapter = Altered("read-and-return", broken.reverse_h_0_rows, broken.repeat_last_output, refuses=no_gradients)
    found = verified(adapter, ("one layer", BOTH))
    assert set(found) == {
        "reads h_0 with the rows in reverse order",
        "returns output of every step from the last step",
    }


def test_an_explanation_of_one_layer_is_not_corrected_by_a_second_rule() -> None:
    def before(problem: Problem) -> Problem:
        if problem.lengths is None:
            return problem
        lengths = np.sort(problem.lengths)
        mask = np.arange(problem.case.seq_len)[:, None] < lengths
        return replace(problem, lengths=lengths, mask=mask)

    def after(found: broken.Arrays, problem: Problem) -> broken.Arrays:
        sign = np.ones(len(found["h_n"]))
        sign[: problem.case.model.num_directions] = -1
        return found | {"h_n": found["h_n"] * sign[:, None, None]}

    adapter = Altered("first-layer", before, after, no_gradients)
    result = dissect(Subject(adapter), ("one layer", "lengths", LENGTHS))
    assert [finding.what for finding in result.findings] == [
        "returns h_n of layer 0 multiplied by -1",
        "reads lengths in ascending order",
    ]


def test_a_factor_in_some_units_that_are_read_is_found() -> None:
    def change(problem: Problem) -> Problem:
        scale = 1 + (np.arange(problem.case.hidden_sizes[0]) >= 2)
        return broken.states(problem, lambda name, arrays: arrays[name] * (scale if name == "c_0" else 1))

    adapter = Altered("some-units", change, refuses=no_gradients)
    assert verified(adapter, ("one layer",)) == {"reads c_0 in units from 2 on multiplied by 2": ("one layer",)}


class _WrongActivationAndRow(WithCells):
    """Adds 1 to the argument of the forget gate, and returns c_n of row 1 multiplied by 1.01."""

    def __init__(self) -> None:
        super().__init__(BIASED, BIASED, refuses=no_gradients)

    def solve(self, problem: Problem) -> Solution:
        found = dict(super().solve(problem))
        c_n = np.array(found["c_n"])
        c_n[:, 1] *= 1.01
        return found | {"c_n": c_n}


def test_a_wrong_activation_and_a_wrong_row_are_found_together() -> None:
    found = verified(_WrongActivationAndRow(), (DRIVEN, "one layer"))
    assert set(found) == {"computes the forget gate as sigmoid(z + 1)", "returns c_n of row 1 multiplied by 1.01"}


def test_padding_that_is_read_but_not_returned_is_found() -> None:
    adapter = Altered("padding", broken.ignore_lengths, broken.zeros_in_padding, refuses=no_gradients)
    assert verified(adapter, ("one layer", "lengths", LENGTHS)) == {
        "reads lengths as T in every row": ("lengths", LENGTHS),
        "returns output of the padding as zeros": ("lengths", LENGTHS),
    }


@pytest.mark.parametrize(
    "adapter",
    [
        broken.OwnArithmetic("gates-stored-in-another-order", refuses=no_gradients),
        broken.Backwards("another-order-of-summation", refuses=no_gradients),
        broken.RowByRow("row-by-row"),
        Altered("float32", refuses=lambda case: case.dtype == "float64"),
        Altered("float64"),
    ],
    ids=lambda adapter: adapter.name,
)
def test_nothing_is_claimed_about_a_correct_implementation(adapter: Adapter) -> None:
    result = dissect(Subject(adapter))
    assert (result.findings, result.failing, result.unexplained) == ([], [], [])
    assert result.is_correct
    assert len(result.probed) == 13
    parameters, states, sequence = 2 * 2 * 4 * 4, 2 * 2 * 2 * 3, 5 * 3
    cotangents = 0 if result.forward_only else states + 2 * sequence
    assert result.changed == parameters + states + sequence + cotangents


def test_gradients_are_left_out_where_they_are_unsupported() -> None:
    result = dissect(Subject(Altered("forward", refuses=no_gradients)), ("one layer",))
    assert result.forward_only == ["one layer"]
    assert result.changed == 4 * 4 + 15 + 6


def test_float32_is_used_if_float64_is_unsupported() -> None:
    adapter = Altered("h_0-rows", broken.reverse_h_0_rows, broken.reverse_h_0_gradient_rows, _is_float64)
    result = dissect(Subject(adapter), ("one layer",))
    assert result.probed == {"one layer": "float32"}
    assert [finding.verified for finding in result.findings] == [True]


def test_bfloat16_is_used_if_nothing_wider_is_supported() -> None:
    adapter = Altered("narrow", refuses=lambda case: case.dtype != "bfloat16" or no_gradients(case))
    result = dissect(Subject(adapter), ("one layer",))
    assert result.probed == {"one layer": "bfloat16"}
    assert result.is_correct


def _is_float64(case: Case) -> bool:
    return case.dtype == "float64"


def test_nothing_else_is_claimed_if_results_do_not_repeat() -> None:
    result = dissect(Subject(broken.Stateful()), ("one layer", STACK))
    assert [finding.what for finding in result.findings] == [
        "does not repeat: h_n changes when the same problem is solved twice in a row",
        "fails in 9 of 10 runs of the same problem",
    ]
    assert not result.is_correct
    assert not result.repeats
    assert result.failing == []


def test_an_ignored_change_is_observed_although_all_probes_conform() -> None:
    result = dissect(Subject(broken.Caches()), ("one layer",))
    assert result.failing == []
    assert [finding.what for finding in result.findings] == [
        f"bias_hh, layer 0, forward, {gate} gate has no effect" for gate in ("input", "forget", "candidate", "output")
    ]
    assert not any(finding.verified for finding in result.findings)


def test_reading_the_padding_is_observed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dissection, "MAX_CPU_SECONDS", 0.0)

    def add_padding(found: dict[str, Any], problem: Problem) -> dict[str, Any]:
        return found | {"h_n": found["h_n"] + 0.1 * np.tanh(problem.input[-1, 2].sum())}

    result = dissect(Subject(Altered("padding", after=add_padding, refuses=no_gradients)), ("lengths",))
    whats = [finding.what for finding in result.findings]
    assert "input, step 4, row 2 must not be read, but acts on h_n, layer 0, forward, row 0 and 2 more" in whats
    assert not any(finding.verified for finding in result.findings)


def test_wrong_arithmetic_is_not_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dissection, "MAX_CPU_SECONDS", 0.0)
    result = dissect(Subject(Altered("sine", after=broken.add_sine)), ("one layer", "two layers"))
    assert [(finding.what, finding.verified) for finding in result.findings] == [
        ("c_n deviates; output, h_n, gradients conform", False)
    ]
    assert result.unexplained == ["one layer", "two layers"]


def test_a_finding_that_another_failing_probe_contradicts_is_an_observation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dissection, "MAX_CPU_SECONDS", 0.0)

    def change(found: dict[str, Any], problem: Problem) -> dict[str, Any]:
        return broken.add_sine(found, problem) if problem.case.num_layers > 1 else found | {"h_n": -found["h_n"]}

    result = dissect(Subject(Altered("contradicts", after=change)), ("one layer", "two layers"))
    assert ("returns h_n multiplied by -1" + CORRECT, False) in [
        (finding.what, finding.verified) for finding in result.findings
    ]
    assert not any(finding.verified for finding in result.findings)


def test_rules_that_change_nothing_are_left_out() -> None:
    adapter = Altered("h_0-rows", broken.reverse_h_0_rows, broken.reverse_h_0_gradient_rows)
    subject, case = Subject(adapter), probe("one layer", "float64")
    trial = subject.try_problem(subject.problem(case))
    [needed] = [rule for rule in read_rules(case) if str(rule) == "reads h_0 with the rows in reverse order"]
    # The gradients of both biases are equal.
    [same] = [move for move in moves("grad.bias_ih", case) if move.words == "from grad.bias_hh"]
    idle = Rule("returns", ("grad.bias_ih",), same)
    assert explain(trial, list, [(needed, idle)]) == (needed,)


def test_a_coincidence_in_one_draw_is_not_verified() -> None:
    def change(found: dict[str, Any], problem: Problem) -> dict[str, Any]:
        return found | {"h_n": found["h_n"] * (-1 if problem.draw == 0 else -2)}

    result = dissect(Subject(Altered("draw", after=change)), ("one layer",))
    assert not any(finding.verified for finding in result.findings)
    assert result.unexplained == ["one layer"]


@pytest.mark.parametrize(
    ("after", "what"),
    [
        (lambda found, _: found | {"c_n": found["c_n"][0]}, "c_n has shape (3, 4)"),
        (lambda found, _: found | {"c_n": found["c_n"] * np.nan}, "NaN begins in c_n at layer 0"),
        (lambda found, _: found | {"h_n": 1 / 0}, "raises ZeroDivisionError: division by zero"),
    ],
)
def test_what_cannot_be_compared_is_reported(after: Callable[..., Any], what: str) -> None:
    result = dissect(Subject(Altered("odd", after=after)), ("one layer",))
    assert result.failing == ["one layer"]
    assert [what in finding.what for finding in result.findings] == [True]


def test_a_wide_profile_is_not_exact() -> None:
    class Wide(Altered):
        def profile(self, case: Case) -> Profile:
            del case
            return PROFILES["tf32"]

    result = dissect(Subject(Wide("wide", refuses=_is_float64)), ("one layer",))
    assert result.is_correct
    assert not result.exact
    assert dissect(Subject(Altered("exact")), ("one layer",)).exact


def test_an_implementation_that_returns_no_mapping_is_reported() -> None:
    class ReturnsNone(Altered):
        def solve(self, problem: Problem) -> Any:
            del problem

    result = dissect(Subject(ReturnsNone("none")), ("one layer",))
    assert [finding.what[:32] for finding in result.findings] == ["raises TypeError: solve returned"]


def test_a_probe_that_cannot_be_judged_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.verdict.oracle.MAX_CONDITION", 1.0)
    result = dissect(Subject(Altered("chaotic")), ("one layer",))
    assert result.unsupported["one layer"].startswith("cannot be judged: ")
    assert result.probed == {}
