"""Cases as ONNX node tests: a folder with ``model.onnx`` and ``test_data_set_0/*.pb`` for each case."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from conformance.adapters.onnx.common import Array, OnnxAdapter, build_feeds, build_model
from conformance.cases.case import Case
from conformance.errors import MISSING, UserError
from conformance.results import atomic
from conformance.vectors.sets import VectorSet
from conformance.verdict.oracle import Expectation, Oracle
from conformance.verdict.problem import make_problem
from conformance.verdict.values import valid_steps
from reference import PROFILES, Dialect

FOLDER = "lstm"
"""Name of the folder that contains the tests."""
_FEATURES = frozenset(OnnxAdapter.features)


def restrict(wanted: VectorSet) -> VectorSet:
    """Returns the part of a set that ONNX's LSTM operator has, without gradients and in float32."""
    features = _FEATURES if wanted.features is None else wanted.features & _FEATURES
    return replace(wanted, features=features, dtypes=("float32",))


def is_specified(case: Case) -> bool:
    """Returns whether ONNX specifies the results of a case. It does not for rows of length 0."""
    lengths = valid_steps(case)
    return lengths is None or bool(lengths.all())


def write(folder: Path, cases: Sequence[Case], oracle: Oracle) -> None:
    """Writes a node test for each case into ``FOLDER``. The numbers of steps and rows are dynamic.

    ``onnx.backend.test.loader.load_model_tests(folder, FOLDER)`` finds the tests. Each has one tolerance for all its
    elements: the largest budget, in ``data.json``.

    Raises:
        UserError: onnx is not installed, or a file cannot be written.
        RejectedCaseError: a case cannot be judged.
    """
    try:
        from onnx import numpy_helper
    except ImportError as error:
        hint = "install with: pip install 'lstm-conformance[onnx]'"
        raise UserError(f"--format onnx needs onnx, which is not installed; {hint}", MISSING) from error
    for case in cases:
        problem = make_problem(case.model_copy(update={"check": ("output", "h_n", "c_n")}))
        expectation = oracle.expect(problem, PROFILES[case.dtype], Dialect())
        model = _with_dynamic_axes(build_model(problem), case)
        inputs, outputs = build_feeds(problem.case, problem.arrays()), _outputs(case, expectation.values)
        test = folder / FOLDER / name_of(case)
        atomic.write(test / "data.json", json.dumps({"rtol": 0.0, "atol": _largest_budget(expectation)}) + "\n")
        atomic.write(test / "model.onnx", model.SerializeToString(deterministic=True))
        for kind, declared, arrays in (("input", model.graph.input, inputs), ("output", model.graph.output, outputs)):
            for number, value in enumerate(declared):
                array = arrays[value.name]
                tensor = numpy_helper.from_array(array if kind == "input" else array.astype(case.dtype), value.name)
                path = test / "test_data_set_0" / f"{kind}_{number}.pb"
                atomic.write(path, tensor.SerializeToString(deterministic=True))


def name_of(case: Case) -> str:
    """Returns the name of a case's node test, such as ``test_lstm_core_two_layers``."""
    words = re.sub(r"[^a-z0-9]+", "_", f"{Path(case.file).stem}_{case.name}".lower())
    return f"test_lstm_{words.strip('_')}"


def _largest_budget(expectation: Expectation) -> float:
    """Returns the largest budget of any element, with the error of rounding the expected values to float32."""
    budgets = [
        np.nan_to_num(expectation.budget[name] + np.abs(values) * np.finfo(np.float32).epsneg)
        for name, values in expectation.values.items()
    ]
    return float(max(budget.max() for budget in budgets))


def _outputs(case: Case, expected: Any) -> dict[str, Array]:
    """Returns the expected outputs of a case's model, with the states of each layer apart."""
    directions = case.model.num_directions
    outputs = {"output": expected["output"]}
    for layer in range(case.num_layers):
        for name in ("h_n", "c_n"):
            own = f"{name}_l{layer}"
            both = slice(layer * directions, (layer + 1) * directions)
            outputs[own] = expected[name][both] if case.model.is_uniform else expected[own]
    return outputs


def _with_dynamic_axes(model: Any, case: Case) -> Any:
    """Names the axes of steps (T) and rows (B) in place of their sizes."""
    sequence = ("B", "T") if case.batch_first else ("T", "B")
    axes = {"input": sequence, "output": sequence, "sequence_lens": ("B",)}
    for value in (*model.graph.input, *model.graph.output):
        names = axes.get(value.name, (None, "B"))
        for name, axis in zip(names, value.type.tensor_type.shape.dim, strict=False):
            if name:
                axis.dim_param = name
    return model
