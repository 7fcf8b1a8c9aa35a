"""The file formats of checkpoints, by the endings of their names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from conformance.conversion.files import (
    eqx,
    keras,
    msgpack,
    npz,
    onnx,
    openvino,
    orbax,
    pdparams,
    pt,
    safetensors,
    several,
    tensorflow,
)
from conformance.conversion.files.contents import Contents
from conformance.conversion.framework import Tensors
from conformance.conversion.frameworks import FRAMEWORKS
from conformance.conversion.lstm import Lstm
from conformance.errors import UserError
from conformance.results import atomic

_ALL = tuple(FRAMEWORKS)

Data = bytes | several.Files
"""Content of a file, or of several files by their names."""


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        endings: endings of file names.
        frameworks: frameworks whose weights it can hold; the first one is the default, unless it holds any.
        read: parses the content of a file.
        write: returns the content of a file with tensors; None if the format is only read.
        write_lstms: returns the content of a file with LSTMs, for formats that hold no other tensors.
        several: whether a checkpoint consists of several files. ``read`` then takes its path, and the other two write
            it to the path that is their second argument.
    """

    endings: tuple[str, ...]
    frameworks: tuple[str, ...]
    read: Callable[[Any], Contents]
    write: Callable[..., Any] | None = None
    write_lstms: Callable[..., Any] | None = None
    several: bool = False

    def decode(self, name: str, data: Data) -> Contents:
        """Parses the content of a checkpoint with a file name."""
        return self.read(data) if isinstance(data, bytes) else several.decode(self.read, name, data)


ORBAX = Format((".orbax",), ("flax", "nnx"), orbax.read, orbax.write, several=True)
FORMATS = (
    Format((".safetensors",), _ALL, safetensors.read, safetensors.write),
    Format((".pt", ".pth", ".bin", ".ckpt"), ("torch",), pt.read, pt.write),
    Format((".weights.h5",), ("keras",), keras.read, write_lstms=keras.write),
    Format((".keras",), ("keras",), keras.read, write_lstms=keras.write_model),
    Format((".h5", ".hdf5"), ("keras",), keras.read),
    Format((".onnx",), ("onnx",), onnx.read, write_lstms=onnx.write),
    Format((".msgpack",), ("flax", "nnx"), msgpack.read, msgpack.write),
    Format((".eqx",), ("equinox",), eqx.read, write_lstms=eqx.write),
    Format((".npz",), _ALL, npz.read, npz.write),
    Format((".pdparams",), ("paddle",), pdparams.read, pdparams.write),
    Format((".xml",), ("openvino",), openvino.read, write_lstms=openvino.write, several=True),
    Format((".index",), ("block_lstm",), tensorflow.read, tensorflow.write, several=True),
    ORBAX,
)

_REJECTED = {
    (".pkl", ".pickle"): "a pickle can run any code when it is loaded. Save the arrays with numpy.savez or safetensors",
    (".npy",): "the file holds one array without a name. Save all arrays with numpy.savez",
}


def format_of(path: Path) -> Format:
    """Returns the format of a file by its name. Folders are checkpoints of Orbax.

    Raises:
        UserError: the format is unknown or rejected.
    """
    name = path.name.lower()
    for rejected, reason in _REJECTED.items():
        if name.endswith(rejected):
            raise UserError(f"{path}: {reason}")
    if path.is_dir():
        return ORBAX
    for known in FORMATS:
        if name.endswith(known.endings):
            return known
    endings = ", ".join(ending for known in FORMATS for ending in known.endings)
    raise UserError(f"{path}: unknown file format; known endings are {endings}")


def read(path: Path) -> Contents:
    """Reads a checkpoint.

    Raises:
        UserError: the file is missing, unreadable or invalid.
    """
    known = format_of(path)
    try:
        path.stat()
        data = path if known.several else path.read_bytes()
    except OSError as error:
        index = path.with_name(f"{path.name}.index")
        hint = f". To read the checkpoint of TensorFlow, give {index}" if index.exists() else ""
        raise UserError(f"{path}: cannot be read: {error.strerror}{hint}") from error
    try:
        if not data:
            raise UserError("the file is empty")
        return known.read(data)
    except UserError as error:
        raise UserError(f"{path}: {error}", error.exit_code) from error


def encode(path: Path, tensors: Tensors, lstms: Sequence[Lstm]) -> Data:
    """Returns the content of a checkpoint.

    Args:
        path: name of the file, which determines the format.
        tensors: all tensors of the file.
        lstms: LSTMs that the tensors hold.

    Raises:
        UserError: the format is only read, or cannot hold the tensors.
    """
    known = format_of(path)
    try:
        for write, given in ((known.write, tensors), (known.write_lstms, lstms)):
            if write:
                return several.encode(partial(write, given), path.name) if known.several else write(given)
    except UserError as error:
        raise UserError(f"{path}: {error}", error.exit_code) from error
    raise UserError(f"{path}: this format is only read. Write .weights.h5 and load it with `model.load_weights`")


def store(path: Path, data: Data) -> None:
    """Writes a checkpoint atomically, see ``atomic.write`` and ``several.store``."""
    if isinstance(data, bytes):
        atomic.write(path, data)
    else:
        several.store(path, data)
