"""Helpers for Keras on any back end: importing it, its errors, and its arrays."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from conformance.verdict.random_arrays import Array


def import_keras(backend: str) -> Any:
    """Imports Keras on a back end.

    Args:
        backend: Keras' name of the back end.

    Raises:
        RuntimeError: Keras already uses another back end in this process.
    """
    if "keras" in sys.modules:
        import keras
    else:
        os.environ.setdefault("KERAS_BACKEND", backend)
        # TensorFlow logs advice about processors as errors.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with muted():
            import keras
    found = keras.backend.backend()
    if found != backend:
        raise RuntimeError(
            f"Keras uses its {found} backend in this process, keras.layers.LSTM[{backend}] needs {backend}: "
            "unset KERAS_BACKEND, and import keras nowhere else before the run"
        )
    return keras


@contextmanager
def muted() -> Iterator[None]:
    """Captures the standard error of native code, and prints it only if an exception is raised."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as captured:
        stderr = os.dup(2)
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            captured.seek(0)
            os.write(stderr, captured.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def error_line(error: Exception) -> str:
    """Returns the line of an error's message that states the problem. Keras prints the layer before it."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in str(error).splitlines()]
    stating = [line for line in lines if line and not line.startswith("Exception encountered when calling")]
    return (stating or lines or [""])[0]


def copy_array(array: Any) -> Array:
    """Copies an array. NumPy has no bfloat16, so bfloat16 becomes float32."""
    return np.array(array, dtype=np.float32 if array.dtype.name == "bfloat16" else array.dtype, order="C")
