"""The terms of a condition that one failing case needs: options and sizes whose change makes the case pass."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

from conformance.cases.case import Case
from conformance.defects.experiment.variants import SIZES, alternatives, vary
from conformance.results import when
from conformance.results.when import MOMENTS, Term

Ask = Callable[[Case | None], bool | None]
"""Function that returns whether a case fails; None if this is not known, or if there is no case."""

_BEYOND = (2, 3, 7, 8, 9, 16, 33, 64, 129)
"""Sizes to try beyond that of the failing case."""
_DIVISORS = (2, 4, 8, 16)


def option_terms(case: Case, name: str, ask: Ask) -> Iterator[Term]:
    """Yields the terms on one option, or on the features that depend on it; none if each value fails."""
    variants = list(alternatives(case, name))
    passing = [variant for variant in variants if ask(variant) is False]
    if passing and name in when.CHOICES:
        failing = {getattr(variant, name) for variant in variants if ask(variant)}
        others = {getattr(variant, name) for variant in passing}
        yield when.choice_term(name, {getattr(case, name), *failing}, others)
        return
    facts = when.facts_of_case(case)
    for other in map(when.facts_of_case, passing):
        changed = (fact for fact, has in facts.items() if isinstance(has, bool) and has is not other[fact])
        if fact := next(changed, None):
            yield when.feature_term(fact, bool(facts[fact]))


def size_terms(case: Case, ask: Ask) -> Iterator[Term]:
    """Yields the terms on all sizes, on the number of steps times rows, and on the batch axis."""
    terms = {name: list(terms_of_size(case, name, ask)) for name in SIZES}
    if moments := list(_moments(case, terms, ask)):
        terms |= {"seq_len": [], "batch": moments}
    yield from chain.from_iterable(terms.values())
    # A failing case has either no batch axis, or at least one row.
    if case.batch in (1, "unbatched"):
        other = vary(case, batch=1 if case.batch == "unbatched" else "unbatched")
        if ask(other) is False:
            yield when.feature_term("unbatched", case.batch == "unbatched")


def terms_of_size(case: Case, name: str, ask: Ask) -> Iterator[Term]:
    """Yields the terms on a size: its bounds, or a divisor."""
    size = getattr(case, name)
    if not isinstance(size, int):
        return

    def fails(other: int) -> bool | None:
        return ask(vary(case, **{name: other}))

    low = _bisected(fails, 1, size) if size > 1 and fails(1) is False else 1
    beyond = [size + 1, *(other for other in _BEYOND if other > size + 1)]
    outcomes = {other: outcome for other in beyond if (outcome := fails(other)) is not None}
    passing = [other for other, outcome in outcomes.items() if not outcome]
    failing = [other for other, outcome in outcomes.items() if outcome]
    high = None
    if passing and failing and max(failing) > min(passing):
        span = {other: fails(other) for other in range(1, 2 * _DIVISORS[-1] + 1)}
        for divisor in _DIVISORS:
            for is_multiple in (False, True):
                if all(has in (None, (other % divisor == 0) == is_multiple) for other, has in span.items()):
                    yield when.multiple_term(name, divisor, is_multiple)
                    return
    elif passing:
        high = _bisected(fails, min(passing), max([size, *failing]))
    bounds = list(when.size_terms(name, low if low > 1 or high == 1 else None, high))
    yield from bounds[:1] if low == high else bounds


def _moments(case: Case, terms: Mapping[str, Sequence[Term]], ask: Ask) -> Iterator[Term]:
    """Yields a threshold of T · B, if the smallest failing T depends on B."""
    if case.rows is None:
        return

    def at(steps: int, rows: int) -> bool | None:
        return ask(vary(case, seq_len=steps, batch=rows))

    low = next((term.bound or 1 for term in terms["seq_len"] if "≥" in term.text), 1)
    depends = at(-(-low // 2), 2 * case.rows) if low > 1 else not terms["batch"] and at(1, 1) is False
    if not depends:
        return
    # Many rows cost less than many steps.
    for steps in (1, 2, 3):
        high = -(-low * case.rows // steps)
        if at(steps, high):
            rows = _bisected(lambda rows, steps=steps: at(steps, rows), 0, high)  # type: ignore[misc]
            yield next(when.size_terms(MOMENTS, steps * rows, None))
            if steps > 1:
                yield next(when.size_terms("seq_len", steps, None))
            return


def _bisected(fails: Callable[[int], bool | None], passing: int, failing: int) -> int:
    """Returns the failing size next to a passing one. Sizes that cannot be tested count as passing."""
    while abs(failing - passing) > 1:
        middle = (failing + passing) // 2
        if fails(middle):
            failing = middle
        else:
            passing = middle
    return failing
