"""The harnesses in C and C++, and the one of the page, conform."""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conformance.adapters.check import check_adapter
from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.known import divergences as known
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle
from conformance.worker.start import start_program
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "worker-protocol.md"
JAVASCRIPT = re.search(r"```js\n(.*?)```", PAGE.read_text(), re.DOTALL)
CPP = ROOT / "harnesses" / "cpp"


def statuses(command: str, cases: Sequence[Case]) -> Counter[str]:
    worker = start_program(command)
    runner = Runner(Oracle(), divergences=known.shipped(), diagnoses=False)
    try:
        return Counter(runner.check(case, worker).status for case in cases)
    finally:
        worker.close()


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler is installed")
def test_the_harness_in_c_conforms_with_gradients(tmp_path: Path) -> None:
    harness = tmp_path / "harness"
    compiler = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(harness), str(ROOT / "examples/harness.c"), "-lm"]
    subprocess.run(compiler, check=True, timeout=240)
    cases = load_all([shipped_cases()])
    found = statuses(str(harness), cases)
    assert set(found) == {"pass", "unsupported"}, found
    assert found["pass"] >= 40


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_the_harness_of_the_page_conforms(tmp_path: Path) -> None:
    assert JAVASCRIPT
    harness = tmp_path / "harness.js"
    harness.write_text(JAVASCRIPT[1])
    plain: dict[str, Any] = {
        "input_size": 3,
        "hidden_size": 4,
        "seq_len": 5,
        "batch": 3,
        "check": ("output", "h_n", "c_n"),
    }
    others: list[dict[str, Any]] = [
        {},
        {"dtype": "float64"},
        {"bias": False},
        {"initial_state": "omitted"},
        {"num_layers": 2},
    ]
    cases = [Case.model_validate(plain | options) for options in others]
    assert statuses(f"node {harness}", cases) == {"pass": 4, "unsupported": 1}


def test_the_harness_of_the_page_is_short() -> None:
    assert JAVASCRIPT
    assert len(JAVASCRIPT[1].splitlines()) <= 80


def built(harness: str) -> str:
    """Returns the path of a harness in C++. Skips the test if it is not built."""
    if not (CPP / harness).exists():
        pytest.skip(f"not built: make -C harnesses/cpp {harness}")
    return str(CPP / harness)


@pytest.mark.parametrize("harness", ["libtorch", "onednn"])
def test_a_harness_in_cpp_conforms_except_for_known_divergences(harness: str) -> None:
    found = statuses(built(harness), load_all([shipped_cases() / "core.yaml"]))
    assert set(found) <= {"pass", "unsupported", "known"}, found
    assert found["pass"] >= 5


@pytest.mark.parametrize("harness", ["libtorch", "onednn"])
def test_a_harness_in_cpp_passes_the_adapter_check(harness: str) -> None:
    worker = start_program(built(harness))
    try:
        assert check_adapter(worker) == []
        assert worker.packages
    finally:
        worker.close()
