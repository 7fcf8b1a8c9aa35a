"""``torch.nn.LSTM`` run in other ways than by calling it: other kernels, TorchScript, and ``torch.func``."""

import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, ClassVar

from conformance.adapters.adapter import Solution
from conformance.adapters.pytorch import common as _torch
from conformance.adapters.pytorch.lstm import TorchLSTM, module_for, run
from conformance.cases.case import Case
from conformance.verdict.problem import Problem


class TorchLSTMNative(TorchLSTM):
    """With oneDNN off: torch's own kernels."""

    name = "torch.nn.LSTM[native]"
    path = "the module called eagerly, and differentiated, under torch.backends.mkldnn.flags(enabled=False)"

    def solve(self, problem: Problem) -> Solution:
        """Runs forward and backward without oneDNN."""
        import torch

        with warnings.catch_warnings():
            # The context manager sets an option for Intel GPUs too, which torch then says has no effect.
            warnings.filterwarnings("ignore", "TF32 acceleration on top of oneDNN", UserWarning)
            with torch.backends.mkldnn.flags(enabled=False):
                return super().solve(problem)

    def describe(self) -> dict[str, str]:
        """Versions, device, threads, and that oneDNN is off."""
        return super().describe() | {"oneDNN": "off"}


class TorchLSTMScript(TorchLSTM):
    """Compiled by ``torch.jit.script``, inside a module that calls it: the LSTM itself has no plain ``forward``."""

    name = "torch.nn.LSTM[script]"
    path = "torch.jit.script of a module that holds and calls the LSTM"

    def _callable(self, module: Any, case: Case) -> Callable[..., Any]:
        # A scripted module has a mode of its own.
        return scripted(module, case.lengths is not None).train(case.mode == "train")  # type: ignore[no-any-return]


class TorchLSTMFunctionalCall(TorchLSTM):
    """Stateless: ``torch.func.functional_call`` with all parameters given, differentiated by ``torch.func.vjp``."""

    name = "torch.nn.LSTM[functional_call]"
    path = "torch.func.functional_call with every parameter given"

    def solve(self, problem: Problem) -> Solution:
        """Runs the module on parameters that are not its own."""
        import torch

        case = problem.case
        module, arguments = module_for(case, case.dtype), _arguments(problem)

        def outputs(parameters: Any, inputs: Any, *state: Any) -> dict[str, Any]:
            return run(partial(_on, module, parameters), inputs, state or None, problem)

        with _torch.quietly():
            if "gradients" not in case.check:
                with torch.no_grad():
                    results = outputs(*arguments)
            else:
                results, pull = torch.func.vjp(outputs, *arguments)
                results = results | _named(problem, pull(_torch.to_tensors(problem.cotangents, case.dtype)))
        return {name: _torch.to_array(results[name]) for name in problem.expected_shapes()}

    def describe(self) -> dict[str, str]:
        """Versions, device, threads, and how gradients are taken."""
        return super().describe() | {"gradients": "torch.func.vjp"}


class TorchLSTMVmap(TorchLSTM):
    """A gradient for each row: ``torch.func.vmap`` over the batch around ``torch.func.grad``."""

    name = "torch.nn.LSTM[vmap]"
    path = "torch.func.vmap over rows, each unbatched, around torch.func.grad around functional_call"

    features = TorchLSTM.features - {"lengths", "dropout", "unbatched"}
    lacks: ClassVar[Mapping[str, str]] = {
        "lengths": "torch.func.vmap maps over rows of one length",
        "dropout": "torch.func.vmap draws dropout's masks for each row in its own order",
        "unbatched": "torch.func.vmap maps over rows",
    }

    def supports(self, case: Case) -> str | None:
        """Only with gradients: torch has a batching rule for what the LSTM does under ``grad`` alone."""
        if reason := super().supports(case):
            return reason
        return None if "gradients" in case.check else "torch.func.vmap has no batching rule for aten::lstm without grad"

    def solve(self, problem: Problem) -> Solution:
        """Runs all rows at once, each with a gradient of its own for the parameters; those are added up."""
        import torch

        case = problem.case
        module = module_for(case, case.dtype)
        row = 0 if case.batch_first else 1
        cotangents = _torch.to_tensors(problem.cotangents, case.dtype)

        def total(parameters: Any, inputs: Any, state: Any, weights: Any) -> tuple[Any, dict[str, Any]]:
            output, (h_n, c_n) = _on(module, parameters, inputs, state or None)
            outputs = {"output": output, "h_n": h_n, "c_n": c_n}
            return sum((outputs[name] * weights[name]).sum() for name in outputs), outputs

        parameters, inputs, *state = _arguments(problem)
        at = {"output": row, "h_n": 1, "c_n": 1}
        mapped = torch.func.vmap(
            torch.func.grad(total, argnums=(0, 1, 2), has_aux=True),
            in_dims=(None, row, 1, at),
            out_dims=((0, row, 1), at),
        )
        with _torch.quietly():
            # What torch runs for each row in turn, it warns of.
            warnings.filterwarnings("ignore", "There is a performance drop because", UserWarning)
            (for_parameters, for_input, for_state), results = mapped(parameters, inputs, tuple(state), cotangents)
        added = {name: gradient.sum(0) for name, gradient in for_parameters.items()}
        results = results | _named(problem, (added, for_input, *for_state))
        return {name: _torch.to_array(results[name]) for name in problem.expected_shapes()}

    def describe(self) -> dict[str, str]:
        """Versions, device, threads, and what is done with the rows' gradients."""
        return super().describe() | {"gradients": "torch.func.grad for each row; the parameters' are added up by torch"}


@lru_cache(maxsize=64)
def scripted(module: Any, packed: bool) -> Any:
    """TorchScript of a module that holds an LSTM, shares its parameters, and calls it."""
    import torch

    from conformance.adapters.pytorch import script as _torch_script

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script` is", DeprecationWarning)
        return torch.jit.script((_torch_script.OnPacked if packed else _torch_script.OnTensor)(module))


def _on(module: Any, parameters: Any, inputs: Any, state: Any) -> Any:
    import torch

    return torch.func.functional_call(module, parameters, (inputs, state))


def _arguments(problem: Problem) -> tuple[Any, ...]:
    """Parameters by name, the input, and the states where they are given."""
    parameters, rest = (
        _torch.to_tensors(arrays, problem.case.dtype)
        for arrays in (problem.parameters, {"input": problem.input, **(problem.initial_state or {})})
    )
    return parameters, *rest.values()


def _named(problem: Problem, gradients: tuple[Any, ...]) -> dict[str, Any]:
    """Gradients of ``_arguments`` by their canonical names."""
    for_parameters, *rest = gradients
    names = ["input", *(problem.initial_state or {})]
    by_name = dict(zip(names, rest, strict=True)) | for_parameters
    return {f"grad.{name}": gradient for name, gradient in by_name.items()}
