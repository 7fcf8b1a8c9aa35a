"""Names of a problem's parameters in torch modules: one ``torch.nn.LSTM``, or a module of ``two_calls``."""

from collections.abc import Mapping
from functools import reduce
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.verdict.problem import Tensors


def module_names(case: Case, name: str) -> list[str]:
    """Returns a module's names of a parameter. An encoder and a decoder each have one of equal value."""
    match case.graph:
        case "single":
            return [name]
        case "encoder-decoder":
            return [f"first.{name}", f"second.{name}"]
        case "parallel" if name.endswith("_reverse"):
            return [f"second.{name.removesuffix('_reverse')}"]
        case _:
            return [f"first.{name}"]


def held(case: Case, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Returns tensors of a problem's parameters by the module's names."""
    return {own: tensor for name, tensor in tensors.items() for own in module_names(case, name)}


def copy_into(module: Any, case: Case, parameters: Tensors) -> None:
    """Replaces the values of a module's parameters in place, as optimizers do."""
    import torch

    with torch.no_grad():
        for name, array in held(case, parameters).items():
            attrgetter(name)(module).copy_(torch.from_numpy(array.copy()))


def result_names(case: Case, name: str, parameters: Tensors) -> list[str]:
    """Returns the names of the results that make up a tensor: of a gradient, one for each parameter in the module."""
    prefix, _, source = name.partition(".")
    return [f"{prefix}.{own}" for own in module_names(case, source)] if source in parameters else [name]


def total(arrays: list[NDArray[np.floating]]) -> NDArray[np.floating]:
    """Returns the gradient of a value that several parameters of a module have: the sum of theirs."""
    return reduce(np.add, arrays)
