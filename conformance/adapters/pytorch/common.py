"""Helpers shared by the torch adapters: tensors from arrays and back, modules, gradients, supported dtypes."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import uses
from conformance.adapters.adapter import HALF
from conformance.verdict.problem import Problem, Tensors

Array = NDArray[np.floating]


def to_tensors(arrays: Tensors, dtype: str, grad: bool = False) -> dict[str, Any]:
    """Copies NumPy arrays to torch tensors of a dtype, optionally with ``requires_grad``."""
    import torch

    kind = getattr(torch, dtype)
    return {
        name: torch.from_numpy(array.copy()).to(kind).requires_grad_(grad) for name, array in arrays.items()
    }  # fmt: skip


def to_arguments(problem: Problem, dtype: str, grad: bool = False) -> dict[str, Any]:
    """Copies the arguments of a call to torch tensors, laid out in memory as the case requires.

    Lengths stay a NumPy array. Tensors that share memory are separate leaves of the graph.
    """
    import torch

    case, kind = problem.case, getattr(torch, dtype)
    given: dict[str, Any] = {}
    for name, array in uses.arguments(problem).items():
        if name == "lengths":
            given[name] = array.copy()
            continue
        tensor = torch.from_numpy(array.copy())
        if problem.case.refuses != "input-dtype" or name != "input":
            tensor = tensor.to(kind)
        if case.memory == "strided":
            backwards = tuple(reversed(range(tensor.ndim)))
            tensor = tensor.permute(backwards).contiguous().permute(backwards)
        elif case.memory == "expanded" and name != "input":
            tensor = tensor[:, :1].contiguous().expand(tensor.shape)
        elif case.memory == "aliased" and name == "c_0":
            tensor = given["h_0"].detach()
        given[name] = tensor.detach().requires_grad_(grad)
    return given


def to_array(tensor: Any) -> Array:
    """Copies a tensor from any device to a NumPy array. NumPy has no bfloat16, so bfloat16 becomes float32."""
    import torch

    detached = tensor.detach().cpu()
    detached = detached.float() if detached.dtype == torch.bfloat16 else detached
    return np.array(detached.numpy(), order="C")


def solve(
    outputs: Callable[[], Mapping[str, Any]],
    wanted: Iterable[str],
    leaves: Mapping[str, Any],
    cotangents: Tensors,
    tangents: Tensors | None = None,
) -> dict[str, Array]:
    """Runs a model forward and, if a gradient is wanted, backward.

    The gradients are those of the sum of the outputs that have a cotangent, each multiplied by it.

    Args:
        outputs: function that runs the model and returns its outputs by name.
        wanted: names of the tensors to return; gradients start with ``grad.``, Hessian-vector products with ``hvp.``.
        leaves: tensors to differentiate with respect to, by name: input, states, parameters.
        cotangents: cotangents by the outputs' names.
        tangents: direction of Hessian-vector products, by the leaves' names.
    """
    import torch

    names = list(wanted)
    twice = [name.removeprefix("hvp.") for name in names if name.startswith("hvp.")]
    differentiated = twice or [name.removeprefix("grad.") for name in names if name.startswith("grad.")]
    with torch.set_grad_enabled(bool(differentiated)), quietly():
        results = dict(outputs())
    if differentiated:
        read = {name: result for name, result in results.items() if name in cotangents}
        weights = [torch.from_numpy(cotangents[name].copy()).to(result.dtype) for name, result in read.items()]
        inputs = [leaves[name] for name in differentiated]
        # A tensor that the loss does not depend on, such as W_hr with only c_n read, has a gradient of zeros.
        gradients = torch.autograd.grad(
            list(read.values()), inputs, weights, create_graph=bool(twice), materialize_grads=True
        )
        results |= {f"grad.{name}": gradient for name, gradient in zip(differentiated, gradients, strict=True)}
        if twice and tangents:
            # A gradient that depends on no leaf has a second derivative of 0.
            found = {name: gradient for name, gradient in zip(twice, gradients, strict=True) if gradient.requires_grad}
            along = [torch.from_numpy(tangents[name].copy()).to(gradient.dtype) for name, gradient in found.items()]
            products = torch.autograd.grad(list(found.values()), inputs, along, materialize_grads=True)
            results |= {f"hvp.{name}": product for name, product in zip(twice, products, strict=True)}
    return {name: to_array(results[name]) for name in names}


def forward_derivatives(
    outputs: Callable[[Mapping[str, Any]], Mapping[str, Any]], leaves: Mapping[str, Any], tangents: Tensors
) -> dict[str, Array]:
    """Returns the derivatives of a model's outputs along a direction by ``torch.func.jvp``, by name with ``jvp.``.

    Args:
        outputs: function that runs the model with the given leaves and returns its outputs by name.
        leaves: input, states and parameters by name.
        tangents: direction, by the leaves' names.
    """
    import torch

    primals = {name: leaf.detach() for name, leaf in leaves.items()}
    along = {name: torch.from_numpy(tangents[name].copy()).to(leaf.dtype) for name, leaf in primals.items()}
    with quietly():
        # Torch scripts its rules of differentiation when they are first used.
        warnings.filterwarnings("ignore", "`torch.jit.script` is", DeprecationWarning)
        _, derivatives = torch.func.jvp(lambda given: dict(outputs(given)), (primals,), (along,))
    return {f"jvp.{name}": to_array(derivative) for name, derivative in derivatives.items()}


@cache
def refusal_of_forward_derivatives(dtype: str, onednn: bool, proj_size: int) -> str | None:
    """Returns torch's error if it does not differentiate an LSTM in forward mode on this machine; None if it does.

    Args:
        dtype: dtype of the parameters and the input.
        onednn: whether oneDNN is enabled.
        proj_size: size of the projection; 0 for none.
    """
    import torch

    module = build("LSTM", {"input_size": 4, "hidden_size": 8, "proj_size": proj_size}, dtype)
    leaves = {name: torch.full_like(parameter, 0.125) for name, parameter in module.named_parameters()}
    ones = torch.ones((2, 3, 4), dtype=getattr(torch, dtype))

    def output(given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"output": torch.func.functional_call(module, dict(given), (ones,))[0]}

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "TF32 acceleration on top of oneDNN", UserWarning)
        with torch.backends.mkldnn.flags(enabled=onednn and torch.backends.mkldnn.enabled):
            try:
                forward_derivatives(output, leaves, {name: np.ones(leaf.shape) for name, leaf in leaves.items()})
            except NotImplementedError as error:
                return f"torch: {str(error).strip().splitlines()[0]}"
    return None


@contextmanager
def quietly() -> Iterator[None]:
    """Suppresses torch's warning that an LSTM with a projection does not use oneDNN."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN", UserWarning)
        yield


