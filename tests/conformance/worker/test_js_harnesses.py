"""Harnesses in JavaScript. Tests that run an implementation are skipped unless `npm ci` installed it."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.errors import UserError
from conformance.known import divergences as known
from conformance.results.record import Result
from conformance.run.runner import Runner
from conformance.verdict import tensors
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import make_problem
from conformance.worker import protocol
from conformance.worker.client import WorkerAdapter
from conformance.worker.start import start_program
from tests.conftest import ROOT

HARNESSES = ("tfjs.mjs", "tfjs.mjs wasm", "onnxruntime-node.mjs", "onnxruntime-web.mjs")
BROWSER = ("browser.mjs webgl", "browser.mjs wasm")
Start = Callable[[str], WorkerAdapter]
FOLDER = ROOT / "harnesses" / "js"

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")

PLAIN: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 2}
WHOLE = PLAIN | {"bidirectional": True, "num_layers": 2, "lengths": (5, 2), "initial_state": "omitted"}
EVERYTHING = WHOLE | {"activations": ("hard_sigmoid", "scaled_tanh", "softsign"), "peepholes": True, "clip": 2.0}


def node(script: str, given: bytes) -> bytes:
    """Runs a script in the folder of the harnesses. Returns its standard output."""
    head = 'import { readFileSync, writeSync } from "node:fs"; const given = readFileSync(0);'
    command = ["node", "--input-type=module", "--eval", head + script]
    return subprocess.run(command, input=given, capture_output=True, check=True, cwd=FOLDER, timeout=240).stdout


def test_tensors_survive_a_round_trip() -> None:
    arrays: dict[str, Any] = {
        "a": np.array([[1.5, -0.0, np.inf]], np.float16),
        "b": np.arange(6, dtype=np.float32).reshape(1, 2, 3),
        "c": np.array([np.nan, 1e-300]),
        "d": np.array([2**40, -1]),
        "e": np.array([[True], [False]]),
        "f": np.zeros((0, 3), np.float32),
    }
    script = 'import { dumps, loads } from "./tensors.mjs"; writeSync(1, dumps(loads(given)));'
    block = tensors.dumps(arrays, {"note": "none"})
    back, _ = tensors.loads(node(script, block))
    assert list(back) == list(tensors.loads(block)[0])
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


def test_axes_are_swapped_and_gates_reordered() -> None:
    script = """
        import { reordered } from "./cases.mjs"; import { dumps, loads, swapped } from "./tensors.mjs";
        const { x } = loads(given);
        writeSync(1, dumps({ swapped: swapped(x), iofg: reordered(x, "ifgo", "iofg") }));
    """
    x = np.arange(24.0).reshape(4, 2, 3)
    back, _ = tensors.loads(node(script, tensors.dumps({"x": x})))
    np.testing.assert_array_equal(back["swapped"], x.swapaxes(0, 1))
    np.testing.assert_array_equal(back["iofg"], x[[0, 3, 1, 2]])


@pytest.mark.parametrize("options", [PLAIN, EVERYTHING, PLAIN | {"dtype": "float16", "batch_first": True}])
def test_models_are_valid_onnx(options: dict[str, Any]) -> None:
    onnx = pytest.importorskip("onnx")
    problem = make_problem(Case.model_validate(options))
    script = 'import { model } from "./onnx.mjs"; import { loads } from "./tensors.mjs";'
    script += f"writeSync(1, model({problem.case.model_dump_json()}, loads(given)));"
    model = onnx.load_from_string(node(script, tensors.dumps(protocol.to_tensors(problem))))
    onnx.checker.check_model(model, full_check=True)
    first = next(each for each in model.graph.node if each.op_type == "LSTM")
    attributes = {each.name: onnx.helper.get_attribute_value(each) for each in first.attribute}
    if options is EVERYTHING:
        assert attributes["activations"] == [b"HardSigmoid", b"ScaledTanh", b"Softsign"] * 2
        np.testing.assert_allclose(attributes["activation_alpha"], [0.2, 1.2] * 2, rtol=1e-6)
        np.testing.assert_allclose(attributes["activation_beta"], [0.5, 0.8] * 2, rtol=1e-6)
        assert attributes["clip"] == 2.0


def test_printed_output_is_no_answer(tmp_path: Path) -> None:
    harness = tmp_path / "harness.mjs"
    harness.write_text(f"""
        import {{ execSync }} from "node:child_process";
        import {{ serve }} from {json.dumps(str(FOLDER / "worker.mjs"))};
        async function load() {{
          console.log("by JavaScript");
          execSync("echo natively", {{ stdio: "inherit" }});
          return {{ loaded: "yes" }};
        }}
        const solve = () => {{ throw new RangeError("not today"); }};
        await serve({{ name: "noisy", needs: [], features: ["float32", "gradients"], load, solve }});
    """)
    worker = start_program(f"node {harness}")
    try:
        assert worker.describe()["loaded"] == "yes"
        result = Runner(Oracle(cache=None)).check(Case.model_validate(PLAIN), worker)
        assert (result.status, result.reason) == ("error", "RangeError: not today")
    finally:
        worker.close()


@pytest.mark.parametrize(("place", "here"), [("", True), ("node_modules/a/", False)])
def test_an_error_is_the_harness_s_own_if_its_first_frame_is(place: str, here: bool) -> None:
    frames = f"Error: no\n    at f (file://{FOLDER}/{place}b.mjs:1:2)\n    at g (file://{FOLDER}/c.mjs:3:4)"
    path = f"Error: no\n    at f (/{place}node_modules/b.js:1:2)\n    at g (file://{FOLDER}/c.mjs:3:4)"
    script = 'import { raisedHere } from "./worker.mjs"; const all = JSON.parse(given);'
    found = json.loads(
        node(f"{script} writeSync(1, JSON.stringify(all.map(raisedHere)));", json.dumps([frames, path]).encode())
    )
    assert found == [here, False]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Yields a function that starts a harness, once for all tests."""
    if not (FOLDER / "node_modules").is_dir():
        pytest.skip("npm ci has not been run in harnesses/js")
    started: dict[str, WorkerAdapter] = {}

    def start(name: str) -> WorkerAdapter:
        if name.startswith("browser.mjs") and not shutil.which("chromium"):
            pytest.skip("Chromium is not installed")
        started[name] = started.get(name) or start_program(f"node {FOLDER / name}")
        return started[name]

    yield start
    for worker in started.values():
        worker.close()


