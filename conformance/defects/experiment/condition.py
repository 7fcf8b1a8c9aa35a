"""When an implementation fails: the condition on a case, found by experiment.

One failing case is made as plain as possible. Then each option takes every other value, and each size is bisected. What
makes the case pass is a term of the condition. Known cases that contradict the condition refine it: options change one
after the other from a failing case to a passing one until the outcome changes. Finally, new cases on both sides of the
boundary confirm the condition or refine it further.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from conformance.cases.case import Case
from conformance.cases.size import operations
from conformance.defects.experiment.explain import Rules, applicable
from conformance.defects.experiment.predict import predict_trial
from conformance.defects.experiment.terms import option_terms, size_terms, terms_of_size
from conformance.defects.experiment.trial import ImplementationError, Subject
from conformance.defects.experiment.variants import SIZES, VALUES, alternatives, changeable, vary
from conformance.results import when
from conformance.results.when import MOMENTS, Condition, Term
from conformance.verdict.oracle import RejectedCaseError

MAX_OPERATIONS = 50_000_000
"""Operations of the largest case to solve, see ``conformance.cases.size``."""
MAX_ALTERNATIVES = 3
"""Number of alternatives, joined by *or*."""
_MAX_REFINEMENTS = 8
_CONFIRMING_ROUNDS = 3
_CONFIRMING = 10
"""Number of new cases on each side of the boundary in each round."""
_FEW_CONFIRMING = 4
"""The same, for large cases."""
_LARGE_OPERATIONS = 1_000_000
"""Operations from which a case is large, see ``conformance.cases.size``."""

Fails = Callable[[Case], bool | None]
"""Function that returns whether a case fails; None if this cannot be tested, or if it fails for another reason."""
Terms = tuple[Term, ...]

_PLAIN_SIZES = {"num_layers": 1, "hidden_size": 5, "input_size": 3, "batch": 4, "seq_len": 6}
_DRAWN: Mapping[str, tuple[Any, ...]] = {
    **{name: VALUES[name] for name in ("direction", "bias", "batch_first", "lengths", "dtype")},
    "initial_state": ("random", "omitted"),
    **dict.fromkeys(("hidden_size", "input_size", "batch", "seq_len"), (1, 2, 3, 4, 5, 6, 7, 8, 9)),
    "num_layers": (1, 2, 3),
}
"""Options that are drawn for new cases."""


def outcome_of(subject: Subject, rules: Rules = ()) -> Fails:
    """Returns the function that solves a case with an implementation.

    Args:
        subject: the implementation.
        rules: the mistake. Cases that fail, but that it does not reproduce, fail for another reason.
    """

    def fails(case: Case) -> bool | None:
        try:
            if subject.supported(case) != case:
                return None
            trial = subject.try_problem(subject.problem(case))
        except (ImplementationError, RejectedCaseError):
            return None
        if trial.verdict.conforms or not rules:
            return not trial.verdict.conforms
        own = applicable(rules, trial)
        return True if own and trial.is_reproduced(predict_trial(own, trial)) else None

    return fails


def find(failing: Sequence[Case], passing: Sequence[Case], fails: Fails) -> Condition | None:
    """Finds a condition that all failing cases meet, and no passing case, and confirms it on new cases.

    Args:
        failing: cases that fail for the same reason.
        passing: cases that pass.
        fails: function that solves a case.

    Returns:
        The condition; None if none was confirmed.
    """
    search = _Search(fails, dict.fromkeys(passing, False) | dict.fromkeys(failing, True))
    search.learn(min(failing, key=lambda case: (operations(case), case.key)))
    search.refine()
    confirmed = search.confirm()
    if not confirmed:
        return None
    fail, passes = (sum(map(search.holds, cases)) for cases in (failing, passing))
    alternatives = tuple(_ordered(terms) for terms, _ in search.alternatives)
    return Condition(alternatives, fail, passes, len(passing) - passes, (), len(failing) - fail, confirmed)


def _ordered(terms: Terms) -> Terms:
    return tuple(sorted(terms, key=lambda term: term.name in (*when.SIZES, MOMENTS)))


@dataclass
class _Search:
    """The search for a condition.

    Attributes:
        fails: function that solves a case.
        known: cases, and whether they fail.
        alternatives: terms that must all hold, and the plain failing case from which they were found.
    """

    fails: Fails
    known: dict[Case, bool]
    alternatives: list[tuple[Terms, Case]] = field(default_factory=list)
    _outcomes: dict[str, bool | None] = field(default_factory=dict)

    def holds(self, case: Case) -> bool:
        return when.meets((terms for terms, _ in self.alternatives), when.facts_of_case(case))

    def ask(self, case: Case | None) -> bool | None:
        """Returns whether a case fails; None if this is not known."""
        if case is None or operations(case) > MAX_OPERATIONS:
            return None
        if case.key not in self._outcomes:
            self._outcomes[case.key] = self.fails(case)
        return self._outcomes[case.key]

    # ----------------------------------------------------------------------- one failing case

    def learn(self, case: Case) -> None:
        """Adds the terms that a failing case needs. Alternatives that they include are dropped."""
        plain = self._plain(case)
        options = (option_terms(plain, name, self.ask) for name in changeable(plain))
        terms = (*chain.from_iterable(options), *size_terms(plain, self.ask))
        facts = {case: when.facts_of_case(case) for case in self.known}
        new = {case for case in self.known if when.meets([terms], facts[case])}
        self.alternatives = [
            (others, of)
            for others, of in self.alternatives
            if not new >= {case for case in self.known if when.meets([others], facts[case])}
        ]
        self.alternatives.append((terms, plain))

    def _plain(self, case: Case) -> Case:
        """Replaces each option by its default, and each size by a small one, if the case still fails."""
        case = vary(case) or case
        for name in changeable(case):
            default = {"dtype": "float64"}.get(name, Case.model_fields[name].get_default())
            if getattr(case, name) != default and self.ask(plainer := vary(case, **{name: default})):
                case = plainer or case
        for name, value in (("hidden_size", max(case.hidden_sizes)), ("lengths", "ragged")):
            if isinstance(getattr(case, name), tuple) and self.ask(plainer := vary(case, **{name: value})):
                case = plainer or case
        for name, size in _PLAIN_SIZES.items():
            if getattr(case, name) != size and self.ask(plainer := vary(case, **{name: size})):
                case = plainer or case
        return case

    # ----------------------------------------------------------------------- contradictions

    def refine(self) -> None:
        """Changes the condition until no known case contradicts it, or nothing helps."""
        given_up: set[str] = set()
        for _ in range(_MAX_REFINEMENTS):
            wrong = [case for case, fails in self.known.items() if self.holds(case) != fails]
            wrong = sorted((case for case in wrong if case.key not in given_up), key=operations)
            if not wrong:
                return
            case = next((case for case in wrong if not self.known[case]), wrong[0])
            given_up.add(case.key)
            if not self.known[case]:
                self._exclude(case)
            elif len(self.alternatives) < MAX_ALTERNATIVES:
                self.learn(case)

    def _exclude(self, passing: Case) -> None:
        """Adds the terms that a passing case does not meet."""
        facts = when.facts_of_case(passing)
        for place, (terms, plain) in enumerate(self.alternatives):
            if when.meets([terms], facts):
                more = tuple(self._differing(plain, passing))
                failing = (when.facts_of_case(case) for case, fails in self.known.items() if fails)
                if any(when.meets([(*terms, *more)], facts) for facts in failing):
                    self.alternatives[place] = (*terms, *more), plain

    def _differing(self, failing: Case, passing: Case) -> Iterator[Term]:
        """Yields the terms on the option that makes a case pass if options change one after the other."""
        names = [name for name in (*changeable(passing), *SIZES) if getattr(failing, name) != getattr(passing, name)]
        for name in names:
            changed = vary(failing, **{name: getattr(passing, name)})
            outcome = self.ask(changed)
            if outcome is False:
                if name in SIZES:
                    yield from terms_of_size(failing, name, self.ask)
                else:
                    yield from option_terms(failing, name, self.ask)
                return
            failing = changed if outcome and changed else failing

    # ----------------------------------------------------------------------- new cases

    def confirm(self) -> int:
        """Solves new cases on both sides of the boundary. They refine the condition if they contradict it.

        Returns:
            The number of new cases that agree with the condition; 0 if some do not.
        """
        choose = random.Random(0)
        for _ in range(_CONFIRMING_ROUNDS):
            new = {case: outcome for case in self._new_cases(choose) if (outcome := self.ask(case)) is not None}
            wrong = [case for case, outcome in new.items() if self.holds(case) != outcome]
            self.known |= new
            if not wrong:
                return len(new)
            self.refine()
        return len(new) if all(self.holds(case) == outcome for case, outcome in new.items()) else 0

    def _new_cases(self, choose: random.Random) -> Iterable[Case]:
        """Draws cases that meet the condition, and cases that differ from these in one option and do not meet it."""
        inside: dict[Case, None] = {}
        outside: dict[Case, None] = {}
        is_large = any(operations(plain) > _LARGE_OPERATIONS for _, plain in self.alternatives)
        count = _FEW_CONFIRMING if is_large else _CONFIRMING
        for terms, plain in self.alternatives * count:
            names = choose.sample(list(_DRAWN), len(_DRAWN))
            case = plain
            for name in names:
                varied = vary(case, **{name: choose.choice(_DRAWN[name])})
                if varied and when.meets([terms], when.facts_of_case(varied)) and choose.random() < 0.5:
                    case = varied
            inside[case] = None
            near = [other for other in self._neighbours(case) if not self.holds(other)]
            outside |= dict.fromkeys(choose.sample(near, min(len(near), 2)))
        some = [list(cases)[: count * len(self.alternatives)] for cases in (inside, outside)]
        return chain(*some)

    def _neighbours(self, case: Case) -> Iterator[Case]:
        """Yields the cases that differ in one option or size."""
        for name in changeable(case):
            yield from alternatives(case, name)
        bounds = [term for terms, _ in self.alternatives for term in terms if term.bound and term.name in SIZES]
        for term in bounds:
            for size in ((term.bound or 1) - 1, (term.bound or 1) + 1):
                if size and (varied := vary(case, **{term.name: size})):
                    yield varied
