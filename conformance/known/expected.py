"""Decides whether known divergences account for a result, so that no other deviation hides behind them.

The functions take the *expected* divergences: those that match the case. A result is

- ``known`` if a set of expected divergences predicts every tensor, or one of them describes the error,
- ``fixed`` if an expected divergence would show in this problem and does not.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple

from conformance.defects.power.detection import DETECTED_ABOVE
from conformance.known.divergences import Divergence
from conformance.known.trial import Entries, Trial, subsets
from conformance.results.record import Status
from conformance.verdict.judge import is_declaration
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Oracle


class Outcome(NamedTuple):
    """Status of a result that divergences account for, with its reason."""

    status: Status
    reason: str


def for_error(expected: Entries, message: str) -> Outcome | None:
    """Returns ``known`` if an expected divergence describes an error.

    Args:
        expected: divergences that match the case.
        message: message of the error.
    """
    return next((_known([entry]) for entry in expected if entry.raises(message)), None)


def for_acceptance(expected: Entries) -> Outcome | None:
    """Returns ``known`` if an expected divergence accepts the mistake that an implementation accepted."""
    return next((_known([entry]) for entry in expected if entry.accepts), None)


def for_refusal(expected: Entries) -> Outcome | None:
    """Returns ``fixed`` if an implementation refused a mistake that an expected divergence does not refuse."""
    return _fixed(expected)


def for_conformance(expected: Entries, judged: JudgedSolution) -> Outcome | None:
    """Returns ``fixed`` if an expected divergence would show in a solution that conforms.

    Args:
        expected: divergences that match the case.
        judged: solution that conforms.
    """
    trial = Trial(judged)
    exact, loose = _by_kind(expected)

    def shows(entries: Entries) -> bool | None:
        defect = trial.combined(entries)
        return None if defect is None else trial.error_ratio(defect) > DETECTED_ABOVE

    # The implementation may still have these divergences: together they do not show.
    hidden = next((chosen for chosen in subsets(exact) if shows(chosen) is False), ()) if exact else ()
    fixed = [entry for entry in exact if entry not in hidden and shows([*hidden, entry])]
    fixed += [entry for entry in loose if _would_show(entry, trial, (), ())]
    fixed += [entry for entry in expected if not entry.tensors]
    return _fixed(fixed)


def for_deviation(
    expected: Entries, failing: Collection[str], judged: JudgedSolution, oracle: Oracle
) -> Outcome | None:
    """Returns ``known`` if expected divergences predict a solution that deviates, or ``fixed`` if one is missing there.

    Args:
        expected: divergences that match the case.
        failing: tensors that do not conform.
        judged: solution that deviates.
        oracle: source of the budgets of less precise profiles.
    """
    trial = Trial(judged, oracle)
    exact, loose = _by_kind(expected)
    declared = [name for name in failing if is_declaration(name)]
    deviating = [name for name in failing if not is_declaration(name)]

    def account(some_exact: Entries, some_loose: Entries) -> bool:
        """Returns whether some entries predict the solution and concern each tensor that deviates."""
        some = [*some_exact, *some_loose]
        concerned = all(any(entry.concerns(name) for entry in some) for name in deviating)
        return concerned and trial.unpredicted(some_exact, some_loose) is not None

    chosen = next((chosen for chosen in subsets(exact) if account(chosen, loose)), None)
    if chosen is None or not all(any(entry.concerns(name) for entry in expected) for name in declared):
        return None
    needed = _without_unneeded(loose, lambda rest: account(chosen, rest))
    if fixed := _fixed(_missing(expected, chosen, needed, trial)):
        return fixed
    shown = _without_unneeded(chosen, lambda rest: account(rest, needed))
    return _known(
        [
            entry
            for entry in expected
            if entry in shown or entry in needed or any(entry.concerns(name) for name in declared)
        ]
    )


def _by_kind(expected: Entries) -> tuple[list[Divergence], list[Divergence]]:
    """Returns the exact and the loose entries, see ``Trial``. Loose entries without a limit come first."""
    exact = [entry for entry in expected if entry.defects]
    loose = [entry for entry in expected if entry.tensors and not entry.defects]
    return exact, sorted(loose, key=lambda entry: (bool(entry.profile), bool(entry.nan), bool(entry.error_ratio)))


def _without_unneeded(entries: Entries, suffices: Callable[[Entries], bool]) -> list[Divergence]:
    """Returns the entries without those that can be removed, one after the other, while the rest suffices."""
    kept = list(entries)
    for entry in entries:
        rest = [other for other in kept if other is not entry]
        if suffices(rest):
            kept = rest
    return kept


def _missing(expected: Entries, exact: Entries, loose: Entries, trial: Trial) -> list[Divergence]:
    """Returns the expected entries that would show in a solution predicted by others, but do not.

    Args:
        expected: divergences that match the case.
        exact: exact entries that predict the solution.
        loose: loose entries that are needed in addition.
        trial: comparison of the solution with predictions.
    """
    unpredicted = trial.unpredicted(exact, loose) or set()
    missing = []
    for entry in expected:
        if entry in exact or entry in loose:
            continue
        if not entry.tensors:
            missing.append(entry)
        elif entry.defects:
            ratios = trial.misfits([*exact, entry], loose) or {}
            if any(ratio > DETECTED_ABOVE for name, ratio in ratios.items() if name not in unpredicted):
                missing.append(entry)
        elif not trial.concerned(entry) & unpredicted and _would_show(entry, trial, exact, loose):
            missing.append(entry)
    return missing


def _would_show(entry: Divergence, trial: Trial, exact: Entries, loose: Entries) -> bool:
    """Returns whether a loose entry, if present, would change a solution that other entries predict."""
    names = trial.concerned(entry)
    if entry.nan and not trial.is_finite(names):
        return False  # It shows already.
    if not names or not entry.resembles:
        return bool(names)
    return any(trial.detects(defect, exact, loose, names) for defect in trial.resembled(entry))


def _known(entries: Entries) -> Outcome:
    what = " ".join(entry.what for entry in entries)
    return Outcome("known", f"{' and '.join(entry.id for entry in entries)}: {what}")


def _fixed(entries: Entries) -> Outcome | None:
    """Returns ``fixed`` for the first of the entries that always show."""
    always = [entry.id for entry in entries if entry.always]
    return Outcome("fixed", f"{always[0]} no longer happens: remove its entry") if always else None
