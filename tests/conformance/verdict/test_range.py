"""Cases in which a correct implementation can overflow are rejected."""

import random
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pytest

from conformance.cases.case import Case, DType
from conformance.verdict.judge import judge
from conformance.verdict.oracle import Oracle, OverflowingCaseError, RejectedCaseError, solve
from conformance.verdict.problem import Problem, make_problem
from conformance.verdict.random_arrays import round_to
from conformance.verdict.range import LARGEST_VALUE, narrowest_format
from reference import PROFILES, Dialect, Profile
from reference.activations import ACTIVATIONS, Activation
from tests.reference.variants import Single

BASE: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "seq_len": 4, "batch": 2}
HALF: dict[str, Any] = BASE | {"dtype": "float16"}


class Half(Single):
    """Float16 array. Every operation rounds; sums accumulate in float32."""

    operand = staticmethod(lambda values: values.astype(np.float32))

    @classmethod
    def lift(cls, array: Any) -> Self:
        return cls(PROFILES["float16"], np.asarray(array, np.float16))

    def _empty(self, shape: tuple[int, ...]) -> Self:
        return self.new(np.empty(shape, np.float16))

    def _accumulate(self, terms: Any) -> Any:
        return super()._accumulate(terms).astype(np.float16)

    def activate(self, activation: Activation) -> Self:
        return self.new(activation(self.value.astype(np.float32)).astype(np.float16))


class HalfAccumulator(Half):
    """Float16 array whose sums round after every addition, from the last term to the first."""

    operand = staticmethod(lambda values: values)

    def _accumulate(self, terms: Any) -> Any:
        return np.add.accumulate(terms[..., ::-1], axis=-1, dtype=np.float16)[..., -1]


def run(problem: Problem, variant: type[Single]) -> dict[str, Any]:
    with np.errstate(all="ignore"):
        results = solve(problem, Dialect(), variant.lift)
    return {name: results[name].value for name in problem.expected_shapes()}


def is_finite(solution: dict[str, Any]) -> bool:
    return all(np.isfinite(array).all() for array in solution.values())


def scaled(problem: Problem, field: str, factor: float, only: str = "") -> Problem:
    """The problem with some of its arrays multiplied by a factor, in the case's dtype."""
    arrays: dict[str, Any] = {
        name: round_to(problem.case.dtype, np.clip(array.astype(float) * factor, -6e4, 6e4))
        if name.startswith(only)
        else array
        for name, array in getattr(problem, field).items()
    }
    change: dict[str, Any] = {field: arrays}
    return replace(problem, **change)


def random_problem(choose: random.Random) -> Problem:
    """A float16 problem whose results are often near the largest float16 number, and sometimes beyond."""
    options: dict[str, Any] = {
        "input_size": choose.randint(1, 5),
        "hidden_size": choose.randint(2, 5),
        "seq_len": choose.choice([1, 2, 3, 4, 6, 10]),
        "batch": choose.randint(1, 3),
        "num_layers": choose.choice([1, 1, 2]),
        "direction": choose.choice(["forward", "reverse", "bidirectional"]),
        "values": choose.choice(["scale-1", "scale-2", "uniform"]),
        "activations": [choose.choice(sorted(ACTIVATIONS)) for _ in range(3)],
        "proj_size": choose.choice([0, 0, 0, 1]),
        "peepholes": choose.random() < 0.2,
        "coupled_gates": choose.random() < 0.1,
        "clip": choose.choice([None, None, None, 1e3]),
        "cell_clip": choose.choice([None, None, None, 1e3]),
    }
    problem = make_problem(Case(dtype="float16", **options))
    factor = choose.choice([1.0, 2.0, 10.0, 100.0, 1000.0])
    field, only = choose.choice(
        [("parameters", ""), ("parameters", "weight_ih_l0"), ("initial_state", "c_0"), ("cotangents", "")]
    )
    return scaled(problem, field, factor, only)


def test_no_accepted_case_overflows_float16() -> None:
    """Correct float16 runs of random accepted problems are finite. Many of the rejected problems do overflow."""
    choose = random.Random(0)
    oracle = Oracle(None)
    accepted = near = overflowing = 0
    for _ in range(50):
        problem = random_problem(choose)
        finite = all(is_finite(run(problem, variant)) for variant in (Half, HalfAccumulator))
        try:
            expectation = oracle.expect(problem, PROFILES["float16"], Dialect())
        except OverflowingCaseError:
            overflowing += not finite
        except RejectedCaseError:
            continue
        else:
            assert finite, problem.case.canonical
            assert not judge(problem, run(problem, Half), expectation).proven, problem.case.canonical
            accepted += 1
            near += expectation.largest > 1000
    assert accepted > 30
    assert near > 5
    assert overflowing > 2


