"""The file formats of checkpoints, by the endings of their names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.conversion.files import eqx, keras, msgpack, npz, onnx, pdparams, pt, safetensors
from conformance.conversion.files.contents import Contents
from conformance.conversion.framework import Tensors
from conformance.conversion.frameworks import FRAMEWORKS
from conformance.conversion.lstm import Lstm
from conformance.errors import MISSING, UserError

_ALL = tuple(FRAMEWORKS)


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        endings: endings of file names.
        frameworks: frameworks whose weights it can hold; the first one is the default, unless it holds any.
        read: parses the content of a file.
        write: returns the content of a file with tensors; None if the format is only read.
        write_lstms: returns the content of a file with LSTMs, for formats that hold no other tensors.
    """

    endings: tuple[str, ...]
    frameworks: tuple[str, ...]
    read: Callable[[bytes], Contents]
    write: Callable[[Tensors], bytes] | None = None
    write_lstms: Callable[[Sequence[Lstm]], bytes] | None = None


FORMATS = (
    Format((".safetensors",), _ALL, safetensors.read, safetensors.write),
    Format((".pt", ".pth", ".bin", ".ckpt"), ("torch",), pt.read, pt.write),
    Format((".weights.h5",), ("keras",), keras.read, write_lstms=keras.write),
    Format((".keras", ".h5", ".hdf5"), ("keras",), keras.read),
    Format((".onnx",), ("onnx",), onnx.read, write_lstms=onnx.write),
    Format((".msgpack",), ("flax", "nnx"), msgpack.read, msgpack.write),
    Format((".eqx",), ("equinox",), eqx.read, write_lstms=eqx.write),
    Format((".npz",), _ALL, npz.read, npz.write),
    Format((".pdparams",), ("paddle",), pdparams.read, pdparams.write),
)

_REJECTED = {
    (".pkl", ".pickle"): "a pickle can run any code when it is loaded. Save the arrays with numpy.savez or safetensors",
    (".xml",): "OpenVINO's IR is not read. Convert the model from which it was made, or save W, R and B as .npz",
    (".npy",): "the file holds one array without a name. Save all arrays with numpy.savez",
}


def format_of(path: Path) -> Format:
    """Returns the format of a file by its name.

    Raises:
        UserError: the format is unknown or rejected.
    """
    name = path.name.lower()
    for rejected, reason in _REJECTED.items():
        if name.endswith(rejected):
            raise UserError(f"{path}: {reason}")
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
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}", MISSING) from error
    try:
        if not data:
            raise UserError("the file is empty")
        return known.read(data)
    except UserError as error:
        raise UserError(f"{path}: {error}", error.exit_code) from error


def encode(path: Path, tensors: Tensors, lstms: Sequence[Lstm]) -> bytes:
    """Returns the content of a file.

    Args:
        path: name of the file, which determines the format.
        tensors: all tensors of the file.
        lstms: LSTMs that the tensors hold.

    Raises:
        UserError: the format is only read, or cannot hold the tensors.
    """
    known = format_of(path)
    try:
        if known.write:
            return known.write(tensors)
        if known.write_lstms:
            return known.write_lstms(lstms)
    except UserError as error:
        raise UserError(f"{path}: {error}", error.exit_code) from error
    raise UserError(f"{path}: this format is only read. Write .weights.h5 and load it with `model.load_weights`")
