"""The known divergences are well-formed data, and each shows in its reproduction where that can run."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conformance.adapters import installed
from conformance.cases.case import Case
from conformance.errors import UserError
from conformance.known import divergences as known
from conformance.known.expected import DEFECTS
from tests.conftest import ROOT

ENTRIES = known.shipped()

FRAMEWORKS = (
    *("torch", "onnx", "onnxruntime", "onnxscript", "openvino", "cv2", "MNN", "_tools", "ncnn", "tvm"),
    *("tensorflow", "keras", "tf_keras", "ai_edge_litert", "jax", "flax", "equinox", "haiku"),
    *("paddle", "mlx", "mindspore", "tinygrad", "chainer"),
)
PACKAGES = {"@tensorflow/tfjs", "onnxruntime-node", "onnxruntime-web"}
JAVASCRIPT = ROOT / "harnesses" / "js"
"""Where npm installs what reproductions in JavaScript import."""


def test_ids_are_unique() -> None:
    assert len({entry.id for entry in ENTRIES}) == len(ENTRIES)


def test_defects_are_those_of_the_catalogue() -> None:
    assert {name for entry in ENTRIES for name in entry.defects} <= DEFECTS.keys()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_a_reproduction_is_short_and_needs_the_framework_alone(entry: known.Divergence) -> None:
    source = (known.REPRODUCTIONS / entry.reproduction).read_text()
    assert len(source.splitlines()) <= 30
    if entry.reproduction.endswith(".mjs"):
        assert set(re.findall(r'from "(.*)"', source)) <= PACKAGES
        return
    nodes = list(ast.walk(ast.parse(source)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)]
    imported = {name.split(".")[0] for name in names}
    assert imported <= {"os", "sys", "pathlib", "tempfile", "numpy", *FRAMEWORKS}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_a_reproduction_still_shows_it(entry: known.Divergence) -> None:
    script = known.REPRODUCTIONS / entry.reproduction
    done = _in_node(entry.package, script) if script.suffix == ".mjs" else _in_python(entry.package, script)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "false" in done.stdout.lower()


def _in_python(package: str, script: Path) -> subprocess.CompletedProcess[str]:
    if not installed.version(package):
        pytest.skip(f"{package} is not installed")
    return _run([sys.executable, str(script)])


def _in_node(package: str, script: Path) -> subprocess.CompletedProcess[str]:
    if not shutil.which("node") or not (JAVASCRIPT / "node_modules" / package).is_dir():
        pytest.skip(f"node or {package} is not installed")
    # From its standard input, so that packages are looked for in the working directory.
    return _run(["node", "--input-type=module"], cwd=JAVASCRIPT, script=script.read_text())


def _run(command: Sequence[str], cwd: Path | None = None, script: str = "") -> subprocess.CompletedProcess[str]:
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(command, capture_output=True, text=True, env=quiet, timeout=300, cwd=cwd, input=script)


def test_a_bracket_in_a_name_is_a_bracket() -> None:
    [entry] = [entry for entry in ENTRIES if entry.id == "keras-nan-in-padding"]
    assert entry.implementation == "keras.layers.*[tensorflow*"


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
        (GOOD % ", unless: {sequence: 1}", "no option 'sequence'"),
        (GOOD % ", features: [revers]", "there is no feature 'revers'"),
        (GOOD % ", profile: float8", "profile: Input should be 'float32'"),
        (GOOD.replace("tensors: [h_n]", "error: x, profile: float32") % "", "there are no tensors to predict"),
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


def test_an_entry_covers_cases_by_options_features_and_exceptions(tmp_path: Path) -> None:
    path = tmp_path / "known.yaml"
    path.write_text(GOOD % ", features: [clip], unless: {seq_len: 1, batch: [2, 3]}")
    [entry] = known.load(path)

    def covers(**options: Any) -> bool:
        case = {"input_size": 2, "hidden_size": 2, "seq_len": 1, "batch": 1, "clip": 0.5} | options
        return entry.covers(Case.model_validate(case), "b", lambda _: "2.0")

    assert covers()
    assert covers(batch=3, seq_len=2)
    assert not covers(batch=3)
    assert not covers(clip=None)
    assert not covers(bias=False)
