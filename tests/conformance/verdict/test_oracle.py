import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.cache import default_cache
from conformance.cases.case import Case
from conformance.verdict.oracle import (
    ChaoticCaseError,
    Oracle,
    OverflowingCaseError,
    prune,
    solve,
    solve_compared,
)
from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES, Dialect, choose_sides
from reference.rounding import Sided
from tests.reference.problems import CASES, small_problem

OPTIONS: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3}
CASE = Case(**OPTIONS)
PLAIN = PROFILES["float32"], Dialect()


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_an_expectation_contains_the_reference_and_a_budget_for_every_tensor() -> None:
    problem = make_problem(CASE)
    found = Oracle(None).expect(problem, *PLAIN)
    assert list(found.values) == list(found.budget) == list(found.bound) == list(problem.expected_shapes())
    expected = solve(problem, Dialect())
    for name, value in found.values.items():
        np.testing.assert_array_equal(value, expected[name])
        assert (found.budget[name] > 0).all()
        assert np.isfinite(found.bound[name]).all()


@pytest.mark.parametrize("padding", ["zero", "repeat", "unspecified"])
def test_the_budget_of_the_padding_follows_the_dialect(padding: Any) -> None:
    problem = make_problem(Case(**OPTIONS, lengths=(2, 5, 3)))
    found = Oracle(None).expect(problem, PROFILES["float32"], Dialect(padding=padding))
    last, padded = (found.budget["output"][step, 0] for step in (1, 2))
    expected = {"zero": np.zeros(4), "repeat": last, "unspecified": np.full(4, np.inf)}[padding]
    np.testing.assert_allclose(padded, expected, rtol=0.5)
    assert np.isinf(found.bound["output"][2, 0]).all() == (padding == "unspecified")


def test_a_large_problem_has_no_rigorous_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.verdict.oracle.COARSE_FROM", 1)
    found = Oracle(None).expect(make_problem(CASE), *PLAIN)
    assert all(np.isinf(bound).all() for bound in found.bound.values())


def test_dropout_of_all_elements_between_layers_leaves_no_gradient() -> None:
    options: dict[str, Any] = {"num_layers": 2, "dropout": 1.0, "mode": "train", "cotangents": ("output",)}
    found = solve(make_problem(Case(**OPTIONS, **options)), Dialect())
    assert not found["grad.input"].any()
    assert found["grad.weight_hh_l1"].any()


def test_cpu_time_adds_up(tmp_path: Path) -> None:
    for _ in range(2):
        oracle = Oracle(tmp_path, seconds=dict.fromkeys(("reference", "budget", "cache"), 100.0))
        oracle.expect(make_problem(CASE), *PLAIN)
        assert all(100 <= spent < 200 for spent in oracle.seconds.values())


def test_an_expectation_contains_only_compared_tensors() -> None:
    problem = make_problem(Case(**OPTIONS, check=("h_n",)))
    assert list(Oracle(None).expect(problem, *PLAIN).values) == ["h_n"]


def test_a_cached_expectation_equals_the_computed_one(tmp_path: Path) -> None:
    problem = make_problem(CASE)
    first = Oracle(tmp_path / "new")
    computed = first.expect(problem, *PLAIN)
    assert first.seconds["budget"] > 0
    second = Oracle(tmp_path / "new")
    loaded = second.expect(problem, *PLAIN)
    assert second.seconds["budget"] == 0
    assert loaded.condition == computed.condition
    for part in ("values", "budget", "bound"):
        for name, array in getattr(computed, part).items():
            np.testing.assert_array_equal(getattr(loaded, part)[name], array)


@pytest.mark.parametrize("damage", [b"", b"nonsense that is long enough to be read"])
def test_a_damaged_entry_is_replaced(tmp_path: Path, damage: bytes) -> None:
    problem = make_problem(CASE)
    computed = Oracle(tmp_path).expect(problem, *PLAIN)
    (entry,) = entries(tmp_path)
    entry.write_bytes(damage)
    again = Oracle(tmp_path).expect(problem, *PLAIN)
    np.testing.assert_array_equal(again.values["output"], computed.values["output"])
    assert entry.stat().st_size > 1000


def test_draw_profile_and_dialect_are_part_of_the_key(tmp_path: Path) -> None:
    oracle = Oracle(tmp_path)
    ragged = CASE.model_copy(update={"lengths": "ragged"})
    for draw in (0, 1):
        for profile in ("float32", "tf32"):
            for dialect in (Dialect(), Dialect(padding="repeat")):
                oracle.expect(make_problem(ragged, draw), PROFILES[profile], dialect)
    assert len(entries(tmp_path)) == 8


