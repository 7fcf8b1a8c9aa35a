"""``.pt`` and ``.pth``: state dictionaries written by ``torch.save``, read with ``weights_only``."""

import io
import pickle
import re

import numpy as np

from conformance.conversion.files.contents import Contents, dtype, library, parsing
from conformance.conversion.find import flatten
from conformance.conversion.framework import Tensors
from conformance.errors import UserError

_INSTALL = "pip install torch. Or save the weights with safetensors"


def read(data: bytes) -> Contents:
    """Reads all tensors, also in nested dictionaries: ``state_dict.encoder.weight_ih_l0``.

    Raises:
        UserError: the file is invalid, or contains objects besides tensors, numbers and text.
    """
    torch = library("torch", "reading .pt files", _INSTALL)
    with parsing("torch"):
        try:
            found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            names = re.findall(r"GLOBAL ([\w.]+)", str(error))
            what = f"the object {names[0]}" if names else "objects"
            raise UserError(
                f"the file contains {what} besides tensors, which could run any code when it is loaded. "
                "Save the weights alone: `torch.save(model.state_dict(), path)`"
            ) from error
        if not isinstance(found, dict):
            raise UserError(f"the file contains a {type(found).__name__}, expected a state dictionary")

        def to_array(tensor: object) -> object:
            if isinstance(tensor, dict):
                return {key: to_array(value) for key, value in tensor.items()}
            if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided or tensor.is_quantized:
                return None
            if tensor.dtype == torch.bfloat16:
                return tensor.view(torch.int16).numpy().view(dtype("bfloat16"))
            return tensor.detach().numpy()

        return Contents(flatten({str(key): to_array(value) for key, value in found.items()}, "."))


def write(tensors: Tensors) -> bytes:
    """Writes a state dictionary."""
    torch = library("torch", "writing .pt files", _INSTALL)
    state = {}
    for name, array in tensors.items():
        if array.dtype.name == "bfloat16":
            state[name] = torch.from_numpy(np.array(array).view(np.int16)).view(torch.bfloat16)
        else:
            state[name] = torch.from_numpy(np.array(array))
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()
