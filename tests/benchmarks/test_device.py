"""The command for GPUs: what it runs, its table, and what it does without a GPU."""

from pathlib import Path

import pytest

from benchmarks import device
from conformance.adapters import Solution
from conformance.adapters.registry import registered
from conformance.cases.case import Case
from conformance.cases.casefile import load_all
from conformance.errors import MISSING
from conformance.results.reader import read
from conformance.verdict.problem import Problem
from tests.conftest import REJECTED_CASES
from tests.fakes import Faithful

SHIPPED = device.case_files()


class WithoutDevice(Faithful):
    name = "without-device"

    def supports(self, case: Case) -> str | None:
        del case
        return "no CUDA device"


class Alternates(Faithful):
    """Changes the last bit of one element in every second call."""

    name = "alternates"
    calls = 0

    def solve(self, problem: Problem) -> Solution:
        self.calls += 1
        results = {name: array.copy() for name, array in super().solve(problem).items()}
        results["h_n"].flat[0] *= 1 + (self.calls % 2) * 2.0**-23
        return results


def run(capsys: pytest.CaptureFixture[str], *names: str) -> tuple[int, str, str]:
    """Runs the command in this process. Returns the exit code and what it prints."""
    selected = [word for name in names for word in ("-i", name)]
    code = device.main([*selected, "--output", "out", "--in-process", "--no-diagnosis"])
    return code, *capsys.readouterr()


@pytest.fixture(autouse=True)
def _small_cases(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "case_files", lambda: [project / "cases"])


def test_without_a_device_the_exit_code_says_so_and_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, errors = run(capsys, f"{__name__}:WithoutDevice")
    assert (code, errors) == (MISSING, f"{__name__}:WithoutDevice: no CUDA device\n")
    assert not Path("out").exists()


def test_the_table_counts_results_and_compares_two_calls(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("tests.fakes:Faithful", "tests.fakes:Zeros", f"{__name__}:Alternates", f"{__name__}:WithoutDevice")
    code, printed, _ = run(capsys, *names)
    rows = {row[1].strip(" `"): [cell.strip() for cell in row[2:-1]] for row in table(printed)}
    assert list(rows) == ["implementation", "---", "faithful", "zeros", "alternates"]
    assert rows["implementation"][:5] == ["conform", "known", "fail", "unsupported", "not run"]
    assert rows["implementation"][5:] == ["float64", "float32", "identical twice"]
    assert (rows["faithful"][:5], rows["faithful"][-1]) == (["3", "0", "0", "0", "0"], "3 of 3")
    assert (rows["zeros"][:5], rows["zeros"][-1]) == (["0", "0", "3", "0", "0"], "3 of 3")
    assert rows["alternates"][-1] == "0 of 3"
    assert float(rows["zeros"][6]) > 1 > float(rows["faithful"][6])
    assert code == 1
    assert len(read(Path("out/results.jsonl")).results) == 9


def table(printed: str) -> list[list[str]]:
    """Returns the cells of the lines of a Markdown table."""
    return [line.split("|") for line in printed.splitlines() if line.startswith("|")]


def test_a_case_that_cannot_be_judged_does_not_prevent_the_table(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "cases" / "small.yaml").write_text(REJECTED_CASES)
    code, printed, _ = run(capsys, "tests.fakes:Faithful")
    assert code == 2
    [_, _, row] = table(printed)
    assert [row[2].strip(), row[6].strip(), row[-2].strip()] == ["2", "1", "2 of 2"]


def test_a_mistake_on_the_command_line_is_reported_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, errors = run(capsys, "torch.nn.LSTM[gpu]")
    assert code == 2
    assert "did you mean" in errors


def test_the_implementations_are_registered() -> None:
    assert set(device.IMPLEMENTATIONS) <= set(registered())


def test_every_case_for_devices_names_its_path() -> None:
    cases = load_all([SHIPPED[1]])
    assert len({case.key for case in cases}) == len(cases) >= 8
    for case in cases:
        assert "device" in case.tags
        assert "Forward: " in case.notes or "Both passes: " in case.notes
