"""Solution × reference × budget to a verdict for each tensor: shapes first, then NaN and infinity, then error ratio."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.verdict.error_ratio import elementwise_error_ratios
from conformance.verdict.evidence import evidence
from conformance.verdict.oracle import Expectation
from conformance.verdict.problem import Problem
from reference.model import Shape

_GATES = ("input", "forget", "candidate", "output")


@dataclass(frozen=True)
class TensorVerdict:
    """How one tensor fared.

    Attributes:
        name: the tensor.
        error_ratio: largest |deviation| / budget; conforms up to 1. Infinite where no number can be given.
        reason: what is wrong, in a line; empty when it conforms.
        proven: whether a deviation lies beyond what any allowed evaluation could give.
        detail: the worst element, what tolerance would have passed, ``evidence``; empty when it conforms.
    """

    name: str
    error_ratio: float
    reason: str = ""
    proven: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def conforms(self) -> bool:
        """Whether nothing is wrong."""
        return not self.reason


@dataclass(frozen=True)
class Verdict:
    """How a solution fared, tensor by tensor, in the order of comparison."""

    tensors: tuple[TensorVerdict, ...]

    @property
    def conforms(self) -> bool:
        """Whether every tensor conforms."""
        return all(tensor.conforms for tensor in self.tensors)

    @property
    def error_ratio(self) -> float:
        """The largest of its tensors."""
        return max((tensor.error_ratio for tensor in self.tensors), default=0.0)

    @property
    def proven(self) -> bool:
        """Whether some deviation is proven wrong, so that it needs no confirmation on further draws."""
        return any(tensor.proven for tensor in self.tensors)


def judge(problem: Problem, solution: Mapping[str, NDArray[Any]], expectation: Expectation) -> Verdict:
    """Compares every expected tensor; one that is missing or superfluous is wrong too."""
    verdicts = []
    for name, shape in problem.expected_shapes().items():
        if name not in solution:
            verdicts.append(_wrong(name, "missing from the solution"))
            continue
        got = np.asarray(solution[name])
        if got.shape != shape:
            verdicts.append(_wrong(name, _shape_in_words(problem, name, got.shape, shape)))
        elif got.dtype.kind != "f":
            verdicts.append(_wrong(name, f"is {got.dtype}, expected floating point"))
        else:
            verdicts.append(_compare(problem.case, name, got.astype(np.float64), expectation))
    extra = solution.keys() - problem.expected_shapes().keys()
    verdicts += [_wrong(name, "not a tensor of this problem") for name in sorted(extra)]
    return Verdict(tuple(verdicts))


def _wrong(name: str, reason: str, detail: Mapping[str, Any] | None = None) -> TensorVerdict:
    return TensorVerdict(name, math.inf, f"{name} {reason}", proven=True, detail=detail or {})


def _compare(case: Case, name: str, got: NDArray[np.float64], expectation: Expectation) -> TensorVerdict:
    values, budget = expectation.values[name], expectation.budget[name]
    if case.input_nan:
        hidden = np.isnan(values) & ~np.isnan(got)
        if hidden.any():
            first = tuple(int(i) for i in np.argwhere(hidden)[0])
            where, wrong = place(case, name, first), int(hidden.sum())
            reason = f"hides NaN in {wrong} of {got.size} elements: got {got[first]:.9g} at {where}"
            return _wrong(name, reason, {"where": where, "index": list(first), "wrong": wrong, "of": got.size})
        got, values = np.where(np.isnan(values), 0.0, got), np.nan_to_num(values)
    finite = np.isfinite(got) | np.isinf(budget)
    if not finite.all():
        bad = np.argwhere(~finite)
        first = tuple(int(i) for i in bad[0])
        where = place(case, name, first)
        reason = f"is not finite in {len(bad)} of {got.size} elements, first {got[first]} at {where}"
        detail = {"where": where, "index": list(first), "wrong": len(bad), "of": got.size}
        error_ratios = np.where(finite, elementwise_error_ratios(np.abs(got - values), budget), math.inf)
        return _wrong(name, reason, detail | {"evidence": _evidence(case, name, got, error_ratios, expectation)})
    deviation = np.abs(got - values)
    error_ratios = elementwise_error_ratios(deviation, budget)
    error_ratio = float(error_ratios.max(initial=0.0))
    if error_ratio <= 1:
        return TensorVerdict(name, error_ratio)
    # Among elements without any budget the largest deviation is the worst.
    ranking = np.where(np.isinf(error_ratios), deviation, 0.0) if math.isinf(error_ratio) else error_ratios
    at = np.unravel_index(np.argmax(ranking), got.shape)
    index = tuple(int(i) for i in at)
    where = place(case, name, index)
    wrong = int((error_ratios > 1).sum())
    detail = {
        "where": where,
        "index": list(index),
        "expected": values[index],
        "expected_hex": float(values[index]).hex(),
        "got": got[index],
        "got_hex": float(got[index]).hex(),
        "budget": budget[index],
        "wrong": wrong,
        "of": got.size,
        **_needed(np.where(np.isinf(budget), 0.0, deviation), values),
        "evidence": _evidence(case, name, got, error_ratios, expectation),
    }
    reason = (
        f"is off by {deviation[index]:.3g} at {where}: got {got[index]:.9g}, expected {values[index]:.9g}, "
        f"error ratio {error_ratio:.3g} ({wrong} of {got.size} elements)"
    )
    proven = bool((deviation > expectation.bound[name]).any())
    return TensorVerdict(name, error_ratio, f"{name} {reason}", proven, detail)


def _evidence(
    case: Case, name: str, got: NDArray[np.float64], error_ratios: NDArray[np.float64], expectation: Expectation
) -> dict[str, Any]:
    parts = (expectation.values[name], expectation.budget[name], expectation.bound[name])
    return evidence(got, *parts, error_ratios, _axes(case, name), lambda index: place(case, name, index))


def _needed(deviation: NDArray[np.float64], values: NDArray[np.float64]) -> dict[str, float]:
    """The tolerances that would have passed: rtol with atol = 0, and atol with rtol = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(deviation == 0, 0.0, deviation / np.abs(values))
    return {"rtol_to_pass": float(relative.max()), "atol_to_pass": float(deviation.max())}


