"""The folder of the suite's cache."""

import os
from pathlib import Path


def default_cache() -> Path:
    """Returns the folder of the cache: ``$CONFORMANCE_CACHE``, else a folder in the user's cache folder."""
    if folder := os.environ.get("CONFORMANCE_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lstm-conformance"
