"""The result of one case on one implementation: its status, error ratios, evidence and explanation."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, TypeAdapter

Status = Literal["pass", "fail", "unsupported", "error", "crash", "timeout", "known", "fixed", "not-run"]
STATUSES: tuple[Status, ...] = get_args(Status)
DEVIATIONS: frozenset[Status] = frozenset({"fail", "error", "crash", "timeout", "fixed"})
"""The statuses with which a run does not conform."""
NOT_RUN: frozenset[Status] = frozenset({"unsupported", "not-run"})
"""The statuses that say nothing about the implementation, and are never counted as passed."""


@dataclass(frozen=True)
class Result:
    """What came of one case on one implementation.

    Attributes:
        case: the case's id, ``file::name``.
        key: hash of the canonical case; what rows of two files are matched by.
        implementation: its name.
        status: exactly one of ``STATUSES``.
        reason: why, in a line; empty when it passed.
        error_ratio: the largest of all tensors; None when nothing was compared.
        tensors: the error ratio of each tensor.
        details: for each tensor that does not conform, what the judge says about it; of the worst ones with their
            ``evidence``, see ``conformance.verdict.evidence``.
        diagnosis: of a failure: what explains it, in words.
        causes: the defects that do, best first: id to words; empty where none does.
        notes: what is worth knowing although it changes no status, such as warnings of the framework.
        traceback: where it raised; of a process that ended, the last lines of its standard error.
        seconds: CPU seconds by phase: import, solve, reference, budget, cache, judging, diagnosis.
        features: of the case, see ``conformance.cases.features``.
        tags: of the case.
        dtype: of the case.
        profile: how the implementation rounds, as far as the budget is concerned; empty when nothing was compared.
        line: of the case in its file.
        options: of the case, those that are not at their default; with its notes and links.
        unchecked: features that the case has and the implementation lacks, with the reason, where it was run without.
        detects: number of defects that its checks detect; None unless it passed.
        detected: which ones: hexadecimal bits over the header's ``defects``, the first one lowest.
    """

    case: str
    key: str
    implementation: str
    status: Status
    reason: str = ""
    error_ratio: Annotated[float, Field(ge=0)] | None = None
    tensors: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    diagnosis: str = ""
    causes: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    traceback: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    dtype: str = ""
    profile: str = ""
    line: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    unchecked: Mapping[str, str] = field(default_factory=dict)
    detects: int | None = None
    detected: Annotated[str, Field(pattern="^[0-9a-f]*$")] = ""

    @property
    def deviates(self) -> bool:
        """Whether a run with this result does not conform."""
        return self.status in DEVIATIONS

    @property
    def id(self) -> str:
        """How the result is named everywhere: ``file::name[implementation]``."""
        return f"{self.case}[{self.implementation}]"

    def to_row(self) -> dict[str, Any]:
        """The result as JSON values, without empty fields."""
        return {name: plain(value) for name, value in asdict(self).items() if value or value == 0.0}

    @staticmethod
    def from_row(row: Mapping[str, Any]) -> "Result":
        """The result that a row holds; fields of a later suite version are left out.

        Raises:
            ValueError: a field is missing or is not what it should be.
        """
        return _ROW.validate_python(row)


def counts(results: Iterable[Result]) -> dict[str, int]:
    """How many results have each status that occurs."""
    found = Counter(result.status for result in results)
    return {status: found[status] for status in STATUSES if found[status]}


def phases(results: Iterable[Result]) -> dict[str, float]:
    """CPU seconds by phase, over all results."""
    total: Counter[str] = Counter()
    for result in results:
        total.update(result.seconds)
    return dict(total)


def plain(value: Any) -> Any:
    """A value as JSON holds it: what is not finite as a string, NumPy's numbers as Python's, seconds short."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)


_ROW = TypeAdapter(Result)
