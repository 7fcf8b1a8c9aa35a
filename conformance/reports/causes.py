"""Groups the failures of a run by their cause, and finds the options on which each cause depends."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from conformance.defects.diagnosis.diagnose import EXACTLY_LIKE, LIKE
from conformance.results import when
from conformance.results.explanation import Explanation
from conformance.results.record import Result
from conformance.results.summary import by_implementation


@dataclass(frozen=True)
class Cause:
    """Failures of one implementation with a common cause.

    Attributes:
        implementation: name of the implementation.
        what: description of the cause.
        defects: ids of the defects that explain each of the failures; empty for unexplained failures.
        results: results of the failures.
        when: condition that separates the failures from the passing cases, see ``conformance.results.when``; empty if
            there is none.
        explanation: what experiments found out; None if no experiment was made.
    """

    implementation: str
    what: str
    defects: tuple[str, ...]
    results: tuple[Result, ...]
    when: str = ""
    explanation: Explanation | None = None

    @property
    def smallest(self) -> Result:
        """The failure with the fewest options, for a reproduction."""
        return min(self.results, key=lambda result: len(result.options))

    @property
    def facts(self) -> dict[str, str]:
        """Further facts about the cause, by title."""
        explanation = self.explanation
        if explanation is None:
            return {"when": self.when} if self.when else {}
        how = "verified" if explanation.verified else "observed"
        found = {"where": explanation.where, "when": self.when, how: explanation.how}
        return {title: text for title, text in found.items() if text}


def group_by_cause(results: Iterable[Result], explanations: Iterable[Explanation] = ()) -> list[Cause]:
    """Groups diagnosed failures by implementation and cause, the most frequent cause first, unexplained failures last.

    A failure may have several possible causes. A group lists only those that all of its failures share. The results
    include the passing cases, from which each group's condition follows.

    Args:
        results: results of a run.
        explanations: explanations of failures without a known cause.
    """
    groups = []
    explanations = list(explanations)
    for name, own in by_implementation(results).items():
        passing = [result for result in own if result.status == "pass"]
        diagnosed = [result for result in own if result.deviates and result.diagnosis]
        left = [result for result in diagnosed if result.causes]
        while left:
            votes = Counter(cause for result in left for cause in result.causes)
            commonest = max(votes, key=lambda cause: votes[cause])
            together = [result for result in left if commonest in result.causes]
            first = together[0].causes
            shared = {cause: first[cause] for cause in first if all(cause in one.causes for one in together)}
            like = LIKE if any(LIKE in result.diagnosis for result in together) else EXACTLY_LIKE
            what = f"{like} an LSTM " + ", or like one ".join(shared.values())
            groups.append(Cause(name, what, tuple(shared), tuple(together), _when(together, passing)))
            left = [result for result in left if commonest not in result.causes]
        unexplained = [result for result in diagnosed if not result.causes]
        for explanation in (each for each in explanations if each.implementation == name):
            together = [result for result in unexplained if result.key in explanation.keys]
            if together:
                condition = explanation.when or _when(together, passing)
                groups.append(Cause(name, explanation.what, (), tuple(together), condition, explanation))
                unexplained = [result for result in unexplained if result.key not in explanation.keys]
        if unexplained:
            groups.append(Cause(name, "unexplained", (), tuple(unexplained), _when(unexplained, passing)))
    return groups


def _when(failing: Sequence[Result], passing: Sequence[Result]) -> str:
    return str(when.find(failing, passing) or "")


def count_cases(results: Sequence[Result]) -> str:
    """Returns the number of results in words: ``1 case``, ``2 cases``."""
    return "1 case" if len(results) == 1 else f"{len(results)} cases"
