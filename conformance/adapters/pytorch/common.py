"""What the torch adapters share: arrays to tensors and back, gradients, and what torch runs on this machine."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.adapter import HALF
from conformance.verdict.problem import Tensors

Array = NDArray[np.floating]


def to_tensors(arrays: Tensors, dtype: str, grad: bool = False) -> dict[str, Any]:
    """Fresh torch tensors of a case's dtype, sharing no memory with the problem's arrays."""
    import torch

    kind = getattr(torch, dtype)
    return {
        name: torch.from_numpy(array.copy()).to(kind).requires_grad_(grad) for name, array in arrays.items()
    }  # fmt: skip


def to_array(tensor: Any) -> Array:
    """A fresh NumPy array; bfloat16, which NumPy lacks, as float32."""
    import torch

    detached = tensor.detach()
    detached = detached.float() if detached.dtype == torch.bfloat16 else detached
    return np.array(detached.numpy(), order="C")


def solve(
    outputs: Callable[[], Mapping[str, Any]], wanted: Iterable[str], leaves: Mapping[str, Any], cotangents: Tensors
) -> dict[str, Array]:
    """Runs a model and, where gradients are wanted, differentiates the sum of its outputs times their cotangents.

    Args:
        outputs: runs the model.
        wanted: names of the solution's tensors.
        leaves: what to differentiate for, by name: input, states, parameters.
        cotangents: by the outputs' names.
    """
    import torch

    names = list(wanted)
    differentiates = any(name.startswith("grad.") for name in names)
    with torch.set_grad_enabled(differentiates), quietly():
        results = dict(outputs())
    if differentiates:
        weights = [torch.from_numpy(cotangents[name].copy()).to(result.dtype) for name, result in results.items()]
        gradients = torch.autograd.grad(list(results.values()), list(leaves.values()), weights)
        results |= {f"grad.{name}": gradient for name, gradient in zip(leaves, gradients, strict=True)}
    return {name: to_array(results[name]) for name in names}


@contextmanager
def quietly() -> Iterator[None]:
    """Without the warning by which torch says that it takes another kernel where there is a projection."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN", UserWarning)
        yield


@cache
def refusal(module: str, dtype: str, **options: Any) -> str | None:
    """Why a module does not run in a dtype of 16 bits on this machine, forward and backward, in torch's words.

    None if it does, and of other dtypes: a module that fails in them is broken.
    """
    import torch

    if dtype not in HALF:
        return None
    try:
        built = build(module, {"input_size": 4, "hidden_size": 8, **options}, dtype)
        with torch.no_grad():
            for parameter in built.parameters():
                parameter.fill_(0.125)
        shape = (3, 4) if module == "LSTMCell" else (2, 3, 4)
        with quietly():
            output = built(torch.ones(shape, dtype=getattr(torch, dtype)))[0]
        torch.autograd.grad(output.float().sum(), list(built.parameters()))
    except (RuntimeError, NotImplementedError) as error:
        return f"torch on this processor, in {dtype}: {str(error).strip().splitlines()[0]}"
    return None


def build(module: str, options: Mapping[str, Any], dtype: str) -> Any:
    """``torch.nn.LSTM`` or ``LSTMCell`` with parameters not yet set: torch's global random state is not touched."""
    import torch

    # A module on the meta device draws no numbers.
    built = getattr(torch.nn, module)(**options, device="meta", dtype=getattr(torch, dtype))
    return built.to_empty(device="cpu")


def describe() -> dict[str, str]:
    """Versions, device, threads and kernels."""
    import torch

    return {
        "torch": torch.__version__,
        "device": "cpu",
        "threads": str(torch.get_num_threads()),
        "oneDNN": "used where torch chooses to" if torch.backends.mkldnn.is_available() else "not available",
        "capability": torch.backends.cpu.get_cpu_capability(),
        "gradients": "torch.autograd.grad",
    }
