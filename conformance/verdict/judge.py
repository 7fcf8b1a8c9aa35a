"""Verdicts: for each tensor, checks the shape, then NaN and infinity, then the error ratio."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.verdict.comparison import Comparison, Floats
from conformance.verdict.evidence import evidence
from conformance.verdict.oracle import Expectation
from conformance.verdict.problem import Problem, axes_of, source_of
from reference.model import Shape

DECLARED, REPEATED = "declared.", "repeated."
"""Prefixes of the names of verdicts on what an implementation declares: a shape, and results that repeat exactly."""

_GATES = ("input", "forget", "candidate", "output")


@dataclass(frozen=True)
class TensorVerdict:
    """Verdict on one tensor.

    Attributes:
        name: name of the tensor.
        error_ratio: largest |deviation| / budget; infinite if the tensor is missing, has a wrong shape or dtype, or is
            not finite.
        reason: description of the deviation in one line; empty if the tensor conforms.
        proven: whether no correct implementation can have this result.
        detail: worst element, tolerances that would pass, and ``evidence``; empty if the tensor conforms.
    """

    name: str
    error_ratio: float
    reason: str = ""
    proven: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def conforms(self) -> bool:
        """Whether the tensor conforms."""
        return not self.reason


@dataclass(frozen=True)
class Verdict:
    """Verdict on a solution.

    Attributes:
        tensors: verdicts on the tensors, in the order of comparison.
    """

    tensors: tuple[TensorVerdict, ...]

    @property
    def conforms(self) -> bool:
        """Whether every tensor conforms."""
        return all(tensor.conforms for tensor in self.tensors)

    @property
    def error_ratio(self) -> float:
        """Largest error ratio of any tensor."""
        return max((tensor.error_ratio for tensor in self.tensors), default=0.0)

    @property
    def proven(self) -> bool:
        """Whether a deviation is proven wrong. Other deviations need to be confirmed with further draws."""
        return any(tensor.proven for tensor in self.tensors)


def is_declaration(name: str) -> bool:
    """Returns whether a name is that of a verdict on a declaration, and not on the values of a tensor."""
    return name.startswith((DECLARED, REPEATED))


def judge(problem: Problem, solution: Mapping[str, NDArray[Any]], expectation: Expectation) -> Verdict:
    """Compares a solution with the reference. A missing or an unknown tensor does not conform."""
    expected_shapes = problem.expected_shapes()
    verdicts = []
    for name, shape in expected_shapes.items():
        if name not in solution:
            verdicts.append(_reject(name, "is missing from the solution"))
            continue
        got = np.asarray(solution[name])
        if got.shape != shape:
            verdicts.append(_reject(name, _explain_shape(problem.case, name, got.shape, shape)))
        elif got.dtype.kind != "f":
            verdicts.append(_reject(name, f"has dtype {got.dtype}, expected floating point"))
        else:
            verdicts.append(_compare(problem.case, name, got.astype(np.float64), expectation))
    unknown = sorted(solution.keys() - expected_shapes.keys())
    verdicts += [_reject(name, "is not a tensor of this problem") for name in unknown]
    return Verdict(tuple(verdicts))


def _reject(name: str, reason: str, detail: Mapping[str, Any] | None = None) -> TensorVerdict:
    """Returns the verdict on a tensor without an error ratio, such as one with a wrong shape."""
    return TensorVerdict(name, math.inf, f"{name} {reason}", proven=True, detail=detail or {})


def _compare(case: Case, name: str, got: Floats, expectation: Expectation) -> TensorVerdict:
    """Returns the verdict on a tensor with the right shape and dtype."""
    expected = expectation.values[name]
    if case.input_nan:
        lacking = np.isnan(expected) & ~np.isnan(got)
        if lacking.any():
            detail = _locate(case, name, lacking)
            first, where = got[tuple(detail["index"])], detail["where"]
            reason = f"must be NaN but is not in {detail['wrong']} of {got.size} elements: got {first:.9g} at {where}"
            return _reject(name, reason, detail)
        got, expected = np.where(np.isnan(expected), 0.0, got), np.nan_to_num(expected)
    compared = Comparison(got, expected, expectation.budget[name], expectation.bound[name])
    if not compared.finite.all():
        detail = _locate(case, name, ~compared.finite)
        first, where = got[tuple(detail["index"])], detail["where"]
        reason = f"is not finite in {detail['wrong']} of {got.size} elements, first {first} at {where}"
        return _reject(name, reason, detail | {"evidence": _summarize(case, name, compared)})
    error_ratio = float(compared.error_ratios.max(initial=0.0))
    if error_ratio <= 1:
        return TensorVerdict(name, error_ratio)
    return _report_deviation(case, name, compared, error_ratio)


def _locate(case: Case, name: str, wrong: NDArray[np.bool_]) -> dict[str, Any]:
    """Returns the position of the first wrong element, and the number of wrong elements."""
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    where = describe_element(case, name, first)
    return {"where": where, "index": list(first), "wrong": int(wrong.sum()), "of": wrong.size}


def _report_deviation(case: Case, name: str, compared: Comparison, error_ratio: float) -> TensorVerdict:
    """Returns the verdict on a finite tensor whose error ratio exceeds 1."""
    got, expected, deviation, ratios = compared.got, compared.expected, compared.deviation, compared.error_ratios
    # Several elements can have a budget of 0 and thus an infinite error ratio. The largest deviation is the worst then.
    ranking = np.where(np.isinf(ratios), deviation, 0.0) if math.isinf(error_ratio) else ratios
    index = tuple(int(i) for i in np.unravel_index(np.argmax(ranking), got.shape))
    where = describe_element(case, name, index)
    wrong = int((ratios > 1).sum())
    reason = (
        f"{name} is off by {deviation[index]:.3g} at {where}: got {got[index]:.9g}, expected {expected[index]:.9g}, "
        f"error ratio {error_ratio:.3g} ({wrong} of {got.size} elements)"
    )
    detail = {
        "where": where,
        "index": list(index),
        "expected": expected[index],
        "expected_hex": float(expected[index]).hex(),
        "got": got[index],
        "got_hex": float(got[index]).hex(),
        "budget": compared.budget[index],
        "wrong": wrong,
        "of": got.size,
        **_tolerances_to_pass(np.where(np.isinf(compared.budget), 0.0, deviation), expected),
        "evidence": _summarize(case, name, compared),
    }
    return TensorVerdict(name, error_ratio, reason, bool((deviation > compared.bound).any()), detail)


def _summarize(case: Case, name: str, compared: Comparison) -> dict[str, Any]:
    """Returns the evidence of a deviation."""
    return evidence(compared, axes_of(case, name), lambda index: describe_element(case, name, index))


def _tolerances_to_pass(deviation: Floats, expected: Floats) -> dict[str, float]:
    """Returns the tolerances that would pass: rtol with atol = 0, and atol with rtol = 0."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        relative = np.where(deviation == 0, 0.0, deviation / np.abs(expected))
    relative = np.where(np.isnan(relative), np.inf, relative)
    return {"rtol_to_pass": float(relative.max()), "atol_to_pass": float(deviation.max())}


