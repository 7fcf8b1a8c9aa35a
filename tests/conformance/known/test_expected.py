"""Which deviations, errors and conforming results known divergences account for."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from conformance.adapters import registry
from conformance.cases.case import Case
from conformance.defects.defect import Defect
from conformance.defects.solve import solve
from conformance.known import expected
from conformance.known.defects import make_defect
from conformance.known.divergences import Divergence, shipped
from conformance.known.trial import compose_any
from conformance.verdict.judge import judge
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import make_problem
from conformance.verdict.random_arrays import round_to
from reference import PROFILES, Dialect

ORACLE = Oracle(None)
CORRECT = Defect(id="none", what="without a defect")
CLIPPED: dict[str, Any] = {"clip": 0.3}
ROWS: dict[str, Any] = {"clip": 0.3, "lengths": (3, 5)}


def entry(id: str, **options: Any) -> Divergence:  # noqa: A002
    values: dict[str, Any] = {
        "id": id,
        "implementation": "*",
        "package": "numpy",
        "versions": ">=1",
        "features": ["float32"],
        "what": f"It {id}.",
        "reason": "r",
        "upstream": "none as of 2026-11",
        "reproduction": "x.py",
        "tensors": ["*"],
    }
    return Divergence.model_validate(values | options)


NO_CLIP = entry("no-clip", defects=["clip-ignored"])
NO_LENGTHS = entry("no-lengths", defects=["lengths-ignored"])
COARSE = entry("coarse", profile="float32", resembles=["all-in-float32"])


def judged(
    *defects: str,
    off: float = 0.0,
    dtype: str = "float32",
    computed: str = "",
    dialect: Dialect | None = None,
    **options: Any,
) -> JudgedSolution:
    """Returns the solution of an LSTM with some defects.

    Args:
        defects: names of the defects.
        off: number added to h_n.
        dtype: dtype of the case.
        computed: dtype that the solution is rounded to; empty for the case's.
        dialect: dialect of the implementation; None for the default.
        options: further options of the case.
    """
    case = Case.model_validate(
        {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 2, "dtype": dtype, "padding": "random"} | options
    )
    dialect = dialect or Dialect()
    problem = make_problem(case).under(dialect)
    combined = CORRECT
    for name in sorted(defects):
        defect = make_defect(name, problem, dialect)
        combined = defect if combined is CORRECT else compose_any(combined, defect) or CORRECT
    solution: dict[str, Any] = {
        name: round_to(computed or dtype, array).astype(array.dtype)
        for name, array in solve(combined, problem, dialect).items()
    }
    if off:
        solution["h_n"] = solution["h_n"] + off
    return JudgedSolution(problem, solution, ORACLE.expect(problem, PROFILES[dtype], dialect), dialect)


def outcome(found: JudgedSolution, *entries: Divergence) -> str:
    """Returns the status and the named entries; empty if the entries do not account for the solution."""
    failing = [tensor.name for tensor in judge(*found[:3]).tensors if not tensor.conforms]
    if failing:
        result = expected.for_deviation(entries, failing, found, ORACLE)
    else:
        result = expected.for_conformance(entries, found)
    return f"{result.status} {result.reason.split(':')[0].split(' no longer')[0]}" if result else ""


def shipped_for(implementation: str, case: Case) -> list[Divergence]:
    """Returns the shipped divergences that a case is expected to show on the newest recorded version."""
    newest = {entry.id: entry.versions.rpartition("=")[2] for entry in shipped()}
    return [entry for entry in shipped() if entry.matches(case, implementation, partial(_same, newest[entry.id]))]


def _same(version: str, package: str) -> str:
    del package
    return version


JOINED: dict[str, Any] = {"check": ("output", "h_n", "c_n")}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (judged("steps-and-rows-joined", **JOINED), "known joined"),
        (judged("steps-and-rows-joined", off=0.01, **JOINED), ""),
        (judged("batch-read-as-time", batch_first=True, initial_state="omitted", **JOINED), ""),
        (judged(**JOINED), "fixed joined"),
    ],
    ids=["the defect", "with another deviation", "in another shape", "fixed"],
)
def test_a_defect_predicts_the_shape(found: JudgedSolution, expected: str) -> None:
    assert outcome(found, entry("joined", defects=["steps-and-rows-joined"])) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (judged("clip-ignored", **CLIPPED), "known no-clip"),
        (judged("clip-ignored", off=0.01, **CLIPPED), ""),
        (judged("clip-at-twice-the-bound", **CLIPPED), ""),
        (judged(**CLIPPED), "fixed no-clip"),
        (judged(clip=50.0), ""),
    ],
    ids=["the defect", "with another deviation", "of another size", "fixed", "undetectable"],
)
def test_a_divergence_with_a_defect_is_exactly_that_defect(found: JudgedSolution, expected: str) -> None:
    assert outcome(found, NO_CLIP) == expected


@pytest.mark.parametrize(
    ("defects", "expected"),
    [
        (["clip-ignored", "lengths-ignored"], "known no-clip and no-lengths"),
        (["clip-ignored"], "fixed no-lengths"),
        (["lengths-ignored"], "fixed no-clip"),
        ([], "fixed no-clip"),
        (["clip-ignored", "biases-ignored"], ""),
    ],
)
def test_divergences_in_the_same_case_are_distinguished(defects: list[str], expected: str) -> None:
    assert outcome(judged(*defects, **ROWS), NO_CLIP, NO_LENGTHS) == expected


@pytest.mark.parametrize("undetectable", [NO_CLIP, entry("rough", error_ratio=100.0, resembles=["clip-ignored"])])
def test_a_divergence_without_an_effect_is_neither_named_nor_fixed(undetectable: Divergence) -> None:
    assert outcome(judged("lengths-ignored", **ROWS | {"clip": 50.0}), undetectable, NO_LENGTHS) == "known no-lengths"


def test_divergences_that_exclude_each_other_are_distinguished() -> None:
    one, other = (entry(name, defects=[name]) for name in ("padding-repeated", "padding-in-the-other-dialect"))
    assert outcome(judged("padding-repeated", lengths=(3, 5)), one, other) == "known padding-repeated"
    assert outcome(judged(lengths=(3, 5)), one, other) == "fixed padding-repeated"


def test_the_reason_describes_each_divergence() -> None:
    found = judged("clip-ignored", "lengths-ignored", **ROWS)
    result = expected.for_deviation([NO_CLIP, NO_LENGTHS], ["h_n"], found, ORACLE)
    assert result == ("known", "no-clip and no-lengths: It no-clip. It no-lengths.")


def test_a_divergence_that_shows_only_through_another_is_named_with_it() -> None:
    """Without a second step there is no cell state that the forget gate could keep."""
    options: dict[str, Any] = {"seq_len": 2, "batch": 1, "lengths": (1,), "initial_state": "h_0-only"}
    options |= {"input_size": 1, "hidden_size": 2, "padding": "large", "coupled_gates": True, "dtype": "float32"}
    case = Case.model_validate(options)
    entries = shipped_for("onnx.reference", case)
    ids = "onnx-reference-sequence-lens and onnx-reference-input-forget"
    assert {entry.id for entry in entries} == set(ids.split(" and "))
    forward = {**options, "check": ("output", "h_n", "c_n")}
    assert outcome(judged("coupled-ignored", "lengths-ignored", **forward), *entries) == f"known {ids}"
    assert outcome(judged("coupled-ignored", **forward), *entries) == "fixed onnx-reference-sequence-lens"
    assert outcome(judged("lengths-ignored", **forward), *entries) == "fixed onnx-reference-input-forget"
    assert outcome(judged(**forward), *entries) == "fixed onnx-reference-sequence-lens"


def test_a_divergence_that_does_not_always_show_is_not_fixed() -> None:
    assert outcome(judged(**CLIPPED), NO_CLIP.model_copy(update={"always": False})) == ""


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (judged(dtype="float64", computed="float32"), "known coarse"),
        (judged(dtype="float64", computed="float16"), ""),
        (judged("biases-ignored", dtype="float64", computed="float32"), ""),
        (judged(dtype="float64"), "fixed coarse"),
        (judged(dtype="float64", lengths=(0, 0), initial_state="omitted"), ""),
        (judged(dtype="float64", computed="float32", lengths=(0, 0)), "known coarse"),
        (judged(dtype="float64", computed="float16", lengths=(0, 0)), ""),
    ],
    ids=["float32", "float16", "and a defect", "float64", "nothing computed", "states converted", "too coarsely"],
)
def test_less_precise_arithmetic_keeps_its_own_budget(found: JudgedSolution, expected: str) -> None:
    assert outcome(found, COARSE) == expected


def test_a_defect_and_less_precise_arithmetic_are_distinguished() -> None:
    entries = (NO_CLIP, COARSE)
    assert outcome(judged("clip-ignored", dtype="float64", computed="float32", **CLIPPED), *entries) == (
        "known no-clip and coarse"
    )
    assert outcome(judged("clip-ignored", dtype="float64", **CLIPPED), *entries) == "fixed coarse"
    assert outcome(judged(dtype="float64", computed="float32", **CLIPPED), *entries) == "fixed no-clip"


def test_less_precise_arithmetic_applies_where_the_reference_is_zero() -> None:
    """Without input, biases and states, every result of a correct LSTM is 0 and has no budget."""
    no_input = entry("no-dropout", defects=["input-dropout-ignored"])
    options: dict[str, Any] = {"input_dropout": 1.0, "mode": "train", "bias": False, "initial_state": "omitted"}
    options |= {"check": ("output", "h_n", "c_n"), "dtype": "float64"}
    found = judged("input-dropout-ignored", computed="float32", **options)
    assert outcome(found, no_input, COARSE) == "known no-dropout and coarse"
    assert outcome(found, no_input) == ""


def test_a_row_that_only_a_divergence_computes_has_a_budget() -> None:
    """The reference has no rounding errors in a batch of empty rows."""
    name = "empty-rows-run-on-with-zero-output"
    found = judged(name, dtype="bfloat16", lengths=(0, 0), initial_state="zero")
    entries = (entry("runs-on", defects=[name]),)
    for roundings, wanted in ((10, "known runs-on"), (4000, "")):
        noise = 1 + roundings * PROFILES["bfloat16"].u
        noisy = {name: array * noise for name, array in found.solution.items()}
        assert outcome(found._replace(solution=noisy), *entries) == wanted


def test_a_result_that_only_a_divergence_does_not_clip_has_a_budget() -> None:
    """The reference clips the cell state and has no rounding errors after that."""
    name = "clip-not-of-cell-state-activation"
    options: dict[str, Any] = {"clip": 0.001, "activations": ["hard_sigmoid", "sigmoid", "hard_sigmoid"], "seq_len": 1}
    found = judged(name, check=("output", "h_n", "c_n"), **options)
    entries = (entry("keeps-the-cell-state", defects=[name]),)
    for roundings, wanted in ((4, "known keeps-the-cell-state"), (80, "")):
        noise = 1 + roundings * PROFILES["float32"].u
        noisy = {**found.solution, **{each: found.solution[each] * noise for each in ("h_n", "output")}}
        assert outcome(found._replace(solution=noisy), *entries) == wanted


def test_an_error_ratio_is_an_upper_limit() -> None:
    assert outcome(judged(off=1e-5), entry("rough", error_ratio=100.0)) == "known rough"
    assert outcome(judged(off=1e-2), entry("rough", error_ratio=100.0)) == ""


def test_only_non_finite_elements_may_deviate() -> None:
    nan = entry("nan", nan=True, tensors=["grad.*"])
    found = judged()
    gradient = found.solution["grad.input"].copy()
    gradient[0] = np.nan
    finite = found.solution["grad.c_0"] + 0.1
    assert outcome(found._replace(solution={**found.solution, "grad.input": gradient}), nan) == "known nan"
    assert outcome(found._replace(solution={**found.solution, "grad.c_0": finite}), nan) == ""
    assert outcome(found, nan) == "fixed nan"


def test_a_divergence_without_a_prediction_does_not_cover_other_tensors() -> None:
    anything = entry("h_n-is-anything", tensors=["h_n"])
    assert outcome(judged("clip-ignored", off=1.0, **CLIPPED), NO_CLIP, anything) == "known no-clip and h_n-is-anything"
    wrong = judged("clip-at-twice-the-bound", off=1.0, **CLIPPED)
    assert outcome(wrong, NO_CLIP, anything) == ""


@pytest.mark.parametrize(
    ("found", "limited"),
    [
        (judged(off=1e-5), entry("limited", error_ratio=100.0)),
        (judged(dtype="float64", computed="float32"), entry("limited", profile="float32")),
        (judged(off=np.nan), entry("limited", nan=True)),
    ],
    ids=["error ratio", "profile", "nan"],
)
def test_a_limited_divergence_precedes_an_unlimited_one(found: JudgedSolution, limited: Divergence) -> None:
    anything = entry("anything", always=False)
    assert outcome(found, limited, anything) == "known limited"


def test_a_tensor_of_another_shape_does_not_match_a_defect() -> None:
    found = judged("clip-ignored", **CLIPPED)
    solution = {**found.solution, "h_n": np.zeros((1, 1))}
    assert outcome(found._replace(solution=solution), NO_CLIP) == ""


def test_a_superfluous_tensor_is_not_covered_by_a_defect() -> None:
    found = judged("clip-ignored", **CLIPPED)
    solution = {**found.solution, "h": np.zeros(1)}
    assert outcome(found._replace(solution=solution), NO_CLIP) == ""


def test_a_divergence_that_may_raise_or_deviate_is_not_fixed_by_either() -> None:
    both = entry("both", error="no kernel")
    assert outcome(judged(off=1.0), both) == "known both"
    assert expected.for_error([both], "no kernel") == ("known", "both: It both.")
    assert outcome(judged(), both) == "fixed both"


def test_a_divergence_that_raises_is_fixed_by_any_solution() -> None:
    raises = entry("raises", tensors=[], error="no kernel")
    assert outcome(judged(), raises) == "fixed raises"
    assert outcome(judged("clip-ignored", **CLIPPED), NO_CLIP, raises) == "fixed raises"


def test_the_first_entry_that_describes_an_error_is_named() -> None:
    entries = [entry("other", tensors=[], error="^died"), entry("raises", tensors=[], error="no kernel"), NO_CLIP]
    found = expected.for_error(entries, "RuntimeError: no kernel for it")
    assert found == ("known", "raises: It raises.")
    assert expected.for_error(entries, "another") is None


NO_PADDING: dict[str, Any] = {"input_size": 2, "hidden_size": 2, "seq_len": 1, "batch": 3, "lengths": (1, 1, 1)}
FULL_ROW: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "num_layers": 2, "bidirectional": True, "seq_len": 2}
ONE_STEP: dict[str, Any] = {"input_size": 3, "hidden_size": 2, "bidirectional": True, "seq_len": 1, "batch": 1}
ZERO_LENGTH: dict[str, Any] = {"input_size": 1, "hidden_size": 1, "seq_len": 1, "batch": 1, "lengths": (0,)}


@pytest.mark.parametrize(
    ("implementation", "options"),
    [
        *(
            (name, options | {"padding": "nan"})
            for name in ("keras.layers.LSTM[tensorflow]", "flax.linen.LSTMCell", "flax.nnx.LSTMCell")
            for options in (NO_PADDING, FULL_ROW | {"batch": 1, "lengths": (2,)})
        ),
        (
            "keras.layers.LSTM[tensorflow,unroll]",
            ONE_STEP | {"lengths": (1,), "dtype": "float64", "check": ("output", "h_n", "c_n")},
        ),
        *(
            (name, ZERO_LENGTH | {"dtype": "float64"})
            for name in (
                "keras.layers.LSTM[torch]",
                "keras.layers.LSTM[torch,unroll]",
                "keras.layers.RNN[torch,StackedRNNCells]",
                "openvino[onnx]",
                "openvino[LSTMSequence]",
            )
        ),
    ],
)
def test_a_problem_that_cannot_show_a_divergence_passes(implementation: str, options: dict[str, Any]) -> None:
    adapter = registry.load(implementation)
    case = Case.model_validate(options)
    if "gradients" not in adapter.features:
        case = case.forward_only() or case
    found = judged(**{**options, "check": case.check}, dialect=adapter.dialect(case))
    assert outcome(found, *shipped_for(implementation, case)) == ""


@pytest.mark.parametrize(
    ("implementation", "options", "message"),
    [
        (
            "torch.nn.LSTM[vmap]",
            {"initial_state": "omitted", "dtype": "float16"},
            "RuntimeError: output with shape [1, 16] doesn't match the broadcast shape [2, 1, 16]",
        ),
        (
            "torch.ao.nn.quantizable.LSTM",
            {"batch": "unbatched", "bidirectional": True},
            "RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x2 and 4x8)",
        ),
        *(
            (
                "haiku.LSTM",
                {"initial_state": "omitted", "dtype": dtype},
                f"ValueError: unexpected JAX type (e.g. shape/dtype) for argument to VJP function: got {dtype}[2,4,3], "
                "but expected float32[2,4,3]",
            )
            for dtype in ("float16", "bfloat16")
        ),
    ],
)
def test_an_error_is_known_in_every_case_that_raises_it(
    implementation: str, options: dict[str, Any], message: str
) -> None:
    case = Case.model_validate({"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 2} | options)
    found = expected.for_error(shipped_for(implementation, case), message)
    assert found is not None
    assert found.status == "known"


def test_a_prediction_beyond_the_range_of_the_dtype_is_infinite() -> None:
    no_clip = entry("no-clip", features=["float16"], defects=["clip-ignored"])
    options: dict[str, Any] = {"activations": ("relu", "leaky_relu", "leaky_relu"), "values": "scale-2", "clip": 10.0}
    with np.errstate(over="ignore"):
        found = judged("clip-ignored", dtype="float16", seq_len=6, batch=1, seed=4, **options, **JOINED)
    overflown = np.isinf(found.solution["output"])
    assert 0 < overflown.sum() < overflown.size
    assert outcome(found, no_clip) == "known no-clip"
    everywhere = {"output": np.where(found.solution["output"] > 0, np.inf, found.solution["output"])}
    assert outcome(found._replace(solution={**found.solution, **everywhere}), no_clip) == ""


@pytest.mark.parametrize(
    ("name", "seq_len", "expected"),
    [("grad.input", 107, "known through-clip"), ("output", 107, ""), ("grad.input", 9, "")],
    ids=["a gradient", "a result before the overflow", "no overflow"],
)
def test_gradients_may_be_nan_after_an_overflow_that_is_predicted(name: str, seq_len: int, expected: str) -> None:
    through_clip = entry("through-clip", features=["float16"], defects=["grad-through-clip"], tensors=["*"])
    options: dict[str, Any] = {"input_size": 7, "hidden_size": 6, "batch": 1, "cell_clip": 0.5, "seed": 632032463}
    with np.errstate(over="ignore"):
        found = judged("grad-through-clip", dtype="float16", seq_len=seq_len, initial_state="zero", **options)
    wrong = found.solution[name].copy()
    wrong.flat[0] = np.nan
    assert outcome(found._replace(solution={**found.solution, name: wrong}), through_clip) == expected


def test_a_loose_divergence_is_named_with_an_exact_one_if_only_it_concerns_a_tensor() -> None:
    through_clip = entry("through-clip", defects=["grad-through-clip"], tensors=["grad.*"])
    imprecise = entry("imprecise", tensors=["*"], error_ratio=6.0, always=False)
    found = judged("grad-through-clip", cell_clip=0.2, batch=3)
    output, budget = found.solution["output"].copy(), found.expectation.budget["output"]
    output.flat[budget.argmin()] += 1.5 * budget.min()
    found = found._replace(solution={**found.solution, "output": output})
    assert outcome(found, through_clip, imprecise) == "known through-clip and imprecise"
    assert outcome(found, through_clip) == ""
