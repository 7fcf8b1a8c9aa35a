"""``conformance versions`` and ``conformance bisect`` on a small package with three releases."""

from pathlib import Path

import pytest
from packaging.version import Version

from conformance.commands.bisect import affected_range
from conformance.commands.cli import main
from conformance.environments.bisection import Boundaries
from conformance.known.divergences import shipped
from conformance.results.reader import read
from tests.conformance.environments import index

MODULES = {"1.0": "FACTOR = 1\n", "1.1": "raise ImportError('this release is broken')\n", "2.0": "FACTOR = 2\n"}
CASE = "cases/core.yaml::one-layer"


def test_releases_are_run_and_bisected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = index.use(tmp_path, monkeypatch, MODULES)
    output = tmp_path / "report"
    arguments = ["-k", f"{CASE} and not float64", "--no-diagnosis", "-j", "1", "--output", str(output)]
    assert main(["versions", adapter, *arguments]) == 1
    printed = capsys.readouterr().out
    assert "lstm-of-tests 1.1 is not run: " in printed
    assert "1.0 → 2.0: 1 case, conforms → deviates: cases/core.yaml::one-layer" in " ".join(printed.split())
    report = read(output / "results.jsonl")
    assert {result.implementation: result.status for result in report.results} == {
        "scaled@1": "pass",
        "scaled@2": "fail",
    }
    assert list(report.header.absent) == ["lstm-of-tests 1.1"]

    assert main(["bisect", CASE, "-i", adapter]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:-2]] == [f"lstm-of-tests {v}" for v in ("2.0", "1.0", "1.1")]
    assert lines[-2] == "skipped, because they cannot be tested: 1.1"
    assert lines[-1] == "since 2.0, up to 2.0, the newest release that can be tested"

    assert main(["versions", "--check", adapter]) == 1
    checked = capsys.readouterr()
    assert checked.err.count("fail cases/") == 10
    rows = [line.split(" | ")[1:] for line in checked.out.splitlines()[2:]]
    assert [row[0] for row in rows] == [f"lstm-of-tests {version}" for version in MODULES]
    assert [row[1].split(":")[0].rstrip(" |") for row in rows] == ["10/10", "cannot run", "0/10 !10"]

    assert main(["doctor", "-i", adapter]) == 3
    assert "3 environments" in capsys.readouterr().out
    assert main(["doctor", "--prune"]) == 0
    assert "removed 3 environments" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("oldest", "first", "expected"),
    [
        (0, 0, (">=1.0,<=3.0", "oldest tested")),
        (0, 1, ("==3.0", "first affected")),
    ],
)
def test_an_older_release_that_an_entry_names_stays_in_its_range(
    oldest: int, first: int, expected: tuple[str, str]
) -> None:
    entry = shipped()[0].model_copy(update={"versions": ">=1.0,<=3.0"})
    found = [Version("2.0"), Version("3.0")]
    assert affected_range(Boundaries(oldest=oldest, first=first, last=1, newest=1), found, entry) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["versions"], "needs the name of an implementation"),
        (["versions", "onnxruntime", "--from", "1.21"], "no supported release of onnxruntime is in this range"),
        (["versions", "onnxruntime", "--with", "!"], "invalid requirement"),
        (["bisect", "no-such-finding"], "no divergence has this id"),
        (["bisect", "no-such-case", "-i", "onnxruntime"], "no shipped case has this id"),
        (["bisect", CASE, "-i", "onnxruntime", "--write"], "--write needs the id of a divergence"),
    ],
)
def test_mistakes_are_explained(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conformance.environments.installer.call_pip", lambda _: "Available versions: 1.20.0")
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_bound_must_be_a_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["versions", "onnxruntime", "--from", "x"])
    assert "must be a version such as 3.8" in capsys.readouterr().err
