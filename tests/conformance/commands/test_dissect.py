"""``conformance dissect`` prints what an implementation reads and returns wrongly."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from conformance.commands import explain_cases
from conformance.commands.cli import main
from conformance.commands.dissect import _show
from conformance.commands.parser import make_parser
from conformance.defects.experiment.findings import Dissection, Finding
from tests.conformance.defects.experiment import broken
from tests.conftest import FAKES, ROOT

ADAPTERS = f"""\
import sys
sys.path.insert(0, {str(ROOT)!r})
import numpy as np
from tests.conformance.defects.experiment import broken


class Single(broken.Altered):
    name = "single"

    def __init__(self):
        super().__init__("single", after=lambda found, _: {{name: np.float32(array) for name, array in found.items()}})

class IgnoresBias(broken.Altered):
    name = "ignores-bias"

    def __init__(self):
        super().__init__(
            "ignores-bias", broken.ignore_bias_hh_of_layer_1, refuses=lambda case: "gradients" in case.check
        )
"""


def test_a_correct_implementation_reads_and_returns_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dissect", "-i", f"{FAKES}:ForwardOnly"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "forward-only: reads and returns everything as documented",
        "  probed    13 of 13 probes in float64, forward only, each repeatedly",
        "  changed   103 blocks, one at a time; every result responds as it must",
    ]


def test_a_mistake_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "adapters.py"
    path.write_text(ADAPTERS)
    assert main(["dissect", "-i", f"{path}:IgnoresBias"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "ignores-bias: 4 of 13 probes deviate",
        "  what      ignores bias_hh of layer 1",
        "  when      two layers; two layers, both directions; two layers, both directions, lengths; 1 more",
        "  verified  the reference with this change reproduces every tensor of 12 solutions exactly (within 0.1 of "
        "budget)",
        "  not run   gradients: the implementation computes none",
    ]


@pytest.mark.usefixtures("without_workers")
def test_float64_in_the_precision_of_float32_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "adapters.py"
    path.write_text(ADAPTERS)
    assert main(["dissect", "-i", f"{path}:Single"]) == 1
    assert capsys.readouterr().out.splitlines()[:2] == [
        "single: reads and returns everything as documented, but float64 is only as precise as float32",
        "  probed    13 of 13 probes in float32, each repeatedly",
    ]


@pytest.mark.usefixtures("without_workers")
def test_json_holds_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dissect", "--json", "-i", f"{FAKES}:BatchFirstStates", "-i", f"{FAKES}:Declares"]) == 1
    wrong, right = json.loads(capsys.readouterr().out)
    assert (wrong["correct"], right["correct"]) == (False, True)
    assert wrong["findings"][0]["what"].startswith("h_n is batch-first")
    assert right["probed"] == dict.fromkeys(
        ["activations, one at a time", "one layer", "both directions", "one row", "one step"], "float32"
    )
    assert right["unsupported"]["lengths"] == "declares needs rows of equal length"


def test_at_most_twelve_lines_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    result = Dissection("many", {"one layer": "float32"}, failing=["one layer"], unsupported={"reverse": "it cannot"})
    result.findings = [Finding(f"finding {i}", ("one layer",), 1, i < 2, 3, 0.1) for i in range(30)]
    result.exact = False
    _show(Console(soft_wrap=True), result)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert lines[2] == "  when      one layer; not in 1 other to which it would apply"
    assert lines[3].endswith("reproduces every tensor of 3 solutions within budget")
    assert lines[-2:] == ["  more      25 further findings: --json", "  not run   reverse: it cannot"]


def test_results_that_do_not_repeat_are_the_headline(capsys: pytest.CaptureFixture[str]) -> None:
    result = Dissection("odd", {"one layer": "float32"}, findings=[Finding("does not repeat: h_n changes", ())])
    result.repeats = False
    _show(Console(soft_wrap=True), result)
    assert capsys.readouterr().out.startswith("odd: results do not repeat, so nothing else is reported\n")


def test_findings_in_a_fresh_process_follow_those_about_earlier_calls(capsys: pytest.CaptureFixture[str]) -> None:
    result = Dissection("odd", {"one layer": "float32"}, failing=["one layer"], history=[Finding("it remembers", ())])
    result.findings = [Finding("returns h_n as zeros", ("one layer",), 0, True, 3, 0.1)]
    _show(Console(soft_wrap=True), result)
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == "odd: results depend on earlier calls; alone in a fresh process, 1 of 1 probes deviate"
    assert lines[:2] == ["  seen      it remembers", "  what      returns h_n as zeros"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-i", f"{FAKES}:Absent"], 3, "install with: pip install a-framework"),
        (["-i", "torch.nn.LSTN"], 2, "did you mean 'torch.nn.LSTM'?"),
        (["-i", f"{FAKES}:SupportsNothing"], 2, "has no class"),
    ],
)
def test_misuse_is_explained(arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dissect", *arguments]) == code
    assert message in capsys.readouterr().err


def test_an_implementation_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["dissect"])
    assert "-i" in capsys.readouterr().err


def test_the_failures_of_selected_cases_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("conformance.defects.diagnosis.diagnose.MAX_CPU_SECONDS", 0.05)
    monkeypatch.setattr("conformance.run.explaining.PROBES", ())
    monkeypatch.setattr("conformance.defects.experiment.condition._CONFIRMING", 2)
    monkeypatch.chdir(tmp_path)
    Path("cases.yaml").write_text(
        "defaults: {input_size: 1, hidden_size: 2, seq_len: 2, dtype: float64, check: [output, h_n, c_n]}\n"
        "cases:\n  one: {batch: 1}\n  two: {batch: 3}\n"
    )
    mine = broken.Altered("mine", after=broken.roll_rows_of_h_n, refuses=broken.no_gradients)

    def dissect(expression: str) -> list[str]:
        options = ["dissect", "-i", "mine", "cases.yaml", "-k", expression]
        explain_cases.execute(make_parser().parse_args(options), [mine])
        return capsys.readouterr().out.splitlines()

    headline, what, *facts = dissect("two")
    assert headline == "mine: 1 of 1 case deviates"
    assert what == "  what      returns h_n from the row before, around the ends"
    assert any(
        fact.startswith("  when      compares h_n, batch ≥ 2 (1 of 1 such cases fail; confirmed") for fact in facts
    )
    assert facts[-1] == "  try       conformance run cases.yaml -i mine -k cases.yaml::two"
    assert dissect("one") == ["mine: 0 of 1 case deviates"]


def test_a_selection_without_cases_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dissect", "-i", f"{FAKES}:ForwardOnly", "-k", "nosuchcase"]) == 2
    assert "no case is selected" in capsys.readouterr().err
