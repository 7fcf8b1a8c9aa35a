"""``conformance smoke`` runs ten steps, up to the first deviation."""

import sys
from pathlib import Path

import pytest

from conformance.commands.cli import main
from conformance.commands.smoke import STEPS, steps
from conformance.known import divergences as known
from tests.conftest import FAKES

ADAPTERS = f"""\
import sys
sys.path.insert(0, {str(FAKES.parent)!r})
from fakes import Faithful


class InferenceOnly(Faithful):
    name = "inference-only"

    def supports(self, case):
        return "no gradients" if "gradients" in case.check else None


class InferenceGoesWrong(InferenceOnly):
    name = "inference-goes-wrong"

    def solve(self, problem):
        solution = super().solve(problem)
        return solution | {{"h_n": -solution["h_n"]}}


class BreaksAtTwoLayers(Faithful):
    name = "breaks-at-two-layers"

    def supports(self, case):
        return None if case.bias else "it always has biases"

    def solve(self, problem):
        solution = super().solve(problem)
        return solution | ({{"c_n": -solution["c_n"]}} if problem.case.num_layers > 1 else {{}})


class SupportsNothing(Faithful):
    name = "supports-nothing"

    def supports(self, case):
        return "not today"
"""


@pytest.fixture
def adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # -i adds the file's folder.
    (tmp_path / "adapters.py").write_text(ADAPTERS)
    return "adapters.py"


def test_the_steps_are_ten_small_cases_from_easy_to_hard() -> None:
    cases = [case for case, _ in steps()]
    assert [case.id for case in cases] == [name for name, _ in STEPS]
    assert len({case.key for case in cases}) == 10
    first, last = cases[0], cases[-1]
    assert (first.dtype, first.num_layers, first.direction, first.lengths) == ("float64", 1, "forward", None)
    assert (last.num_layers, last.direction, last.padding) == (2, "bidirectional", "nan")
    for option in ("bias", "batch_first", "dtype"):
        assert len({getattr(case, option) for case in cases}) == 2
    assert "omitted" in {case.initial_state for case in cases}


@pytest.mark.usefixtures("without_workers")
@pytest.mark.parametrize("name", ["torch.nn.LSTM", f"{FAKES}:Faithful"])
def test_all_steps_pass_on_a_conforming_implementation(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["smoke", name]) == 0
    printed = capsys.readouterr().out
    assert printed.count("  pass  ") == 10
    assert "10 of 10 supported steps pass" in printed
    assert f"conformance run -i {name}" in printed


@pytest.mark.usefixtures("without_workers")
def test_smoke_stops_at_the_first_deviation(adapters: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["smoke", f"{adapters}:BreaksAtTwoLayers"]) == 1
    printed = capsys.readouterr().out
    assert printed.count("  pass  ") == 4
    assert " 3  unsupported  without biases: it always has biases" in printed
    assert " 6  fail         two layers" in printed
    assert " 7  " not in printed
    assert "    c_n is off by " in printed
    assert "    within budget: output, h_n, grad.input" in printed
    assert "    diagnosis: " in printed
    assert "deviates in step 6 of 10" in printed
    again = f"conformance run -i {adapters}:BreaksAtTwoLayers -k {STEPS[5][0]}"
    assert printed.rstrip().endswith(again)


@pytest.mark.usefixtures("without_workers")
def test_only_the_forward_half_runs_without_gradients(adapters: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["smoke", f"{adapters}:InferenceOnly"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("forward only: error ratio") == 10
    assert main(["smoke", f"{adapters}:InferenceGoesWrong"]) == 1
    printed = capsys.readouterr().out
    assert "one layer in float64, forward only" in printed
    # `conformance run` would not run the forward half alone.
    assert printed.rstrip().endswith(f"conformance smoke {adapters}:InferenceGoesWrong")


@pytest.mark.usefixtures("without_workers")
def test_a_known_divergence_does_not_stop_smoke(
    adapters: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    divergence = known.Divergence(
        id="negative-c",
        implementation="breaks-at-two-layers",
        package="numpy",
        versions=">0",
        cases={"num_layers": 2},
        tensors=["c_n"],
        what="c_n is negative.",
        reason="none",
        upstream="none as of 2026-11",
        reproduction="none.py",
    )
    monkeypatch.setattr(known, "shipped", lambda: (divergence,))
    assert main(["smoke", f"{adapters}:BreaksAtTwoLayers"]) == 0
    printed = capsys.readouterr().out
    assert " 6  known        two layers: negative-c: c_n is negative." in printed
    assert "6 of 9 supported steps pass (+1 unsupported), 3 known to deviate" in printed


@pytest.mark.usefixtures("without_workers")
def test_cases_that_cannot_be_judged_are_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("conformance.verdict.oracle.MAX_CONDITION", 1.0)
    assert main(["smoke", f"{FAKES}:Zeros"]) == 2
    printed = capsys.readouterr().out
    assert " 1  not-run      one layer in float64: cannot be judged: " in printed
    assert "0 of 0 supported steps pass (+0 unsupported), 10 not run" in printed


@pytest.mark.usefixtures("without_workers")
def test_colours_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.delenv("NO_COLOR", raising=False)
    main(["smoke", f"{FAKES}:Raises"])
    assert "\x1b[1;31m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    main(["smoke", f"{FAKES}:Raises"])
    printed = capsys.readouterr().out
    assert "\x1b[1;31m" not in printed
    # Commands are not wrapped, so that they can be copied.
    assert f"-i {FAKES}:Raises -k {STEPS[0][0]}\n" in printed


def test_the_traceback_of_an_error_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["smoke", f"{FAKES}:Raises"]) == 1
    printed = capsys.readouterr().out
    assert " 1  error        one layer in float64\n" in printed
    assert "fakes.py" in printed


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("torch.nn.LSTN", 2, "did you mean 'torch.nn.LSTM'?"),
        ("none.py:LSTM", 2, "none.py: no such file"),
        (f"{FAKES}:Absent", 3, "install with: pip install a-framework"),
        ("adapters.py:SupportsNothing", 2, "nothing ran: supports-nothing supports none of the 10 cases"),
    ],
)
@pytest.mark.usefixtures("adapters", "without_workers")
def test_mistakes_are_explained(capsys: pytest.CaptureFixture[str], name: str, code: int, message: str) -> None:
    assert main(["smoke", name]) == code
    printed = capsys.readouterr()
    assert message in printed.err
    assert "Traceback" not in printed.err + printed.out


def test_a_crash_is_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    crashing = tmp_path / "crashing.py"
    crashing.write_text(
        "import os\n"
        "from conformance.adapters import Adapter\n"
        "class Crashing(Adapter):\n"
        "    name = 'crashing'\n"
        "    def supports(self, case): return None\n"
        "    def solve(self, problem): os._exit(3)\n"
    )
    assert main(["smoke", f"{crashing}:Crashing"]) == 1
    assert "its process exited with code 3" in capsys.readouterr().out
