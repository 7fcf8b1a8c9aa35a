"""Shrinks a failing case: finds small sizes at which it still fails.

All options are kept. Sizes keep their relations: equal sizes stay equal, different sizes stay different, and the
projection stays narrower than the hidden state. A size of 1 stays 1. Only if a failure depends on the width is I
reduced without H, or H without I.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

from conformance.cases import uses
from conformance.cases.case import Case
from conformance.cases.size import operations

LARGE_OPERATIONS = 2_000_000
"""Operations above which a case is large. Below, all single defects take less than half a CPU second."""
MAX_OPERATIONS = 1_000_000_000
"""Operations of the largest case to try. Its reference and budget take some CPU seconds."""
MAX_TRIES = 40
"""Number of smaller cases to try."""

_SMALL = {"batch": 4, "seq_len": 12}
_SMALL_WIDTH = 16
"""Largest width that is tried first. Most failures at larger sizes also occur at this one."""
_WIDTH = ("input", "hidden", "proj")
_LAYERS = ("hidden", "proj")
_AXES = (("batch",), ("seq_len",), _WIDTH)

Caps = Mapping[str, int]
"""Largest batch, sequence length, input size, hidden size and projection size."""
_Axis = tuple[str, ...]
"""Names of caps that change together."""


@dataclass(frozen=True)
class Threshold:
    """A size on which a failure depends.

    Attributes:
        fails: smallest failing size, such as ``H = 257``.
        conforms: largest conforming size, such as ``H = 256``; empty if none was tried.
        exact: whether there is no size between the two.
    """

    fails: str
    conforms: str = ""
    exact: bool = False

    def __str__(self) -> str:
        if self.exact:
            return f"from {self.fails}"
        return f"at {self.fails}, but not at {self.conforms}" if self.conforms else f"at {self.fails}"


@dataclass(frozen=True)
class Shrunk:
    """A smaller variant of a failing case.

    Attributes:
        case: the smaller case, which fails too.
        thresholds: sizes on which the failure depends; empty if the case fails at small sizes.
    """

    case: Case
    thresholds: tuple[Threshold, ...] = ()

    def __str__(self) -> str:
        sizes = describe_sizes(self.case)
        if not self.thresholds:
            return f"also fails at {sizes}"
        return f"fails {' and '.join(map(str, self.thresholds))} (at {sizes})"


def is_large(case: Case) -> bool:
    """Returns whether a case is too large to try many defects in the time of a diagnosis."""
    return operations(case) > LARGE_OPERATIONS


def shrink(
    case: Case, fails: Callable[[Case], bool], is_late: Callable[[], bool] = lambda: False, max_tries: int = MAX_TRIES
) -> Shrunk | None:
    """Returns the smallest failing variant that was found; None if no smaller variant fails.

    First, all sizes are small. If this variant conforms, the sizes on which the failure depends are found, and each of
    them is reduced by bisection while the others are small. This assumes that a case that fails at one size also fails
    at larger ones.

    Args:
        case: the failing case.
        fails: function that returns whether a smaller variant fails.
        is_late: function that returns whether time is up. No further variant is tried then.
        max_tries: number of variants to try.
    """
    return _Search(case, fails, is_late, max_tries).result()


def resized(case: Case, caps: Caps) -> Case:
    """Returns a case whose sizes do not exceed the caps. Sizes with the same cap keep their relations."""
    steps = min(case.seq_len, caps["seq_len"])
    fitted = _fitted(case, caps["hidden"])
    hidden = tuple(fitted[size] for size in case.hidden_sizes)
    changes: dict[str, object] = {
        "seq_len": steps,
        "input_size": _fitted(case, caps["input"])[case.input_size],
        "hidden_size": hidden if isinstance(case.hidden_size, tuple) else hidden[0],
        "reverse_hidden_size": fitted[case.reverse_hidden_size] if case.reverse_hidden_size else None,
        "proj_size": _fitted(case, caps["proj"])[case.proj_size] if case.proj_size else 0,
    }
    if case.rows:
        changes["batch"] = min(case.rows, caps["batch"])
    if isinstance(case.lengths, tuple):
        rows = _kept_rows(case.lengths, min(len(case.lengths), caps["batch"]))
        changes["lengths"] = tuple(_scaled(case.lengths[row], case.seq_len, steps) for row in rows)
    rows_left = min(case.rows, caps["batch"]) if case.rows else None
    return case.model_copy(update=changes | uses.fit(case, steps, rows_left))


def describe_sizes(case: Case) -> str:
    """Describes the sizes of a case: ``I = H = 16, T = 12, B = 4``."""
    rows = f", B = {case.rows}" if case.rows else ""
    return f"{_describe(case, _WIDTH)}, T = {case.seq_len}{rows}"


class _Search:
    def __init__(self, case: Case, fails: Callable[[Case], bool], is_late: Callable[[], bool], max_tries: int) -> None:
        self._case, self._fails, self._is_late, self._tries_left = case, fails, is_late, max_tries
        self._outcomes = {case.key: True}
        widths = _widths(case)
        self._full = {"batch": case.rows or 1, "seq_len": case.seq_len, **dict.fromkeys(_WIDTH, max(widths))}
        small = {**_SMALL, **dict.fromkeys(_WIDTH, max(_SMALL_WIDTH, len(set(widths))))}
        self._small = {name: min(size, small[name]) for name, size in self._full.items()}

    def result(self) -> Shrunk | None:
        if self._is_failing(self._small):
            smallest = resized(self._case, self._small)
            return None if smallest == self._case else Shrunk(smallest)
        needed = self._needed()
        if needed is None:
            return None
        caps, axes = self._without_needless_width(*needed)
        thresholds = []
        for axis in axes:
            caps, conforming = self._bisected(caps, axis)
            if caps[axis[0]] > self._small[axis[0]]:
                thresholds.append((axis, conforming))
        smallest = resized(self._case, caps)
        if smallest == self._case:
            return None
        return Shrunk(smallest, tuple(self._threshold(caps, *each) for each in thresholds))

    def _is_failing(self, caps: Caps) -> bool | None:
        """Returns whether a variant fails; None if it cannot be tried."""
        smaller = resized(self._case, caps)
        if smaller.key not in self._outcomes:
            if self._tries_left <= 0 or operations(smaller) > MAX_OPERATIONS or self._is_late():
                return None
            self._tries_left -= 1
            self._outcomes[smaller.key] = self._fails(smaller)
        return self._outcomes[smaller.key]

    def _needed(self) -> tuple[Caps, tuple[_Axis, ...]] | None:
        """Returns the cheapest combination of axes that fails at full size while the others are small.

        If a combination is too large to try, the input becomes small, too. If that does not suffice, the axes have a
        fraction of their size, and the combination comes last.
        """
        axes = [axis for axis in _AXES if self._full[axis[0]] > self._small[axis[0]]]
        whole, parts = [], []
        for chosen in chain.from_iterable(combinations(axes, count) for count in range(1, len(axes) + 1)):
            narrow = tuple(_LAYERS if axis == _WIDTH else axis for axis in chosen)
            for variant in (chosen, narrow):
                caps = _with(self._small, self._full, *variant)
                if self._operations(caps) <= MAX_OPERATIONS:
                    whole.append((caps, variant))
                    break
            else:
                parts.append((self._fraction(chosen), chosen))
        ordered = [*sorted(whole, key=self._cost), *sorted(parts, key=self._cost)]
        return next((variant for variant in ordered if self._is_failing(variant[0])), None)

    def _fraction(self, axes: tuple[_Axis, ...]) -> Caps:
        """Returns caps at which some axes have 1/2, 1/4 or 1/8 of their size: the largest that can be tried."""
        for divisor in (2, 4, 8):
            sizes = {name: small + (self._full[name] - small) // divisor for name, small in self._small.items()}
            caps = _with(self._small, sizes, *axes)
            if self._operations(caps) <= MAX_OPERATIONS:
                break
        return caps

    def _cost(self, variant: tuple[Caps, tuple[_Axis, ...]]) -> int:
        return self._operations(variant[0])

    def _operations(self, caps: Caps) -> int:
        return operations(resized(self._case, caps))

    def _without_needless_width(self, caps: Caps, axes: Sequence[_Axis]) -> tuple[Caps, list[_Axis]]:
        """Makes the input, else the layers, then the projection small if the case still fails."""
        before = width = next((axis for axis in axes if "hidden" in axis), ())
        for part in (("input",), _LAYERS, ("proj",)):
            reduced = _with(caps, self._small, part)
            if set(part) < set(width) and not self._has_new_equality(reduced) and self._is_failing(reduced):
                caps, width = reduced, tuple(name for name in width if name not in part)
        return caps, [width if axis == before else axis for axis in axes]

    def _has_new_equality(self, caps: Caps) -> bool:
        return len(set(_widths(resized(self._case, caps)))) < len(set(_widths(self._case)))

    def _bisected(self, caps: Caps, axis: _Axis) -> tuple[Caps, int | None]:
        """Reduces an axis of a failing variant. Returns the new caps, and the largest smaller cap that conforms."""
        low, high = self._small[axis[0]], caps[axis[0]]
        match self._is_failing(_set(caps, axis, low)):
            case None:
                return caps, None
            case True:
                return _set(caps, axis, low), None
        while high - low > 1:
            middle = (low + high) // 2
            failing = self._is_failing(_set(caps, axis, middle))
            if failing is None:
                break
            low, high = (low, middle) if failing else (middle, high)
        return _set(caps, axis, high), low

    def _threshold(self, caps: Caps, axis: _Axis, conforming: int | None) -> Threshold:
        fails = _describe(resized(self._case, caps), axis)
        if conforming is None:
            return Threshold(fails)
        conforms = _describe(resized(self._case, _set(caps, axis, conforming)), axis)
        return Threshold(fails, conforms, exact=conforming == caps[axis[0]] - 1)


def _with(caps: Caps, others: Caps, *axes: _Axis) -> Caps:
    """Returns caps with those of some axes replaced."""
    return {**caps, **{name: others[name] for axis in axes for name in axis}}


def _set(caps: Caps, axis: _Axis, cap: int) -> Caps:
    return {**caps, **dict.fromkeys(axis, cap)}


def _widths(case: Case) -> list[int]:
    return [size for size in (case.input_size, *case.hidden_sizes, case.reverse_hidden_size, case.proj_size) if size]


def _fitted(case: Case, cap: int) -> dict[int, int]:
    """Returns, for each width of a case, the width that replaces it. The map is strictly increasing."""
    widths = sorted(set(_widths(case)))
    return {width: min(width, cap - place) for place, width in enumerate(reversed(widths))}


def _kept_rows(lengths: Sequence[int], count: int) -> list[int]:
    """Returns the numbers of the rows to keep: one of the longest and of the shortest rows, then the first ones."""
    rows = range(len(lengths))
    longest, shortest = max(rows, key=lengths.__getitem__), min(rows, key=lengths.__getitem__)
    return sorted(list(dict.fromkeys([longest, shortest, *rows]))[:count])


def _scaled(length: int, steps: int, new_steps: int) -> int:
    """Returns the length of a row with fewer steps. No row becomes full or empty."""
    return new_steps if length == steps else min(-(-length * new_steps // steps), new_steps - 1)


def _describe(case: Case, axis: _Axis) -> str:
    """Describes the sizes of an axis. Equal widths are joined: ``I = H = 16``."""
    if axis[0] not in _WIDTH:
        return f"B = {case.rows}" if axis == ("batch",) else f"T = {case.seq_len}"
    hidden = case.hidden_sizes if isinstance(case.hidden_size, tuple) else case.hidden_sizes[:1]
    reverse = f" forward, {case.reverse_hidden_size} reverse" if case.reverse_hidden_size else ""
    texts = {"input": str(case.input_size), "hidden": ", ".join(map(str, hidden)) + reverse}
    texts |= {"proj": str(case.proj_size)} if case.proj_size else {}
    symbols: dict[str, list[str]] = {}
    for name, text in texts.items():
        if name in axis:
            symbols.setdefault(text, []).append({"input": "I", "hidden": "H", "proj": "P"}[name])
    return ", ".join(" = ".join([*names, text]) for text, names in symbols.items())
