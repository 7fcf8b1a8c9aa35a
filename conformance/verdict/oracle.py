"""Expectations: the reference's solution of a problem and its budget, computed once and cached on disk."""

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import reference
from conformance.cache import default_cache
from conformance.cases.case import Case
from conformance.cases.size import count, row_blocks
from conformance.verdict import problem as problem_module
from conformance.verdict import random_arrays, tensors
from conformance.verdict import range as range_module
from conformance.verdict import values as values_module
from conformance.verdict.problem import Problem, axes_of, cells, normalize_dialect
from conformance.verdict.range import LARGEST_VALUE, intermediate_reach, narrowest_format, rough_reach, tensor_reach
from reference import Dialect, Profile
from reference.activations import ACTIVATIONS
from reference.magnitude import Meter
from reference.network import Lift
from reference.rounding import MAX_CONDITION

_MAX_ENTRY_BYTES = 64 << 20
"""Size of the largest expectation in the cache. Computing a larger one again is cheaper than storing it."""
_MAX_CACHE_BYTES = 1 << 30
"""Size to which ``prune`` reduces the cache."""
COARSE_FROM = 1 << 22
"""Number of multiplications of a forward pass from which a coarse analysis determines the budget."""


class RejectedCaseError(ValueError):
    """A case that cannot be judged. The message gives the reason and a remedy."""


class ChaoticCaseError(RejectedCaseError):
    """A case that amplifies rounding errors so much that correct implementations disagree."""


class UnquantizableCaseError(RejectedCaseError):
    """A case that cannot be judged in 8 bits: it has NaN, a clip or a piecewise activation."""


class OverflowingCaseError(RejectedCaseError):
    """A case in which correct implementations can exceed the largest number of their number format."""


@dataclass(frozen=True)
class Expectation:
    """The reference's tensors and how far a conforming solution may deviate from them.

    The keys are tensor names. Each array is float64 and has the shape of the solution's tensor.

    Attributes:
        values: the reference's tensors; NaN where NaN is expected.
        budget: largest |deviation| that conforms; infinite where the dialect leaves the value unspecified.
        bound: rigorous bound; a larger |deviation| is proven wrong.
        condition: amplification of rounding errors, see ``reference.rounding.Budget``.
        largest: largest absolute value that a tensor or an intermediate result of a correct run can have.
    """

    values: Mapping[str, NDArray[np.float64]]
    budget: Mapping[str, NDArray[np.float64]]
    bound: Mapping[str, NDArray[np.float64]]
    condition: float
    largest: float


