"""The footer of a results file. A file without one is incomplete."""

from collections.abc import Iterable, Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict

from conformance.results.header import now
from conformance.results.record import CpuSeconds, Result, counts, phases, plain


class Footer(BaseModel):
    """The last line of a results file.

    Attributes:
        counts: number of rows by status.
        seconds: CPU seconds by phase. ``other`` is the time that belongs to no row.
        ended: end time, in ISO 8601.
    """

    model_config = ConfigDict(frozen=True)

    counts: Mapping[str, int] = {}
    seconds: Mapping[str, CpuSeconds] = {}
    ended: str | None = None

    @classmethod
    def of(cls, results: Iterable[Result], other_seconds: float | None = None) -> Self:
        """Creates the footer of some rows, with the current time as end time.

        Args:
            results: all rows of the file.
            other_seconds: CPU seconds of the run that belong to no row; None if unknown.
        """
        results = tuple(results)
        return cls.of_totals(counts(results), phases(results), other_seconds)

    @classmethod
    def of_totals(
        cls, counts: Mapping[str, int], seconds: Mapping[str, float], other_seconds: float | None = None
    ) -> Self:
        """Creates the footer of rows that were counted before, with the current time as end time.

        Args:
            counts: number of rows by status.
            seconds: CPU seconds of the rows by phase.
            other_seconds: CPU seconds of the run that belong to no row; None if unknown.
        """
        other = {} if other_seconds is None else {"other": max(0.0, other_seconds)}
        return cls(counts=counts, seconds=plain({**seconds, **other}), ended=now())