PADDED: dict[str, Any] = OPTIONS | {
    "lengths": [2, 5, 3], "num_layers": 2, "dropout": 0.5, "mode": "train", "check": ["output", "gradients", "jvp"],
}  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "input",
        "mask",
        "lengths",
        "parameters/weight_hh_l0",
        "initial_state/c_0",
        "cotangents/h_n",
        "tangents/weight_hh_l0",
        "dropout_masks/l0",
    ],
)
def test_every_array_of_a_problem_is_part_of_the_key(tmp_path: Path, path: str) -> None:
    problem = make_problem(Case(**PADDED))
    field, _, name = path.partition("/")
    arrays = getattr(problem, field)
    array = (arrays[name] if name else arrays).copy()
    array.flat[0] = not array.flat[0] if array.dtype == bool else array.flat[0] + 1
    change: dict[str, Any] = {field: {**arrays, name: array} if name else array}
    other = replace(problem, **change)
    oracle = Oracle(tmp_path)
    oracle.expect(problem, *PLAIN)
    oracle.expect(other, *PLAIN)
    assert len(entries(tmp_path)) == 2


@pytest.mark.parametrize("cached", [False, True])
def test_a_problem_with_other_weights_has_another_expectation(tmp_path: Path, *, cached: bool) -> None:
    oracle = Oracle(tmp_path if cached else None)
    problem = make_problem(CASE)
    doubled = {name: 2 * array for name, array in problem.parameters.items()}
    other = replace(problem, parameters=doubled)
    for each in (problem, other, problem):
        expected = solve(each, Dialect())
        found = oracle.expect(each, *PLAIN).values
        for name, value in found.items():
            np.testing.assert_array_equal(value, expected[name])


def test_dialects_that_do_not_affect_a_case_share_an_entry(tmp_path: Path) -> None:
    dialects = [
        Dialect(),
        Dialect(padding="repeat"),
        Dialect(padding="unspecified", zero_length="zero"),
        Dialect(clip="gates", reverse_output="processing"),
    ]
    for dialect in dialects:
        Oracle(tmp_path).expect(make_problem(CASE), PROFILES["float32"], dialect)
    assert len(entries(tmp_path)) == 1


def test_a_cache_that_cannot_be_written_is_ignored(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    assert Oracle(file).expect(make_problem(CASE), *PLAIN).condition > 0
    assert entries(tmp_path) == [file]


def test_a_chaotic_case_is_rejected() -> None:
    options: dict[str, Any] = {"input_size": 8, "hidden_size": 2, "num_layers": 2, "seq_len": 60, "batch": 6}
    chaotic = Case(**options, values="scale-2", dtype="float16")
    with pytest.raises(ChaoticCaseError, match=r"rounding in float16 is amplified \S+ times"):
        Oracle(None).expect(make_problem(chaotic), PROFILES["float16"], Dialect())


def test_a_case_that_overflows_the_reference_is_rejected() -> None:
    case = Case(
        input_size=2,
        hidden_size=2,
        batch=3,
        num_layers=2,
        direction="reverse",
        batch_first=True,
        seq_len=16,
        activations=("relu", "sigmoid", "elu"),
        check=("output", "h_n", "c_n"),
    )
    with pytest.raises(
        OverflowingCaseError,
        match=r"the reference overflows float64: output is not finite in 9 of 96 elements\. Use fewer steps",
    ):
        Oracle(None).expect(make_problem(case), *PLAIN)


def test_values_that_the_error_analysis_cannot_square_are_rejected() -> None:
    problem = make_problem(Case(**OPTIONS, dtype="float64"))
    huge = {name: 1e200 * array for name, array in problem.cotangents.items()}
    with pytest.raises(OverflowingCaseError, match=r"^grad\..* can reach .*e\+(199|20.), beyond the range of float64"):
        Oracle(None).expect(replace(problem, cotangents=huge), PROFILES["float64"], Dialect())


def test_a_case_with_nan_in_its_input_is_accepted() -> None:
    problem = make_problem(Case(**OPTIONS, input_nan=True, check=("output", "h_n", "c_n")))
    assert np.isnan(Oracle(None).expect(problem, *PLAIN).values["output"]).any()


def test_the_budget_in_float64_includes_the_errors_of_the_reference() -> None:
    problem = make_problem(Case(**OPTIONS, dtype="float64"))
    found = Oracle(None).expect(problem, PROFILES["float64"], Dialect())
    single = Oracle(None).expect(problem, PROFILES["float32"], Dialect())
    ratio = np.median(single.budget["output"] / found.budget["output"])
    assert ratio == pytest.approx(2.0**28, rel=0.1)


def test_environment_variables_set_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path))
    assert default_cache() == tmp_path
    monkeypatch.delenv("CONFORMANCE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "lstm-conformance"


def test_pruning_removes_the_oldest_entries_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old", "oldest")):
        path = tmp_path / "ab" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 100)
        os.utime(path, (1e9 - age, 1e9 - age))
    monkeypatch.setattr("conformance.verdict.oracle._MAX_CACHE_BYTES", 150)
    prune(tmp_path)
    assert [path.name for path in entries(tmp_path)] == ["new"]


