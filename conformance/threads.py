"""One thread a process: results then do not depend on the machine's cores, and workers do not fight over them.

The variables are read when NumPy or a framework is imported, so this comes first and imports nothing of them.
"""

import os

VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def pin() -> None:
    """Sets every variable to 1, except those that the user has set."""
    for variable in VARIABLES:
        os.environ.setdefault(variable, "1")


def settings() -> dict[str, str]:
    """The variables as they stand; part of what a result depends on. An unset one is the empty string."""
    return {variable: os.environ.get(variable, "") for variable in VARIABLES}
