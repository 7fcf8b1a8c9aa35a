"""The result of one case on one implementation, and its row in the results file."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, TypeAdapter, ValidationError

from conformance.results.validation import first_mistake

Status = Literal["pass", "fail", "unsupported", "error", "crash", "timeout", "known", "fixed", "not-run"]
STATUSES: tuple[Status, ...] = get_args(Status)
DEVIATIONS: frozenset[Status] = frozenset({"fail", "error", "crash", "timeout", "fixed"})
"""Statuses that make a run fail."""
NOT_RUN: frozenset[Status] = frozenset({"unsupported", "not-run"})
"""Statuses of cases that did not run. They are never counted as passed."""

ErrorRatio = Annotated[float, Field(ge=0)]
CpuSeconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class InvalidRowError(ValueError):
    """A row has a missing or invalid field. If the row is about to be written, this is a bug in the suite."""


@dataclass(frozen=True)
class Result:
    """The result of one case on one implementation.

    Attributes:
        case: id of the case, ``file::name``.
        key: hash of the canonical case, which matches rows of different files.
        implementation: name of the implementation.
        status: one of ``STATUSES``.
        reason: reason for the status, in one line; empty for ``pass``.
        error_ratio: largest error ratio of all tensors; None if nothing was compared.
        tensors: error ratio of each compared tensor.
        details: the judge's report on each tensor that does not conform. The worst tensors also have an entry
            ``evidence``, see ``conformance.verdict.evidence``.
        diagnosis: explanation of a failure, in words.
        causes: defects that explain the failure, best first: id to description.
        notes: remarks that do not affect the status, such as warnings of the framework.
        traceback: traceback of an error, or the last lines of standard error of a process that died.
        seconds: CPU seconds by phase: import, solve, reference, budget, cache, judging, diagnosis, power.
        features: features of the case, see ``conformance.cases.features``.
        tags: tags of the case.
        dtype: dtype of the case.
        profile: rounding profile of the implementation, which selects the budget; empty if nothing was compared.
        rejected: whether the case cannot be judged; its status is then ``not-run``.
        line: line of the case in its file, from 1; 0 if unknown.
        options: options of the case that differ from their defaults, plus its notes and links.
        unchecked: features of the case that were left out because the implementation lacks them, with the reason.
        detects: number of defects that the case detects; None unless the status is ``pass`` and power was measured.
        detected: these defects as a hexadecimal bit mask over the header's ``defects``. The lowest bit is the first
            defect.
        power_sizes: the case's options that hold sizes, with the values at which power was measured; empty for the
            case's own sizes.
    """

    case: str
    key: str
    implementation: str
    status: Status
    reason: str = ""
    error_ratio: ErrorRatio | None = None
    tensors: Mapping[str, ErrorRatio] = field(default_factory=dict)
    details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    diagnosis: str = ""
    causes: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    traceback: str = ""
    seconds: Mapping[str, CpuSeconds] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    dtype: str = ""
    profile: str = ""
    rejected: bool = False
    line: Count = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    unchecked: Mapping[str, str] = field(default_factory=dict)
    detects: Count | None = None
    detected: Annotated[str, Field(pattern="^[0-9a-f]*$")] = ""
    power_sizes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def deviates(self) -> bool:
        """Whether the result makes a run fail."""
        return self.status in DEVIATIONS

    @property
    def id(self) -> str:
        """Id of the result: ``file::name[implementation]``."""
        return f"{self.case}[{self.implementation}]"

    @property
    def identity(self) -> tuple[str, str, str]:
        """Case, key and implementation. A results file has at most one row for each."""
        return self.case, self.key, self.implementation

    def to_row(self) -> dict[str, Any]:
        """Returns the result as JSON values, without empty fields.

        Raises:
            InvalidRowError: ``from_row`` would reject the row.
        """
        values = plain({field.name: getattr(self, field.name) for field in fields(self)})
        try:
            _ROW.validate_python(values)
        except ValidationError as error:
            raise InvalidRowError(f"invalid result of {self.id}: {first_mistake(error)}") from None
        return {name: value for name, value in values.items() if _is_written(name, value)}

    @staticmethod
    def from_row(row: Mapping[str, Any]) -> "Result":
        """Returns the result of a row. Unknown fields, which a later version of the suite may write, are ignored.

        Raises:
            InvalidRowError: a field is missing or invalid.
        """
        try:
            return _ROW.validate_python(row)
        except ValidationError as error:
            raise InvalidRowError(first_mistake(error)) from None


def _is_written(name: str, value: object) -> bool:
    return bool(value) or (value == 0.0 and value is not False) or name in _REQUIRED


def counts(results: Iterable[Result]) -> dict[str, int]:
    """Returns the number of results by status, without zeros, in the order of ``STATUSES``."""
    found = Counter(result.status for result in results)
    return {status: found[status] for status in STATUSES if found[status]}


def phases(results: Iterable[Result]) -> dict[str, float]:
    """Returns the CPU seconds of all results by phase."""
    total: Counter[str] = Counter()
    for result in results:
        total.update(result.seconds)
    return dict(total)


def plain(value: Any) -> Any:
    """Converts a value to JSON values.

    NumPy numbers become Python numbers, floats are rounded to 9 significant digits, and floats that are not finite
    become the strings "inf", "-inf" and "nan".
    """
    if isinstance(value, Mapping):
        return {_text(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, bool | int) else _text(value)


def _text(value: object) -> str:
    """Converts a value to a string that JSON preserves. Each pair of surrogates becomes one character."""
    text = str(value)
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


_ROW = TypeAdapter(Result)
_REQUIRED = frozenset({"case", "key", "implementation", "status"})
"""Fields that are always written, even if they are empty."""
