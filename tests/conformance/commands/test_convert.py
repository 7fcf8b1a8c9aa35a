"""``conformance convert``: what it shows, writes and refuses."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.commands.cli import main
from conformance.conversion.files import formats
from conformance.conversion.frameworks import FRAMEWORKS
from conformance.errors import MISSING, WRONG_USE
from tests.conformance.conversion.samples import FOLDER, assert_computes

TORCH = FOLDER / "torch.safetensors"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a checkpoint, as the current one."""
    shutil.copy(TORCH, tmp_path / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def use(monkeypatch: pytest.MonkeyPatch, **classes: str) -> None:
    """Lets fakes run the weights of frameworks."""
    for name, fake in classes.items():
        place = f"tests.conformance.conversion.adapters:{fake}"
        monkeypatch.setitem(FRAMEWORKS, name, replace(FRAMEWORKS[name], implementations=(place,)))


def test_what_was_found_is_shown_before_the_file_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "model.safetensors", "keras.npz", "--to", "keras"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "model.safetensors: weights of torch.nn.LSTM",
        "  encoder  2 layers, bidirectional, I = 3, H = 4, float32",
        "  8 other tensors, left out; --all copies them unchanged",
        "note: encoder: keras.layers.LSTM is a single layer: each layer has a name of its own",
        "wrote keras.npz: weights of keras.layers.LSTM",
        "not verified. To run both frameworks with these weights:",
        "  conformance convert model.safetensors keras.npz --to keras --check",
    ]
    lstms = FRAMEWORKS["keras"].find(formats.read(folder / "keras.npz").tensors)
    assert [lstm.name for lstm in lstms] == ["encoder_l0", "encoder_l1"]
    assert_computes(lstms, "torch")


def test_other_tensors_can_be_copied(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "model.safetensors", "mine.npz", "--to", "equinox", "--all"]) == 0
    assert "8 other tensors, copied unchanged" in capsys.readouterr().out
    assert {"out.weight", "gru.weight_hh_l0"} < set(formats.read(folder / "mine.npz").tensors)
    assert main(["convert", "model.safetensors", "mine.onnx", "--all"]) == WRONG_USE
    assert "mine.onnx: a file of this format holds LSTMs only. Leave out --all" in capsys.readouterr().err


def test_layers_are_selected_and_stacked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    haiku = str(FOLDER / "haiku.npz")
    assert main(["convert", haiku, "one.npz", "--to", "torch", "--layer", "lstm_1"]) == 0
    assert (
        "  lstm  1 layer, forward, I = 3, H = 4, float32, forget_bias: 1.0  (not selected)" in capsys.readouterr().out
    )
    assert main(["convert", haiku, "all.npz", "--to", "torch", "--stack"]) == 0
    [lstm] = FRAMEWORKS["torch"].find(formats.read(folder / "all.npz").tensors)
    assert lstm.model.num_layers == 2
    assert_computes([lstm], "haiku")


def test_a_conversion_that_deviates_is_not_written(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, torch="Faithful", equinox="ReverseWithoutBiases")
    assert main(["convert", "model.safetensors", "new.eqx", "--check"]) == 1
    output = capsys.readouterr().out
    assert "\nverified: " in output
    assert "\nDEVIATES: " in output
    assert output.endswith("new.eqx is not written\n")
    assert sorted(path.name for path in folder.iterdir()) == ["model.safetensors"]


def test_without_a_framework_nothing_is_verified_or_written(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, torch="Faithful", equinox="Absent")
    assert main(["convert", "model.safetensors", "new.eqx", "--check"]) == MISSING
    output = capsys.readouterr()
    assert "\nnot verified: " in output.out
    assert "which is not installed" in output.out
    assert "not verified, so new.eqx is not written" in output.err
    assert "  conformance convert model.safetensors new.eqx --check\n" in output.err
    assert not (folder / "new.eqx").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.safetensors", "new.npz"], "new.npz: a file of this format can hold the weights of any framework"),
        (
            ["model.safetensors", "new.onnx", "--to", "keras"],
            "this format holds weights of onnx, not of keras",
        ),
        (["model.safetensors", "new.h5"], "new.h5: this format is only read. Write .weights.h5"),
        (["model.safetensors", "model.safetensors", "--to", "mlx"], "source and target are the same file"),
        (["model.safetensors", "new.npz", "--to", "mlx"], "encoder: has no exact counterpart in mlx.nn.LSTM"),
        (["model.safetensors", "new.npz", "--to", "keras", "--layer", "x"], "matches none of the LSTMs found: encoder"),
        (
            ["model.safetensors", "new.npz", "--to", "keras", "--from", "mlx"],
            "no tensors of an LSTM in the layout of mlx",
        ),
        (["model.safetensors", "new.npz", "--to", "block_lstm"], "--forget-bias 1"),
        (["model.safetensors", "new.npz", "--to", "mxnet"], "no framework is named 'mxnet'; known are torch, keras"),
        ([str(FOLDER / "keras2.h5"), "new.npz", "--to", "torch"], "second: has no exact counterpart in torch.nn.LSTM"),
        ([str(FOLDER / "equinox.eqx"), "new.onnx"], "2 LSTMs were found: 2, 5. Use --layer or --stack"),
    ],
)
def test_mistakes_are_explained_and_nothing_is_written(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if arguments[0].endswith(".h5"):
        pytest.importorskip("h5py")
    assert main(["convert", *arguments]) == WRONG_USE
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == ["model.safetensors"]
