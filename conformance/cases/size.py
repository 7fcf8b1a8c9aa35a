"""Estimates the memory and CPU time that a case needs, and refuses cases that need too much.

The estimates are arithmetic on the sizes of the case. Nothing is allocated.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from conformance import system
from conformance.errors import UserError

if TYPE_CHECKING:  # The command line must start without pydantic.
    from conformance.cases.case import Case

_Number = TypeVar("_Number", int, float)

# ``python -m benchmarks.size`` compares these constants with measurements. A value is one unit of one direction of one
# layer in one step of one row.
BYTES_PER_VALUE = 280
BYTES_PER_INPUT = 90
BYTES_PER_PARAMETER = 60
BYTES_OF_PROCESS = 60_000_000
SECONDS_PER_MULTIPLICATION = 4e-10
SECONDS_PER_VALUE = 2e-6
SECONDS_PER_PARAMETER = 3e-7
SECONDS_PER_STEP = 1.3e-3

MAX_BLOCK_VALUES = 2**24
"""Number of values above which the reference and the budget are computed for a part of the rows at a time.

Smaller parts would make the matrix products of wide layers slower.
"""
STEP_OPERATIONS = 2**14
"""Multiplications that NumPy computes in the time of one step of one direction of one layer without arithmetic."""
LONG_SECONDS = 5.0
"""CPU seconds from which a case is long: its phases are shown, and it is judged only when it runs."""
MAX_SECONDS = 7200.0
"""Default limit of the CPU seconds of a case."""
MAX_MEMORY_VARIABLE = "CONFORMANCE_MAX_MEMORY"
MAX_SECONDS_VARIABLE = "CONFORMANCE_MAX_CASE_SECONDS"

_UNITS = {
    "": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}


@dataclass(frozen=True)
class Size:
    """Resources that the reference and the budget of a case need.

    Attributes:
        bytes: peak memory of the process.
        seconds: CPU time.
    """

    bytes: int
    seconds: float


@dataclass(frozen=True)
class Counts:
    """Numbers on which memory and time depend.

    Attributes:
        values: units of all directions of all layers, in all steps of all rows.
        inputs: elements of the input.
        parameters: parameters.
        multiplications: multiplications of one forward pass.
        steps: steps of all directions of all layers.
    """

    values: int
    inputs: int
    parameters: int
    multiplications: int
    steps: int


def count(case: "Case") -> Counts:
    """Counts the numbers on which the memory and the time of a case depend."""
    model, places = case.model, case.seq_len * case.num_rows
    parameters = model.parameter_count()
    return Counts(
        values=places * sum(prod(shape) for shape in model.state_shapes("c_0", None).values()),
        inputs=places * case.input_size,
        parameters=parameters,
        multiplications=places * parameters,
        steps=case.seq_len * model.num_directions * model.num_layers,
    )


def operations(case: "Case") -> int:
    """Returns the cost of one forward pass in multiplications, including the fixed cost of each step."""
    counts = count(case)
    return counts.multiplications + STEP_OPERATIONS * counts.steps


def row_blocks(case: "Case") -> list[slice]:
    """Returns the rows to compute at a time, in as few blocks as ``MAX_BLOCK_VALUES`` allows."""
    rows = case.num_rows
    number = min(rows, -(-count(case).values // MAX_BLOCK_VALUES)) or 1
    return [slice(block * rows // number, (block + 1) * rows // number) for block in range(number)]


def estimate(case: "Case") -> Size:
    """Estimates what the reference and the budget of a case need."""
    counts, blocks = count(case), len(row_blocks(case))
    outputs = case.seq_len * case.num_rows * case.model.output_size()
    return Size(
        BYTES_OF_PROCESS
        + BYTES_PER_VALUE * counts.values // blocks
        + (BYTES_PER_INPUT * outputs if blocks > 1 else 0)
        + BYTES_PER_INPUT * counts.inputs
        + BYTES_PER_PARAMETER * counts.parameters,
        SECONDS_PER_MULTIPLICATION * counts.multiplications
        + SECONDS_PER_VALUE * counts.values
        + SECONDS_PER_PARAMETER * counts.parameters
        + SECONDS_PER_STEP * counts.steps,
    )


@dataclass(frozen=True)
class SizeLimits:
    """Limits of the memory and the CPU time of a case.

    Attributes:
        bytes: largest memory; None for no limit.
        seconds: largest CPU time.
    """

    bytes: int | None
    seconds: float = MAX_SECONDS

    @classmethod
    def of(cls, memory: int | None = None, seconds: float | None = None) -> "SizeLimits":
        """Returns limits given on the command line, else by environment variables, else those of the machine.

        Raises:
            UserError: an environment variable is invalid.
        """
        if memory is None:
            memory = _variable(MAX_MEMORY_VARIABLE, parse_bytes) or available_memory()
        return cls(memory, seconds or _variable(MAX_SECONDS_VARIABLE, parse_seconds) or MAX_SECONDS)

    def refusal(self, case: "Case") -> str:
        """Returns the reason why a case is too large; empty if it is not."""
        size = estimate(case)
        if self.bytes is not None and size.bytes > self.bytes:
            needed = max(1, -(-size.bytes // 10**9))
            return (
                f"needs about {show_bytes(size.bytes)} of memory, but only {show_bytes(self.bytes)} are available. "
                f"Use smaller sizes, or `--max-memory {needed}GB` (for pytest, {MAX_MEMORY_VARIABLE}={needed}GB)"
            )
        if size.seconds > self.seconds:
            limit = int(size.seconds) + 1
            return (
                f"needs about {size.seconds:,.0f} CPU seconds for the reference and the budget, but the limit is "
                f"{self.seconds:,.0f}. Use smaller sizes, or `--max-case-seconds {limit}` (for pytest, "
                f"{MAX_SECONDS_VARIABLE}={limit})"
            )
        return ""


def _variable(name: str, parse: Callable[[str], _Number]) -> _Number | None:
    text = os.environ.get(name)
    if not text:
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise UserError(f"{name} {error}") from error


def parse_bytes(text: str) -> int:
    """Parses an amount of memory, such as ``24GB``, ``24GiB`` or ``500MB``. Without a unit, it is in bytes.

    Raises:
        ValueError: the text is not a positive amount.
    """
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)\s*([A-Z]*)", text.strip().upper())
    if not match or match[2] not in _UNITS or not (amount := int(float(match[1]) * _UNITS[match[2]])):
        raise ValueError(f"must be an amount of memory, such as 24GB or 500MB, not {text!r}")
    return amount


def parse_seconds(text: str) -> float:
    """Parses a positive whole number of seconds.

    Raises:
        ValueError: the text is not such a number.
    """
    if not re.fullmatch(r"\d{1,15}", text.strip()) or not int(text):
        raise ValueError(f"must be a positive whole number of seconds, not {text!r}")
    return float(text)


def show_bytes(amount: int) -> str:
    """Describes an amount of memory: ``24.0 GB``, ``320 MB``."""
    return f"{amount / 1e9:,.1f} GB" if amount >= 10**9 else f"{amount / 1e6:,.0f} MB"


def available_memory(root: Path = Path("/")) -> int | None:
    """Returns the bytes of memory that are available to this process; None if unknown.

    On Linux, this is the lower of the machine's available memory and what the control groups of the process leave.
    Elsewhere, it is the machine's memory.

    Args:
        root: root of the file system.
    """
    machine = _meminfo(root) or system.physical_memory()
    return min((amount for amount in (machine, *_cgroups(root)) if amount is not None), default=None)


def _meminfo(root: Path) -> int | None:
    match = re.search(r"^MemAvailable:\s+(\d+) kB", _read(root / "proc/meminfo"), re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _cgroups(root: Path) -> list[int]:
    """Returns the bytes that each memory control group of this process leaves."""
    left = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top = root / "sys/fs/cgroup" / controllers
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        group = top / path.lstrip("/")
        # In a container, the path can be that of the host, and the group is the top.
        for folder in {top, *(each for each in (group, *group.parents) if each.is_relative_to(top))}:
            limit, used = (_read(folder / name).strip() for name in names)
            if limit.isdecimal() and used.isdecimal():
                left.append(max(0, int(limit) - int(used)))
    return left


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
