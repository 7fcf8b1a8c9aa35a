"""Failures without a known cause are explained by experiments, once for each implementation."""

from pathlib import Path
from typing import Any

import numpy as np

from conformance.adapters import Adapter, Solution
from conformance.cases.case import Case
from conformance.commands.cli import main
from conformance.reports.causes import group_by_cause
from conformance.reports.page.data import overview
from conformance.results.explanation import Explanation
from conformance.results.reader import read
from conformance.run import explaining
from conformance.run.explaining import explain
from conformance.run.failures import Failure
from conformance.run.runner import Runner
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES, Dialect
from tests.conformance.defects.experiment import broken
from tests.conformance.defects.experiment.broken import Altered
from tests.conformance.defects.experiment.test_history import Keeps, first_bias
from tests.conformance.defects.experiment.test_repetition import ComesAndGoes
from tests.conftest import ROOT

STATES = {"first": "random", "without state": "omitted", "again": "random"}
"""Initial state of each of three cases of the same shape."""


def make_case(name: str, **options: Any) -> Case:
    sizes = {"input_size": 2, "hidden_size": 3, "seq_len": 3, "batch": 2, "dtype": "float64"}
    return Case.model_validate(sizes | options | {"name": name})


def fail(adapter: Adapter, case: Case) -> Failure:
    problem = make_problem(case)
    expectation = Oracle(None).expect(problem, PROFILES[case.dtype], Dialect())
    return Failure(case.key, JudgedSolution(problem, dict(adapter.solve(problem)), expectation, Dialect()))


def fails(failure: Failure) -> bool:
    return not failure.trial.verdict.conforms


def test_an_explanation_accounts_for_the_cases_that_it_reproduces(monkeypatch: Any) -> None:
    monkeypatch.setattr(explaining, "PROBES", ("one layer",))

    def change(found: dict[str, Any], problem: Any) -> dict[str, Any]:
        wrong = broken.average_weight_hh_gradient(found, problem)
        return wrong if problem.case.bias else wrong | {"h_n": np.sin(wrong["h_n"])}

    adapter = Altered("mine", after=change)
    cases = [
        make_case("plain"),
        make_case("projection", proj_size=1),
        make_case("rows first", batch_first=True, seq_len=4),
        make_case("no biases", bias=False, num_layers=2),
    ]
    failures = [fail(adapter, case) for case in cases]
    verified, observed = explain(adapter, failures, Oracle(None))
    assert verified.what == "returns grad.weight_hh multiplied by 1/B"
    assert (verified.verified, observed.verified) == (True, False)
    assert verified.keys == tuple(case.key for case in cases[:3])
    assert verified.how.endswith("exactly")
    assert observed.keys == (cases[3].key,)
    assert observed.what == "unexplained"
    assert "the implementation has no process of its own" in observed.how


def test_results_that_do_not_repeat_are_not_explained(monkeypatch: Any) -> None:
    monkeypatch.setattr(explaining, "PROBES", ())
    adapter = broken.Stateful()
    failure = fail(Altered("wrong", after=lambda found, _: found | {"h_n": -found["h_n"]}), make_case("plain"))
    [found] = explain(adapter, [failure], Oracle(None))
    assert found.what.startswith("does not repeat: h_n changes")
    assert found.how.endswith("of 10 runs of the same problem")
    assert found.keys == (failure.key,)


def test_failures_that_come_and_go_are_counted_besides_those_that_repeat(monkeypatch: Any) -> None:
    monkeypatch.setattr(explaining, "PROBES", ())

    class Both(ComesAndGoes):
        """Comes and goes in training mode only, and reads the rows of h_0 in reverse order in inference."""

        def solve(self, problem: Problem) -> Solution:
            trains = problem.case.mode == "train"
            return super().solve(problem) if trains else wrong.solve(problem)

    wrong, adapter = Altered("wrong", broken.reverse_h_0_rows), Both()
    cases = [make_case(mode, mode=mode, check=("output", "h_n", "c_n")) for mode in ("train", "eval")]
    failures = [
        next(failure for failure in (fail(adapter, case) for _ in range(9)) if fails(failure)) for case in cases
    ]
    counted, verified = explain(adapter, failures, Oracle(None), adapter.restart)
    assert counted.what == "fails in 3 of 10 runs of the same problem with 1 thread, in 8 of 10 with 4 threads"
    assert (counted.how, counted.verified, counted.keys) == ("counted for train", False, (cases[0].key,))
    assert (verified.what, verified.verified) == ("reads h_0 with the rows in reverse order", True)
    assert verified.keys == (cases[1].key,)


def test_a_mistake_is_explained_besides_what_earlier_calls_do(monkeypatch: Any) -> None:
    monkeypatch.setattr(explaining, "PROBES", ("one layer",))

    def both(problem: Any, first: Any) -> Any:
        return broken.reverse_h_0_rows(first_bias(problem, first))

    adapter = Keeps(read=both)
    cases = [make_case(name, check=("output", "h_n", "c_n"), initial_state=state) for name, state in STATES.items()]
    failures = [fail(adapter, case) for case in cases]
    kept, verified = explain(adapter, failures, Oracle(None), adapter.restart)
    assert (kept.what, kept.verified, kept.keys) == ("reads bias_hh of an earlier call", False, (cases[1].key,))
    assert verified.what == "reads h_0 with the rows in reverse order; the gradients do not follow"
    assert (verified.verified, verified.keys) == (True, (cases[0].key, cases[2].key))
    assert verified.how.endswith("if each is run alone in a fresh process")


