"""When an implementation fails: the options that separate its failing cases from its passing cases.

``find`` finds the condition in existing results. Nothing is solved again. ``conformance.defects.experiment.condition``
finds it by experiment.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, get_origin

from conformance.cases.case import Case
from conformance.cases.features import DTYPES, FEATURES, features
from conformance.cases.uses import RESULTS
from conformance.results.record import Result

MIN_CASES = 3
"""Smallest number of failing cases, and of passing cases that do not meet the condition."""
MIN_EXCLUDED = 2
"""Smallest number of passing cases that each of two terms must exclude among those that meet the other term."""
MIN_FAILING_SHARE = 0.8
"""Smallest share of failing cases among those that meet a condition which some passing cases meet, too."""

Facts = Mapping[str, str | int | None]
"""Values of a case's options and sizes, and whether it has each feature; None for a value without effect."""

SIZES = ("input_size", "hidden_size", "num_layers", "proj_size", "seq_len", "batch")
MOMENTS = "seq_len · batch"
"""Product of two sizes: the number of time steps of all rows."""
_ALL_SIZES = (*SIZES, MOMENTS)
CHOICES = tuple(
    name
    for name, field in Case.model_fields.items()
    if field.annotation is bool or get_origin(field.annotation) is Literal
)
"""Options with a fixed set of values."""
_FEATURES = tuple(feature for feature in FEATURES if feature not in (*CHOICES, *DTYPES))
_DEFAULTS = {name: field.default for name, field in Case.model_fields.items() if not field.is_required()}
_OF_LENGTHS = ("mask", "padding")
"""Options without effect in cases without lengths."""


@dataclass(frozen=True)
class Term:
    """A condition on one option, size or feature.

    Attributes:
        name: name of the option, size or feature.
        text: the term in words, such as ``bias: true``.
        holds: whether a value of the option, size or feature meets the term.
        cost: complexity: 0 for a value or a feature, 1 for a default, a choice of values or the absence of a feature,
            2 for a threshold.
        bound: bound of a threshold; None for other terms.
    """

    name: str
    text: str
    holds: Callable[[Any], bool]
    cost: int
    bound: int | None = None


@dataclass(frozen=True)
class Condition:
    """A condition that all failing cases meet, and few or no passing cases.

    Attributes:
        alternatives: one or several lists of terms. All terms of at least one list must hold.
        failing: number of failing cases.
        passing: number of passing cases that meet the condition.
        others: number of passing cases that do not meet it.
        boundary: passing size next to each threshold, such as ``batch 16 passes``.
        other_failing: number of failing cases that do not meet it.
        confirmed: number of new cases on both sides of the boundary that confirm it.
    """

    alternatives: tuple[tuple[Term, ...], ...]
    failing: int
    passing: int
    others: int
    boundary: tuple[str, ...] = ()
    other_failing: int = 0
    confirmed: int = 0

    def holds(self, facts: Facts) -> bool:
        """Returns whether a case meets the condition."""
        return meets(self.alternatives, facts)

    def __str__(self) -> str:
        counted = [f"{self.failing} of {self.failing + self.passing} such cases fail"]
        if self.passing + self.others + self.other_failing:
            counted = [f"{counted[0]}, {self.other_failing} of {self.others + self.other_failing} others"]
        confirmed = [f"confirmed on {self.confirmed} new cases"] if self.confirmed else []
        words = "; or ".join(", ".join(term.text for term in terms) or "always" for terms in self.alternatives)
        return f"{words} ({'; '.join((*counted, *self.boundary, *confirmed))})"


def meets(alternatives: Iterable[Iterable[Term]], facts: Facts) -> bool:
    """Returns whether a case meets all terms of at least one list."""
    return any(all(term.holds(facts[term.name]) for term in terms) for terms in alternatives)


def find(failing: Iterable[Result], passing: Iterable[Result]) -> Condition | None:
    """Returns the simplest condition that all failing cases meet and no passing case; None if there is none.

    If no condition separates the cases perfectly, the best single term is returned, provided that most of the cases
    that meet it fail, and that it excludes more than half of the passing cases. Both iterables hold results of one
    implementation.
    """
    fails, passes = [facts_of(result) for result in failing], [facts_of(result) for result in passing]
    if len(fails) < MIN_CASES or len(passes) < MIN_CASES:
        return None
    # All failing cases meet each term. Of terms that the same passing cases meet, the simplest one is kept.
    met_by: dict[int, Term] = {}
    for term in sorted(_terms(fails, passes), key=lambda term: term.cost):
        mask = int("".join("1" if term.holds(facts[term.name]) else "0" for facts in passes), 2)
        met_by.setdefault(mask, term)
    candidates: list[tuple[tuple[Term, ...], int]] = [((term,), mask.bit_count()) for mask, term in met_by.items()]
    candidates += [
        ((one, other), 0)
        for (first, one), (second, other) in combinations(met_by.items(), 2)
        if one.name != other.name and not first & second and min(first.bit_count(), second.bit_count()) >= MIN_EXCLUDED
    ]
    strong = [(terms, met) for terms, met in candidates if _is_strong(len(fails), met, len(passes) - met)]
    if not strong:
        return None
    terms, met = min(strong, key=lambda each: (each[1] > 0, len(each[0]), sum(term.cost for term in each[0]), each[1]))
    return Condition((terms,), len(fails), met, len(passes) - met, tuple(_boundaries(terms, passes)))


