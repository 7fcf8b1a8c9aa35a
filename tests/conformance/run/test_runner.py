"""Each way in which an implementation can fail has exactly one status."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

import reference
from conformance.adapters import Adapter, Solution
from conformance.cases.case import Case
from conformance.cases.size import SizeLimits
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.defects.diagnosis.diagnose import Diagnosis
from conformance.defects.diagnosis.search import Cause
from conformance.defects.forward import Forward
from conformance.defects.power.bitmasks import Detector, Measured
from conformance.known.defects import make_defect
from conformance.results.explanation import Explanation
from conformance.results.record import Result, Status
from conformance.run.failures import Failure
from conformance.run.plan import by_shape
from conformance.run.runner import Runner
from conformance.verdict.declared import recording
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Oracle, solve
from conformance.verdict.problem import Problem
from reference import PROFILES, Dialect, Profile
from tests import fakes
from tests.divergences import make_divergence
from tests.reference.variants import Half


def make_case(**options: object) -> Case:
    values = {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3, "name": "a-case", "file": "a.yaml"}
    return Case.model_validate(values | options)


@pytest.mark.parametrize(
    ("adapter", "status", "reason"),
    [
        (fakes.Faithful, "pass", ""),
        (fakes.Views, "pass", ""),
        (fakes.Prints, "pass", ""),
        (fakes.Wrong, "fail", "grad.input"),
        (fakes.BatchFirstStates, "fail", "batch-first"),
        (fakes.NotANumber, "fail", "output"),
        (fakes.Incomplete, "fail", "c_n"),
        (fakes.Borderline, "fail", "output"),
        (fakes.OnceBorderline, "pass", ""),
        (fakes.ReturnsNone, "error", "TypeError: solve returned a NoneType"),
        (fakes.Raises, "error", "RuntimeError: no kernel for float32"),
        (fakes.CallsExit, "error", "SystemExit: 3"),
        (fakes.RaisesWithoutMessage, "error", "UnprintableError"),
        (fakes.RaisesInSupports, "error", "LookupError: a-case"),
        (fakes.Mutates, "error", "read-only"),
        (fakes.Picky, "unsupported", "only plain LSTMs"),
        (fakes.Absent, "not-run", "pip install a-framework"),
    ],
)
def test_each_fault_has_one_status(adapter: type[Adapter], status: Status, reason: str) -> None:
    result = Runner(Oracle(None)).check(make_case(), adapter())
    assert (result.status, reason in result.reason) == (status, True), result
    assert bool(result.details) == (status == "fail")
    assert bool(result.traceback) == (status == "error")
    assert (result.error_ratio is not None) == (status in ("pass", "fail"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, None),
        ({"direction": "bidirectional"}, None),
        ({"dtype": "float64"}, "declares is not driven in float64"),
        ({"num_layers": 2}, "declares has a single layer"),
        ({"lengths": "ragged"}, "declares needs rows of equal length"),
        ({"bias": False}, "declares always has biases"),
    ],
)
def test_an_undeclared_feature_is_unsupported_with_a_reason(options: dict[str, object], reason: str | None) -> None:
    result = Runner(Oracle(None)).check(make_case(**options), fakes.Declares())
    assert (result.status, result.reason) == (("unsupported", reason) if reason else ("pass", ""))


def test_a_case_that_cannot_be_judged_in_8_bits_is_unsupported() -> None:
    class Quantized(fakes.Faithful):
        def profile(self, case: Case) -> Profile:
            del case
            return PROFILES["int8-dynamic"]

    result = Runner(Oracle(None)).check(make_case(clip=1.0), Quantized())
    assert (result.status, result.rejected) == ("unsupported", False)
    assert result.reason.startswith("8 bits can move the argument of clip across a kink")


@pytest.mark.parametrize(("batch", "ends"), [(0, True), (1, False)])
def test_a_known_divergence_can_end_the_process(batch: int, ends: bool) -> None:
    entry = make_divergence(cases={"batch": 0}, tensors=[], error="died of SIG(FPE|ABRT)")
    runner = Runner(Oracle(None), (entry,))
    assert runner.needs_process(make_case(batch=batch), fakes.Faithful()) == ends


def test_the_forward_half_is_checked_without_gradients() -> None:
    case = make_case()
    result = Runner(Oracle(None)).check(case, fakes.ForwardOnly())
    assert (result.status, result.key) == ("pass", case.key)
    assert set(result.tensors) == {"output", "h_n", "c_n"}
    assert result.unchecked == {"gradients": "forward-only has no gradients"}


def test_an_error_in_the_forward_half_says_that_gradients_were_left_out() -> None:
    class Fails(fakes.Raises, fakes.ForwardOnly):
        pass

    result = Runner(Oracle(None)).check(make_case(), Fails())
    assert (result.status, result.unchecked) == ("error", {"gradients": "forward-only has no gradients"})


def test_a_case_that_checks_only_gradients_is_unsupported_without_them() -> None:
    result = Runner(Oracle(None)).check(make_case(check=["gradients"]), fakes.ForwardOnly())
    assert (result.status, result.unchecked) == ("unsupported", {})


def test_a_wrong_declared_shape_is_a_deviation_and_not_diagnosed() -> None:
    result = Runner(Oracle(None)).check(make_case(), fakes.Misdeclares())
    assert (result.status, result.diagnosis) == ("fail", "")
    assert result.reason == "output declares (?, 5, 3, 4), returns (5, 3, 4)"
    assert set(result.details) == {"declared.output"}


class Inexact(fakes.Misdeclares):
    """Promises results that repeat exactly, but h_n does not."""

    def solve(self, problem: Problem) -> Solution:
        with recording():
            return super().solve(problem)


@pytest.mark.parametrize(("promises", "status"), [(True, "fail"), (False, "pass")])
def test_results_that_do_not_repeat_exactly_fail_if_this_is_promised(promises: bool, status: str) -> None:
    adapter = Inexact()
    adapter.repeats_exactly = promises
    words = "h_n differs from the first call's in 12 of 12 elements, by up to "
    result = Runner(Oracle(None)).check(make_case(earlier_calls=["same"]), adapter)
    assert result.status == status
    assert result.reason.startswith(words if promises else "")
    assert set(result.details) == ({"repeated.h_n"} if promises else set())
    assert [note.startswith(words) for note in result.notes] == [True] * (not promises)


@pytest.mark.parametrize(
    "options",
    [{"earlier_calls": ["same", "longer"]}, {"earlier_calls": ["same"], "mode": "train", "input_dropout": 0.5}],
    ids=str,
)
def test_only_equal_calls_without_dropout_are_compared_exactly(options: dict[str, object]) -> None:
    assert Runner(Oracle(None)).check(make_case(**options), Inexact()).status == "pass"


def test_a_number_of_threads_requires_a_process() -> None:
    case = make_case(threads=2)
    runner = Runner(Oracle(None))
    assert runner.needs_process(case, fakes.Faithful())
    result = runner.check(case, fakes.Faithful())
    assert (result.status, result.reason.partition(",")[0]) == ("unsupported", "faithful has no process of its own")


@pytest.mark.parametrize(("tensors", "status"), [(["declared.*"], "known"), (["*"], "fail"), (["output"], "fail")])
def test_a_divergence_covers_a_wrong_declared_shape_only_if_it_names_it(tensors: list[str], status: str) -> None:
    runner = Runner(Oracle(None), (make_divergence(tensors=tensors, always=False),))
    assert runner.check(make_case(), fakes.Misdeclares()).status == status


def test_all_deviating_tensors_are_reported_at_once() -> None:
    result = Runner(Oracle(None), diagnoses=False).check(make_case(), fakes.Wrong())
    assert set(result.details) == {"h_n", "grad.input"}
    assert result.tensors["h_n"] > 1 > result.tensors["output"]
    assert result.error_ratio == max(result.tensors.values())


def test_a_deviation_in_only_one_draw_passes_with_a_note() -> None:
    result = Runner(Oracle(None)).check(make_case(), fakes.OnceBorderline())
    assert result.status == "pass"
    assert result.error_ratio is not None
    assert result.error_ratio <= 1, "the error ratio is that of the other draws"
    assert "in the case's own draw, within budget in two others" in result.notes[0]


def test_a_known_deviation_in_only_one_draw_needs_no_confirmation() -> None:
    result = Runner(Oracle(None), (make_divergence(tensors=["*"]),)).check(make_case(), fakes.OnceBorderline())
    assert (result.status, result.notes) == ("known", ())


class RoundsToFloat16(fakes.Faithful):
    """Rounds every result to float16, as a correct implementation does."""

    name = "rounds-to-float16"

    def solve(self, problem: Problem) -> Solution:
        results = solve(problem, Dialect(), Half.lift)
        return {name: results[name].close_sum().value for name in problem.expected_shapes()}


class DifferentiatesThroughClips(RoundsToFloat16):
    """Rounds every result to float16. Gradients flow through clipped values."""

    name = "differentiates-through-clips"

    def solve(self, problem: Problem) -> Solution:
        defect = make_defect("grad-through-clip", problem, Dialect())
        trace = Forward.run(replace(defect, lift=Half.lift), problem, Dialect()).trace
        results = trace.outputs | reference.backward(trace, problem.cotangents)
        return {name: results[name].close_sum().value for name in problem.expected_shapes()}


MOVED = make_case(input_size=1, hidden_size=1, cell_clip=0.1, seq_len=1, batch=100, dtype="float16", seed=0)
"""Case in which float16 moves the cell state of a row across the clip."""


def test_an_argument_that_rounding_moves_across_a_kink_needs_no_other_draw() -> None:
    result = Runner(Oracle(None)).check(MOVED, RoundsToFloat16())
    assert result.status == "pass"
    [note] = result.notes
    assert note.startswith("rounding can move 1 argument of clip across a kink (row ")


@pytest.mark.parametrize(("adapter", "status"), [(DifferentiatesThroughClips, "known"), (RoundsToFloat16, "pass")])
def test_a_divergence_is_recognized_although_rounding_moves_an_argument(adapter: type[Adapter], status: Status) -> None:
    entry = make_divergence(cases={"cell_clip": 0.1}, tensors=["grad.*"], defects=["grad-through-clip"])
    result = Runner(Oracle(None), (entry,)).check(MOVED, adapter())
    assert result.status == status, result.reason
    assert "across a kink" in result.notes[0]


def test_warnings_are_notes_and_do_not_change_the_status() -> None:
    result = Runner(Oracle(None)).check(make_case(), fakes.Warns())
    assert (result.status, result.notes) == ("pass", ("UserWarning: this kernel is slow",))


class WritesIntoArrays(fakes.Faithful):
    """Writes into the arrays of the problem, although they are read-only, as code in C can. Keeps the input."""

    name = "writes-into-arrays"

    def __init__(self) -> None:
        self.inputs: list[np.ndarray] = []

    def solve(self, problem: Problem) -> Solution:
        solution = super().solve(problem)
        self.inputs.append(problem.input.copy())
        for array in problem.arrays().values():
            array.flags.writeable = True
            array.fill(0)
        return solution


def test_an_implementation_that_writes_into_a_problem_does_not_change_that_of_the_next() -> None:
    runner, adapter = Runner(Oracle(None)), WritesIntoArrays()
    assert [runner.check(make_case(), adapter).status for _ in range(2)] == ["pass", "pass"]
    first, second = adapter.inputs
    np.testing.assert_array_equal(second, first)


def test_an_interrupt_is_raised() -> None:
    adapter = fakes.Interrupts()
    runner = Runner(Oracle(None))
    runner.check(make_case(), adapter)
    with pytest.raises(KeyboardInterrupt):
        runner.check(make_case(), adapter)


def test_a_case_that_cannot_be_judged_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.verdict.oracle.MAX_CONDITION", 1.0)
    result = Runner(Oracle(None)).check(make_case(), fakes.Raises())
    assert (result.status, result.rejected, result.deviates) == ("not-run", True, False)
    assert result.reason.startswith("cannot be judged: rounding in float32 is amplified ")


def test_a_case_that_is_known_to_be_rejected_does_not_run() -> None:
    case = make_case()
    runner = Runner(Oracle(None), rejected={case.key: "cannot be judged: why"})
    result = runner.check(case, fakes.Raises())
    assert (result.status, result.rejected, result.reason) == ("not-run", True, "cannot be judged: why")
    assert runner.check(make_case(seq_len=6), fakes.Raises()).status == "error"


@pytest.mark.parametrize("limits", [SizeLimits(10**6), SizeLimits(None, 1e-9)])
def test_a_case_beyond_the_limits_is_rejected_without_drawing_it(
    limits: SizeLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Runner(Oracle(None), limits=limits)
    monkeypatch.delattr("conformance.run.problems.make_problem")
    result = runner.check(make_case(), fakes.Raises())
    assert (result.status, result.rejected, result.deviates) == ("not-run", True, False)
    assert result.reason.startswith("cannot be judged: needs about ")


def test_only_long_cases_show_their_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.run.diagnoser.CATALOGUE", ())
    shown: list[str] = []
    runner = Runner(Oracle(None), show_phase=shown.append)
    runner.check(make_case(), fakes.Wrong())
    assert shown == []
    monkeypatch.setattr("conformance.run.runner.LONG_SECONDS", 0.0)
    runner.check(make_case(), fakes.Wrong())
    assert shown == [
        "a-case: 1/4 reference and budget (about 0 CPU s)",
        "a-case: 2/4 solve",
        "a-case: 3/4 judging",
        "a-case: 4/4 diagnosis",
    ]


def test_whether_a_result_is_rejected_survives_a_round_trip() -> None:
    case = make_case()
    rejected = Runner(Oracle(None), rejected={case.key: "cannot be judged: why"}).check(case, fakes.Zeros())
    other = Runner(Oracle(None)).check(case, fakes.Picky())
    for result, expected in ((rejected, True), (other, False)):
        again = Result.from_row(json.loads(json.dumps(result.to_row())))
        assert again.to_row() == result.to_row()
        assert again.rejected is expected


class Power(Detector):
    """Measures that each case without peepholes detects the first and the third defect."""

    def measure(self, case: Case, adapter: Adapter, key: str) -> Measured | None:
        assert (key, adapter.name) == (make_case(peepholes=case.peepholes).key, "forward-only")
        return None if case.peepholes else Measured(0b101, {"seq_len": 3})


def test_a_case_that_passes_has_the_defects_that_it_detects() -> None:
    runner = Runner(Oracle(None), diagnoses=False, detector=Power(None))
    passed, unmeasured = (runner.check(make_case(peepholes=each), fakes.ForwardOnly()) for each in (False, True))
    assert (passed.detects, passed.detected, passed.power_sizes) == (2, "5", {"seq_len": 3})
    assert (unmeasured.status, unmeasured.detects) == ("pass", None)
    assert runner.check(make_case(), fakes.NotANumber()).detects is None


PHASES = {"import", "problem", "solve", "cache", "reference", "budget", "judging"}


@pytest.mark.parametrize(
    ("adapter", "phases"),
    [
        (fakes.Faithful, PHASES),
        (fakes.ForwardOnly, PHASES | {"power"}),
        (fakes.Wrong, PHASES | {"diagnosis"}),
        (fakes.Raises, PHASES),
        (fakes.Picky, {"import", "judging"}),
    ],
)
def test_cpu_time_is_recorded_by_phase(
    monkeypatch: pytest.MonkeyPatch, adapter: type[Adapter], phases: set[str]
) -> None:
    monkeypatch.setattr("conformance.run.diagnoser.CATALOGUE", ())
    detector = Power(None) if adapter is fakes.ForwardOnly else None
    seconds = Runner(Oracle(None), detector=detector).check(make_case(), adapter()).seconds
    assert set(seconds) == phases
    assert all(spent >= 0 for spent in seconds.values())


def test_an_error_without_a_message_is_its_type() -> None:
    class Fails(fakes.Faithful):
        def solve(self, problem: Problem) -> Solution:
            del problem
            raise ValueError

    result = Runner(Oracle(None)).check(make_case(), Fails())
    assert (result.status, result.reason) == ("error", "ValueError")


def known_as(*defects: Defect) -> Diagnosis:
    return Diagnosis(tuple(Cause(defect, misfit=0.1, like_best=True) for defect in defects), compared=1, expected=1)


def test_the_cause_of_a_failure_is_tried_first_on_the_next_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    suspected: list[list[str]] = []

    def diagnose(judged: JudgedSolution, _: object, suspects: Sequence[Defect], **__: object) -> Diagnosis:
        suspected.append([each.id for each in suspects])
        return known_as(CATALOGUE[judged.problem.case.seq_len])

    monkeypatch.setattr("conformance.run.diagnoser.diagnose", diagnose)
    runner = Runner(Oracle(None))
    for steps in (3, 3, 4, 5):
        runner.check(make_case(seq_len=steps), fakes.Wrong())
    first, second = CATALOGUE[3].id, CATALOGUE[4].id
    assert suspected == [[], [first], [first], [first, second]]


@pytest.mark.parametrize(("profile", "exact"), [("float32", True), ("tf32", False)])
def test_a_diagnosis_depends_on_the_declared_rounding(
    monkeypatch: pytest.MonkeyPatch, profile: str, exact: bool
) -> None:
    class Rounds(fakes.Wrong):
        def profile(self, case: Case) -> Profile:
            del case
            return PROFILES[profile]

    asked: list[object] = []
    monkeypatch.setattr("conformance.run.diagnoser.diagnose", lambda *_, **options: asked.append(options["exact"]))
    result = Runner(Oracle(None)).check(make_case(), Rounds())
    assert asked == [exact]
    assert result.profile == profile


@pytest.mark.parametrize(("explains_all", "explained"), [(False, [3]), (True, [3, 4])])
def test_experiments_get_the_failures_and_what_passes(
    monkeypatch: pytest.MonkeyPatch, explains_all: bool, explained: list[int]
) -> None:
    """Failures with a known cause only if they are wanted. Cases without what the implementation lacks."""

    class FailsWithShortRows(fakes.ForwardOnly):
        def solve(self, problem: Problem) -> Solution:
            solution = dict(super().solve(problem))
            return solution | ({"h_n": -solution["h_n"]} if problem.case.seq_len < 5 else {})

    def explain(_: object, failures: Sequence[Failure], __: object, passing: Sequence[Case]) -> list[Explanation]:
        assert [each.judged.problem.case.seq_len for each in failures] == explained
        assert passing == [cases[2].forward_only()]
        return [Explanation("mine", "is wrong", tuple(each.key for each in failures))]

    causes = {3: (), 4: (CATALOGUE[0],)}
    monkeypatch.setattr(
        "conformance.run.diagnoser.diagnose", lambda judged, *_, **__: known_as(*causes[judged.problem.case.seq_len])
    )
    monkeypatch.setattr("conformance.run.diagnoser.locate", lambda *_: "")
    monkeypatch.setattr("conformance.run.explaining.explain", explain)
    cases = [make_case(seq_len=steps) for steps in (3, 4, 5)]
    runner = Runner(Oracle(None), explains_all=explains_all)
    assert [result.status for result in runner.run([(FailsWithShortRows(), cases)])] == ["fail", "fail", "pass"]
    written: list[Explanation] = []
    runner.write_explanations(written.append)
    assert [each.keys for each in written] == [tuple(cases[steps - 3].key for steps in explained)]


def test_an_implementation_is_described_once() -> None:
    runner = Runner(Oracle(None))
    list(runner.run([(fakes.Faithful(), [make_case(), make_case(seq_len=6)])]))
    assert runner.descriptions == {"faithful": {"made of": "the reference"}}


@pytest.mark.parametrize(
    ("adapter", "divergence", "status"),
    [
        (fakes.Wrong, {}, "known"),
        (fakes.Wrong, {"tensors": ["h_n"]}, "fail"),
        (fakes.Wrong, {"versions": "<1"}, "fail"),
        (fakes.Wrong, {"package": "a-missing-package"}, "fail"),
        (fakes.Wrong, {"cases": {"dtype": ["float64", "float16"]}}, "fail"),
        (fakes.Wrong, {"cases": {"check": "gradients", "dtype": ["float64", "float32"]}}, "known"),
        (fakes.Wrong, {"implementation": "other*"}, "fail"),
        (fakes.Faithful, {}, "fixed"),
        (fakes.OnceBorderline, {}, "fixed"),
        (fakes.Faithful, {"versions": "<1"}, "pass"),
        (fakes.Faithful, {"always": False}, "pass"),
        (fakes.Wrong, {"always": False}, "known"),
        (fakes.Wrong, {"always": False, "tensors": ["h_n"]}, "fail"),
        (fakes.Raises, {}, "error"),
        (fakes.Raises, {"tensors": [], "error": "no kernel.*float32"}, "known"),
        (fakes.Raises, {"tensors": [], "error": "another message"}, "error"),
        (fakes.Wrong, {"tensors": [], "error": "no kernel"}, "fail"),
        (fakes.Picky, {}, "unsupported"),
    ],
)
def test_a_known_divergence_covers_only_what_it_describes(
    adapter: type[Adapter], divergence: dict[str, object], status: Status
) -> None:
    runner = Runner(Oracle(None), [make_divergence(**divergence)], diagnoses=False)
    assert runner.check(make_case(), adapter()).status == status


@pytest.mark.parametrize(("tensors", "status"), [(["grad.*"], "known"), (["c_n"], "fail")])
def test_two_known_divergences_can_cover_a_case_together(tensors: list[str], status: Status) -> None:
    entries = [make_divergence(tensors=["h_n"]), make_divergence(id="two", tensors=tensors)]
    result = Runner(Oracle(None), entries, diagnoses=False).check(make_case(), fakes.Wrong())
    assert result.status == status
    assert status == "fail" or result.reason.startswith("one and two: ")


def test_cases_are_sorted_by_shape() -> None:
    cases = [make_case(hidden_size=size, name=f"{size}-{number}") for number in (1, 2) for size in (4, 5)]
    assert [case.name for case in sorted(cases, key=by_shape)] == ["4-1", "4-2", "5-1", "5-2"]


def test_cases_with_a_number_of_threads_come_last_and_need_one_process_for_each_number() -> None:
    numbers = (2, None, 4, 2, None)
    cases = [make_case(hidden_size=9 - place, threads=number) for place, number in enumerate(numbers)]
    assert [case.threads for case in sorted(cases, key=by_shape)] == [None, None, 2, 2, 4]


def test_the_worst_tensors_keep_their_evidence() -> None:
    runner = Runner(Oracle(None), diagnoses=False)
    result = runner.check(make_case(num_layers=2, notes="why"), fakes.NotANumber())
    wrong = runner.check(make_case(num_layers=2), fakes.Wrong())
    assert set(result.details["output"]["evidence"]) >= {"worst", "histogram", "map"}
    for each in (result, wrong):
        assert 1 <= sum("evidence" in detail for detail in each.details.values()) <= 4


def test_a_result_has_the_options_of_its_case() -> None:
    result = Runner(Oracle(None)).check(make_case(num_layers=2, notes="why", tags=("t",)), fakes.Picky())
    assert result.options == {
        "input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3, "num_layers": 2, "notes": "why"
    }  # fmt: skip
    assert make_case(**result.options).key == result.key
