"""``.orbax``: a folder written by Orbax, as Flax models are saved."""

from pathlib import Path
from typing import Any

import numpy as np

from conformance.conversion.files.contents import Contents, library, parsing
from conformance.conversion.find import flatten, nest
from conformance.conversion.framework import Tensors
from conformance.errors import UserError

_INSTALL = "pip install orbax-checkpoint. Or save the weights with flax.serialization.to_bytes as .msgpack"


def read(path: Path) -> Contents:
    """Reads the arrays, with names joined by ``/``.

    Args:
        path: folder of a checkpoint, or of one step that ``CheckpointManager`` saved.

    Raises:
        UserError: the folder contains no checkpoint or several, or a checkpoint is invalid.
    """
    folder = _checkpoint(path)
    orbax = library("orbax.checkpoint", "reading Orbax checkpoints", _INSTALL)
    import jax

    with parsing("Orbax"):
        checkpointer = orbax.PyTreeCheckpointer()
        tree = checkpointer.metadata(folder).item_metadata.tree
        # Restores arrays of any device and sharding.
        arguments = jax.tree.map(lambda _: orbax.RestoreArgs(restore_type=np.ndarray), tree)
        restored = checkpointer.restore(folder, restore_args=arguments)
        found = flatten(restored)
    # Orbax stores each variable of flax.nnx as a node with a value.
    return Contents({name.removesuffix("/value"): array for name, array in found.items()})


def write(tensors: Tensors, path: Path) -> None:
    """Writes the arrays below ``params``, as Flax's variables have them."""
    orbax = library("orbax.checkpoint", "writing Orbax checkpoints", _INSTALL)
    tree: dict[str, Any] = nest({name: np.array(array) for name, array in tensors.items()})
    orbax.PyTreeCheckpointer().save(path.resolve(), {"params": tree})


def _checkpoint(path: Path) -> Path:
    """Returns the folder of the only checkpoint in a folder.

    Raises:
        UserError: there is none, or there are several.
    """
    found = [
        file.parent for pattern in ("_METADATA", "*/_METADATA", "*/*/_METADATA") for file in sorted(path.glob(pattern))
    ]
    if not found:
        raise UserError("the folder contains no checkpoint of Orbax: no _METADATA")
    if found[0] != path and len(found) > 1:
        names = ", ".join(str(folder) for folder in found[:4])
        raise UserError(f"the folder contains {len(found)} checkpoints. Give one of them: {names}")
    return found[0].resolve()
