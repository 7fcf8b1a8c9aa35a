"""Bisection over a list of releases, some of which cannot be tested."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Boundaries:
    """Indices of the releases at which a deviation begins and ends.

    Attributes:
        oldest: oldest release that can be tested.
        newest: newest release that can be tested.
        first: first release with the deviation; None if no release has it.
        last: last release with the deviation.
    """

    oldest: int
    newest: int
    first: int | None = None
    last: int | None = None


def search(count: int, deviates: Callable[[int], bool | None], suspect: int | None = None) -> Boundaries | None:
    """Searches for the boundaries of a deviation that begins at most once and ends at most once.

    Releases that are older than the oldest one that can be tested are assumed not to be testable either.

    Args:
        count: number of releases, the oldest first.
        deviates: whether a release has the deviation; None if it cannot be tested. Called once for each release.
        suspect: release that is believed to have the deviation, in case that neither the oldest nor the newest has it.

    Returns:
        The boundaries; None if no release can be tested.
    """
    results: dict[int, bool | None] = {}

    def test(index: int) -> bool | None:
        if index not in results:
            results[index] = deviates(index)
        return results[index]

    def boundary(low: int, high: int, is_low: Callable[[bool | None], bool]) -> tuple[int, int]:
        """Narrows two releases of different kinds to neighbors. Skips untestable ones unless they are of a kind."""
        while True:
            # The nearest to the middle first: it halves the rest best.
            order = sorted(range(low + 1, high), key=lambda index: abs(2 * index - low - high))
            middle = next((index for index in order if is_low(None) or test(index) is not None), None)
            if middle is None:
                return low, high
            low, high = (middle, high) if is_low(test(middle)) else (low, middle)

    newest = next((index for index in reversed(range(count)) if test(index) is not None), None)
    if newest is None:
        return None
    oldest = 0
    if test(0) is None:
        _, oldest = boundary(0, newest, lambda result: result is None)
    known = next((index for index in (newest, oldest, suspect) if index is not None and test(index)), None)
    if known is None:
        return Boundaries(oldest, newest)
    first = oldest if test(oldest) else boundary(oldest, known, lambda result: result is False)[1]
    last = newest if test(newest) else boundary(known, newest, lambda result: result is True)[0]
    return Boundaries(oldest, newest, first, last)