@cache
def refusal(module: str, dtype: str, **options: Any) -> str | None:
    """Returns torch's error if a module does not run in a 16-bit dtype on this machine, forward and backward.

    Returns None if it runs. Other dtypes are not tried: a module that fails in them is broken, not limited.

    Args:
        module: ``LSTM`` or ``LSTMCell``.
        dtype: dtype of the parameters and the input.
        **options: additional arguments of the module.
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
    """Builds a ``torch.nn.LSTM`` or ``LSTMCell`` with uninitialized parameters.

    Does not draw from torch's global random state.

    Args:
        module: ``LSTM`` or ``LSTMCell``.
        options: arguments of the module.
        dtype: dtype of the parameters.
    """
    import torch

    # A module on the meta device draws no numbers.
    built = getattr(torch.nn, module)(**options, device="meta", dtype=getattr(torch, dtype))
    return built.to_empty(device="cpu")


def describe() -> dict[str, str]:
    """Returns versions, device, threads and kernels."""
    import torch

    return {
        "torch": torch.__version__,
        "device": "cpu",
        "threads": str(torch.get_num_threads()),
        "oneDNN": "used if torch selects it" if torch.backends.mkldnn.is_available() else "not available",
        "capability": torch.backends.cpu.get_cpu_capability(),
        "gradients": "torch.autograd.grad, twice for second derivatives; forward mode: torch.func.jvp",
    }