def test_a_tensor_beyond_the_range_is_named() -> None:
    problem = make_problem(Case(**HALF, values="scale-2", activations=("relu", "relu", "relu")))
    with pytest.raises(
        OverflowingCaseError,
        match=r"^grad\.h_0 can reach 1\.4\de\+08, beyond the range of float16 \(up to 6\.55e\+04\), so .*\. Use ",
    ):
        Oracle(None).expect(problem, PROFILES["float16"], Dialect())


def test_a_tensor_within_its_budget_of_the_range_is_rejected() -> None:
    """The exact values are within the range, but a correct run can round one of them to infinity."""
    problem = make_problem(Case(**HALF | {"seq_len": 12, "batch": 6}))
    largest = max(float(np.abs(solve(problem, Dialect())[name]).max()) for name in problem.expected_shapes())
    near = scaled(problem, "cotangents", 0.9999 * 65504 / largest)
    exact = solve(near, Dialect())
    assert 65000 < max(float(np.abs(exact[name]).max()) for name in near.expected_shapes()) < 65504
    with pytest.raises(OverflowingCaseError, match=r"^grad\."):
        Oracle(None).expect(near, PROFILES["float16"], Dialect())


def test_an_intermediate_result_of_the_forward_pass_beyond_the_range_is_rejected() -> None:
    """Only the cell state, which is not compared, overflows: tanh bounds the hidden state."""
    problem = make_problem(
        Case(**HALF, activations=("affine", "tanh", "tanh"), forget_bias=5.0, check=("output", "h_n"))
    )
    problem = scaled(problem, "initial_state", 1e5, "c_0")
    assert np.abs(solve(problem, Dialect())["output"]).max() < 10
    with pytest.raises(
        OverflowingCaseError, match=r"^an intermediate result of the forward pass can reach .* the range of float16"
    ):
        Oracle(None).expect(problem, PROFILES["float16"], Dialect())


def test_an_intermediate_result_of_the_backward_pass_beyond_the_range_is_rejected() -> None:
    """Only gradients with respect to gates and states overflow: small weights and inputs make all others small."""
    problem = make_problem(Case(**HALF, initial_state="omitted", bias=False))
    problem = scaled(scaled(problem, "parameters", 0.1), "cotangents", 1e5)
    problem = replace(problem, input=problem.input / np.float16(10))
    exact = solve(problem, Dialect())
    assert max(float(np.abs(exact[name]).max()) for name in problem.expected_shapes()) < 2e4
    with pytest.raises(OverflowingCaseError, match=r"^an intermediate result of the backward pass can reach"):
        Oracle(None).expect(problem, PROFILES["float16"], Dialect())


@pytest.mark.parametrize(
    ("dtype", "profile", "expected"),
    [
        ("float64", "float64", "float64"),
        ("float32", "tf32", "float32"),
        ("float32", "float16", "float16"),
        ("float32", "bfloat16", "bfloat16"),
        ("float16", "float32", "float16"),
        ("bfloat16", "bfloat16", "bfloat16"),
    ],
)
def test_the_narrower_of_dtype_and_storage_format_counts(dtype: DType, profile: str, expected: DType) -> None:
    assert narrowest_format(dtype, PROFILES[profile]) == expected


def test_a_profile_with_an_unusual_roundoff_stores_the_dtype() -> None:
    assert narrowest_format("float32", Profile("coarse", u=3e-6, u_acc=3e-6)) == "float32"


def test_the_same_case_is_accepted_in_a_wider_format() -> None:
    options = BASE | {"activations": ("relu", "tanh", "relu"), "dtype": "float32"}
    problem = scaled(make_problem(Case(**options)), "cotangents", 3e4)
    Oracle(None).expect(problem, PROFILES["float32"], Dialect())
    with pytest.raises(OverflowingCaseError, match="beyond the range of float16"):
        Oracle(None).expect(problem, PROFILES["float16"], Dialect())


def test_the_largest_numbers_are_those_of_numpy() -> None:
    for dtype in ("float32", "float16"):
        assert LARGEST_VALUE[dtype] == np.finfo(dtype).max
    assert round_to("bfloat16", np.array(LARGEST_VALUE["bfloat16"])) == LARGEST_VALUE["bfloat16"]
