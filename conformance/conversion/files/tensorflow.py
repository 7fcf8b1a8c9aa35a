"""``.index``: checkpoints of TensorFlow 1 and 2, each an index and files of data beside it."""

import re
from pathlib import Path

import numpy as np

from conformance.conversion.files.contents import Contents, library, natural, parsing
from conformance.conversion.framework import Tensors
from conformance.errors import UserError

_INSTALL = "pip install 'lstm-conformance[tensorflow]'"
_ROLES = {"kernel": "w", "bias": "b", "w_i_diag": "wci", "w_f_diag": "wcf", "w_o_diag": "wco"}
"""Names of the arguments of BlockLSTM by the names of the variables of a cell of TensorFlow 1."""
_CELL = re.compile(rf"(?P<cell>(?:.+/)?[^/]*lstm[^/]*cell[^/]*)/(?P<role>{'|'.join(_ROLES)})")
_ARGUMENT = re.compile(rf"(?:(?P<name>.+?)/)??(?:(?P<side>forward|backward)/)?(?P<role>{'|'.join(_ROLES.values())})")
_SIDES = {"fw": "forward", "bw": "backward"}
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def read(path: Path) -> Contents:
    """Reads the variables. Those of TensorFlow 1's LSTM cells get the names of the arguments of BlockLSTM.

    Raises:
        UserError: the checkpoint is invalid, or a cell has a projection.
    """
    tensorflow = library("tensorflow", "reading TensorFlow checkpoints", _INSTALL)
    with parsing("TensorFlow"):
        reader = tensorflow.train.load_checkpoint(str(path)[: -len(".index")])
        stored = sorted(reader.get_variable_to_shape_map(), key=natural)
        found = {name: reader.get_tensor(name) for name in stored}
    arrays = {
        name.removesuffix(_VALUE): np.asarray(array)
        for name, array in found.items()
        if isinstance(array, np.ndarray) and ".OPTIMIZER_SLOT/" not in name
    }
    if any(name.endswith("/recurrent_kernel") for name in arrays):
        return Contents(arrays, framework="keras")
    names = {name: _argument(match) for name in arrays if (match := _CELL.fullmatch(name))}
    for name in names:
        projection = f"{name.rpartition('/')[0]}/projection/kernel"
        if projection in arrays:
            raise UserError(f"{projection} is a projection, which BlockLSTM lacks")
    return Contents(
        {names.get(name, name): array for name, array in arrays.items()}, framework="block_lstm" if names else ""
    )


def write(tensors: Tensors, path: Path) -> None:
    """Writes the arguments of BlockLSTM as the variables of TensorFlow 1's LSTM cells: ``encoder/lstm_cell/kernel``."""
    tensorflow = library("tensorflow", "writing TensorFlow checkpoints", _INSTALL)
    variables = {_variable(name): array for name, array in tensors.items()}
    tensorflow.raw_ops.SaveV2(
        prefix=str(path)[: -len(".index")],
        tensor_names=list(variables),
        shape_and_slices=[""] * len(variables),
        tensors=list(variables.values()),
    )


def _argument(match: re.Match[str]) -> str:
    """Returns ``rnn/forward/w`` for ``rnn/fw/lstm_cell/kernel``. Other names of cells are kept."""
    parts = match["cell"].split("/")
    sides = [_SIDES[part] for part in parts if part in _SIDES][:1]
    own = [part for part in parts if part not in _SIDES]
    if own[-1] == "lstm_cell":
        own.pop()
    return "/".join([*own, *sides, _ROLES[match["role"]]])


def _variable(name: str) -> str:
    """Returns the name of a variable, see ``_argument``. Names that are not those of arguments are kept."""
    found = _ARGUMENT.fullmatch(name)
    if not found:
        return name
    sides = {way: short for short, way in _SIDES.items()}
    roles = {argument: variable for variable, argument in _ROLES.items()}
    *parents, cell = (found["name"] or "").split("/")
    if cell == "lstm_cell" or not re.search("lstm.*cell", cell):
        parents, cell = [*parents, cell], "lstm_cell"
    return "/".join(filter(None, [*parents, sides.get(found["side"], ""), cell, roles[found["role"]]]))
