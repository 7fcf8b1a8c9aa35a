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

CODE = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


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

    layer = Layer()
    exec(CODE[-1], {"model": Model_(), "layer": layer})
    assert layer.shapes == [(3, 16), (4, 16), (16,)]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # From Keras.
def test_a_model_is_ported_there_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keras, torch = pytest.importorskip("keras"), pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    layers = {"encoder": torch.nn.LSTM(16, 32, 2, bidirectional=True, batch_first=True), "head": torch.nn.Linear(64, 5)}
    model = torch.nn.ModuleDict(layers)
    torch.save(model.state_dict(), "model.pt")
    before = {name: tensor.clone() for name, tensor in model.encoder.state_dict().items()}

    main(["convert", "model.pt", "model.weights.h5"])
    names = {"keras": keras}
    exec(CODE[0], names)
    x = np.random.default_rng(0).standard_normal((2, 7, 16), dtype=np.float32)
    expected = model.encoder(torch.from_numpy(x))[0].detach().numpy()
    np.testing.assert_allclose(np.asarray(names["part"](x)), expected, atol=1e-6)

    model.encoder.reset_parameters()
    names["part"].save_weights("tuned.weights.h5")
    main(["convert", "tuned.weights.h5", "tuned.pt", "--stack"])
    exec(CODE[1], {**names, "torch": torch, "model": model})
    for name, tensor in model.encoder.state_dict().items():
        if name.startswith("weight"):
            assert torch.equal(tensor, before[name])
