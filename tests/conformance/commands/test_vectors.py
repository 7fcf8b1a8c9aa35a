"""``conformance vectors`` on the command line."""

import json
from pathlib import Path

import pytest

from conformance.commands.cli import main
from conformance.defects.power import bitmasks
from tests.conftest import REJECTED_CASES


def names(project: Path) -> list[str]:
    """Returns the names of the exported vectors."""
    return [vector["name"] for vector in json.loads((project / "out" / "vectors.json").read_bytes())["vectors"]]


def export(*options: str) -> int:
    return main(["vectors", "export", "--output", "out", *options])


def test_a_users_cases_are_exported_and_checked(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("cases", "--features", "plain,lengths") == 0
    file = json.loads((project / "out" / "vectors.json").read_bytes())
    assert names(project) == ["cases/small.yaml::plain", "cases/small.yaml::ragged"]
    assert not any(name.startswith("grad") for vector in file["vectors"] for name in vector["expected"])
    assert "out/vectors.json: 2 vectors that detect " in capsys.readouterr().out
    assert main(["vectors", "check", "out"]) == 0
    assert capsys.readouterr().out == "out/vectors.json: 2 vectors agree with the reference\n"


def test_minimal_keeps_only_cases_that_add_a_mistake(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    masks = {"plain": 0b001, "ragged": 0b011, "both-ways": 0b110}
    monkeypatch.setattr(bitmasks, "mask_of", lambda view, _: masks[view.case.name])
    assert export("cases", "--minimal") == 0
    assert names(project) == ["cases/small.yaml::ragged", "cases/small.yaml::both-ways"]


def test_large_vectors_are_left_out(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("cases", "--max-numbers", "700", "--features", "plain,bidirectional") == 0
    assert "left out because of more than 700 numbers: 1\n" in capsys.readouterr().out
    assert names(project) == ["cases/small.yaml::plain"]


def test_a_damaged_file_fails_the_check(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("cases", "-k", "plain", "--features", "plain") == 0
    path = project / "out" / "vectors.json"
    document = json.loads(path.read_bytes())
    document["vectors"][0]["expected"]["output"]["data"][0] += 1e-12
    path.write_text(json.dumps(document))
    capsys.readouterr()
    assert main(["vectors", "check", str(path)]) == 1
    assert "the numbers do not match sha256" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set", "core", "-k", "lengths"), "--set cannot be combined with"),
        (("--features", "colour"), "unknown feature 'colour'"),
        (("cases", "-k", "nothing"), "no case is selected"),
    ],
)
def test_a_wrong_selection_is_an_error(
    options: tuple[str, ...], message: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    assert export(*options) == 2
    assert message in capsys.readouterr().err
    assert not (project / "out").exists()


def test_a_case_that_detects_nothing_is_left_out(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bitmasks, "mask_of", lambda view, _: int(view.case.name == "ragged"))
    assert export("cases") == 0
    assert "left out cases/small.yaml::plain: it detects no mistake" in capsys.readouterr().out
    assert names(project) == ["cases/small.yaml::ragged"]


def test_a_case_that_cannot_be_judged_is_reported(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "cases" / "small.yaml").write_text(REJECTED_CASES)
    assert export("cases") == 2
    assert "overflows cannot be judged" in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_a_folder_without_vectors_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vectors", "check", "cases"]) == 2
    assert "cases: contains no vector file" in capsys.readouterr().err


def test_a_case_that_is_too_large_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("cases", "--max-memory", "1kB") == 2
    assert "small.yaml" in capsys.readouterr().err
    assert not (project / "out").exists()
