"""Node tests pass in ONNX Runtime and in ONNX's evaluator."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

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


@dataclass(frozen=True)
class NodeTest:
    """A node test, read from its files."""

    model: Any
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    tolerance: dict[str, float]

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        test = folder / node_tests.FOLDER / f"test_lstm_{name}"
        model = onnx.load(test / "model.onnx")
        onnx.checker.check_model(model, full_check=True)
        arrays = []
        for kind, declared in (("input", model.graph.input), ("output", model.graph.output)):
            paths = [test / "test_data_set_0" / f"{kind}_{i}.pb" for i in range(len(declared))]
            tensors = [onnx.load_tensor(path) for path in paths]
            assert [tensor.name for tensor in tensors] == [value.name for value in declared]
            arrays.append({tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in tensors})
        inputs, outputs = arrays
        return cls(model, inputs, outputs, json.loads((test / "data.json").read_bytes()))

    def check(self, got: dict[str, Any]) -> None:
        """Compares outputs as ONNX's runner does."""
        assert got.keys() == self.outputs.keys()
        for name, expected in self.outputs.items():
            np.testing.assert_allclose(got[name], expected, self.tolerance["rtol"], self.tolerance["atol"])


NAMES = [name.replace(" ", "_") for name in CASES]


@pytest.mark.parametrize("name", NAMES)
def test_onnxruntime_passes(folder: Path, name: str) -> None:
    pytest.importorskip("onnxruntime")
    test = NodeTest.load(folder, name)
    test.check(session.load(test.model.SerializeToString())(test.inputs))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "lengths"])  # It ignores sequence_lens.
def test_the_evaluator_of_onnx_passes(folder: Path, name: str) -> None:
    from onnx.reference import ReferenceEvaluator

    test = NodeTest.load(folder, name)
    evaluator = ReferenceEvaluator(test.model)
    test.check(dict(zip(evaluator.output_names, evaluator.run(None, test.inputs), strict=True)))


def test_a_deviation_above_the_tolerance_fails(folder: Path) -> None:
    test = NodeTest.load(folder, "plain")
    assert 0 < test.tolerance["atol"] < 1e-5
    wrong = test.outputs | {"c_n_l0": test.outputs["c_n_l0"] + 1e-5}
    with pytest.raises(AssertionError):
        test.check(wrong)


def test_the_numbers_of_steps_and_rows_are_dynamic(folder: Path) -> None:
    pytest.importorskip("onnxruntime")
    test = NodeTest.load(folder, "layers_both_ways")
    fewer = {name: array[:, :2] if name != "input" else array[:2, :3] for name, array in test.inputs.items()}
    assert session.load(test.model.SerializeToString())(fewer)["output"].shape == (2, 3, 8)


def test_rows_of_length_0_are_not_specified() -> None:
    assert node_tests.is_specified(Case.model_validate(PLAIN | {"lengths": (5, 1, 3)}))
    assert not node_tests.is_specified(Case.model_validate(PLAIN | {"lengths": (5, 0, 3)}))
