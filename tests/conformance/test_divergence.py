"""The known divergences are well-formed data, and each shows in its reproduction where that can run."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conformance import known, registry
from conformance.errors import UserError

ENTRIES = known.shipped()

FRAMEWORKS = (
    *("torch", "onnx", "onnxruntime", "onnxscript", "openvino", "cv2", "MNN", "_tools", "ncnn", "tvm"),
    *("tensorflow", "keras", "tf_keras", "ai_edge_litert", "jax", "flax", "equinox", "haiku"),
    *("paddle", "mlx", "mindspore", "tinygrad", "chainer"),
)


def test_ids_are_unique() -> None:
    assert len({entry.id for entry in ENTRIES}) == len(ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_a_reproduction_is_short_and_needs_the_framework_alone(entry: known.Divergence) -> None:
    source = (known.REPRODUCTIONS / entry.reproduction).read_text()
    assert len(source.splitlines()) <= 30
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported <= {"os", "sys", "tempfile", "numpy", *FRAMEWORKS}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_a_reproduction_still_shows_it(entry: known.Divergence) -> None:
    if not registry.version(entry.package):
        pytest.skip(f"{entry.package} is not installed")
    command = [sys.executable, str(known.REPRODUCTIONS / entry.reproduction)]
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=quiet, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "False" in done.stdout


def test_a_bracket_in_a_name_is_a_bracket() -> None:
    [entry] = [entry for entry in ENTRIES if entry.id == "keras-nan-in-padding"]
    assert entry.implementation == "keras.layers.LSTM[tensorflow*"


GOOD = """\
divergences:
  - {id: a, implementation: b, package: numpy, versions: '>=1', cases: {bias: true}, tensors: [h_n],
     what: w, reason: r, upstream: none found, reproduction: x.py%s}
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "must hold a list of divergences"),
        ("divergences: {", "while parsing"),
        ("divergences: [{id: a}]", "implementation: Field required"),
        (GOOD % ", typo: 1", "typo: Extra inputs"),
        (GOOD % ", error: x", "either tensors or error"),
        (GOOD.replace(">=1", "new") % "", "is not a range of versions"),
        (GOOD.replace("bias: true", "bais: true") % "", "no option 'bais'"),
        (GOOD.replace("bias: true", "") % "", "cases must name at least one option"),
    ],
)
def test_a_wrong_entry_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "known.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        known.load(path)


def test_a_right_entry_is_read(tmp_path: Path) -> None:
    path = tmp_path / "known.yaml"
    path.write_text(GOOD % "")
    assert [entry.id for entry in known.load(path)] == ["a"]
