"""Common parts of the readers of checkpoints: the contents of a file, errors, and dtypes that NumPy lacks."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from conformance.conversion.framework import Tensors
from conformance.conversion.lstm import Lstm
from conformance.errors import MISSING, UserError, message_of

MAX_COMPRESSION = 1100
"""Largest factor by which DEFLATE can compress. A file that claims more is invalid."""


@dataclass(frozen=True)
class Contents:
    """Contents of a checkpoint.

    Attributes:
        tensors: arrays by name, in the order of the model if the file records it.
        options: options that the file records, by the names of LSTMs or the last part of these, see ``Lstm.options``.
            ``direction: reverse`` marks a layer that runs backwards.
        notes: what the file does not record, one sentence each.
        framework: framework of the weights, if the file says so; else empty.
    """

    tensors: Tensors
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    framework: str = ""


@contextmanager
def parsing(what: str) -> Iterator[None]:
    """Turns every error of a library that parses a file into one line.

    Raises:
        UserError: the library raised an exception.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        lines = message_of(error).strip().splitlines() or [""]
        raise UserError(f"not a valid {what} file: {type(error).__name__}: {lines[0]}") from error


def library(module: str, what: str, install: str = "pip install 'lstm-conformance[convert]'") -> Any:
    """Imports a library that a file format needs.

    Raises:
        UserError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(f"{what} needs {module}, which is not installed; install with: {install}", MISSING) from error


def dtype(name: str) -> np.dtype[Any]:
    """Returns the dtype with a name, such as ``float32`` or ``bfloat16``."""
    return np.dtype(library("ml_dtypes", "bfloat16").bfloat16 if name == "bfloat16" else name)


def without_bfloat16(tensors: Tensors, what: str) -> Tensors:
    """Returns the tensors if a format without bfloat16 can store them.

    Raises:
        UserError: a tensor is bfloat16.
    """
    for name, array in tensors.items():
        if array.dtype.name == "bfloat16":
            raise UserError(f"{name} is bfloat16, which {what} files cannot store. Write a .safetensors file")
    return tensors


def only(lstms: Sequence[Lstm]) -> Lstm:
    """Returns the only LSTM, for formats that store a model.

    Raises:
        UserError: there are several.
    """
    if len(lstms) > 1:
        names = ", ".join(lstm.name for lstm in lstms)
        raise UserError(f"a model has one input, but {len(lstms)} LSTMs were found: {names}. Use --layer or --stack")
    return lstms[0]


def natural(name: str) -> list[tuple[int, int | str]]:
    """Returns a key that sorts ``lstm_2`` before ``lstm_10``."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name)]
