"""Each thing that a process can do wrong costs the one request in which it does it."""

import contextlib
import os
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.adapters import Adapter, installed
from conformance.cases.case import Case
from conformance.errors import UserError
from conformance.run import implementations
from conformance.verdict.problem import make_problem
from conformance.worker.client import Limits, WorkerAdapter, elsewhere, isolated, program
from conformance.worker.failures import Raised, WorkerCrash, WorkerTimeout
from tests.conformance.worker.hostile import DEEDS
from tests.conftest import FAKES, ROOT

HOSTILE = Path(__file__).with_name("hostile.py")
LIMITS = Limits(start=60, request=30)


def make_case(name: str = "plain", **options: object) -> Case:
    return Case.model_validate(
        {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3, "name": name} | options
    )  # fmt: skip


@pytest.fixture
def start() -> Iterator[Any]:
    """Makes workers, and ends them."""
    started: list[WorkerAdapter] = []

    def make(name: str, file: Path = HOSTILE, **limits: object) -> WorkerAdapter:
        worker = isolated(implementations.load(f"{file}:{name}"), f"{file}:{name}")
        worker.limits = replace(LIMITS, **limits)  # type: ignore[arg-type]
        started.append(worker)
        return worker

    yield make
    for worker in started:
        worker.close()


@pytest.fixture(scope="module")
def hostile() -> Iterator[WorkerAdapter]:
    worker = isolated(implementations.load(f"{HOSTILE}:Hostile"), f"{HOSTILE}:Hostile")
    worker.limits = LIMITS
    yield worker
    worker.close()


STARTED = shlex.quote('{"ok":true,"version":1,"name":"a.program"}\\n')
CRASHES = {
    "segfault": "its process died of SIGSEGV (segmentation fault)",
    "floating-point": "its process died of SIGFPE (floating point exception)",
    "killed": "its process died of SIGKILL (killed): was the system out of memory?",
    "exits": "its process ended by itself, with exit code 3",
    "last-words": "its process ended by itself, with exit code 7",
    "garbage": "its process broke the protocol with b'W tensorflow/core: hello\\n' (not a JSON object)",
    "megabytes": "its process broke the protocol with a line of more than 1048576 bytes: b'xxxx",
    "no-text": "its process broke the protocol with b'\\xff\\xfe\\x00\\n' (not a JSON object)",
    "wrong-answer": "its process broke the protocol with b'{\"ok\":true}\\n' (n: Field required)",
    "not-tensors": "its process broke the protocol with tensors that cannot be read",
    "too-many-bytes": "its process broke the protocol with 1000000000000 bytes of tensors",
    "half-an-answer": "its process ended by itself, with exit code 0",
}


@pytest.mark.parametrize(("name", "reason"), CRASHES.items())
def test_a_crash_costs_its_case_and_says_what_it_was(hostile: WorkerAdapter, name: str, reason: str) -> None:
    with pytest.raises(WorkerCrash) as caught:
        hostile.solve(make_problem(make_case(name)))
    assert str(caught.value).startswith(reason)
    assert set(hostile.solve(make_problem(make_case()))) == set(make_problem(make_case()).expected_shapes())


def test_a_loop_in_c_costs_its_case(start: Any) -> None:
    worker = start("Hostile")
    worker.describe()
    worker.limits = replace(LIMITS, request=0.5)
    with pytest.raises(WorkerTimeout, match=r"^no answer within 0\.5 s; its process was ended$"):
        worker.solve(make_problem(make_case("loops")))
    worker.limits = LIMITS
    assert worker.solve(make_problem(make_case()))


