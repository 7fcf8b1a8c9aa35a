"""Keeps the programs that JAX compiles, so that the next run loads them instead of compiling them again."""

import hashlib
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path

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
    folder = cache / "jax" / _processor() / re.sub(r"[^\w.]+", "-", process)
    return {_FOLDER: str(folder), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


def _processor() -> str:
    """Returns a hash of the processor's model and instruction sets, as far as the system reports them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    facts = {line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))}
    text = "\n".join([platform.machine(), platform.processor(), *sorted(facts)])
    return hashlib.sha256(text.encode()).hexdigest()[:8]