# --------------------------------------------------------------------------- words for shapes and places


def _axes(case: Case, name: str) -> tuple[str, ...]:
    """What each axis of a tensor counts."""
    name = name.removeprefix("grad.")
    rows = () if case.rows is None else ("row",)
    if name in ("output", "input"):
        return (
            *(("row", "step") if case.batch_first and rows else ("step", *rows)),
            "unit" if name == "output" else "feature",
        )
    if name[:3] in ("h_n", "c_n", "h_0", "c_0"):
        return ("layer·direction" if case.model.is_uniform else "direction", *rows, "unit")
    if name.startswith(("bias", "peephole")):
        return ("gate·unit",)
    if name.startswith("weight_hr"):
        return ("projected unit", "unit")
    if name.startswith("weight_hh"):
        return ("gate·unit", "previous unit")
    return ("gate·unit", "feature" if name.startswith("weight_ih_l0") else "unit below")


def place(case: Case, name: str, index: tuple[int, ...]) -> str:
    """An element's index in words: layer, direction, gate, unit, step, row."""
    words: list[str] = []
    model = case.model
    directions = ["reverse" if suffix else "forward" for suffix in model.suffixes]
    bare = name.removeprefix("grad.")
    gates = tuple(gate for gate in _GATES if gate != "candidate") if bare.startswith("peephole") else _GATES
    if bare.startswith(("weight", "bias", "peephole")):
        layer = bare.split("_l")[1].split("_")[0]
        words += [f"layer {layer}", "reverse" if bare.endswith("_reverse") else "forward"]
        hidden = case.hidden_sizes[int(layer)]
    for axis, i in zip(_axes(case, name), index, strict=True):
        if axis == "gate·unit":
            words.append(f"{gates[i // hidden]} gate, unit {i % hidden}")
        elif axis == "layer·direction":
            words += [f"layer {i // len(directions)}", directions[i % len(directions)]]
        elif axis == "direction":
            words += [f"layer {bare.split('_l')[1]}", directions[i]]
        elif axis == "unit" and bare == "output":
            width = model.state_size(model.num_layers - 1)
            words += [directions[i // width], f"unit {i % width}"]
        else:
            words.append(f"{axis} {i}")
    return ", ".join(words)


def _shape_in_words(problem: Problem, name: str, got: Shape, expected: Shape) -> str:
    """What is wrong with a shape: which axes are exchanged, merged or missing, where that explains it."""
    axes = _axes(problem.case, name)
    says = f"has shape {got}, expected {expected}"
    if sorted(got) == sorted(expected):
        orders = [order for order in permutations(range(len(got))) if tuple(expected[i] for i in order) == got]
        order = min(orders, key=lambda order: sum(i != place for place, i in enumerate(order)))
        if "row" in axes and order[0] == axes.index("row"):
            return f"is batch-first: {got}, expected {expected}"
        return f"has its axes in the order ({', '.join(axes[i] for i in order)}): {got}, expected {expected}"
    squeezed = tuple(size for size in expected if size != 1)
    if tuple(size for size in got if size != 1) == squeezed:
        return f"{says}: axes of size 1 were added or dropped"
    for axis in range(len(expected)):
        if got == expected[:axis] + expected[axis + 1 :]:
            return f"{says}: the axis that counts {axes[axis]} is missing"
    if np.prod(got, dtype=int) == np.prod(expected, dtype=int):
        return f"{says}: the same number of elements in other axes"
    return says