def test_a_closed_output_is_told_from_a_death(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.worker.process._GRACE", 0.1)
    with pytest.raises(WorkerCrash, match="closed its output without an answer"):
        start("Hostile").solve(make_problem(make_case("closes")))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell how much memory is used")
def test_an_allocation_ends_at_the_memory_limit(start: Any) -> None:
    worker = start("Hostile")
    worker.describe()
    worker.limits = replace(LIMITS, memory=700)
    with pytest.raises(WorkerCrash, match=r"^its process had \d+ MiB of memory, 700 MiB are allowed, and was ended$"):
        worker.solve(make_problem(make_case("allocates")))
    assert worker.solve(make_problem(make_case()))


def test_all_deeds_are_tested() -> None:
    assert set(DEEDS) == set(CRASHES) | {"loops", "allocates", "closes"}


def test_last_words_are_kept(hostile: WorkerAdapter) -> None:
    with pytest.raises(WorkerCrash) as caught:
        hostile.solve(make_problem(make_case("last-words")))
    assert caught.value.log == "cannot open kernel cache"


def test_supports_may_kill_too(start: Any) -> None:
    worker = start("DiesOnSupports")
    with pytest.raises(WorkerCrash, match="exit code 4"):
        worker.supports(make_case("plain"))
    assert worker.supports(make_case("other")) is None


@pytest.mark.parametrize(("deaths", "lost", "left"), [(1, 1, 0), (2, 2, 0), (9, 6, 6)])
def test_death_at_the_start_costs_its_request_and_is_not_tried_for_ever(
    start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaths: int, lost: int, left: int
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deaths").write_text(str(deaths))
    worker = start("DiesAtStart")
    reasons = [_reason(worker) for _ in range(6)]
    assert reasons == ["its process ended by itself, with exit code 5"] * lost + [""] * (6 - lost)
    assert int(Path("deaths").read_text()) == left


def _reason(worker: WorkerAdapter) -> str:
    """Why it has no solution; empty when it has one."""
    try:
        worker.solve(make_problem(make_case()))
    except WorkerCrash as crash:
        return str(crash)
    return ""


def test_an_error_at_the_start_is_an_error(start: Any) -> None:
    with pytest.raises(Raised, match=r"^OSError: no device$"):
        start("RaisesAtStart").describe()


def test_what_is_printed_reaches_no_answer(start: Any) -> None:
    worker = start("Talks")
    for _ in range(2):
        assert np.all(worker.solve(make_problem(make_case()))["output"] == 0)


def test_the_environment_is_set_before_anything_is_imported(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert start("Inherits").describe() == {"threads": "1", "backend": "jax"}


def test_what_an_implementation_raises_comes_with_its_traceback(start: Any) -> None:
    worker = start("Raises", FAKES)
    with pytest.raises(Raised) as caught:
        worker.solve(make_problem(make_case()))
    assert str(caught.value) == "RuntimeError: no kernel for float32\nsee the manual"
    assert 'raise RuntimeError(f"no kernel' in caught.value.log
    assert worker.supports(make_case()) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("RaisesOddly", r"ValueError: no such file: \udcff"),
        ("Silent", "Wordless: (its message cannot be had: RuntimeError)"),
    ],
)
def test_what_cannot_be_said_is_no_crash(start: Any, name: str, words: str) -> None:
    with pytest.raises(Raised) as caught:
        start(name, FAKES).solve(make_problem(make_case()))
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("method", "value", "words"),
    [
        ("supports", "True", "supports() must return None or a reason, not True"),
        ("dialect", "None", "dialect() must return a Dialect, not None"),
        ("profile", "'tf32'", "profile() must return a Profile, not 'tf32'"),
    ],
)
def test_an_answer_of_another_kind_is_explained(
    tmp_path: Path, start: Any, method: str, value: str, words: str
) -> None:
    file = tmp_path / "odd.py"
    body = f"class Odd(Faithful):\n    def {method}(self, case): return {value}\n"
    file.write_text(f"from tests.fakes import Faithful\n{body}")
    with pytest.raises(Raised) as caught:
        start("Odd", file).supports(make_case())
    assert words in str(caught.value)


def test_warnings_cross_over(start: Any) -> None:
    worker = start("Warns", FAKES)
    worker.solve(make_problem(make_case()))
    assert worker.heard == ["UserWarning: this kernel is slow"]


def test_masks_that_it_draws_are_those_it_solves_with(start: Any) -> None:
    worker = start("DrawsDropout")
    problem = make_problem(make_case(num_layers=2, dropout=0.5, mode="train"))
    masks = worker.dropout_masks(problem)
    assert np.array_equal(masks["l0"], problem.dropout_masks["l0"] * 0.5)
    assert np.array_equal(worker.solve(replace(problem, dropout_masks=masks))["output"], masks["l0"])


def test_any_floating_point_type_crosses_over(start: Any) -> None:
    output = start("HalfPrecise").solve(make_problem(make_case()))["output"]
    assert output.dtype == np.float16
    assert np.all(output == 0.5)


def test_a_death_between_two_requests_costs_none(start: Any) -> None:
    worker = start("Counts")
    first = int(worker.solve(make_problem(make_case(dtype="float64")))["output"].flat[0])
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert worker.solve(make_problem(make_case(dtype="float64")))["output"].flat[0] != first


