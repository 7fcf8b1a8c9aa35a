"""The reference's answer to a problem, with its budget: computed once, shared by all implementations, kept on disk."""

import hashlib
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import reference
from conformance.verdict import problem as problem_module
from conformance.verdict import tensors
from conformance.verdict.problem import Problem, cells, concerning
from reference import Dialect, Profile
from reference.network import Lift
from reference.rounding import MAX_CONDITION

_LARGEST = 64 << 20
"""Expectations of more bytes than this are cheaper to compute again than to keep."""
_KEPT = 1 << 30
"""Bytes that the cache may hold; the oldest entries go first."""


class ChaoticCaseError(ValueError):
    """A case whose rounding is so amplified that no rule is both sound and useful there."""


@dataclass(frozen=True)
class Expectation:
    """What a conforming solution of a problem looks like. Each tensor is float64 and shaped as the solution's.

    Attributes:
        values: the reference; NaN where NaN must show.
        budget: largest |deviation| that conforms; infinite where the dialect leaves open what stands there.
        bound: a deviation beyond it is proven wrong.
        condition: by how much rounding is amplified, see ``reference.rounding.Budget``.
    """

    values: Mapping[str, NDArray[np.float64]]
    budget: Mapping[str, NDArray[np.float64]]
    bound: Mapping[str, NDArray[np.float64]]
    condition: float


def default_cache() -> Path:
    """Where expectations are kept: ``$CONFORMANCE_CACHE``, else the user's cache folder."""
    if folder := os.environ.get("CONFORMANCE_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lstm-conformance"


@dataclass
class Oracle:
    """Answers problems.

    Attributes:
        cache: folder to keep answers in; None for none.
        seconds: CPU seconds spent so far, by what they were spent on.
    """

    cache: Path | None = field(default_factory=default_cache)
    seconds: dict[str, float] = field(default_factory=lambda: {"reference": 0.0, "budget": 0.0, "cache": 0.0})
    _last: tuple[str, Expectation] | None = None

    def expect(self, problem: Problem, profile: Profile, dialect: Dialect) -> Expectation:
        """What a correct implementation of this profile and dialect answers.

        Raises:
            ChaoticCaseError: rounding is amplified too much for any verdict.
        """
        dialect = concerning(problem.case, dialect)
        key = _key(problem, profile, dialect)
        if self._last is None or self._last[0] != key:
            self._last = key, self._load(key) or self._compute(key, problem, profile, dialect)
        expectation = self._last[1]
        if expectation.condition > MAX_CONDITION:
            raise ChaoticCaseError(
                f"rounding in {profile.name} is amplified {expectation.condition:.0e} times (more than {MAX_CONDITION:.0e}): "
                "no verdict would mean anything; use smaller weights or fewer steps"
            )
        return expectation

    def _compute(self, key: str, problem: Problem, profile: Profile, dialect: Dialect) -> Expectation:
        start = time.process_time()
        names = problem.expected_shapes()
        # NaN has no budget: what does not depend on it has that of the same problem with a number in its place.
        finite = replace(problem, input=np.nan_to_num(problem.input)) if problem.case.input_nan else problem

        def evaluate(lift: Lift) -> dict[str, Any]:
            results = solve(finite, dialect, lift)
            return {name: results[name] for name in names}

        values = evaluate(reference.float64)
        self.seconds["reference"] += time.process_time() - start
        start = time.process_time()
        found = reference.budget(evaluate, values, profile)
        # The reference is itself a float64 run: for float64 it may be off by as much as what it judges.
        scale = 2.0 if profile.name == "float64" else 1.0
        if finite is not problem:
            results = solve(problem, dialect)
            values = {name: results[name] for name in names}
        expectation = Expectation(
            values,
            {name: scale * array for name, array in found.budget.items()},
            {name: scale * array for name, array in found.bound.items()},
            found.condition,
        )
        shown = problem.shown(dialect)
        if shown is not None and "output" in values:
            # What the output holds elsewhere, nobody says.
            expectation.budget["output"][~shown] = expectation.bound["output"][~shown] = np.inf
        self.seconds["budget"] += time.process_time() - start
        self._store(key, expectation)
        return expectation

    def _load(self, key: str) -> Expectation | None:
        if self.cache is None:
            return None
        start = time.process_time()
        try:
            arrays, notes = tensors.loads((self.cache / key[:2] / key).read_bytes())
            parts: dict[str, dict[str, NDArray[Any]]] = {"values": {}, "budget": {}, "bound": {}}
            for name, array in arrays.items():
                part, tensor = name.split("/", 1)
                parts[part][tensor] = array
            return Expectation(**parts, condition=float.fromhex(notes["condition"]))
        except (OSError, ValueError, KeyError):
            return None  # Not there, or unreadable: computed again, and written anew.
        finally:
            self.seconds["cache"] += time.process_time() - start

    def _store(self, key: str, expectation: Expectation) -> None:
        """Keeps an answer if it can: a cache that cannot be written costs time, not correctness."""
        parts = {"values": expectation.values, "budget": expectation.budget, "bound": expectation.bound}
        arrays = {f"{part}/{name}": array for part, of in parts.items() for name, array in of.items()}
        if self.cache is None or sum(array.nbytes for array in arrays.values()) > _LARGEST:
            return
        start = time.process_time()
        target = self.cache / key[:2] / key
        partial = target.with_suffix(f".{os.getpid()}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(tensors.dumps(arrays, {"condition": expectation.condition.hex()}))
            partial.replace(target)
        except OSError:
            with suppress(OSError):
                partial.unlink()
        self.seconds["cache"] += time.process_time() - start


def solve(problem: Problem, dialect: Dialect, lift: Lift = reference.float64) -> dict[str, Any]:
    """The reference's solution of a problem, every tensor of it, in the numbers that ``lift`` makes."""
    trace = reference.forward(
        problem.case.model,
        problem.parameters,
        problem.input,
        problem.initial_state,
        mask=problem.mask,
        dropout_masks=problem.dropout_masks,
        dialect=dialect,
        cell=cells(problem.case, dialect),
        lift=lift,
    )
    if "gradients" not in problem.case.check:
        return trace.outputs
    return trace.outputs | reference.backward(trace, problem.cotangents)


def prune(cache: Path) -> None:
    """Removes the oldest entries of a cache that has grown too large."""
    try:
        entries = sorted((path for path in cache.glob("??/*") if path.is_file()), key=lambda path: path.stat().st_mtime)
        excess = sum(path.stat().st_size for path in entries) - _KEPT
        for path in entries:
            if excess <= 0:
                break
            excess -= path.stat().st_size
            path.unlink(missing_ok=True)
    except OSError:
        return  # Another run is at it, or the folder is not ours to change.


def _key(problem: Problem, profile: Profile, dialect: Dialect) -> str:
    """A hash of everything that the answer depends on: the problem, how it is judged, and the code that answers."""
    digest = hashlib.sha256(_code())
    digest.update(repr((problem.case.canonical, problem.draw, astuple(profile), astuple(dialect))).encode())
    for name, mask in problem.dropout_masks.items():
        digest.update(name.encode() + mask.tobytes())
    return digest.hexdigest()


@cache
def _code() -> bytes:
    """A hash of the code that makes problems and answers them, and of the NumPy below it."""
    digest = hashlib.sha256(np.__version__.encode())
    folder = Path(reference.__file__).parent
    for path in [Path(problem_module.__file__), Path(__file__), *sorted(folder.glob("*.py"))]:
        digest.update(path.read_bytes())
    return digest.digest()
