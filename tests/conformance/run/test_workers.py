"""Whole runs in worker processes: a process that fails affects only one case."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from conformance import system
from conformance.adapters import Adapter, Solution, installed
from conformance.cases.case import Case
from conformance.commands.cli import main
from conformance.known.divergences import Divergence
from conformance.results.reader import read
from conformance.results.record import Result
from conformance.run import implementations, pool
from conformance.run.plan import Plan
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import Problem, make_problem
from conformance.worker.client import Limits, WorkerAdapter
from tests import sessions
from tests.conformance.worker.hostile import FAULTS
from tests.conftest import FAKES, FEW_PLUGINS, ROOT
from tests.fakes import Faithful

HOSTILE = ROOT / "tests" / "conformance" / "worker" / "hostile.py"
PLAIN = {"input_size": 2, "hidden_size": 2, "batch": 2}
SLOW_FAULTS = {"loops", "closes"}
"""Faults that last until a time limit. Other tests cover them."""


def make_cases(count: int, faults: Sequence[str]) -> list[Case]:
    """Returns ordinary cases of a few shapes, and a case for each fault."""
    names = [*(f"ordinary-{number}" for number in range(count)), *faults]
    return [
        Case.model_validate(PLAIN | {"name": name, "seq_len": 1 + number % 3, "dtype": "float64"})
        for number, name in enumerate(names)
    ]


def adapters(*names: str, file: Path = HOSTILE, limits: Limits | None = None) -> list[Adapter]:
    return implementations.load_all([f"{file}:{name}" for name in names], True, limits)


def facts(result: Result) -> dict[str, Any]:
    """Returns a row without its CPU times."""
    return {name: value for name, value in result.to_row().items() if name != "seconds"}


def test_an_interrupt_does_not_wait_for_a_thread_that_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    released, finished = threading.Event(), threading.Event()

    class Blocks(Faithful):
        def solve(self, problem: Problem) -> Solution:
            if problem.case.name == "ordinary-1":
                released.wait(60)
                finished.set()
            return super().solve(problem)

    monkeypatch.setattr("conformance.run.pool._JOIN_SECONDS", 0.0)
    plan: Plan = [(Blocks(), make_cases(2, ())), (Blocks(), make_cases(2, ()))]
    running = pool.run(Runner(Oracle(None)), plan, jobs=2)
    assert next(running).status == "pass"
    running.close()
    assert not finished.is_set()
    released.set()


def test_each_fault_affects_one_case_of_a_long_run() -> None:
    faults = [name for name in FAULTS if name not in SLOW_FAULTS]
    cases = make_cases(300, faults)
    plan = [(adapter, cases) for adapter in adapters("Hostile", limits=Limits(request=600, memory=300))]
    found = list(pool.run(Runner(Oracle(), diagnoses=False), plan))
    assert Counter(result.case for result in found) == Counter(case.name for case in cases)
    assert {result.case for result in found if result.status == "crash"} == set(faults)
    assert Counter(result.status for result in found) == {"pass": 300, "crash": len(faults)}


@pytest.mark.parametrize("isolated", [True, False])
def test_problems_are_drawn_once_for_all_implementations(isolated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def draw(case: Case, number: int) -> Problem:
        drawn.append(case.name)
        return make_problem(case, number)

    monkeypatch.setattr("conformance.run.problems.make_problem", draw)
    both = implementations.load_all([f"{FAKES}:Faithful", f"{FAKES}:Views"], isolated)
    cases = make_cases(2, ())
    found = list(pool.run(Runner(Oracle(None)), [(adapter, cases) for adapter in both]))
    assert [result.status for result in found] == ["pass"] * 4
    assert Counter(drawn) == {case.name: 1 for case in cases}


def test_a_hang_is_a_timeout_and_the_run_continues() -> None:
    cases = make_cases(2, ["loops"])
    (worker,) = adapters("Hostile", limits=Limits(request=0.5))
    assert isinstance(worker, WorkerAdapter)
    found = []
    for result in pool.run(Runner(Oracle(), diagnoses=False), [(worker, cases)]):
        found.append((result.case, result.status))
        worker.limits = Limits(request=600)  # Only the first case, which hangs, has the short limit.
    assert found == [("loops", "timeout"), ("ordinary-0", "pass"), ("ordinary-1", "pass")]


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("Faithful", "pass"),
        ("Wrong", "fail"),
        ("NotANumber", "fail"),
        ("Incomplete", "fail"),
        ("OnceBorderline", "pass"),
        ("ReturnsNone", "error"),
        ("Raises", "error"),
        ("CallsExit", "error"),
        ("RaisesInSupports", "error"),
        ("Mutates", "error"),
        ("Picky", "unsupported"),
        ("Absent", "not-run"),
        ("Warns", "pass"),
        ("Prints", "pass"),
    ],
)
@pytest.mark.usefixtures("unlimited_diagnosis", "without_explanations")
def test_a_row_does_not_depend_on_isolation(name: str, status: str) -> None:
    case = Case.model_validate(PLAIN | {"seq_len": 5, "hidden_size": 4, "input_size": 3, "batch": 3, "name": "a-case"})
    (here,) = Runner(Oracle()).run([(implementations.load(f"{FAKES}:{name}"), [case])])
    (there,) = pool.run(Runner(Oracle()), [(adapters(name, file=FAKES)[0], [case])])
    ours, theirs = facts(here), facts(there)
    assert ours["status"] == status
    assert ("traceback" in ours) == ("traceback" in theirs) == (status == "error")
    assert ours | {"traceback": ""} == theirs | {"traceback": ""}


def test_rows_do_not_depend_on_the_number_of_jobs() -> None:
    names = ["Faithful", "Wrong", "Picky", "Warns"]
    cases = make_cases(6, ["plain"])
    runs = [
        [
            facts(row)
            for row in pool.run(
                Runner(Oracle(), diagnoses=False), [(each, cases) for each in adapters(*names, file=FAKES)], jobs
            )
        ]
        for jobs in (1, 3)
    ]
    for name in ("faithful", "wrong", "picky", "warns"):
        one, several = ([row for row in rows if row["implementation"] == name] for rows in runs)
        assert one == several
        assert len(one) == len(cases)
    assert len(runs[1]) == len(names) * len(cases)


def test_stopping_a_run_ends_its_processes() -> None:
    workers = adapters("ReturnsProcessId", "Faithful")
    running = pool.run(Runner(Oracle(), diagnoses=False), [(each, make_cases(50, [])) for each in workers], 2)
    next(running)
    running.close()
    assert all(each._process is None for each in workers)  # type: ignore[attr-defined]


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_more_processes_than_jobs_run_at_once(jobs: int) -> None:
    workers = [each for each in adapters("ReturnsProcessId", "Faithful", "Hostile") if isinstance(each, WorkerAdapter)]
    plan = [(worker, make_cases(2, [])) for worker in workers]
    results = pool.run(Runner(Oracle(), diagnoses=False), plan, jobs)
    running = [sum(worker._process is not None for worker in workers) for _ in results]
    assert len(running) == 6
    assert max(running) <= jobs


def test_an_error_of_the_suite_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.run.runner.judge", lambda *_: 1 / 0)
    plan = [(each, make_cases(1, [])) for each in adapters("ReturnsProcessId", "Faithful")]
    with pytest.raises(ZeroDivisionError):
        list(pool.run(Runner(Oracle()), plan, 2))


def test_a_divergence_is_matched_by_the_version_in_the_worker() -> None:
    options = {
        "id": "one",
        "implementation": "returns-process-id",
        "package": "numpy",
        "versions": "==0.1",
        "what": "It is wrong.",
    }
    rest = {
        "cases": {"dtype": "float64"},
        "tensors": ["*"],
        "reason": "r",
        "upstream": "none as of 2026-11",
        "reproduction": "p",
    }
    runner = Runner(Oracle(), [Divergence.model_validate(options | rest)], diagnoses=False)
    (worker,) = adapters("ReturnsProcessId")
    for packages, status in (({"numpy": "0.2"}, "fail"), ({"numpy": "0.1"}, "known")):
        runner.descriptions.clear()
        worker.packages = packages
        assert [row.status for row in pool.run(runner, [(worker, make_cases(1, []))])] == [status]


@pytest.mark.parametrize(("error", "status"), [("died of SIGSEGV", "known"), ("died of SIGFPE", "crash")])
def test_a_crash_can_be_a_known_divergence(error: str, status: str) -> None:
    options = {"id": "one", "implementation": "hostile", "package": "numpy", "versions": ">=1", "what": "It dies."}
    rest = {
        "cases": {"dtype": "float64"},
        "error": error,
        "reason": "r",
        "upstream": "none as of 2026-11",
        "reproduction": "p",
    }
    runner = Runner(Oracle(), [Divergence.model_validate(options | rest)], diagnoses=False)
    [row] = pool.run(runner, [(adapters("Hostile")[0], make_cases(0, ["segfault"]))])
    assert row.status == status


def test_the_command_line_isolates_implementations(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = project / "cases" / "small.yaml"
    file.write_text(file.read_text() + "  exits: {seq_len: 1}\n  prints-and-exits: {seq_len: 2}\n")
    assert main(["run", "cases", "-i", f"{HOSTILE}:Hostile", "--no-diagnosis"]) == 1
    printed = capsys.readouterr().out
    assert "crash cases/small.yaml::exits[hostile]\n     its process exited with code 3" in printed
    assert "cannot open kernel cache" in (project / "conformance-report" / "report.md").read_text()
    report = read(project / "conformance-report" / "results.jsonl")
    assert report.complete
    assert Counter(result.status for result in report.results) == {"pass": 3, "crash": 2}


@pytest.mark.parametrize(
    ("options", "expected"), [([], 3), (["-j", "2"], 2), (["--in-process"], 1), (["--in-process", "-j", "2"], 1)]
)
@pytest.mark.usefixtures("project")
def test_by_default_a_run_uses_the_available_processors(
    monkeypatch: pytest.MonkeyPatch, options: list[str], expected: int
) -> None:
    jobs = []

    def run(_runner: Runner, _plan: Plan, count: int) -> Iterator[Result]:
        jobs.append(count)
        yield from ()

    monkeypatch.setattr(system, "available_cpus", lambda: 3)
    monkeypatch.setattr(pool, "run", run)
    assert main(["run", "cases", "-i", f"{FAKES}:Faithful", *options]) == 0
    assert jobs == [expected]


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_are_reported_in_the_order_of_the_plan(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    monkeypatch.setattr("conformance.run.plan.SHOWN_FIRST", ("refuses",))
    names = [f"{FAKES}:Faithful", f"{FAKES}:Expensive", f"{FAKES}:Refuses"]
    assert main(["run", "cases", *(word for name in names for word in ("-i", name)), "-j", str(jobs)]) == 0
    report = read(project / "conformance-report" / "results.jsonl")
    assert list(dict.fromkeys(result.implementation for result in report.results)) == list(report.planned)
    assert list(report.planned) == ["faithful", "expensive", "refuses"]
    rows = [name for line in capsys.readouterr().out.splitlines() if (name := line.partition(" ")[0]) in report.planned]
    assert sorted(rows) == sorted(report.planned)
    assert jobs > 1 or rows == ["refuses", "expensive", "faithful"]


@pytest.mark.parametrize(("implementation", "jobs"), [("InterruptsTheRun", "1"), ("TerminatesTheRun", "2")])
def test_an_interrupt_kills_the_processes(project: Path, implementation: str, jobs: str) -> None:
    names = ["-i", f"{HOSTILE}:{implementation}", "-i", f"{HOSTILE}:ReturnsProcessId"]
    # Handles SIGINT even if this process was started to ignore it.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from conformance.commands.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "run", "cases", *names, "-j", jobs, "--no-diagnosis"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 130
    assert "\nto resume: conformance run cases" in run.stdout
    report = read(project / "conformance-report" / "results.jsonl")
    assert not report.complete
    assert not [row for row in report.results if row.implementation.endswith("s-the-run")]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--timeout", "1", "-k", "loops"], "timeout"),
        (["--timeout", "600", "--memory-limit", "300", "-k", "allocates"], "crash"),
    ],
)
def test_limits_are_set_on_the_command_line(
    project: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], status: str
) -> None:
    file = project / "cases" / "small.yaml"
    file.write_text(file.read_text() + "  loops: {seq_len: 1}\n  allocates: {seq_len: 2}\n")
    assert main(["run", "cases", "-i", f"{HOSTILE}:Hostile", "--json", *arguments]) == 1
    assert [row["status"] for row in json.loads(capfd.readouterr().out)["deviations"]] == [status]


def test_two_environments_run_side_by_side(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    spec = f"python:{sys.executable}:onnx.reference"
    assert main(["run", "cases", "-i", spec, "-i", "onnx.reference", "-k", "plain", "-j", "2"]) == 0
    report = read(project / "conformance-report" / "results.jsonl")
    other = f"onnx.reference@{installed.version('onnx').removesuffix('.0')}"
    rows = {result.implementation: result for result in report.results}
    assert set(rows) == {"onnx.reference", other}
    assert rows["onnx.reference"].tensors == rows[other].tensors
    assert set(report.implementations) == set(rows)
    assert other in capsys.readouterr().out


def test_pytest_isolates_implementations(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    cases = {"ordinary": {"seq_len": 1}, "exits": {"seq_len": 2}, "garbage": {"seq_len": 3}}
    text = f"defaults: {json.dumps(PLAIN)}\ncases: {json.dumps(cases)}\n"
    (pytester.mkdir("cases") / "some.yaml").write_text(text)
    plugin = ["-p", "conformance.pytest.plugin", *FEW_PLUGINS.split(), "--isolate"]
    done = sessions.run(
        pytester, *plugin, "--conformance-implementation", f"{HOSTILE}:Hostile", "--conformance-report=r.jsonl"
    )
    done.assert_outcomes(passed=1, failed=2)
    done.stdout.fnmatch_lines(["*its process exited with code 3*"])
    rows = read(pytester.path / "r.jsonl").results
    assert {row.case.split("::")[1]: row.status for row in rows} == {
        "ordinary": "pass",
        "exits": "crash",
        "garbage": "crash",
    }