def test_a_use_that_changes_no_result_shares_its_expectation(tmp_path: Path) -> None:
    first, second = Oracle(tmp_path), Oracle(tmp_path)
    expected = first.expect(make_problem(CASE), *PLAIN)
    found = second.expect(make_problem(Case(**OPTIONS, chunks=(2, 3), saved=True, earlier_calls=("longer",))), *PLAIN)
    assert second.seconds["reference"] == 0
    for name, array in expected.values.items():
        np.testing.assert_array_equal(found.values[name], array)


def test_the_gradients_of_partial_losses_add_up_to_those_of_the_whole_loss() -> None:
    options = OPTIONS | {"dtype": "float64", "num_layers": 2}
    losses = [make_problem(Case(**options, cotangents=(name,))) for name in ("output", "h_n", "c_n")]
    parts = [Oracle(None).expect(loss, PROFILES["float64"], Dialect()).values for loss in losses]
    whole = Oracle(None).expect(make_problem(Case(**options)), PROFILES["float64"], Dialect()).values
    for name in (name for name in whole if name.startswith("grad.")):
        np.testing.assert_allclose(sum(part[name] for part in parts), whole[name], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("given", ["h_0", "c_0"])
def test_an_absent_state_is_zero(given: str) -> None:
    absent = make_problem(Case.model_validate(OPTIONS | {"initial_state": f"{given}-given"}))
    complete = replace(absent, case=Case(**OPTIONS), initial_state=absent.complete_state())
    expected = solve(complete, Dialect())
    for name, array in solve(absent, Dialect()).items():
        np.testing.assert_array_equal(array, expected[name])


@pytest.mark.parametrize("name", [name for name, options in CASES.items() if options.get("batch") != "unbatched"])
def test_blocks_of_rows_have_the_results_and_the_rounding_errors_of_all_rows(name: str) -> None:
    problem = small_problem(name, check=["output", "h_n", "c_n", "gradients", "jvp", "hvp"], dtype="float32")
    blocks = [slice(0, 2), slice(2, 3)]

    def solved(blocks: Sequence[slice]) -> Sided:
        return choose_sides(lambda lift: solve_compared(problem, Dialect(), lift, blocks), PROFILES["float32"])

    every, joined = solved(()), solved(blocks)
    assert list(joined.values) == list(every.values)
    for found in every.values:
        np.testing.assert_allclose(joined.values[found], every.values[found], rtol=1e-12, atol=1e-15)
        # The sums of peephole gradients end with each block.
        np.testing.assert_allclose(joined.reach[found], every.reach[found], rtol=1e-2 if "peephole" in found else 1e-6)


def test_a_large_case_is_computed_in_blocks_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.verdict.oracle.COARSE_FROM", 0)
    problem = make_problem(CASE)
    every = Oracle(None).expect(problem, *PLAIN)
    monkeypatch.setattr("conformance.cases.size.MAX_BLOCK_VALUES", 25)
    taken, take = [], Problem.take_rows

    def record(problem: Problem, rows: slice) -> Problem:
        taken.append(rows)
        return take(problem, rows)

    monkeypatch.setattr(Problem, "take_rows", record)
    found = Oracle(None).expect(problem, *PLAIN)
    assert taken == 2 * [slice(0, 1), slice(1, 2), slice(2, 3)]
    for name, value in every.values.items():
        np.testing.assert_allclose(found.values[name], value, rtol=1e-12, atol=1e-15)
        # Blocks draw other random errors.
        np.testing.assert_allclose(found.budget[name], every.budget[name], rtol=0.3)
