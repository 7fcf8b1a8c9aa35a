"""Limits each process to one thread, so that results do not depend on the number of cores and workers do not compete.

NumPy and frameworks read the variables when they are imported. This module must therefore run first and import neither.
"""

import os

from conformance import system

VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
"""Environment variables that set numbers of threads."""

_REQUIRED = "CONFORMANCE_THREADS"
"""Variable with the number of threads that the cases of this process require, for adapters that pass it on."""
_FOR_CASES = (_REQUIRED, "NPROC")
"""Variables that are set in addition if a case requires a number of threads. XLA reads ``NPROC``."""

_BYTES_PER_JOB = 1.5 * 2**30
"""Memory that a process needs for a framework."""


def pin() -> None:
    """Sets each variable to 1 unless the user has set it."""
    for variable in VARIABLES:
        os.environ.setdefault(variable, "1")


def variables(count: int) -> dict[str, str]:
    """Returns the environment variables of a process whose cases require a number of threads."""
    return dict.fromkeys((*VARIABLES, *_FOR_CASES), str(count))


def required() -> int | None:
    """Returns the number of threads that the cases of this process require; None if they require none."""
    number = os.environ.get(_REQUIRED)
    return int(number) if number else None


def settings() -> dict[str, str]:
    """Returns the current values of the variables. An unset variable has the value of the empty string."""
    return {variable: os.environ.get(variable, "") for variable in VARIABLES}


def default_jobs() -> int:
    """Returns how many frameworks to run at once: one per available processor, but no more than fit into memory."""
    jobs, memory = system.available_cpus(), system.physical_memory()
    return jobs if memory is None else max(1, min(jobs, int(memory / _BYTES_PER_JOB)))