def test_a_mistake_accounts_for_cases_with_nan(monkeypatch: Any) -> None:
    monkeypatch.setattr(explaining, "PROBES", ("lengths",))
    adapter = Altered("ignores lengths", broken.ignore_lengths)
    cases = [make_case(padding, lengths=(2, 3), padding=padding) for padding in ("random", "nan")]
    [found] = explain(adapter, [fail(adapter, case) for case in cases], Oracle(None))
    assert (found.what, found.verified) == ("reads lengths as T in every row", True)
    assert found.keys == tuple(case.key for case in cases)


def test_a_mistake_in_large_batches_is_explained(monkeypatch: Any) -> None:
    monkeypatch.setattr(explaining, "PROBES", ())
    monkeypatch.setattr("conformance.defects.experiment.dissection.MAX_CPU_SECONDS", 60.0)

    def halve(problem: Any) -> Any:
        return broken.states(problem, lambda name, own: own[name] * (0.5 if name == "h_0" else 1.0))

    adapter = Altered("large", lambda problem: halve(problem) if (problem.case.rows or 1) > 100 else problem)
    case = make_case("large", batch=129, seq_len=2, check=("output", "h_n", "c_n"))
    [found] = explain(adapter, [fail(adapter, case)], Oracle(None))
    assert (found.what, found.verified) == ("reads h_0 multiplied by 1/2", True)


def test_experiments_stop_when_their_time_is_over(monkeypatch: Any) -> None:
    monkeypatch.setattr(explaining, "MAX_CPU_SECONDS", -1.0)
    adapter = Altered("wrong", after=lambda found, _: found | {"h_n": -found["h_n"]})
    [found] = explain(adapter, [fail(adapter, make_case("plain"))], Oracle(None))
    assert not found.verified
    assert found.how.endswith("the time is over. `conformance dissect` has no limit")


def test_the_runner_explains_after_the_last_case_of_an_implementation(monkeypatch: Any) -> None:
    monkeypatch.setattr("conformance.defects.experiment.dissection.MAX_CPU_SECONDS", 0.1)
    monkeypatch.setattr("conformance.defects.diagnosis.diagnose.MAX_CPU_SECONDS", 0.05)
    monkeypatch.setattr(explaining, "PROBES", ())
    monkeypatch.setattr(explaining, "MAX_CONDITION_CPU_SECONDS", 0.1)
    adapter = Altered("mine", after=broken.add_sine)
    runner = Runner(Oracle(None))
    explanations: list[Explanation] = []
    results = runner.run([(adapter, [make_case("plain"), make_case("one step", seq_len=1)])])
    first = next(results)
    runner.write_explanations(explanations.append)
    assert explanations == []
    others = list(results)
    runner.write_explanations(explanations.append)
    [group] = group_by_cause([first, *others], explanations)
    assert group.what == "unexplained"
    assert group.facts["observed"].startswith("c_n deviates; output, h_n, gradients conform")
    assert len(group.results) == 2


def test_a_run_reports_the_explanation(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr("conformance.defects.diagnosis.diagnose.MAX_CPU_SECONDS", 0.05)
    monkeypatch.setattr(explaining, "PROBES", ("one layer",))
    monkeypatch.setattr(explaining, "MAX_CONDITION_CPU_SECONDS", 0.1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.conformance.defects.experiment import broken\n\n\n"
        "class Mine(broken.Altered):\n    name = 'mine'\n\n    def __init__(self):\n"
        "        super().__init__('mine', broken.two_reads, refuses=broken.no_gradients)\n"
    )
    (tmp_path / "cases.yaml").write_text(
        "defaults: {input_size: 2, hidden_size: 3, batch: 2, dtype: float64, direction: bidirectional}\n"
        "cases:\n  short: {seq_len: 3}\n  long: {seq_len: 5}\n"
    )
    assert main(["run", "-i", "mine.py:Mine", "cases.yaml", "--power", "off", "--no-cache", "--output", "out"]) == 1
    printed = capsys.readouterr().out
    causes = printed[printed.index("\nCauses") :].partition("\n\n2 deviations")[0]
    assert (
        "2 cases of mine: reads c_0 with the rows in reverse order, and ignores bias_hh of the reverse direction"
        in causes
    )
    assert "    verified   the reference with this mistake reproduces every tensor" in causes
    assert "    try        conformance run cases.yaml -i mine.py:Mine -k cases.yaml::short" in causes
    assert len(causes.strip().splitlines()) <= 12
    report = read(tmp_path / "out" / "results.jsonl")
    [explanation] = report.explanations
    assert explanation.verified
    assert sorted(explanation.keys) == sorted(result.key for result in report.results)
    assert "verified: the reference with" in (tmp_path / "out" / "report.md").read_text()
    [cause] = overview(report)["causes"]
    assert cause["facts"]["verified"] == explanation.how
    assert explanation.responses
    assert cause["responses"]["rows"] == explanation.responses.rows
    assert any(block.startswith("bias_hh") for block in explanation.responses.rows)
