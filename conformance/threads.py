"""Limits each process to one thread, so that results do not depend on the number of cores and workers do not compete.

NumPy and frameworks read the variables when they are imported. This module must therefore run first and import neither.
"""

import os

VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
"""Environment variables that set numbers of threads."""

_BYTES_PER_JOB = 1.5 * 2**30
"""Memory that a process needs for a framework."""


def pin() -> None:
    """Sets each variable to 1 unless the user has set it."""
    for variable in VARIABLES:
        os.environ.setdefault(variable, "1")


def settings() -> dict[str, str]:
    """Returns the current values of the variables. An unset variable has the value of the empty string."""
    return {variable: os.environ.get(variable, "") for variable in VARIABLES}


def available_cpus() -> int:
    """Returns the number of processors that this process may use. ``taskset`` and containers can restrict it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def physical_memory() -> int | None:
    """Returns the bytes of memory of the machine; None if unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf, and some systems lack a name.
        return None


def default_jobs() -> int:
    """Returns how many frameworks to run at once: one per available processor, but no more than fit into memory."""
    jobs, memory = available_cpus(), physical_memory()
    return jobs if memory is None else max(1, min(jobs, int(memory / _BYTES_PER_JOB)))
