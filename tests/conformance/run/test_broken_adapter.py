"""The terminal, the results file, the report and pytest explain the failures of a broken adapter."""

import json
from pathlib import Path

import pytest

from conformance.commands.cli import main
from conformance.results.reader import read
from tests import sessions
from tests.conftest import FEW_PLUGINS, ROOT

pytest.importorskip("torch")  # Before a session in this process imports it.

pytestmark = pytest.mark.usefixtures("project", "unlimited_diagnosis", "without_workers")
BROKEN = ROOT / "tests" / "broken.py"
GATES = "behaves exactly like an LSTM whose gates are read i, o, f, g"
OUTPUT = Path("conformance-report")


def run(name: str, *arguments: str) -> int:
    return main(["run", "cases", "-i", f"{BROKEN}:{name}", *arguments])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("WrongGates", f"{GATES}, with gradients left as they were read (10 of 10 tensors within "),
        ("WrongGatesMappedBack", f"{GATES} (10 of 10 tensors within "),
        (
            "Unexplained",
            "unexplained: no known defect behaves like this; first deviates at layer 0, step 0 (c_n off by ",
        ),
    ],
)
def test_a_failure_is_explained_when_it_occurs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.setattr("conformance.run.explaining.MAX_CPU_SECONDS", 0.0)
    monkeypatch.setattr("conformance.run.explaining.MAX_CONDITION_CPU_SECONDS", 0.0)
    assert run(name, "-k", "plain") == 1
    assert words in " ".join(capsys.readouterr().out.split())


def test_failures_with_the_same_cause_are_grouped(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("WrongGatesMappedBack") == 1
    assert f"\nCauses\n  3 cases of broken.WrongGatesMappedBack: {GATES}\n" in capsys.readouterr().out
    report = (OUTPUT / "report.md").read_text()
    assert "### Causes" in report
    assert f"| `broken.WrongGatesMappedBack` | 3 | {GATES} |  |  | `gates-read-iofg` |" in report
    assert f"Diagnosis: {GATES}" in report
    for result in read(OUTPUT / "results.jsonl").results:
        assert result.causes == {"gates-read-iofg": "whose gates are read i, o, f, g"}
        assert result.diagnosis.startswith(GATES)
        assert "diagnosis" in result.seconds


def test_no_diagnosis_can_be_requested(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("WrongGates", "--no-diagnosis") == 1
    printed = capsys.readouterr().out
    assert GATES not in printed
    assert "Causes" not in printed
    rows = [json.loads(line) for line in (OUTPUT / "results.jsonl").read_text().splitlines()]
    assert all("diagnosis" not in row and "causes" not in row for row in rows)


def test_pytest_shows_the_diagnosis(pytester: pytest.Pytester, project: Path) -> None:
    (pytester.mkdir("cases") / "small.yaml").write_text((project / "cases" / "small.yaml").read_text())
    plugin = ("-p", "conformance.pytest.plugin", *FEW_PLUGINS.split(), "-k", "plain")
    done = sessions.run(pytester, *plugin, "--conformance-implementation", f"{BROKEN}:WrongGates")
    done.assert_outcomes(failed=1)
    printed = " ".join(done.stdout.str().split())
    assert f"cause {GATES}, with gradients left as they were read (10 of 10 tensors" in printed