@dataclass
class Oracle:
    """Computes expectations or loads them from the cache.

    Attributes:
        cache: folder of the cache; None to cache nothing on disk.
        seconds: CPU seconds spent so far on the ``reference``, the ``budget`` and the ``cache``.
    """

    cache: Path | None = field(default_factory=default_cache)
    seconds: dict[str, float] = field(default_factory=lambda: {"reference": 0.0, "budget": 0.0, "cache": 0.0})
    _last: tuple[str, Expectation] | None = None

    def expect(self, problem: Problem, profile: Profile, dialect: Dialect) -> Expectation:
        """Returns the expectation for an implementation.

        Args:
            problem: problem that the implementation solves.
            profile: how the implementation rounds.
            dialect: conventions that the implementation follows.

        Raises:
            ChaoticCaseError: rounding errors are amplified too much.
            UnquantizableCaseError: the profile quantizes, but the case cannot be judged in 8 bits.
            OverflowingCaseError: a tensor or an intermediate result can overflow.
        """
        if profile.u_data:
            _check_quantizable(problem.case)
        dialect = normalize_dialect(problem.case, dialect)
        start = time.process_time()
        key = _key(problem, profile, dialect)
        self.seconds["cache"] += time.process_time() - start
        if self._last is None or self._last[0] != key:
            self._last = key, self._load(key, problem) or self._compute(key, problem, profile, dialect)
        expectation = self._last[1]
        if expectation.condition > MAX_CONDITION:
            raise ChaoticCaseError(
                f"rounding in {profile.name} is amplified {expectation.condition:.0e} times "
                f"(more than {MAX_CONDITION:.0e}), so correct implementations disagree. "
                "Use smaller weights (`values`) or fewer steps"
            )
        _check_range(problem, profile, dialect, expectation)
        return expectation

    def _compute(self, key: str, problem: Problem, profile: Profile, dialect: Dialect) -> Expectation:
        # NaN has no budget. Elements that do not depend on it have the budget of the same problem with 0 in its place.
        rounded = replace(problem, parameters=reference.quantize_weights(problem.parameters, profile))
        finite = replace(rounded, input=np.nan_to_num(problem.input)) if problem.case.input_nan else rounded
        coarse = is_coarse(problem.case)
        # The step of quantized data depends on all rows.
        blocks = row_blocks(problem.case) if coarse and not profile.u_data else ()

        def evaluate(lift: Lift) -> dict[str, Any]:
            return solve_compared(finite, dialect, lift, blocks)

        start = time.process_time()
        with np.errstate(over="ignore", invalid="ignore"):
            values = evaluate(reference.float64)
            _check_finite(values)
            self.seconds["reference"] += time.process_time() - start
            start = time.process_time()
            if problem.case.is_empty:  # The results are copies and zeros, which are exact.
                exact = {name: np.zeros_like(array) for name, array in values.items()}
                found = reference.Budget(exact, exact, condition=0.0)
            else:
                found = reference.budget(evaluate, values, profile, coarse)
            largest = rough_reach(finite, values)
            if largest >= LARGEST_VALUE[narrowest_format(problem.case.dtype, profile)]:
                meter = Meter()
                evaluate(meter.lift)
                largest = meter.largest
        scale = scale_of(profile)
        budget = {name: scale * array for name, array in found.budget.items()}
        bound = {name: scale * array for name, array in found.bound.items()}
        reached = [tensor_reach(values[name], budget[name]) for name in values]
        reached.append(intermediate_reach(largest, found.condition, profile))
        if finite is not rounded:
            values = solve_compared(rounded, dialect, reference.float64)
        specified = problem.specified_steps(dialect)
        if specified is not None:
            for name in [name for name in values if name.endswith("output")]:
                budget[name][~specified] = bound[name][~specified] = np.inf
        expectation = Expectation(values, budget, bound, found.condition, max(reached))
        self.seconds["budget"] += time.process_time() - start
        self._store(key, expectation)
        return expectation

    def _load(self, key: str, problem: Problem) -> Expectation | None:
        """Loads an expectation from the cache. Returns None if it is missing or damaged."""
        if self.cache is None:
            return None
        start = time.process_time()
        try:
            arrays, notes = tensors.loads((self.cache / key[:2] / key).read_bytes())
            values, budget, bound = (
                {name: arrays[f"{part}/{name}"] for name in problem.expected_shapes()}
                for part in ("values", "budget", "bound")
            )
            condition, largest = (float.fromhex(notes[name]) for name in ("condition", "largest"))
            return Expectation(values, budget, bound, condition, largest)
        except (OSError, ValueError, KeyError):
            return None
        finally:
            self.seconds["cache"] += time.process_time() - start

    def _store(self, key: str, expectation: Expectation) -> None:
        """Stores an expectation in the cache. Ignores errors of the file system."""
        parts = {"values": expectation.values, "budget": expectation.budget, "bound": expectation.bound}
        arrays = {f"{part}/{name}": array for part, found in parts.items() for name, array in found.items()}
        if self.cache is None or sum(array.nbytes for array in arrays.values()) > _MAX_ENTRY_BYTES:
            return
        start = time.process_time()
        target = self.cache / key[:2] / key
        partial = target.with_suffix(f".{os.getpid()}")
        notes = {"condition": expectation.condition.hex(), "largest": expectation.largest.hex()}
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(tensors.dumps(arrays, notes))
            partial.replace(target)
        except OSError:
            with suppress(OSError):
                partial.unlink()
        self.seconds["cache"] += time.process_time() - start


def is_coarse(case: Case) -> bool:
    """Returns whether a coarse analysis determines the budget of a case, see ``reference.budget``."""
    return count(case).multiplications >= COARSE_FROM


def scale_of(profile: Profile) -> float:
    """Returns the factor of a profile's budgets.

    The reference is itself a float64 run. A float64 solution can deviate from it by the errors of both.
    """
    return 2.0 if profile.name == "float64" else 1.0


def solve(problem: Problem, dialect: Dialect, lift: Lift = reference.float64) -> dict[str, Any]:
    """Returns the reference's solution of a problem, including outputs that the case does not compare.

    Args:
        problem: problem to solve.
        dialect: conventions to follow.
        lift: conversion of arrays to the numbers to compute with, see ``reference.network``.
    """
    trace = reference.forward(
        problem.case.model,
        problem.parameters,
        problem.input,
        problem.complete_state() if problem.initial_state else None,
        tangents=problem.complete_tangents() if problem.case.has_direction else None,
        mask=problem.mask,
        dropout_masks=problem.dropout_masks,
        dialect=dialect,
        cell=cells(problem.case, dialect),
        lift=lift,
    )
    differentiates = not {"gradients", "hvp"}.isdisjoint(problem.case.check)
    gradients = reference.backward(trace, problem.complete_cotangents()) if differentiates else {}
    if not problem.case.has_direction:
        return trace.outputs | gradients
    return {
        **{name: dual.value for name, dual in (trace.outputs | gradients).items()},
        **{f"jvp.{name}": dual.derivative for name, dual in trace.outputs.items()},
        **{f"hvp.{name.removeprefix('grad.')}": dual.derivative for name, dual in gradients.items()},
    }