def check(worker: WorkerAdapter, options: dict[str, Any]) -> Result:
    case = Case.model_validate(options)
    return Runner(Oracle(cache=None), divergences=known.shipped(), diagnoses=False).check(case, worker)


@pytest.mark.parametrize("name", [*HARNESSES, *BROWSER])
def test_reported_versions_are_those_of_the_lock_file(start: Start, name: str) -> None:
    locked = json.loads((FOLDER / "package-lock.json").read_text())["packages"]
    packages = start(name).packages
    assert packages
    for package, version in packages.items():
        assert locked[f"node_modules/{package}"]["version"] == version


def test_a_page_computes_in_chromium(start: Start) -> None:
    described = start("browser.mjs webgl").describe()
    assert "HeadlessChrome" in described["browser"]
    assert (described["device"], described["textures"]) == ("webgl", "float32")


@pytest.mark.skipif(not (FOLDER / "node_modules").is_dir(), reason="npm ci has not been run in harnesses/js")
def test_missing_chromium_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "chromium"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(UserError, match=r"cannot start Chromium: .* ENOENT\. Install it, or set CHROMIUM"):
        start_program(f"node {FOLDER / 'browser.mjs'} wasm")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", HARNESSES)
@pytest.mark.parametrize(
    "options",
    [PLAIN, WHOLE, WHOLE | {"hidden_size": (2, 3), "batch_first": True}, PLAIN | {"bias": False},
     PLAIN | {"initial_state": "omitted"},
     PLAIN | {"direction": "reverse", "lengths": (2, 5), "initial_state": "omitted"},
     PLAIN | {"activations": ("hard_sigmoid", "relu", "relu")}],
)  # fmt: skip
def test_harnesses_conform(start: Start, name: str, options: dict[str, Any]) -> None:
    result = check(start(name), options)
    assert result.status == "pass", (result.reason, result.traceback)
    assert bool(result.unchecked) == (not name.startswith("tfjs"))


