"""What a comparison is failed for: ``new-fail,error-ratio>2x,lost-power``."""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from conformance.errors import UserError
from conformance.results.compare import KINDS, WORDS, Comparison, Kind

OTHERS = {
    "error-ratio>2x": "a tensor's 99th percentile of error ratio grew by more than this factor, any number",
    "lost-power": "defects that an implementation's passed checks detected before and no longer detect",
    "provenance": "versions, machine, threads or an implementation's description changed",
    "incomplete": "one of the runs was cut short, or is invalid",
    "none": "nothing",
}
"""Conditions beside the kinds of changes."""

_ERROR_RATIO = re.compile(r"error-ratio>(\d+(?:\.\d+)?)x")


@dataclass(frozen=True)
class Conditions:
    """What a comparison is failed for.

    Attributes:
        kinds: changes of which there must be none.
        growth: the factor by which error ratio may grow; None for any.
        others: the other conditions.
    """

    kinds: tuple[Kind, ...] = ("new-fail",)
    growth: float | None = None
    others: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "Conditions":
        """The conditions of ``--fail-on``, separated by commas.

        Raises:
            UserError: there is no such condition.
        """
        words = [word.strip() for text in texts for word in text.split(",") if word.strip()]
        if texts and not words:
            raise UserError("--fail-on names no condition; none: never")
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
            elif word in OTHERS:
                others.add(word)
            else:
                raise UserError(_unknown(word))
        if "none" in others and len(words) > 1:
            raise UserError("--fail-on: none stands alone")
        return cls(tuple(kinds), growth, frozenset(others))

    def met(self, comparison: Comparison) -> list[str]:
        """Why a comparison is failed, a line for each condition that is met."""
        return list(self._met(comparison))

    def _met(self, comparison: Comparison) -> Iterator[str]:
        for kind in self.kinds:
            if found := comparison.of(kind):
                yield f"{kind}: {len(found)} {'row' if len(found) == 1 else 'rows'} {WORDS[kind]}"
        if "lost-case" in self.kinds and comparison.gone:
            yield f"lost-case: the new run has no {', no '.join(comparison.gone)}"
        failing = [name for name, results in comparison.came.items() if any(each.deviates for each in results)]
        if "added-fail" in self.kinds and failing:
            yield f"added-fail: {', '.join(failing)} deviates, and is not in the old run"
        if self.growth is not None:
            grown = [drift for drift in comparison.drifts if drift.ratio > self.growth]
            if grown:
                first = grown[0]
                yield (
                    f"error-ratio>{self.growth:g}x: {len(grown)} of {len(comparison.drifts)} tensors, "
                    f"most {first.tensor} of {first.implementation}: {first.ratio:.3g}x"
                )
        if "lost-power" in self.others and comparison.lost_power:
            lost = {name: len(ids) for name, ids in comparison.lost_power.items()}
            yield "lost-power: " + ", ".join(f"{number} defects by {name}" for name, number in lost.items())
        if "provenance" in self.others and comparison.provenance:
            yield f"provenance: {len(comparison.provenance)} entries changed"
        if "incomplete" in self.others:
            for report in (comparison.old, comparison.new):
                if not report.complete or report.undetected_controls:
                    yield f"incomplete: {report.path} is {'invalid' if report.undetected_controls else 'incomplete'}"


def _unknown(word: str) -> str:
    known = [*KINDS, *OTHERS]
    close = difflib.get_close_matches(word, known, 1, 0.5)
    if word.startswith("error_ratio"):
        hint = "; error ratio takes a factor: error-ratio>2x"
    else:
        hint = f", did you mean {close[0]!r}?" if close else ""
    return f"--fail-on: there is no condition {word!r}{hint}\nconditions: {', '.join(known)}"
