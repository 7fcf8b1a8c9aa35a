"""What explains the failures of a run: each cause once, with all that it explains."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from conformance.results.record import Result
from conformance.results.summary import by_implementation


@dataclass(frozen=True)
class Explained:
    """Failures of one implementation that have a cause in common.

    Attributes:
        implementation: its name.
        what: the cause, in words.
        defects: the ids of what no case among them tells apart; none where nothing explains them.
        results: the failures.
    """

    implementation: str
    what: str
    defects: tuple[str, ...]
    results: tuple[Result, ...]


def explained(results: Iterable[Result]) -> list[Explained]:
    """The causes of all diagnosed failures, those that explain most of an implementation's first.

    What several cases have in common narrows down what each of them leaves open.
    """
    groups = []
    for name, own in by_implementation(results).items():
        left = [result for result in own if result.causes]
        while left:
            votes = Counter(cause for result in left for cause in result.causes)
            commonest = max(votes, key=lambda cause: votes[cause])
            together = [result for result in left if commonest in result.causes]
            first = together[0].causes
            shared = {cause: first[cause] for cause in first if all(cause in one.causes for one in together)}
            what = "behaves exactly like an LSTM " + ", or like one ".join(shared.values())
            groups.append(Explained(name, what, tuple(shared), tuple(together)))
            left = [result for result in left if commonest not in result.causes]
        if unexplained := [result for result in own if result.diagnosis and not result.causes]:
            groups.append(Explained(name, "unexplained", (), tuple(unexplained)))
    return groups


def cases(results: Sequence[Result]) -> str:
    """How many there are."""
    return "1 case" if len(results) == 1 else f"{len(results)} cases"
