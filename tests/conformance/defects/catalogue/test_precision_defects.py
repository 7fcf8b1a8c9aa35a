"""Precision defects round in one place, to one format, and nowhere else."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from conformance.defects.catalogue import activations, precision
from conformance.verdict.random_arrays import round_to
from tests.conformance.defects.problems import correct, defective, problem_of

BY_ID = {defect.id: defect for defect in precision.DEFECTS}
DEEP = problem_of(seq_len=5, num_layers=2, direction="bidirectional")


@pytest.mark.parametrize(("name", "bits"), [("bfloat16", 8), ("float16", 11), ("float32", 24)])
def test_rounding_to_bits_equals_rounding_to_the_format(name: Any, bits: int) -> None:
    values = np.random.default_rng(0).standard_normal(1000)
    np.testing.assert_array_equal(precision.round_to_bits(values, bits), round_to(name, values).astype(np.float64))


# Below 2^-14, float16 has fewer than 11 bits. The defect rounds to 11 bits everywhere.
@pytest.mark.parametrize(("name", "tolerance"), [("bfloat16", 1e-12), ("float16", 1e-6), ("float32", 1e-12)])
def test_narrow_parameters_and_inputs_equal_a_run_on_rounded_ones(name: Any, tolerance: float) -> None:
    narrow = replace(DEEP, parameters={each: round_to(name, array) for each, array in DEEP.parameters.items()})
    for defect, problem in {
        f"parameters-in-{name}": narrow,
        f"input-in-{name}": replace(DEEP, input=round_to(name, DEEP.input)),
    }.items():
        expected = correct(problem)
        for tensor, array in defective(BY_ID[defect], DEEP).items():
            np.testing.assert_allclose(array, expected[tensor], rtol=0, atol=tolerance, err_msg=tensor)


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("state", ["hidden", "cell"])
def test_a_state_is_rounded_at_each_step(state: str, name: Any) -> None:
    problem = problem_of(seq_len=2)
    actual = defective(BY_ID[f"{state}-state-in-{name}"], problem)
    first = replace(problem_of(seq_len=1), parameters=problem.parameters, input=problem.input[:1])
    after = correct(replace(first, initial_state=problem.initial_state))
    kept = "h_n" if state == "hidden" else "c_n"
    after[kept] = round_to(name, after[kept]).astype(np.float64)
    second = replace(first, input=problem.input[1:], initial_state={"h_0": after["h_n"], "c_0": after["c_n"]})
    np.testing.assert_array_equal(actual["output"][0], after["h_n"][0])
    expected = correct(second)[kept]
    np.testing.assert_array_equal(actual[kept], round_to(name, expected).astype(np.float64))


MATRICES = np.random.default_rng(3).standard_normal((2, 5)), np.random.default_rng(4).standard_normal((5, 3))


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float32"])
def test_sums_operands_and_activations_are_rounded_to_the_format(name: Any) -> None:
    left, right = MATRICES
    bits = {"bfloat16": 8, "float16": 11, "float32": 24}[name]

    def narrow(value: Any) -> Any:
        return round_to(name, np.asarray(value)).astype(np.float64)

    summed = precision.rounding_sums(bits).lift(left) @ right
    for row in range(2):
        for column in range(3):
            total = np.float64(0)
            for k in range(5):
                total = narrow(total + left[row, k] * right[k, column])
            assert summed.value[row, column] == total
    rounded = precision.rounding_operands(bits).lift(left) @ right
    np.testing.assert_allclose(rounded.value, narrow(left) @ narrow(right), rtol=1e-14)
    activated = precision.rounding_activations(bits).lift(left).activate(activations.softsign)
    np.testing.assert_array_equal(activated.value, narrow(left / (1 + np.abs(left))))


def test_the_base_class_of_rounding_numbers_is_exact() -> None:
    exact = replace(BY_ID["operands-in-tf32"], lift=precision.Exact.lift)
    projected = problem_of(seq_len=4, proj_size=2, lengths=(4, 1, 3))
    for problem in (DEEP, projected):
        expected = correct(problem)
        for name, array in defective(exact, problem).items():
            np.testing.assert_allclose(array, expected[name], rtol=1e-13, atol=1e-15, err_msg=name)


def test_tf32_has_11_bits_and_int8_weights_have_255_values() -> None:
    x = precision.round_to_bits(np.array([1 + 2**-10, 1 + 2**-11, 1 + 3 * 2**-12, -1 - 3 * 2**-11]), precision.TF32)
    np.testing.assert_array_equal(x, [1 + 2**-10, 1.0, 1 + 2**-10, -1 - 2**-9])
    assert BY_ID["weights-in-int8"].shifts is not None
    actual = BY_ID["weights-in-int8"].shifts({"weight_ih_l0": MATRICES[0], "bias_ih_l0": MATRICES[1]}, DEEP.case)
    steps = actual["weight_ih_l0"] / (np.abs(MATRICES[0]).max() / 127)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)
    assert np.abs(actual["weight_ih_l0"] - MATRICES[0]).max() <= np.abs(MATRICES[0]).max() / 254
    assert actual["bias_ih_l0"] is MATRICES[1]
