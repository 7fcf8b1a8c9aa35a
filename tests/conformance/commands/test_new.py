"""``conformance new adapter``: three lines turn the skeleton into a working adapter; no file is overwritten."""

import inspect
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.adapters.check import check_adapter
from conformance.commands.cli import main
from conformance.run import implementations
from reference import Model, backward, forward

REFERENCE = (
    "layer = toylib.Layer(case.input_size, case.hidden_size, weights)",
    "output, h_n, c_n = layer.forward(x, h_0, c_0)",
    "d_x, d_h_0, d_c_0, d_weights = layer.backward(dy, dh, dc)",
)
TORCH = (
    """import torch; tensor = lambda array: torch.from_numpy(array).requires_grad_()
        layer = torch.nn.LSTM(case.input_size, case.hidden_size, bias=case.bias, dtype=getattr(torch, case.dtype))
        layer.load_state_dict({f"{role}_l0": torch.from_numpy(array) for role, array in weights.items()})""",
    """leaves = {"x": tensor(x), **({"h": tensor(h_0), "c": tensor(c_0)} if case.gives_state else {})}
        states = (leaves["h"][None], leaves["c"][None]) if case.gives_state else None
        results, (last_h, last_c) = layer(leaves["x"], states)
        output, h_n, c_n = (each.detach().numpy() for each in (results, last_h[0], last_c[0]))""",
    """named = leaves | dict(layer.named_parameters())
            cotangents = [torch.from_numpy(array) for array in (dy, dh[None], dc[None])]
            found = torch.autograd.grad([results, last_h, last_c], list(named.values()), cotangents)
            found = {name.removesuffix("_l0"): each.numpy() for name, each in zip(named, found)}
            d_x, d_h_0, d_c_0 = found.pop("x"), found.pop("h", None), found.pop("c", None)
            d_weights = found""",
)


class Layer:
    """A time-major layer with torch's layout that wraps the reference."""

    def __init__(self, input_size: int, hidden_size: int, weights: Any) -> None:
        self.model = Model(input_size, (hidden_size,), bias="bias_ih" in weights)
        self.weights = {f"{role}_l0": array for role, array in weights.items()}

    def forward(self, x: Any, h: Any, c: Any) -> Any:
        self.trace = forward(self.model, self.weights, x, None if h is None else {"h_0": h[None], "c_0": c[None]})
        outputs = self.trace.outputs
        return outputs["output"], outputs["h_n"][0], outputs["c_n"][0]

    def backward(self, dy: Any, dh: Any, dc: Any) -> Any:
        found = backward(self.trace, {"output": dy, "h_n": dh[None], "c_n": dc[None]})
        states = [found[name][0] if name in found else None for name in ("grad.h_0", "grad.c_0")]
        return found["grad.input"], *states, {role[:-3]: found[f"grad.{role}"] for role in self.weights}


@pytest.fixture
def skeleton(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Writes a library and the skeleton of its adapter, and returns the path of the skeleton."""
    monkeypatch.chdir(tmp_path)
    imports = "from typing import Any\nfrom reference import Model, backward, forward\n"
    (tmp_path / "toylib.py").write_text(imports + inspect.getsource(Layer), encoding="utf-8")
    monkeypatch.delitem(sys.modules, "toylib", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])  # -i adds the file's folder.
    assert main(["new", "adapter", "toylib.LSTM"]) == 0
    return tmp_path / "toylib_lstm_adapter.py"


def fill(path: Path, lines: tuple[str, ...]) -> str:
    text = path.read_text(encoding="utf-8")
    for number, line in enumerate(lines, 1):
        (marked,) = (each for each in text.splitlines() if f"FILL IN {number}" in each)
        text = text.replace(marked.strip(), line)
    path.write_text(f"import toylib\n{text}", encoding="utf-8")
    return f"{path}:ToylibLSTMAdapter"


@pytest.mark.usefixtures("without_workers")
@pytest.mark.parametrize("lines", [REFERENCE, TORCH], ids=["reference", "torch"])
def test_three_lines_complete_the_skeleton(
    skeleton: Path, capsys: pytest.CaptureFixture[str], lines: tuple[str, ...]
) -> None:
    spec = fill(skeleton, lines)
    assert main(["smoke", spec]) == 0
    assert "5 of 5 supported steps pass (+5 unsupported)" in capsys.readouterr().out
    assert check_adapter(implementations.load(spec)) == []


@pytest.mark.usefixtures("unlimited_diagnosis", "without_workers")
def test_a_wrong_gate_order_is_diagnosed(skeleton: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = fill(skeleton, REFERENCE)
    skeleton.write_text(skeleton.read_text(encoding="utf-8").replace('"ifgo"', '"iofg"'), encoding="utf-8")
    assert main(["smoke", spec]) == 1
    printed = capsys.readouterr().out
    assert "1  fail" in printed
    # The skeleton packs i, o, f, g, and the layer reads i, f, g, o.
    assert "diagnosis: behaves exactly like an LSTM whose gates are read i, g, o, f" in printed


def test_the_next_steps_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "adapter", "mine", "--output", "my adapter.py"]) == 0
    printed = capsys.readouterr().out
    assert "  conformance smoke 'my adapter.py:MineAdapter'\n" in printed
    assert "  conformance run -i 'my adapter.py:MineAdapter'\n" in printed
    assert implementations.load("my adapter.py:MineAdapter").name == "mine"


@pytest.mark.usefixtures("without_workers")
def test_the_skeleton_is_short_and_says_what_to_fill_in(skeleton: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = skeleton.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 120
    assert sum("FILL IN" in line and "raise" in line for line in lines) == 3
    assert main(["smoke", f"{skeleton}:ToylibLSTMAdapter"]) == 1
    assert "NotImplementedError: FILL IN 1: layer = " in capsys.readouterr().out


def test_no_file_is_overwritten(skeleton: Path, capsys: pytest.CaptureFixture[str]) -> None:
    skeleton.write_text("mine")
    assert main(["new", "adapter", "toylib.LSTM"]) == 2
    assert "toylib_lstm_adapter.py: already exists. Choose another file with --output." in capsys.readouterr().err
    assert skeleton.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["my-lib.LSTM"], 2, "'my-lib'"),
        (["mylib."], 2, "an empty part"),
        (["mylib.class"], 2, "'class'"),
        (["", "--output", "a.py"], 2, "an empty part"),
        (["../LSTM"], 2, "invalid name '../LSTM'"),
        (["mylib.LSTM", "--output", "adapter.txt"], 2, "must end in .py"),
        (["mylib.LSTM", "--output", "none/adapter.py"], 3, "cannot be written"),
    ],
)
def test_mistakes_are_explained(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "adapter", *arguments]) == code
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_only_adapters_can_be_created(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["new", "case", "mylib.LSTM"])
    assert "adapter" in capsys.readouterr().err
