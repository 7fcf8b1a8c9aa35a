"""Earlier calls of a torch module, before the one that is checked."""

from collections.abc import Callable, Iterable
from typing import Any

from conformance.adapters import uses
from conformance.adapters.earlier_calls import make_earlier_calls
from conformance.adapters.pytorch import common as _torch
from conformance.adapters.pytorch.parameters import copy_into
from conformance.cases.case import Case
from conformance.verdict.problem import Problem


def make_calls(module: Any, call: Callable[[Case, uses.Named], dict[str, Any]], problem: Problem, dtype: str) -> None:
    """Makes the earlier calls of a problem's case, each forward and, if the case compares gradients, backward.

    Args:
        module: module that holds the parameters.
        call: function that calls the module with the arguments of a case.
        problem: the problem.
        dtype: dtype of the arguments.
    """
    import torch

    def solve(earlier: Problem, differentiates: bool) -> None:
        given = _torch.to_arguments(earlier, dtype, grad=differentiates and "input" not in problem.case.frozen)
        with torch.set_grad_enabled(differentiates), _torch.quietly():
            output = call(earlier.case, given)["output"]
            if leaves := _differentiable([*module.parameters(), *given.values()]) if differentiates else []:
                torch.autograd.grad(output.float().sum(), leaves, allow_unused=True)

    make_earlier_calls(
        problem,
        solve,
        switch_mode=lambda: module.train(not module.training),
        load=lambda one: copy_into(module, problem.case, one.parameters),
    )


def _differentiable(arrays: Iterable[Any]) -> list[Any]:
    """Returns the tensors that need a gradient. Lengths are a NumPy array."""
    return [array for array in arrays if getattr(array, "requires_grad", False)]
