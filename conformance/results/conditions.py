"""Conditions that make ``conformance compare`` exit with 1: ``--fail-on new-fail,error-ratio>2x,lost-power``."""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from conformance.errors import UserError
from conformance.results.compare import KIND_TITLES, KINDS, Comparison, Kind

OTHER_CONDITIONS = ("error-ratio>2x", "lost-power", "provenance", "incomplete", "none")
"""Conditions that are not kinds of changes. ``conformance compare --help`` explains all conditions."""

_ERROR_RATIO = re.compile(r"error-ratio>(\d+(?:\.\d+)?)x")


@dataclass(frozen=True)
class Conditions:
    """Conditions that make a comparison fail.

    Attributes:
        kinds: kinds of changes that must not occur.
        growth: largest factor by which the 99th percentile of an error ratio may grow; None for no limit.
        others: further conditions, from ``OTHER_CONDITIONS``.
    """

    kinds: tuple[Kind, ...] = ("new-fail",)
    growth: float | None = None
    others: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "Conditions":
        """Parses the values of ``--fail-on``, each a comma-separated list.

        Raises:
            UserError: a condition is unknown, or the list is invalid.
        """
        words = [word.strip() for text in texts for word in text.split(",") if word.strip()]
        if texts and not words:
            raise UserError("--fail-on: no condition given. Use `--fail-on none` to never fail.")
        kinds: list[Kind] = []
        others, growth = set(), None
        for word in words:
            found = _ERROR_RATIO.fullmatch(word)
            if found:
                growth = min(float(found[1]), growth or float(found[1]))
                if growth < 1:
                    raise UserError(f"--fail-on {word}: the factor must be at least 1")
            elif kind := next((kind for kind in KINDS if kind == word), None):
                kinds.append(kind)
            elif word in OTHER_CONDITIONS:
                others.add(word)
            else:
                raise UserError(_unknown(word))
        if "none" in others and len(words) > 1:
            raise UserError("`--fail-on none` cannot be combined with other conditions")
        return cls(tuple(kinds), growth, frozenset(others))

    def met(self, comparison: Comparison) -> list[str]:
        """Returns one line for each condition that is met."""
        return list(self._met(comparison))

    def _met(self, comparison: Comparison) -> Iterator[str]:
        for kind in self.kinds:
            if found := comparison.of(kind):
                yield f"{kind}: {len(found)} {'row' if len(found) == 1 else 'rows'} {KIND_TITLES[kind]}"
        if "lost-case" in self.kinds and comparison.only_old:
            yield f"lost-case: not in the new run: {', '.join(comparison.only_old)}"
        failing = [name for name, results in comparison.only_new.items() if any(each.deviates for each in results)]
        if "added-fail" in self.kinds and failing:
            yield f"added-fail: failing and not in the old run: {', '.join(failing)}"
        if self.growth is not None:
            grown = [drift for drift in comparison.drifts if drift.ratio > self.growth]
            if grown:
                first = grown[0]
                yield (
                    f"error-ratio>{self.growth:g}x: {len(grown)} of {len(comparison.drifts)} tensors, "
                    f"largest growth {first.ratio:.3g}x ({first.tensor} of {first.implementation})"
                )
        if "lost-power" in self.others and comparison.lost_power:
            lost = {name: len(ids) for name, ids in comparison.lost_power.items()}
            counted = (f"{number} {'defect' if number == 1 else 'defects'} by {name}" for name, number in lost.items())
            yield f"lost-power: no longer detected: {', '.join(counted)}"
        if "provenance" in self.others and comparison.provenance:
            changed = len(comparison.provenance)
            yield f"provenance: {changed} {'entry' if changed == 1 else 'entries'} changed"
        if "incomplete" in self.others:
            for report in (comparison.old, comparison.new):
                if not report.complete or report.undetected_controls:
                    yield f"incomplete: {report.path} is {'invalid' if report.undetected_controls else 'incomplete'}"


def _unknown(word: str) -> str:
    known = [*KINDS, *OTHER_CONDITIONS]
    if word.startswith(("error-ratio", "error_ratio")):
        hint = "; the condition on the error ratio needs a factor: error-ratio>2x"
    else:
        close = difflib.get_close_matches(word, known, 1, 0.5)
        hint = f", did you mean {close[0]!r}?" if close else ""
    return f"--fail-on: unknown condition {word!r}{hint}\nconditions: {', '.join(known)}"