def test_a_worker_is_started_anew_after_so_many_solutions(start: Any) -> None:
    worker = start("Counts", solutions=2)
    problem = make_problem(make_case(dtype="float64"))
    processes = [worker.solve(problem)["output"].flat[0] for _ in range(5)]
    assert len(dict.fromkeys(processes)) == 3


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell how much memory is used")
def test_a_worker_that_grows_is_started_anew(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.worker.client._GROWTH", 64)
    monkeypatch.setattr("conformance.worker.client._SETTLED", 2)
    worker = start("Leaks")
    problem = make_problem(make_case(dtype="float64"))
    processes = [worker.solve(problem)["output"].flat[0] for _ in range(16)]
    assert len(dict.fromkeys(processes)) == 2


@pytest.mark.parametrize(
    "case", [{}, {"dtype": "float64", "lengths": "ragged"}, {"num_layers": 2, "dropout": 0.5, "mode": "train"}]
)
def test_torch_gives_the_same_bytes_in_a_process_of_its_own(case: dict[str, Any]) -> None:
    _same("torch.nn.LSTM", implementations.load("torch.nn.LSTM"), make_problem(make_case(**case)))


def _same(name: str, adapter: Adapter, problem: Any) -> None:
    worker = isolated(adapter, name)
    try:
        problem = replace(problem, dropout_masks=adapter.dropout_masks(problem))
        assert _bytes(worker.dropout_masks(problem)) == _bytes(problem.dropout_masks)
        assert _bytes(worker.solve(problem)) == _bytes(adapter.solve(problem))
        assert worker.dialect(problem.case) == adapter.dialect(problem.case)
        assert worker.profile(problem.case) == adapter.profile(problem.case)
        assert worker.describe() == adapter.describe()
    finally:
        worker.close()


def _bytes(tensors: Any) -> dict[str, bytes]:
    return {name: np.asarray(value).tobytes() for name, value in tensors.items()}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such notice")
def test_a_process_does_not_outlive_who_started_it() -> None:
    code = (
        "from tests.conformance.worker.hostile import Hostile\nfrom tests.conformance.worker.test_client import *\n"
        "worker = isolated(Hostile(), f'{HOSTILE}:KillsTheRun')\n"
        "worker.describe()\nassert worker._process\nprint(worker._process._process.pid, flush=True)\n"
        "worker.solve(make_problem(make_case()))\n"
    )
    # The process may be gone before this one looks: it is not this one's child.
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT) as user:
        assert user.stdout
        process = int(user.stdout.readline())
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(process)
            try:
                assert select.select([descriptor], [], [], 30)[0]
            finally:
                os.close(descriptor)
    assert user.returncode == -signal.SIGKILL


@pytest.mark.parametrize("spec", ["torch.nn.LSTM", f"{FAKES}:Faithful"])
def test_another_environment_needs_nothing_of_this_package(spec: str, tmp_path: Path) -> None:
    worker = elsewhere(_python_without_this_package(tmp_path), spec)
    try:
        version = installed.version("torch").partition("+")[0].removesuffix(".0")
        assert worker.name == (f"{spec}@{version}" if spec == "torch.nn.LSTM" else "faithful")
        assert set(worker.solve(make_problem(make_case()))) >= {"output", "grad.input"}
    finally:
        worker.close()


def _python_without_this_package(folder: Path) -> str:
    """An interpreter that starts in another folder, and has no search path of ours but for the tests' own fakes."""
    script = folder / "python"
    root = shlex.quote(str(ROOT))
    script.write_text(f'#!/bin/sh\nunset PYTHONPATH\ncd {root}/tests && exec {shlex.quote(sys.executable)} "$@"\n')
    script.chmod(0o755)
    return str(script)


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (lambda: program(""), "needs a program"),
        (lambda: program("./not-there"), "cmd:./not-there cannot be used: ./not-there cannot be started: No such file"),
        (lambda: program("echo hello"), "broke the protocol with b'hello"),
        (lambda: program("sh -c 'echo out of order >&2; exit 2'"), "(?s)exit code 2.*out of order"),
        (lambda: program(f"printf {STARTED}more"), "4 bytes more than it announced: b'more"),
        (lambda: program("printf '{'"), "exit code 0"),
        (lambda: elsewhere(sys.executable, ""), "needs an implementation's name"),
        (lambda: elsewhere(sys.executable, f"{FAKES}:Absent"), "pip install a-framework"),
        (lambda: elsewhere(sys.executable, "torch.nn.LSTN"), "did you mean 'torch.nn.LSTM'"),
    ],
)
def test_what_cannot_be_started_is_the_users_to_put_right(load: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load()
