"""Implementations in environments on demand: their names, and what happens if a release does not start."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from conformance.environments import environment, releases, requirements
from conformance.environments.environment import Environment
from conformance.errors import UserError
from conformance.run import on_demand
from conformance.worker.client import WorkerAdapter

NEEDED = ("onnxruntime==1.17.0", "onnx>=1.14")
DAY = "2024-01-31"


class Worlds:
    """Environments that exist only in memory. An implementation starts in those of some days.

    Attributes:
        starts: days whose environments work; "" for the newest releases.
        provided: requirements and day of each environment that was asked for.
    """

    def __init__(self, folder: Path, starts: Sequence[str]) -> None:
        self.folder = folder
        self.starts = starts
        self.provided: list[tuple[tuple[str, ...], str]] = []

    def provide(self, needed: Sequence[str], before: str = "") -> Environment:
        self.provided.append((tuple(needed), before))
        place = self.folder / (before or "newest")
        place.mkdir(exist_ok=True)
        return Environment(place, tuple(needed), before, 1, yanked=False)

    def start(self, python: str, name: str) -> WorkerAdapter:
        day = Path(python).parents[1].name
        if day.replace("newest", "") not in self.starts:
            raise UserError(f"{day} does not start")
        worker = WorkerAdapter([python])
        worker.name = f"{name}@1.17"
        worker.packages = {"onnxruntime": "1.17.0", "onnx": "1.15.0"}
        return worker


@pytest.fixture
def worlds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worlds:
    found = Worlds(tmp_path, ["", DAY])
    monkeypatch.setattr(environment, "provide", found.provide)
    monkeypatch.setattr(on_demand, "start_in_environment", found.start)
    monkeypatch.setattr(releases, "release_date", lambda _: DAY)
    return found


def spec(text: str) -> requirements.Spec:
    found = requirements.parse(text)
    assert found
    return found


def test_names_end_with_the_requirements_that_the_version_does_not_show(worlds: Worlds) -> None:
    assert on_demand.start(spec("onnxruntime@onnxruntime==1.17.0")).name == "onnxruntime@1.17"
    assert on_demand.start(spec("onnxruntime@onnx==1.15.0")).name == "onnxruntime@1.17,onnx==1.15.0"
    assert len(worlds.provided) == 2


def test_an_old_release_gets_the_dependencies_of_its_day(worlds: Worlds, capsys: pytest.CaptureFixture[str]) -> None:
    worlds.starts = [DAY]
    text = "onnxruntime@onnxruntime==1.17.0"
    on_demand.start(spec(text))
    without_range = ("onnxruntime==1.17.0", "onnx")
    assert worlds.provided == [(NEEDED, ""), (without_range, DAY)]
    assert f"uses the dependencies of {DAY}" in capsys.readouterr().err
    # The next time, nothing is tried.
    on_demand.start(spec(text))
    assert worlds.provided[2:] == [(NEEDED, ""), (without_range, DAY)]


@pytest.mark.parametrize("day", ["", DAY])
def test_a_release_that_never_starts_is_reported(worlds: Worlds, monkeypatch: pytest.MonkeyPatch, day: str) -> None:
    monkeypatch.setattr(releases, "release_date", lambda _: day)
    worlds.starts = []
    with pytest.raises(UserError, match="newest does not start"):
        on_demand.start(spec("onnxruntime@onnxruntime==1.17.0"))
    assert on_demand.usable(spec("onnxruntime@onnxruntime==1.17.0")) == "newest does not start"


def test_withdrawn_releases_are_not_usable(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    def provide(needed: Sequence[str], before: str = "") -> Environment:
        place = worlds.provide(needed, before)
        return Environment(place.folder, place.requirements, before, 1, yanked=True)

    monkeypatch.setattr(environment, "provide", provide)
    assert on_demand.usable(spec("onnxruntime@onnxruntime==1.17.0")) == (
        "onnxruntime==1.17.0 was withdrawn (yanked) by its authors"
    )
