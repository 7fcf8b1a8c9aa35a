"""Reduced sizes: power of an expensive case is measured on a smaller case with the same options.

Relations between sizes decide which defects a case detects, much more than the sizes themselves. A reduced case keeps
which sizes are equal, which of input size, hidden sizes and projection size is larger, sizes of 1, at least three rows
and steps, and full, short and empty rows.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from conformance.cases import uses
from conformance.cases.case import Case
from conformance.cases.size import operations

MAX_OPERATIONS = 2**19
"""Largest cost of a case whose power is measured at its own sizes."""


class _Limits(NamedTuple):
    """Largest sizes of a reduced case: features of a tensor, T, B."""

    features: int
    steps: int
    rows: int


_LIMITS = (_Limits(16, 12, 4), _Limits(8, 8, 4), _Limits(6, 6, 3), _Limits(5, 4, 3))
"""Limits to try, until the cost of the case is at most ``MAX_OPERATIONS``."""


def reduce(case: Case) -> Case:
    """Returns the case on which power is measured: the case itself unless its cost exceeds ``MAX_OPERATIONS``."""
    smaller = case
    for limits in _LIMITS:
        if operations(smaller) <= MAX_OPERATIONS:
            break
        smaller = case.model_copy(update=_reduced_sizes(case, limits))
    return smaller


def changed_sizes(case: Case, smaller: Case) -> dict[str, Any]:
    """Returns the sizes of a reduced case as JSON values; empty if the case was not reduced."""
    names = ["input_size", "hidden_size", "seq_len", "batch"]
    names += [name for name in ("reverse_hidden_size", "proj_size") if getattr(case, name)]
    sizes = smaller.model_dump(mode="json", include=set(names))
    return {} if smaller.key == case.key else {name: sizes[name] for name in names}


def _reduced_sizes(case: Case, limits: _Limits) -> dict[str, Any]:
    widths = {case.input_size, *case.model.distinct_hidden_sizes, case.proj_size}
    mapped = _in_same_order(widths - {0}, limits.features)
    mapped[case.seq_len] = steps = _reduced(case.seq_len, limits.steps, mapped)
    sizes: dict[str, Any] = {
        "input_size": mapped[case.input_size],
        "hidden_size": _map_hidden(case, mapped),
        "reverse_hidden_size": mapped[case.reverse_hidden_size] if case.reverse_hidden_size else None,
        "proj_size": mapped.get(case.proj_size, 0),
        "seq_len": steps,
    }
    if case.rows is not None:
        sizes["batch"] = rows = _reduced(case.rows, limits.rows, mapped)
        if isinstance(case.lengths, tuple):
            sizes["lengths"] = _reduced_lengths(case.lengths, case.seq_len, steps, rows)
    return sizes | uses.fit(case, steps, sizes.get("batch"))


def _reduced(size: int, limit: int, mapped: Mapping[int, int]) -> int:
    """Reduces a size, but not below 3. It equals those reduced sizes whose own sizes it equals, and no other."""
    if size in mapped:
        return mapped[size]
    start = min(size, limit)
    candidates = (*range(start, 2, -1), *range(start + 1, size))
    return next((each for each in candidates if each not in mapped.values()), size)


def _map_hidden(case: Case, mapped: Mapping[int, int]) -> int | tuple[int, ...]:
    if isinstance(case.hidden_size, tuple):
        return tuple(mapped[size] for size in case.hidden_size)
    return mapped[case.hidden_size]


def _in_same_order(sizes: set[int], limit: int) -> dict[int, int]:
    """Maps sizes to small ones that are equal, larger or smaller where the sizes are. Only 1 becomes 1."""
    smallest_first = sorted(sizes)
    largest = max(limit, len(sizes) + 1)
    mapped: dict[int, int] = {}
    for size in reversed(smallest_first):
        mapped[size] = min(size, largest)
        largest = mapped[size] - 1
    return mapped


def _reduced_lengths(lengths: tuple[int, ...], steps: int, new_steps: int, rows: int) -> tuple[int, ...]:
    """Shortens lengths and keeps some rows, among them the first full, the first short and the first empty one."""

    def kind(length: int) -> str:
        return "empty" if length == 0 else "full" if length == steps else "short"

    def shorten(length: int) -> int:
        if kind(length) == "short":
            return max(1, min(new_steps - 1, length * new_steps // steps))
        return min(length, new_steps)

    firsts = {kind(length): row for row, length in reversed(list(enumerate(lengths)))}
    kept = [*firsts.values(), *(row for row in range(len(lengths)) if row not in firsts.values())][:rows]
    return tuple(shorten(lengths[row]) for row in sorted(kept))
