"""Less precision somewhere inside: rounded there, to that format, and nowhere else."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from conformance.defects.catalogue import activations, precision
from conformance.verdict.problem import round_to
from tests.conformance.defects.problems import problem_of, right, wrong

BY_ID = {defect.id: defect for defect in precision.DEFECTS}
DEEP = problem_of(seq_len=5, num_layers=2, direction="bidirectional")


@pytest.mark.parametrize(("name", "bits"), [("bfloat16", 8), ("float16", 11), ("float32", 24)])
def test_rounding_is_that_of_the_format(name: Any, bits: int) -> None:
    values = np.random.default_rng(0).standard_normal(1000)
    np.testing.assert_array_equal(precision.rounded(values, bits), round_to(name, values).astype(np.float64))


# Below 2^-14 float16 has less than its 11 bits, which the defect has everywhere.
@pytest.mark.parametrize(("name", "off"), [("bfloat16", 1e-12), ("float16", 1e-6), ("float32", 1e-12)])
def test_what_is_narrowed_before_the_run_is_a_run_on_narrow_numbers(name: Any, off: float) -> None:
    narrow = replace(DEEP, parameters={each: round_to(name, array) for each, array in DEEP.parameters.items()})
    for defect, problem in {
        f"parameters-in-{name}": narrow,
        f"input-in-{name}": replace(DEEP, input=round_to(name, DEEP.input)),
    }.items():
        expected = right(problem)
        for tensor, array in wrong(BY_ID[defect], DEEP).items():
            np.testing.assert_allclose(array, expected[tensor], rtol=0, atol=off, err_msg=tensor)


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("state", ["hidden", "cell"])
def test_a_state_is_kept_in_its_format_between_steps(state: str, name: Any) -> None:
    problem = problem_of(seq_len=2)
    found = wrong(BY_ID[f"{state}-state-in-{name}"], problem)
    first = replace(problem_of(seq_len=1), parameters=problem.parameters, input=problem.input[:1])
    after = right(replace(first, initial_state=problem.initial_state))
    kept = "h_n" if state == "hidden" else "c_n"
    after[kept] = round_to(name, after[kept]).astype(np.float64)
    second = replace(first, input=problem.input[1:], initial_state={"h_0": after["h_n"], "c_0": after["c_n"]})
    np.testing.assert_array_equal(found["output"][0], after["h_n"][0])
    expected = right(second)[kept]
    np.testing.assert_array_equal(found[kept], round_to(name, expected).astype(np.float64))


SUMS = np.random.default_rng(3).standard_normal((2, 5)), np.random.default_rng(4).standard_normal((5, 3))


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float32"])
def test_products_are_summed_or_their_operands_taken_in_the_format(name: Any) -> None:
    left, right_ = SUMS
    bits = {"bfloat16": 8, "float16": 11, "float32": 24}[name]

    def narrow(value: Any) -> Any:
        return round_to(name, np.asarray(value)).astype(np.float64)

    summed = precision.accumulated(bits).lift(left) @ right_
    for row in range(2):
        for column in range(3):
            total = np.float64(0)
            for k in range(5):
                total = narrow(total + left[row, k] * right_[k, column])
            assert summed.value[row, column] == total
    taken = precision.operands(bits).lift(left) @ right_
    np.testing.assert_allclose(taken.value, narrow(left) @ narrow(right_), rtol=1e-14)
    activated = precision.activated(bits).lift(left).activate(activations.softsign)
    np.testing.assert_array_equal(activated.value, narrow(left / (1 + np.abs(left))))


def test_a_lift_without_a_habit_is_exact() -> None:
    exact = replace(BY_ID["operands-in-tf32"], lift=precision.Habit.lift)
    projected = problem_of(seq_len=4, proj_size=2, lengths=(4, 1, 3))
    for problem in (DEEP, projected):
        expected = right(problem)
        for name, array in wrong(exact, problem).items():
            np.testing.assert_allclose(array, expected[name], rtol=1e-13, atol=1e-15, err_msg=name)


def test_tf32_has_11_bits_and_weights_in_8_bits_have_255_values() -> None:
    x = precision.rounded(np.array([1 + 2**-10, 1 + 2**-11, 1 + 3 * 2**-12, -1 - 3 * 2**-11]), precision.TF32)
    np.testing.assert_array_equal(x, [1 + 2**-10, 1.0, 1 + 2**-10, -1 - 2**-9])
    assert BY_ID["weights-in-int8"].shifts is not None
    found = BY_ID["weights-in-int8"].shifts({"weight_ih_l0": SUMS[0], "bias_ih_l0": SUMS[1]}, DEEP.case)
    steps = found["weight_ih_l0"] / (np.abs(SUMS[0]).max() / 127)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)
    assert np.abs(found["weight_ih_l0"] - SUMS[0]).max() <= np.abs(SUMS[0]).max() / 254
    assert found["bias_ih_l0"] is SUMS[1]