def prune(cache: Path) -> None:
    """Removes the oldest entries of a cache that exceeds its size limit. Ignores errors of the file system."""
    # Another run may prune at the same time, and the folder may be read-only.
    with suppress(OSError):
        entries = sorted((path for path in cache.glob("??/*") if path.is_file()), key=lambda path: path.stat().st_mtime)
        excess = sum(path.stat().st_size for path in entries) - _MAX_CACHE_BYTES
        for path in entries:
            if excess <= 0:
                break
            excess -= path.stat().st_size
            path.unlink(missing_ok=True)


def solve_compared(problem: Problem, dialect: Dialect, lift: Lift, blocks: Sequence[slice] = ()) -> dict[str, Any]:
    """Returns the tensors of the reference's solution that the case compares.

    Args:
        problem: problem to solve.
        dialect: conventions to follow.
        lift: conversion of arrays to the numbers to compute with.
        blocks: rows to solve at a time, to save memory; none to solve all at once.
    """
    if len(blocks) > 1:
        return _join([solve_compared(problem.take_rows(rows), dialect, lift) for rows in blocks], problem.case)
    results = solve(problem, dialect, lift)
    return {name: results[name] for name in problem.expected_shapes()}


def _join(blocks: Sequence[dict[str, Any]], case: Case) -> dict[str, Any]:
    """Joins the results of blocks of rows: concatenates those that have rows, and adds those of parameters."""
    joined = {}
    for name in list(blocks[0]):
        parts = [block.pop(name) for block in blocks]
        axes = axes_of(case, name)
        joined[name] = np.concatenate(parts, axis=axes.index("row")) if "row" in axes else sum(parts[1:], parts[0])
    return joined


def _check_finite(values: Mapping[str, NDArray[np.float64]]) -> None:
    """Raises OverflowingCaseError if the reference overflows float64."""
    for name, array in values.items():
        if count := array.size - int(np.isfinite(array).sum()):
            raise OverflowingCaseError(
                f"the reference overflows float64: {name} is not finite in {count} of {array.size} elements. "
                "Use fewer steps, smaller weights (`values`) or other activations"
            )


def _check_quantizable(case: Case) -> None:
    """Raises UnquantizableCaseError if a case has NaN, a clip or a piecewise activation."""
    if case.input_nan:
        raise UnquantizableCaseError("8 bits cannot represent NaN. Use `input_nan: false`")
    kinked: list[str] = [name for name in case.activations if ACTIVATIONS[name].max_slope is not None]
    kinked += [name for name in ("clip", "cell_clip") if getattr(case, name) is not None]
    if kinked:
        raise UnquantizableCaseError(
            f"8 bits can move the argument of {kinked[0]} across a kink, where the budget is too small. "
            "Use smooth activations and no clip"
        )


def _check_range(problem: Problem, profile: Profile, dialect: Dialect, expectation: Expectation) -> None:
    """Raises OverflowingCaseError if a correct implementation can overflow."""
    narrowest = narrowest_format(problem.case.dtype, profile)
    limit = LARGEST_VALUE[narrowest]
    if expectation.largest < limit:
        return
    reached = {name: tensor_reach(values, expectation.budget[name]) for name, values in expectation.values.items()}
    where = max(reached, key=reached.__getitem__)
    largest = reached[where]
    if largest < limit:
        meter = Meter()
        forward = replace(problem, case=problem.case.model_copy(update={"check": ("output",)}))
        solve(forward, dialect, meter.lift)
        overflows = intermediate_reach(meter.largest, expectation.condition, profile) >= limit
        where = f"an intermediate result of the {'forward' if overflows else 'backward'} pass"
        largest = expectation.largest
    raise OverflowingCaseError(
        f"{where} can reach {largest:.3g}, beyond the range of {narrowest} (up to {limit:.3g}), so correct "
        "implementations can overflow. Use fewer steps, smaller weights (`values`), other activations or another dtype"
    )


def _key(problem: Problem, profile: Profile, dialect: Dialect) -> str:
    """Returns a hash of everything that determines an expectation: problem, profile, dialect and code."""
    digest = hashlib.sha256(_code())
    digest.update(repr((problem.case.one_call.canonical, problem.draw, astuple(profile), astuple(dialect))).encode())
    for name, array in problem.arrays().items():
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


@cache
def _code() -> bytes:
    """Returns a hash of the code that computes expectations, and of NumPy's version."""
    digest = hashlib.sha256(np.__version__.encode())
    modules = [problem_module.__file__, values_module.__file__, random_arrays.__file__, range_module.__file__, __file__]
    for path in [*map(Path, modules), *sorted(Path(reference.__file__).parent.glob("*.py"))]:
        digest.update(path.read_bytes())
    return digest.digest()