def _is_strong(failing: int, met: int, others: int) -> bool:
    """Returns whether a condition is worth showing.

    Args:
        failing: number of failing cases, which all meet the condition.
        met: number of passing cases that meet it.
        others: number of passing cases that do not meet it.
    """
    return others >= max(MIN_CASES, met + 1) and failing >= MIN_FAILING_SHARE * (failing + met)


def facts_of(result: Result) -> Facts:
    """Returns the facts of a result's case, as it ran."""
    return _facts({**result.options, "dtype": result.dtype}, set(result.features) - result.unchecked.keys())


def facts_of_case(case: Case) -> Facts:
    """Returns the facts of a case."""
    return _facts(case.model_dump(exclude_defaults=True), features(case))


def _facts(stored: Mapping[str, Any], own_features: Collection[str]) -> Facts:
    """Returns the facts of a case with these options. Options that are not stored have their defaults."""
    options = {**_DEFAULTS, **stored}
    if options["lengths"] is None:
        options |= dict.fromkeys(_OF_LENGTHS)
    sizes = {name: _size(options.get(name)) for name in SIZES}
    return {
        **{feature: feature in own_features for feature in _FEATURES},
        **{name: value if isinstance(value := options[name], str | bool) else None for name in CHOICES},
        **{f"compares {name}": name in options["check"] for name in RESULTS},
        **sizes,
        MOMENTS: (sizes["seq_len"] or 1) * (sizes["batch"] or 1),
    }


def _size(value: Any) -> int | None:
    """Returns a size, or the largest one of a list. An input without a batch axis counts as one row."""
    if isinstance(value, list | tuple):
        return max((each for each in value if isinstance(each, int)), default=None)
    return 1 if value == "unbatched" else value if isinstance(value, int) else None


def _terms(failing: Sequence[Facts], passing: Sequence[Facts]) -> Iterator[Term]:
    """Yields the narrowest terms that all failing cases meet: on options, then on features, then on sizes."""
    for name in (*CHOICES, *_FEATURES, *_ALL_SIZES):
        seen = {facts[name] for facts in failing}
        others = {facts[name] for facts in passing} - seen
        if not others or None in seen:
            continue
        if name in _ALL_SIZES:
            sizes = [size for size in seen if isinstance(size, int)]
            yield from size_terms(name, min(sizes), max(sizes))
        elif name in CHOICES:
            yield choice_term(name, seen, others)
        else:
            yield feature_term(name, True in seen)


def feature_term(name: str, has: bool) -> Term:
    """Returns the term that a case has a feature, or does not have it."""
    return Term(name, name, bool, 0) if has else Term(name, f"not {name}", lambda found: not found, 1)


def choice_term(name: str, seen: Collection[Any], others: Collection[Any]) -> Term:
    """Returns the term that an option has one of some values.

    Args:
        name: name of the option.
        seen: values of the option in failing cases.
        others: other values, in passing cases.
    """
    label = f"lengths with {name}" if name in _OF_LENGTHS else name
    if len(seen) > 1 and len(others) == 1 and None not in others:
        (other,) = others
        return Term(name, f"not {label}: {_text(other)}", lambda value: value not in (other, None), 1)
    is_simple = len(seen) == 1 and (name == "dtype" or _DEFAULTS[name] not in seen)
    text = f"{label}: {' or '.join(sorted(map(_text, seen)))}"
    return Term(name, text, lambda value: value in seen, 0 if is_simple else 1)


def size_terms(name: str, low: int | None, high: int | None) -> Iterator[Term]:
    """Yields the terms that a size is in a range: a term for its only value, and one for each bound."""
    if low == high and low is not None:
        yield Term(name, f"{name} is {low}", lambda size: size == low, 0)
    if low is not None:
        yield Term(name, f"{name} ≥ {low}", lambda size: size is not None and size >= low, 2, low)
    if high is not None:
        yield Term(name, f"{name} ≤ {high}", lambda size: size is not None and size <= high, 2, high)


def multiple_term(name: str, divisor: int, is_multiple: bool) -> Term:
    """Returns the term that a size is, or is not, a multiple of a number."""
    text = f"{name} is {'' if is_multiple else 'not '}a multiple of {divisor}"
    return Term(name, text, lambda size: size is not None and (size % divisor == 0) == is_multiple, 2)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _boundaries(terms: Sequence[Term], passing: Sequence[Facts]) -> Iterator[str]:
    """Yields the passing size next to each threshold, among the passing cases that meet the other term."""
    for term in terms:
        if (bound := term.bound) is None:
            continue
        rest = [each for each in terms if each is not term]
        met = [facts[term.name] for facts in passing if all(each.holds(facts[each.name]) for each in rest)]
        if beyond := [size for size in met if isinstance(size, int) and not term.holds(size)]:
            yield f"{term.name} {min(beyond, key=lambda size: abs(size - bound))} passes"
