"""Keeps the programs that JAX compiles, so that the next run loads them instead of compiling them again."""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from conformance import system
from conformance.adapters import Adapter

_FOLDER = "JAX_COMPILATION_CACHE_DIR"


def environment(adapter: Adapter, cache: Path) -> Mapping[str, str]:
    """Returns environment variables that make JAX keep its compiled programs; none if the user has chosen a folder.

    Each implementation has its own folder, because JAX does not lock files that several processes write. The programs
    use all instructions of the processor, so each kind of processor has its own folder, too.

    Args:
        adapter: adapter of the implementation. Only implementations that require JAX get variables.
        cache: folder of the suite's cache.
    """
    if "jax" not in adapter.requires or _FOLDER in os.environ:
        return {}
    processor = hashlib.sha256(system.processor().encode()).hexdigest()[:8]
    folder = cache / "jax" / processor / re.sub(r"[^\w.]+", "-", adapter.name)
    return {_FOLDER: str(folder), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
