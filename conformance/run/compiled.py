"""Keeps the programs that JAX compiles, so that the next run loads them instead of compiling them again."""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from conformance import system

_FOLDER = "JAX_COMPILATION_CACHE_DIR"


def environment(process: str, cache: Path) -> Mapping[str, str]:
    """Returns environment variables that make JAX keep its compiled programs; none if the user has chosen a folder.

    Processes that run at the same time have different folders, because JAX does not lock files that several processes
    write. The programs use all instructions of the processor, so each kind of processor has its own folder, too.

    Args:
        process: name of the process, such as the implementation that it runs.
        cache: folder of the suite's cache.
    """
    if _FOLDER in os.environ:
        return {}
    processor = hashlib.sha256(system.processor().encode()).hexdigest()[:8]
    folder = cache / "jax" / processor / re.sub(r"[^\w.]+", "-", process)
    return {_FOLDER: str(folder), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
