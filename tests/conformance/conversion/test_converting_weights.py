"""The commands and the code of the page on converting weights."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from conformance.commands.cli import main
from conformance.conversion.files import npz
from conformance.conversion.frameworks import FRAMEWORKS
from reference import Model
from tests.conformance.conversion.samples import FOLDER, draw
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "converting-weights.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ conformance (.+)\n((?:(?!\$ |```).*\n)*)", PAGE, re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the checkpoints that the page mentions, as the current one."""
    shutil.copy(FOLDER / "torch.safetensors", tmp_path / "model.safetensors")
    shutil.copy(FOLDER / "haiku.npz", tmp_path / "cells.npz")
    arrays = {"cell.W": np.ones((3, 16)), "cell.U": np.ones((4, 16)), "cell.b": np.ones(16)}
    (tmp_path / "unknown.npz").write_bytes(
        npz.write({name: array.astype(np.float32) for name, array in arrays.items()})
    )
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("command", "expected"), COMMANDS, ids=[command for command, _ in COMMANDS])
@pytest.mark.usefixtures("folder")
def test_a_command_prints_what_the_page_shows(command: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "--check" in command:
        pytest.importorskip("torch")
        pytest.importorskip("onnxruntime")
    main(shlex.split(command))
    printed = capsys.readouterr()
    ratio = r"error ratio 0\.\d+"
    assert re.sub(ratio, "error ratio", printed.out + printed.err) == re.sub(ratio, "error ratio", expected)


def test_the_page_has_commands_and_names_every_framework() -> None:
    assert len(COMMANDS) == 5
    first_table = PAGE.split("## Load the result")[1].split("Every framework's arrays")[0]
    assert set(re.findall(r"`(\w+)`", first_table)) >= set(FRAMEWORKS)


def test_the_code_of_the_page_sets_the_weights_of_a_layer() -> None:
    class Model_:  # noqa: N801
        def state_dict(self) -> dict[str, np.ndarray]:
            return {f"encoder.{name}": array for name, array in draw(Model(3, (4,))).parameters.items()}

    class Layer:
        def set_weights(self, weights: list[np.ndarray]) -> None:
            self.shapes = [array.shape for array in weights]

    [code] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    layer = Layer()
    exec(code, {"model": Model_(), "layer": layer})
    assert layer.shapes == [(3, 16), (4, 16), (16,)]
