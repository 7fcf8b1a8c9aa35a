"""A fault of a worker process affects only the request in which it occurs."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.run import implementations
from conformance.verdict.declared import DeclaredShape, recording
from conformance.verdict.problem import make_problem
from conformance.worker.client import Limits, WorkerAdapter
from conformance.worker.failures import Raised, WorkerCrash, WorkerTimeout
from conformance.worker.protocol import Started, Supported
from conformance.worker.start import isolate
from tests.conformance.worker.hostile import FAULTS
from tests.conftest import FAKES, ROOT

HOSTILE = Path(__file__).with_name("hostile.py")
LIMITS = Limits(start=600, request=600)
"""Limits that no request reaches, however busy the machine is."""


def make_case(name: str = "plain", **options: object) -> Case:
    return Case.model_validate(
        {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3, "name": name} | options
    )  # fmt: skip


@pytest.fixture
def start() -> Iterator[Any]:
    """Creates workers, and stops them after the test."""
    started: list[WorkerAdapter] = []

    def make(name: str, file: Path = HOSTILE, **limits: object) -> WorkerAdapter:
        worker = isolate(implementations.load(f"{file}:{name}"), f"{file}:{name}")
        worker.limits = replace(LIMITS, **limits)  # type: ignore[arg-type]
        started.append(worker)
        return worker

    yield make
    for worker in started:
        worker.close()


@pytest.fixture(scope="module")
def hostile() -> Iterator[WorkerAdapter]:
    worker = isolate(implementations.load(f"{HOSTILE}:Hostile"), f"{HOSTILE}:Hostile")
    worker.limits = LIMITS
    yield worker
    worker.close()


CRASHES = {
    "segfault": "its process died of SIGSEGV (segmentation fault)",
    "floating-point": "its process died of SIGFPE (floating point exception)",
    "killed": "its process died of SIGKILL (killed); the system may be out of memory",
    "exits": "its process exited with code 3",
    "prints-and-exits": "its process exited with code 7",
    "garbage": "its process violated the protocol: it sent b'W tensorflow/core: hello\\n' (not a JSON object)",
    "megabytes": "its process violated the protocol: it sent a line of more than 1048576 bytes: b'xxxx",
    "not-utf-8": "its process violated the protocol: it sent b'\\xff\\xfe\\x00\\n' (not a JSON object)",
    "wrong-answer": "its process violated the protocol: it sent b'{\"ok\":true}\\n' (n: Field required)",
    "not-tensors": "its process violated the protocol: it sent unreadable tensors: ",
    "too-many-bytes": "its process violated the protocol: it announced 1000000000000 bytes of tensors",
    "half-an-answer": "its process exited with code 0",
}


@pytest.mark.parametrize(("name", "reason"), CRASHES.items())
def test_a_crash_affects_only_its_request_and_is_described(hostile: WorkerAdapter, name: str, reason: str) -> None:
    with pytest.raises(WorkerCrash) as caught:
        hostile.solve(make_problem(make_case(name)))
    assert str(caught.value).startswith(reason)
    assert set(hostile.solve(make_problem(make_case()))) == set(make_problem(make_case()).expected_shapes())


def test_a_loop_in_c_is_a_timeout_and_the_next_request_succeeds(start: Any) -> None:
    worker = start("Hostile")
    worker.describe()
    worker.limits = replace(LIMITS, request=0.5)
    with pytest.raises(WorkerTimeout, match=r"^no answer within 0\.5 s; its process was killed$"):
        worker.solve(make_problem(make_case("loops")))
    worker.limits = LIMITS
    assert worker.solve(make_problem(make_case()))


def test_closing_the_output_is_distinguished_from_exiting(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.worker.process._EXIT_SECONDS", 0.1)
    with pytest.raises(WorkerCrash, match="closed its output without an answer"):
        start("Hostile").solve(make_problem(make_case("closes")))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not report resident memory")
def test_exceeding_the_memory_limit_is_a_crash_and_the_next_request_succeeds(start: Any) -> None:
    worker = start("Hostile")
    worker.describe()
    worker.limits = replace(LIMITS, memory=300)
    with pytest.raises(WorkerCrash, match=r"^its process used \d+ MiB of memory and was killed; the limit is 300 MiB$"):
        worker.solve(make_problem(make_case("allocates")))
    assert worker.solve(make_problem(make_case()))


def test_all_faults_are_tested() -> None:
    assert set(FAULTS) == set(CRASHES) | {"loops", "allocates", "closes"}


def test_the_last_lines_of_standard_error_are_kept(hostile: WorkerAdapter) -> None:
    with pytest.raises(WorkerCrash) as caught:
        hostile.solve(make_problem(make_case("prints-and-exits")))
    assert caught.value.log == "cannot open kernel cache"


def test_a_crash_in_supports_affects_only_its_request(start: Any) -> None:
    worker = start("DiesOnSupports")
    with pytest.raises(WorkerCrash, match="exited with code 4"):
        worker.supports(make_case("plain"))
    assert worker.supports(make_case("other")) is None


@pytest.mark.parametrize(("deaths", "lost", "left"), [(1, 1, 0), (2, 2, 0), (9, 6, 6)])
def test_a_failed_start_affects_only_its_request_and_starts_are_limited(
    start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaths: int, lost: int, left: int
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deaths").write_text(str(deaths))
    worker = start("DiesAtStart")
    reasons = [_reason(worker) for _ in range(6)]
    assert reasons == ["its process exited with code 5"] * lost + [""] * (6 - lost)
    assert int(Path("deaths").read_text()) == left


def _reason(worker: WorkerAdapter) -> str:
    """Returns the reason of a crash; empty if there is a solution."""
    try:
        worker.solve(make_problem(make_case()))
    except WorkerCrash as crash:
        return str(crash)
    return ""


def test_an_error_at_the_start_is_raised(start: Any) -> None:
    with pytest.raises(Raised, match=r"^OSError: no device$"):
        start("RaisesAtStart").describe()


def test_printed_output_does_not_reach_the_answers(start: Any) -> None:
    worker = start("PrintsEverywhere")
    for _ in range(2):
        assert np.all(worker.solve(make_problem(make_case()))["output"] == 0)


def test_the_environment_is_set_before_imports(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert start("ShowsEnvironment").describe() == {"threads": "1", "backend": "jax"}


def test_the_objects_of_a_framework_are_not_searched_for_garbage_after_its_import(start: Any) -> None:
    assert start("ShowsCollector").supports(make_case()) == "10000 new objects, present objects ignored: True"


def test_a_case_gets_a_process_with_its_number_of_threads(start: Any) -> None:
    worker = start("ShowsEnvironment")
    worker.solve(make_problem(make_case(threads=3)))
    assert worker.describe()["threads"] == "3"


def test_declarations_reach_the_suite(start: Any) -> None:
    worker = start("Misdeclares", FAKES)
    with recording() as shapes:
        worker.solve(make_problem(make_case()))
    assert list(shapes) == [DeclaredShape("output", (None, 5, 3, 4), (5, 3, 4))]
    assert worker.repeats_exactly


def test_an_error_of_the_implementation_has_its_traceback(start: Any) -> None:
    worker = start("Raises", FAKES)
    with pytest.raises(Raised) as caught:
        worker.solve(make_problem(make_case()))
    assert str(caught.value) == "RuntimeError: no kernel for float32\nsee the manual"
    assert 'raise RuntimeError(f"no kernel' in caught.value.log
    assert worker.supports(make_case()) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("RaisesSurrogate", r"ValueError: no such file: \udcff"),
        ("RaisesWithoutMessage", "UnprintableError: (no message: __str__ raised RuntimeError)"),
    ],
)
def test_an_error_without_a_valid_message_is_no_crash(start: Any, name: str, words: str) -> None:
    with pytest.raises(Raised) as caught:
        start(name, FAKES).solve(make_problem(make_case()))
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("method", "value", "words"),
    [
        ("supports", "True", "supports() must return None or a reason, got True"),
        ("dialect", "None", "dialect() must return a Dialect, got None"),
        ("profile", "'tf32'", "profile() must return a Profile, got 'tf32'"),
    ],
)
def test_a_return_value_of_the_wrong_type_is_explained(
    tmp_path: Path, start: Any, method: str, value: str, words: str
) -> None:
    file = tmp_path / "odd.py"
    body = f"class Odd(Faithful):\n    def {method}(self, case): return {value}\n"
    file.write_text(f"from tests.fakes import Faithful\n{body}")
    with pytest.raises(Raised) as caught:
        start("Odd", file).supports(make_case())
    assert words in str(caught.value)


def test_warnings_are_transmitted(start: Any) -> None:
    worker = start("Warns", FAKES)
    worker.solve(make_problem(make_case()))
    assert worker.warnings == ["UserWarning: this kernel is slow"]


def test_a_worker_that_draws_dropout_masks_solves_with_them(start: Any) -> None:
    worker = start("DrawsDropout")
    problem = make_problem(make_case(num_layers=2, dropout=0.5, mode="train"))
    masks = worker.dropout_masks(problem)
    assert np.array_equal(masks["l0"], problem.dropout_masks["l0"] * 0.5)
    assert np.array_equal(worker.solve(replace(problem, dropout_masks=masks))["output"], masks["l0"])


def test_a_solution_may_have_another_floating_point_dtype(start: Any) -> None:
    output = start("HalfPrecise").solve(make_problem(make_case()))["output"]
    assert output.dtype == np.float16
    assert np.all(output == 0.5)


def test_a_death_between_two_requests_affects_none(start: Any) -> None:
    worker = start("ReturnsProcessId")
    first = int(worker.solve(make_problem(make_case(dtype="float64")))["output"].flat[0])
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert worker.solve(make_problem(make_case(dtype="float64")))["output"].flat[0] != first


def test_a_worker_is_restarted_after_its_limit_of_solutions(start: Any) -> None:
    worker = start("ReturnsProcessId", solutions=2)
    problem = make_problem(make_case(dtype="float64"))
    processes = [worker.solve(problem)["output"].flat[0] for _ in range(5)]
    assert len(dict.fromkeys(processes)) == 3


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not report resident memory")
def test_a_worker_whose_memory_grows_is_restarted(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.worker.client._MAX_GROWTH_MIB", 64)
    monkeypatch.setattr("conformance.worker.client._WARM_UP_SOLUTIONS", 2)
    worker = start("Leaks")
    problem = make_problem(make_case(dtype="float64"))
    processes = [worker.solve(problem)["output"].flat[0] for _ in range(16)]
    assert len(dict.fromkeys(processes)) == 2


@pytest.fixture(scope="module")
def torch_worker() -> Iterator[WorkerAdapter]:
    worker = isolate(implementations.load("torch.nn.LSTM"), "torch.nn.LSTM")
    yield worker
    worker.close()


@pytest.mark.parametrize(
    "case", [{}, {"dtype": "float64", "lengths": "ragged"}, {"num_layers": 2, "dropout": 0.5, "mode": "train"}]
)
def test_torch_returns_identical_bytes_in_its_own_process(case: dict[str, Any], torch_worker: WorkerAdapter) -> None:
    adapter, problem = implementations.load("torch.nn.LSTM"), make_problem(make_case(**case))
    problem = replace(problem, dropout_masks=adapter.dropout_masks(problem))
    assert _bytes(torch_worker.dropout_masks(problem)) == _bytes(problem.dropout_masks)
    assert _bytes(torch_worker.solve(problem)) == _bytes(adapter.solve(problem))
    assert torch_worker.dialect(problem.case) == adapter.dialect(problem.case)
    assert torch_worker.profile(problem.case) == adapter.profile(problem.case)
    assert torch_worker.describe() == adapter.describe()


def _bytes(tensors: Any) -> dict[str, bytes]:
    return {name: np.asarray(value).tobytes() for name, value in tensors.items()}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can kill a process when its parent dies")
def test_a_process_dies_with_its_parent() -> None:
    code = (
        "from tests.conformance.worker.hostile import Hostile\nfrom tests.conformance.worker.test_client import *\n"
        "worker = isolate(Hostile(), f'{HOSTILE}:KillsTheRun')\n"
        "worker.describe()\nassert worker._process\nprint(worker._process._process.pid, flush=True)\n"
        "worker.solve(make_problem(make_case()))\n"
    )
    # The process is not a child of this one, and may not exist any more.
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT) as user:
        assert user.stdout
        process = int(user.stdout.readline())
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(process)
            try:
                assert select.select([descriptor], [], [], 120)[0]
            finally:
                os.close(descriptor)
    assert user.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        ({}, False),
        ({"uses": ["twice in a graph"]}, False),
        ({"uses": ["chunks", "sizes per direction"]}, True),
        ({"features": ["gradients", "float32"]}, False),
    ],
)
def test_a_program_is_asked_about_added_options_only_if_it_knows_them(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], *, asked: bool
) -> None:
    worker = WorkerAdapter(["program"])
    worker.name = "program"
    monkeypatch.setattr(worker, "start", lambda: Started(name="program", **answer))
    monkeypatch.setattr(worker, "_ask_support", lambda _: Supported(reason=None))
    assert worker.supports(make_case()) is None
    reason = worker.supports(make_case(chunks=(2, 3)))
    assert reason == (None if asked else "program is not driven in pieces")
    reason = worker.supports(make_case(direction="bidirectional", reverse_hidden_size=3))
    one_size = "is driven with one hidden size for both directions"
    lacking = "has no bidirectional layers" if "features" in answer else one_size
    assert reason == (None if asked else f"program {lacking}")
