"""Node tests pass in ONNX Runtime and in ONNX's evaluator."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.adapters.onnx import session
from conformance.cases.case import Case
from conformance.vectors import node_tests
from conformance.verdict.oracle import Oracle

onnx = pytest.importorskip("onnx")

PLAIN: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3, "check": ("output",)}
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "layers both ways": {"num_layers": 2, "direction": "bidirectional", "batch_first": True},
    "lengths": {"lengths": (5, 1, 3), "initial_state": "omitted"},
    "peepholes": {"peepholes": True, "bias": False},
    "sizes": {"hidden_size": [4, 2], "direction": "reverse"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cases = [Case.model_validate(PLAIN | {"name": name} | options) for name, options in CASES.items()]
    folder = tmp_path_factory.mktemp("onnx")
    node_tests.write(folder, cases, Oracle(None))
    return folder


def load(folder: Path, name: str) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Returns the model, the inputs and the expected outputs of a node test."""
    test = folder / "node" / f"test_lstm_{name}"
    model = onnx.load(test / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    arrays = []
    for kind, declared in (("input", model.graph.input), ("output", model.graph.output)):
        paths = [test / "test_data_set_0" / f"{kind}_{i}.pb" for i in range(len(declared))]
        tensors = [onnx.load_tensor(path) for path in paths]
        assert [tensor.name for tensor in tensors] == [value.name for value in declared]
        arrays.append({tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in tensors})
    return model, arrays[0], arrays[1]


def assert_equal(got: dict[str, Any], expected: dict[str, Any]) -> None:
    assert got.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(got[name], array, rtol=1e-3, atol=1e-7)  # the tolerance of ONNX's runner


NAMES = [name.replace(" ", "_") for name in CASES]


@pytest.mark.parametrize("name", NAMES)
def test_onnxruntime_passes(folder: Path, name: str) -> None:
    pytest.importorskip("onnxruntime")
    model, inputs, outputs = load(folder, name)
    assert_equal(session.run(model.SerializeToString(), inputs), outputs)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "lengths"])  # It ignores sequence_lens.
def test_the_evaluator_of_onnx_passes(folder: Path, name: str) -> None:
    from onnx.reference import ReferenceEvaluator

    model, inputs, outputs = load(folder, name)
    evaluator = ReferenceEvaluator(model)
    assert_equal(dict(zip(evaluator.output_names, evaluator.run(None, inputs), strict=True)), outputs)


def test_the_numbers_of_steps_and_rows_are_dynamic(folder: Path) -> None:
    pytest.importorskip("onnxruntime")
    model, inputs, _ = load(folder, "layers_both_ways")
    fewer = {name: array[:, :2] if name != "input" else array[:2, :3] for name, array in inputs.items()}
    assert session.run(model.SerializeToString(), fewer)["output"].shape == (2, 3, 8)


def test_rows_of_length_0_are_not_specified() -> None:
    assert node_tests.is_specified(Case.model_validate(PLAIN | {"lengths": (5, 1, 3)}))
    assert not node_tests.is_specified(Case.model_validate(PLAIN | {"lengths": (5, 0, 3)}))
