"""Vector files keep every number, in both formats, and invalid ones are rejected."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.power import bitmasks
from conformance.defects.power.kill_matrix import View
from conformance.defects.solve import solve
from conformance.errors import UserError
from conformance.vectors import build, files
from conformance.vectors.document import Tensor, VectorFile
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect

PLAIN: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3, "name": "small", "file": "a.yaml"}
CASES = [
    PLAIN,
    PLAIN | {"dtype": "float64", "direction": "bidirectional", "hidden_size": [4, 2], "reverse_hidden_size": 3},
    PLAIN | {"dtype": "float16", "batch": "unbatched", "initial_state": "omitted"},
    PLAIN | {"dtype": "bfloat16", "lengths": "ragged", "mask": "holed", "padding": "nan"},
    PLAIN | {"lengths": (0, 5, 2), "padding": "nan", "check": ("output", "h_n")},
    PLAIN | {"mode": "train", "input_dropout": 0.3, "recurrent_dropout": 0.3, "proj_size": 2},
    PLAIN | {"input_nan": True, "check": ("output", "h_n", "c_n")},
]


def make_file(*options: dict[str, Any]) -> VectorFile:
    cases = [Case.model_validate(each) for each in options]
    return build.build_file("some", cases, [bitmasks.mask_of(View.of(case), None) for case in cases], Oracle(None))


@cache
def plain_file() -> VectorFile:
    return make_file(PLAIN)


@pytest.fixture(scope="module")
def every_kind() -> VectorFile:
    return make_file(*CASES)


@pytest.mark.parametrize("suffix", files.FORMATS)
def test_a_file_is_read_as_it_was_written(every_kind: VectorFile, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"some.{suffix}"
    path.write_bytes(files.FORMATS[suffix](every_kind))
    assert files.read(path) == every_kind


def test_every_number_of_a_problem_survives_to_the_bit(every_kind: VectorFile) -> None:
    for vector, options in zip(every_kind.vectors, CASES, strict=True):
        case = Case.model_validate(options)
        problem = make_problem(case)
        expectation = Oracle(None).expect(problem, PROFILES[case.dtype], Dialect())
        arrays = problem.arrays()
        for name, tensor in vector.given.items():
            np.testing.assert_array_equal(tensor.values.astype(arrays[name].dtype), arrays[name])
        for name, values in expectation.values.items():
            np.testing.assert_array_equal(vector.expected[name].values, values)
            budget = vector.budget[name].values
            assert (budget <= expectation.budget[name]).all()
            assert (budget >= 0.99 * expectation.budget[name]).all()


def test_a_vector_lists_what_an_implementation_needs(every_kind: VectorFile) -> None:
    plain, _, unbatched, masked, ragged, dropout, _ = every_kind.vectors
    assert {"input", "h_0", "weight_hh_l0", "cotangent.c_n"} <= plain.given.keys()
    assert "h_0" not in unbatched.given
    assert "mask" in masked.given
    assert "lengths" in ragged.given
    assert not {"mask", "cotangent.output"} & ragged.given.keys()
    assert {"dropout_mask.input_l0", "dropout_mask.recurrent_l0", "weight_hr_l0"} <= dropout.given.keys()
    assert plain.expected.keys() == plain.budget.keys()


def test_the_most_distinctive_mistakes_come_first(every_kind: VectorFile) -> None:
    ids = [mistake.id for mistake in every_kind.mistakes]
    counts = {name: sum(vector.detects[n] == "1" for vector in every_kind.vectors) for n, name in enumerate(ids)}
    for vector in every_kind.vectors:
        assert 1 <= len(vector.flags) <= build.MAX_FLAGS
        ranks = [counts[name] for name in vector.flags]
        assert ranks == sorted(ranks)
        others = [counts[name] for name, flag in zip(ids, vector.detects, strict=True) if flag == "1"]
        assert ranks == sorted(others)[: len(ranks)]


def test_a_prediction_is_the_value_under_the_mistake() -> None:
    (vector,) = plain_file().vectors
    ids = [mistake.id for mistake in plain_file().mistakes]
    swapped = next(defect for defect in CATALOGUE if defect.id == "gates-read-iofg")
    got = solve(swapped, make_problem(Case.model_validate(PLAIN)), Dialect())[vector.probe.tensor]
    predicted = vector.probe.predicted[ids.index("gates-read-iofg")]
    assert got.flat[vector.probe.element] == pytest.approx(predicted, abs=1e-4)


def test_the_same_cases_give_the_same_bytes() -> None:
    for write in files.FORMATS.values():
        assert write(make_file(PLAIN)) == write(plain_file())


def test_budgets_are_never_rounded_up() -> None:
    for number in (1.0, 0.1, 1.0049e-7, 9.999e-3, 1.2351e-12, 0.0, 5e-324, 0.5, 123.456):
        rounded = build._round_number_down(number)
        assert 0.99 * number <= rounded <= number


def test_the_elements_of_an_array_are_on_one_line() -> None:
    text = files.to_json(plain_file()).decode()
    (line,) = [line for line in text.splitlines() if '"h_0":' in line]
    assert line.startswith('    "h_0": {"shape": [1, 3, 4], "data": [')


def test_a_tensor_is_written_with_the_shortest_decimals() -> None:
    array = np.array([[0.1, 1e6], [np.nan, -0.0]], np.float32)
    assert Tensor.of(array).data == [0.1, 1e6, None, -0.0]
    assert Tensor.of(np.array([3, 1])).data == [3.0, 1.0]


# --------------------------------------------------------------------------- invalid files


def damaged(change: str) -> str:
    text = files.to_json(plain_file()).decode()
    document = json.loads(text)
    vector = document["vectors"][0]
    if change == "truncated":
        return text[: len(text) // 2]
    if change == "shape":
        vector["given"]["input"]["shape"] = [2, 2]
    elif change == "flags":
        vector["flags"] = ["something-else"]
    elif change == "detects":
        vector["detects"] = vector["detects"][:-1]
    elif change == "predicted":
        vector["probe"]["predicted"].pop()
    elif change == "version":
        document["version"] = 2
    elif change == "number":
        vector["expected"]["output"]["data"][0] = "0.1"
    elif change == "missing":
        del vector["budget"]
    return json.dumps(document)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("truncated", "Invalid JSON"),
        ("shape", r"given\.input: .*data has 45 elements, but shape \[2, 2\] has 4"),
        ("flags", "flags must be some of the mistakes"),
        ("detects", "detects must have"),
        ("predicted", "predicted must have"),
        ("version", "version: Input should be 1"),
        ("number", r"expected\.output\.data\.0: Input should be a valid number"),
        ("missing", r"vectors\.0\.budget: Field required"),
    ],
)
def test_an_invalid_file_is_rejected_with_the_position(change: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_text(damaged(change))
    with pytest.raises(UserError, match=message) as raised:
        files.read(path)
    assert raised.value.exit_code == 2
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("data", [b"", b"12345678", b"\x02\0\0\0\0\0\0\0{}"])
def test_invalid_safetensors_are_rejected(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    path.write_bytes(data)
    with pytest.raises(UserError, match="is not a valid vector file"):
        files.read(path)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file") as raised:
        files.read(tmp_path / "none.json")
    assert raised.value.exit_code == 2