@pytest.mark.parametrize(
    ("name", "options", "status"),
    [
        ("tfjs.mjs", {"seq_len": 1}, "known"),
        ("tfjs.mjs", {"seq_len": 1, "check": ("output", "c_n")}, "pass"),
        ("tfjs.mjs", {"lengths": (5, 2), "padding": "nan"}, "known"),
        ("tfjs.mjs wasm", {"lengths": (5, 2), "padding": "nan"}, "known"),
        ("tfjs.mjs", {"lengths": (5, 2), "direction": "reverse"}, "known"),
        ("tfjs.mjs", {"mask": "holed", "lengths": (3, 2)}, "pass"),
        ("tfjs.mjs", {"mask": "left", "lengths": (3, 2), "direction": "reverse"}, "pass"),
        ("tfjs.mjs", {"input_dropout": 0.5, "recurrent_dropout": 0.5, "mode": "train"}, "pass"),
        ("tfjs.mjs", {"direction": "reverse", "num_layers": 2}, "unsupported"),
        ("tfjs.mjs", {"activations": ("sigmoid", "relu", "tanh")}, "unsupported"),
        ("tfjs.mjs", {"activations": ("sigmoid", "affine", "affine")}, "unsupported"),
        ("tfjs.mjs", {"chunks": (2, 3), "initial_state": "omitted", "cotangents": ("h_n",)}, "pass"),
        ("tfjs.mjs", {"earlier_calls": ("more-rows", "longer", "error", "other-weights"), "lengths": (5, 2)}, "pass"),
        ("tfjs.mjs", {"saved": True, "batching": "permuted", "num_layers": 2, "frozen": ("weight_hh_l1",)}, "pass"),
        ("tfjs.mjs", {"refuses": "weight-transposed", "check": ("output",)}, "pass"),
        ("tfjs.mjs", {"refuses": "c_0-rows", "check": ("output",)}, "known"),
        ("tfjs.mjs stateful", {"num_layers": 2, "lengths": (5, 2), "earlier_calls": ("longer",)}, "pass"),
        ("tfjs.mjs stateful", {"chunks": (1, 3, 1), "initial_state": "omitted"}, "pass"),
        ("tfjs.mjs stateful", {"bidirectional": True}, "unsupported"),
        ("onnxruntime-node.mjs", {"earlier_calls": ("fewer-rows", "longer", "error"), "lengths": (5, 2)}, "pass"),
        ("onnxruntime-node.mjs", {"saved": True, "chunks": (2, 3), "batching": "alone", "batch_first": True}, "pass"),
        ("onnxruntime-node.mjs", {"refuses": "lengths-above", "lengths": (5, 2), "check": ("output",)}, "pass"),
        ("onnxruntime-node.mjs", {"clip": 0.5}, "known"),
        ("onnxruntime-web.mjs", {"clip": 0.5}, "known"),
        ("onnxruntime-node.mjs", {"peepholes": True, "coupled_gates": True}, "pass"),
        ("onnxruntime-web.mjs", {"peepholes": True, "coupled_gates": True}, "pass"),
        ("onnxruntime-node.mjs", {"dtype": "float16"}, "pass"),
        ("onnxruntime-node.mjs", {"dtype": "float64"}, "unsupported"),
        ("onnxruntime-web.mjs", {"lengths": (0, 5)}, "pass"),
        ("browser.mjs webgl", {}, "pass"),
        ("browser.mjs webgl", {"batch": 0}, "known"),
        ("browser.mjs webgl", {"input_dropout": 0.5, "mode": "train", "check": ("output",)}, "pass"),
        ("browser.mjs wasm", {"saved": True, "lengths": (5, 2)}, "pass"),
        ("browser.mjs wasm", {"clip": 0.5}, "known"),
        ("browser.mjs wasm", {"batch": 0}, "unsupported"),
    ],
)
def test_special_cases_have_the_expected_status(start: Start, name: str, options: dict[str, Any], status: str) -> None:
    result = check(start(name), PLAIN | options)
    assert result.status == status, (result.reason, result.traceback)