# --------------------------------------------------------------------------- descriptions of shapes and positions


def describe_element(case: Case, name: str, index: tuple[int, ...]) -> str:
    """Describes the position of an element in words.

    For example, ``layer 0, forward, forget gate, unit 1, feature 2`` for index (5, 2) of ``weight_ih_l0`` with H = 4.
    """
    words: list[str] = []
    model = case.model
    directions = ["reverse" if suffix else "forward" for suffix in model.suffixes]
    bare = source_of(name)
    gates = tuple(gate for gate in _GATES if gate != "candidate") if bare.startswith("peephole") else _GATES
    if bare.startswith(("weight", "bias", "peephole")):
        layer = bare.split("_l")[1].split("_")[0]
        words += [f"layer {layer}", "reverse" if bare.endswith("_reverse") else "forward"]
        hidden = model.hidden_size_of(bare)
    for axis, i in zip(axes_of(case, name), index, strict=True):
        if axis == "gate·unit":
            words.append(f"{gates[i // hidden]} gate, unit {i % hidden}")
        elif axis in ("layer·direction", "direction"):
            number, direction = model.state_places[bare[3:]][i]
            words += [f"layer {number}", directions[direction]]
        elif axis == "unit" and bare == "output":
            parts = model.output_parts()
            direction = sum(i >= part.stop for part in parts)
            words += [directions[direction], f"unit {i - parts[direction].start}"]
        else:
            words.append(f"{axis} {i}")
    return ", ".join(words)


def _explain_shape(case: Case, name: str, got: Shape, expected: Shape) -> str:
    """Describes a wrong shape, and explains it if axes are swapped, merged, missing or of size 1."""
    axes = axes_of(case, name)
    description = f"has shape {got}, expected {expected}"
    if sorted(got) == sorted(expected):
        orders = [order for order in permutations(range(len(got))) if tuple(expected[i] for i in order) == got]
        order = min(orders, key=lambda order: sum(i != axis for axis, i in enumerate(order)))
        if "row" in axes and order[0] == axes.index("row"):
            return f"is batch-first: {got}, expected {expected}"
        return f"has its axes in the order ({', '.join(axes[i] for i in order)}): {got}, expected {expected}"
    squeezed = tuple(size for size in expected if size != 1)
    if tuple(size for size in got if size != 1) == squeezed:
        return f"{description}: axes of size 1 were added or dropped"
    for axis in range(len(expected)):
        if got == expected[:axis] + expected[axis + 1 :]:
            return f"{description}: the axis {axes[axis]} is missing"
    if math.prod(got) == math.prod(expected):
        return f"{description}: axes were merged or split"
    return description
