"""Shrinks a deviating case: fewest options, then smallest sizes, then simplest values.

The seed of the values stays the same, so that every step asks the same question.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError

from conformance.cases import schema
from conformance.cases.case import Case
from conformance.defects.diagnosis.shrink import resized

T = TypeVar("T")

_SIZES = ("num_layers", "seq_len", "batch", "hidden_size", "reverse_hidden_size", "input_size", "proj_size")
_LISTS = frozenset({"check", "cotangents", "earlier_calls", "frozen"})
"""Options that are lists of independent items."""
_SIMPLEST: tuple[dict[str, Any], ...] = ({"initial_state": "zero"}, {"bias": False}, {"seed": None})
"""Options with simpler values, in the order in which they are tried."""


def shrink(case: Case, deviates: Callable[[Case], bool]) -> Case:
    """Returns the smallest case that was found to deviate.

    Args:
        case: a deviating case.
        deviates: function that returns whether a case deviates in the same way.
    """
    return _Shrinker(case, deviates).result()


def fewest(items: Sequence[T], suffice: Callable[[Sequence[T]], bool]) -> list[T]:
    """Returns as few items as were found to suffice, in their order. None of them can be left out alone.

    Args:
        items: items that suffice.
        suffice: function that returns whether some of the items suffice.
    """
    kept = list(items)
    length = len(kept)
    while length:
        start, removed = 0, False
        while start < len(kept):
            rest = kept[:start] + kept[start + length :]
            if suffice(rest):
                kept, removed = rest, True
            else:
                start += length
        if length > 1 or not removed:
            length //= 2
    return kept


class _Shrinker:
    def __init__(self, case: Case, deviates: Callable[[Case], bool]) -> None:
        self._case = case
        self._deviates = deviates
        self._outcomes = {case.key: True}

    def result(self) -> Case:
        self._drop_options()
        self._reduce_layers()
        for name in _SIZES:
            self._reduce(name)
        self._drop_options()
        for name in sorted(_LISTS & _options(self._case).keys()):
            self._shorten(name)
        for changes in _SIMPLEST:
            self._try(partial(_with, changes))
        return self._case

    def _drop_options(self) -> None:
        """Sets as many options as possible to their defaults."""
        options = _options(self._case)
        required = {name: value for name, value in options.items() if Case.model_fields[name].is_required()}
        fixed = required | {"seed": self._case.seed}
        others = [name for name in options if name not in fixed]

        def suffices(names: Sequence[str]) -> bool:
            return self._is_deviating(_build({**fixed, **{name: options[name] for name in names}}))

        kept = fewest(others, suffices)
        self._try(lambda _: {**fixed, **{name: options[name] for name in kept}})
        if not isinstance(options["batch"], int):
            self._try(lambda options: {**options, "batch": 2})

    def _reduce_layers(self) -> None:
        """Replaces a hidden size for each layer by one size, else by the sizes of fewer layers."""
        sizes = self._case.hidden_size
        if isinstance(sizes, int):
            return

        def with_sizes(sizes: int | Sequence[int]) -> Callable[[dict[str, Any]], dict[str, Any]]:
            return lambda options: {
                name: value for name, value in {**options, "hidden_size": sizes}.items() if name != "num_layers"
            }

        if any(self._try(with_sizes(size)) for size in dict.fromkeys((2, *sizes))):
            return
        kept = fewest(sizes, lambda some: self._is_deviating(_build(with_sizes(some)(_options(self._case)))))
        self._try(with_sizes(kept))

    def _shorten(self, name: str) -> None:
        """Leaves out items of a list."""
        options = _options(self._case)
        kept = fewest(options[name], lambda some: self._is_deviating(_build({**options, name: tuple(some)})))
        self._try(partial(_with, {name: tuple(kept)}))

    def _reduce(self, name: str) -> None:
        """Reduces a size: to 1, 2 or 3, else by bisection. Assumes that larger sizes than a deviating one deviate."""
        size = getattr(self._case, name)
        if not isinstance(size, int):
            return
        low = next((small for small in (1, 2, 3) if small >= size or self._try_size(name, small)), None)
        if low is not None:
            return
        low = 3
        while size - low > 1:
            middle = (low + size) // 2
            if self._try_size(name, middle):
                size = middle
            else:
                low = middle

    def _try_size(self, name: str, size: int) -> bool:
        if name in ("seq_len", "batch"):  # Explicit lengths change with them.
            caps = dict.fromkeys(("batch", "seq_len", "input", "hidden", "proj"), 2**17) | {name: size}
            return self._try(lambda options: {**options, **_options(resized(self._case, caps))})
        return self._try(lambda options: {**options, name: size})

    def _try(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> bool:
        """Keeps a change if the case still deviates. Returns whether it does."""
        changed = _build(change(_options(self._case)))
        if changed is None or not self._is_deviating(changed):
            return False
        self._case = changed
        return True

    def _is_deviating(self, case: Case | None) -> bool:
        if case is None:
            return False
        if case.key not in self._outcomes:
            self._outcomes[case.key] = self._deviates(case)
        return self._outcomes[case.key]


def _with(changes: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    return {**options, **changes}


def _options(case: Case) -> dict[str, Any]:
    """Returns the options of a case that differ from their defaults."""
    return case.model_dump(exclude_defaults=True, include=set(schema.options()))


def _build(options: dict[str, Any]) -> Case | None:
    """Returns the case with some options; None if they contradict each other."""
    try:
        case = Case.model_validate(options)
    except ValidationError:
        return None
    return case.model_copy(update={"name": f"random-{case.key}"})
